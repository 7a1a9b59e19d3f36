#include "cmd/host_trial.h"

#include <string.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/held.h"
#include "cmd/progress.h"
#include "cmd/storage.h"
#include "conf/files.h"
#include "host/owners.h"
#include "host/upgrade.h"

struct trial {
	const char *jail;
	struct str name, path; /* the path as configured, without the -R prefix */
	char *log;
	struct configured c;
	struct store s;
};

char *host_trial_log(const char *jail)
{
	autodone(str_done) struct str path = {0};

	str_addf(&path, "/var/log/jail_upgrade_%s_console.log", jail);
	return files_path(cmd_root, path.s);
}

static void trial_done(struct trial *t)
{
	str_done(&t->name);
	str_done(&t->path);
	free(t->log);
	configured_done(&t->c);
	store_done(&t->s);
}

static int trial_open(struct trial *t, const char *jail, struct ng_err *err)
{
	t->jail = jail;
	str_addf(&t->name, "upgrade_%s", jail);
	/* No other jail's path can be that. */
	str_addf(&t->path, "/var/lib/newgate/roots/.upgrade_%s", jail);
	t->log = host_trial_log(jail);
	if (configured_open(&t->c))
		return err_set(err, EINVAL, "the configuration has faults");
	return store_open(&t->s, cmd_root, err);
}

/* ---- its parameters ---- */

/* What others would notice, or what is said in another way below. */
static bool is_left_out(const struct conf_setting *s)
{
	static const enum param_id ids[] = {
	    P_PATH,     P_RDR,           P_DEPEND,          P_TEMPLATE, P_IP4_ADDR,
	    P_IP6_ADDR, P_PATH_READONLY, P_EXEC_CONSOLELOG, P_JID};

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (s->id == ids[i])
			return true;
	return str_eq(s->name, "name");
}

/* Its own tree in the other's place. False: a folder that the jail writes to, for which the tree has
 * one that is empty. */
static bool own_mount(const struct trial *t, const char *path, const char *line, struct str *out)
{
	autodone(strv_done) struct strv word = {0};

	/* What, where, type, options, … as fstab(5) has them. */
	strv_split(&word, line, " \t");
	bool read_only = word.n > 3 && (str_eq(word.v[3], "ro") || str_prefix(word.v[3], "ro,"));
	if (word.n > 0 && str_prefix(word.v[0], HOST_DATA "/") && !read_only)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		bool below = i == 1 && str_prefix(word.v[i], path);

		str_addf(out, "%s%s%s", i > 0 ? " " : "", below ? t->path.s : "",
			 word.v[i] + (below ? strlen(path) : 0));
	}
	return true;
}

static void add(struct trial *t, struct diags *d, const char *name, const char *value)
{
	autodone(str_done) struct str arg = {0};

	str_addf(&arg, "%s=%s", name, value);
	conf_add_argument(&t->c.conf, t->name.s, arg.s, d);
}

static void add_setting(struct trial *t, const struct conf_setting *s, const char *path,
			struct diags *d)
{
	if (s->nvalues == 0)
		conf_add_argument(&t->c.conf, t->name.s, s->name, d);
	for (size_t i = 0; i < s->nvalues; i++) {
		autodone(str_done) struct str mount = {0};

		if (s->id != P_MOUNT)
			add(t, d, s->name, s->value[i].text);
		else if (own_mount(t, path, s->value[i].text, &mount))
			add(t, d, s->name, mount.s);
	}
}

static int configure(struct trial *t, struct ng_err *err)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(diags_done) struct diags d = {0};

	if (conf_resolve(&t->c.conf, t->jail, CONF_FOR_START, &j, &d) < 0)
		return err_set(err, EINVAL, "jail %s is not configured", t->jail);
	const char *path = conf_string(&j, P_PATH);
	conf_new_unit(&t->c.conf);
	add(t, &d, "path", t->path.s);
	for (size_t i = 0; i < j.nsettings; i++)
		if (!is_left_out(&j.setting[i]))
			add_setting(t, &j.setting[i], path ? path : "", &d);
	add(t, &d, "exec.consolelog", t->log + strlen(cmd_root));
	if (conf_is_set(&j, P_IP4_ADDR))
		add(t, &d, "ip4.addr", "auto");
	if (conf_is_set(&j, P_IP6_ADDR))
		add(t, &d, "ip6.addr", "auto");
	return tell_diags(&d, false) ? 0 : err_set(err, EINVAL, "it cannot be tried");
}

/* ---- its life ---- */

static int end(struct trial *t, struct ng_err *err)
{
	const struct run_options o = {.op = RUN_REMOVE | RUN_FORCE, .quiet = true, .aside = true};
	autodone(record_done) struct record r = {0};
	autofree char *path = files_path(cmd_root, t->path.s);
	const char *name = t->name.s;
	struct ng_err none = {0};

	if (state_find(&t->c.state, name, &r, &none) == 0 &&
	    run_jails(&t->c.state, &t->c.conf, &t->c.rc, &o, &name, 1, &configured_sink) != 0)
		return err_set(err, EIO, "jail %s could not be ended", name);
	int rc = storage_free_leases(name, err);
	if (rc == 0)
		rc = store_clear(&t->s, name, err);
	if (rc >= 0 && store_has_jail(&t->s, name))
		rc = store_destroy(&t->s, name, path, err);
	return rc < 0 ? rc : 0;
}

/* Files of the running one would be somebody else's on the new version. */
static int check_owners(struct trial *t, const char *version, struct ng_err *err)
{
	autodone(owners_done) struct owners old = {0}, new = {0};
	int rc = owners_of_tree(&t->s, t->jail, t->jail, &old, err);

	if (rc == 0)
		rc = owners_of_tree(&t->s, t->name.s, t->jail, &new, err);
	const struct owner *o = rc < 0 ? NULL : owners_moved(&old, &new, t->jail);
	if (!o)
		return rc;
	return err_set(
	    err, EINVAL,
	    "%s %s is number %u in the jail and %u in %s, so that its files would not be "
	    "its own: newgate host backup, newgate destroy %s, newgate host restore --force",
	    o->group ? "group" : "user", o->name, o->id,
	    owners_now(&old, &new, t->jail, o->group, o->id), version, t->jail);
}

static int run(struct trial *t, const char *version, const struct served *want, struct ng_err *err)
{
	const struct run_options o = {.op = RUN_CREATE, .quiet = true, .aside = true};
	autofree char *path = files_path(cmd_root, t->path.s);
	const char *name = t->name.s;
	int rc = store_clone(&t->s, version, name, path, t->jail, err);

	if (rc == 0)
		rc = check_owners(t, version, err);
	if (rc == 0)
		rc = configure(t, err);
	progress_end();
	if (rc < 0)
		return rc;
	if (run_jails(&t->c.state, &t->c.conf, &t->c.rc, &o, &name, 1, &configured_sink) != 0)
		return err_set(err, EIO, "it does not start");
	return upgrade_check(&t->c.state, name, t->jail, want, err);
}

int host_trial_clear(const char *jail, struct ng_err *err)
{
	autodone(trial_done) struct trial t = {0};
	int rc = trial_open(&t, jail, err);

	return rc < 0 ? rc : end(&t, err);
}

int host_trial(const char *jail, const char *version, const struct served *want, struct ng_err *err)
{
	autodone(trial_done) struct trial t = {0};
	struct ng_err after = {0};
	sigset_t mask;
	int rc = trial_open(&t, jail, err);

	if (rc < 0)
		return rc;
	held_begin(&mask);
	unlink(t.log);
	rc = run(&t, version, want, err);
	if (held_came() && rc == 0)
		rc = err_set(err, EINTR, "interrupted");
	int ended = end(&t, &after);
	if (rc == 0 && ended < 0)
		*err = after;
	/* Of one that does what it should, nobody needs to know more. */
	if (rc == 0)
		unlink(t.log);
	return rc < 0 ? rc : ended;
}
