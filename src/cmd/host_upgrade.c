/* newgate host upgrade: the jails onto new versions of their templates, each tried beside the one that
 * runs, then put in its place, and taken back where it does not do there what it should. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/host_trial.h"
#include "cmd/hosting.h"
#include "cmd/progress.h"
#include "cmd/rebasing.h"
#include "cmd/storage.h"
#include "cmd/trial.h"
#include "host/upgrade.h"
#include "store/rebase.h"

#define JAILS_MAX 16
#define WHEN_NEEDED "acme" /* asks for certificates and ends: there is nothing to try */

struct upgrade {
	const char *jail;
	char *to;           /* the version; owned; NULL: it is on the newest */
	bool made;          /* by this run */
	struct served want; /* what it serves now */
};

struct upgrading {
	struct hosting g;
	struct storage s;
	struct upgrade v[JAILS_MAX];
	size_t n;
};

static void upgrading_done(struct upgrading *u)
{
	for (size_t i = 0; i < u->n; i++)
		free(u->v[i].to);
	storage_done(&u->s);
	hosting_done(&u->g);
}

static bool told(int rc, const char *jail, const struct ng_err *err)
{
	progress_end();
	if (rc < 0)
		warn_msg("%s: %s", jail, err->text);
	return rc >= 0;
}

/* ---- what is new ---- */

static int find_version(struct upgrading *u, struct upgrade *one, struct ng_err *err)
{
	autodone(rebase_done) struct rebase r = {0};
	autodone(record_done) struct record record = {0};
	autofree char *made = NULL;
	struct ng_err none = {0};
	int rc = upgrade_template(&u->s.store, one->jail, trial_run, &made, err);

	if (rc == 0)
		rc = rebase_plan(&u->s.store, one->jail, NULL, &r, err);
	if (rc == -EALREADY)
		return 0;
	if (rc < 0)
		return rc;
	one->made = made && str_eq(made, r.to);
	one->to = take_ptr(r.to);
	if (state_find(&u->g.state, one->jail, &record, &none) == 0 && !record.dead)
		rc = served_now(&record, &one->want);
	return rc < 0 ? err_sys(err, rc, "jail %s", one->jail) : 0;
}

/* What was killed half-way on its way to a new version goes back before anybody looks. */
static bool heal(struct upgrading *u, const char *jail)
{
	autoclose int lock = -1;

	return inside_runs(&u->g.state, jail) || storage_hold(&u->s, jail, &lock);
}

static bool find_one(struct upgrading *u, const char *jail)
{
	struct upgrade *one = &u->v[u->n++];
	struct ng_err err = {0};

	*one = (struct upgrade){.jail = jail};
	if (!heal(u, jail) || !told(host_trial_clear(jail, &err), jail, &err) ||
	    !told(find_version(u, one, &err), jail, &err))
		return false;
	if (!one->to)
		printf("%s: up to date\n", jail);
	fflush(stdout);
	return true;
}

static bool find_all(struct upgrading *u)
{
	bool all = true;

	for (const char *const *jail = host_jails(&u->g.h); *jail && all; jail++)
		all = find_one(u, *jail);
	if (all && store_has_jail(&u->s.store, WHEN_NEEDED))
		all = find_one(u, WHEN_NEEDED);
	return all;
}

/* ---- tried ---- */

/* What somebody made by hand is his. */
static void forget(struct upgrading *u, const struct upgrade *one)
{
	struct ng_err err = {0};

	if (one->made && upgrade_forget(&u->s.store, one->jail, one->to, &err) < 0)
		warn_msg("%s", err.text);
}

static bool try(struct upgrading *u, const struct upgrade *one)
{
	struct ng_err err = {0};

	if (told(host_trial(one->jail, one->to, &one->want, &err), one->jail, &err)) {
		printf("%s: %s does what it should\n", one->jail, one->to);
		fflush(stdout);
		return true;
	}
	autofree char *log = host_trial_log(one->jail);
	warn_msg("%s stays as it is: %s did not do what it should; what it printed is in %s",
		 one->jail, one->to, log);
	forget(u, one);
	return false;
}

static bool try_all(struct upgrading *u)
{
	bool all = true;

	for (size_t i = 0; i < u->n; i++)
		if (u->v[i].to && !str_eq(u->v[i].jail, WHEN_NEEDED))
			all &= try(u, &u->v[i]);
	return all;
}

/* ---- put in their places ---- */

struct looking {
	struct upgrading *u;
	const struct served *want;
};

static bool look(void *arg, const char *jail)
{
	struct looking *l = arg;
	struct ng_err err = {0};

	return told(upgrade_check(&l->u->g.state, jail, jail, l->want, &err), jail, &err);
}

/* What waited for a jail that was away for a moment need not wait for its next turn. */
static void flush_queue(struct upgrading *u)
{
	static const char *const argv[] = {"postqueue", "-f", NULL};
	struct ng_err err = {0};

	if (inside_runs(&u->g.state, "postfix") &&
	    inside_do(&u->g.state, "postfix", argv, NULL, NULL, &err) < 0)
		warn_msg("%s", err.text);
}

static bool swap_all(struct upgrading *u)
{
	bool all = true, some = false;

	for (size_t i = 0; i < u->n && all; i++) {
		struct looking l = {u, &u->v[i].want};

		if (!u->v[i].to)
			continue;
		all = rebase_looking(u->v[i].jail, look, &l);
		some = true;
		if (!all)
			forget(u, &u->v[i]);
	}
	if (some)
		flush_queue(u);
	return all;
}

/* One at a time; lists may be changed meanwhile. */
static bool hold(struct hosting *g)
{
	autofree char *path = host_path(&g->h, HOST_DATA);

	g->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->lock >= 0 && flock(g->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno == EWOULDBLOCK)
		warn_msg("another newgate host upgrade runs: wait for it");
	else
		warn_msg("%s: %s", path, strerror(errno));
	return false;
}

int host_upgrade(int argc, char **argv)
{
	autodone(upgrading_done) struct upgrading u = {.g = HOSTING_NONE};
	bool check = false;

	if (host_flag(argc, argv, "check", &check) || hosting_open(&u.g, false) || !hold(&u.g))
		return 1;
	if (storage_open(&u.s))
		return 1;
	progress_attach(&u.s.store);
	if (!find_all(&u) || !try_all(&u))
		return 1;
	return check || swap_all(&u) ? 0 : 1;
}
