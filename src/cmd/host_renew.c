/* newgate host renew: the certificate, from the authority to the services. It is asked for in a jail
 * of its own, which runs for the length of that alone. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/held.h"
#include "cmd/hosting.h"
#include "cmd/progress.h"
#include "cmd/trial.h"
#include "host/acme.h"
#include "host/tls.h"
#include "host/trees.h"
#include "store/tools.h"

#define JAIL "acme"
#define JAIL_CONF HOST_ETC "/acme/jail.conf"

static int tell(const struct ng_err *err)
{
	warn_msg("%s", err->text);
	return 1;
}

/* ---- the jail ---- */

/* Is a jail of that name somebody else's? */
static bool taken(void)
{
	struct configured all autodone(configured_done) = {0};

	if (configured_open(&all) != 0)
		return true;
	if (!conf_find(&all.conf, JAIL))
		return false;
	warn_msg("jail.conf has a jail \"" JAIL
		 "\", a name that newgate host uses: newgate rename");
	return true;
}

static int turn(struct configured *c, unsigned op)
{
	static const char *const names[] = {JAIL};
	const struct run_options o = {.op = op, .quiet = true, .aside = true};

	return run_jails(&c->state, &c->conf, &c->rc, &o, names, 1, &configured_sink);
}

static int open_jail(const struct hosting *g, struct configured *c)
{
	autofree char *path = host_path(&g->h, JAIL_CONF);
	int rc;

	c->conf.root = cmd_root;
	rc = conf_read(&c->conf, path, &c->diags);
	if (!tell_diags(&c->diags, true) || rc < 0) {
		warn_msg("newgate host apply makes it anew where it is missing");
		return 1;
	}
	return configured_open_rest(c);
}

/* What uacme says, and what to do about it. */
static void tell_failure(const char *url, const char *said)
{
	struct strv lines autodone(strv_done) = {0};
	struct str text autodone(str_done) = {0};

	strv_split(&lines, said, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		str_add(&text, "\n    ");
		str_add_visible(&text, lines.v[i]);
	}
	warn_msg("%s gave no certificate, the old one stays; %s%s", url, acme_remedy(said),
		 str_text(&text));
}

static int ask_inside(struct hosting *g, const char *input, struct str *chain)
{
	const char *const ask[] = {"/etc/host/renew", g->h.acme, g->h.contact, NULL};
	static const char *const give[] = {"cat", "/tmp/request-cert.pem", NULL};
	struct str said autodone(str_done) = {0};
	struct ng_err err = {0};
	int rc = inside_run(&g->state, JAIL, ask, input, &said, &err);

	if (rc == 0)
		rc = inside_do(&g->state, JAIL, give, NULL, chain, &err);
	if (rc < 0)
		return tell(&err);
	if (rc == 0)
		return 0;
	tell_failure(g->h.acme, str_text(&said));
	return 1;
}

static int ask(struct hosting *g, const char *input, struct str *chain)
{
	struct configured c autodone(configured_done) = {.state = {.dir = -1}};
	sigset_t before;

	if (open_jail(g, &c) != 0)
		return 1;
	/* Whoever interrupts this does not mean the end of the jail. */
	held_begin(&before);
	/* That of a run that was killed. */
	if (inside_runs(&g->state, JAIL))
		(void)turn(&c, RUN_REMOVE | RUN_FORCE);
	int status = turn(&c, RUN_CREATE);
	if (status == 0)
		status = ask_inside(g, input, chain);
	if (held_came())
		status = 1;
	return turn(&c, RUN_REMOVE) | status;
}

/* ---- what for ---- */

/* The names that lead here; the others are told. 1: our own is not among them. */
static int look_up(const struct hosting *g, struct strv *names)
{
	struct strv all autodone(strv_done) = {0};

	acme_names(&g->h, &g->l, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct ng_err err = {0};

		if (names->n == ACME_NAMES_MAX) {
			warn_msg("%s is left out: a certificate has %d names at most", all.v[i],
				 ACME_NAMES_MAX);
			continue;
		}
		int rc = acme_leads_here(&g->h, all.v[i], &err);
		if (rc == 0) {
			strv_add(names, all.v[i]);
			continue;
		}
		if (i > 0) {
			warn_msg("%s: left out of the certificate", err.text);
			continue;
		}
		warn_msg("%s: no certificate is asked for without the host's own name; %s",
			 err.text,
			 rc == -EAGAIN ? "once there is an answer: newgate host renew"
				       : "newgate host dns prints the records that it needs, "
					 "and newgate host renew goes on");
		return 1;
	}
	return 0;
}

static int need_tree(const struct hosting *g)
{
	struct store s autodone(store_done) = {0};
	struct ng_err err = {0};
	int rc = store_open(&s, cmd_root, &err);

	progress_attach(&s);
	if (rc == 0)
		rc = trees_make(&g->h, &s, JAIL, trial_run, &err);
	progress_end();
	return rc < 0 ? tell(&err) : 0;
}

static int get(struct hosting *g, const struct strv *names, struct str *chain)
{
	struct str input autodone(str_done) = {0};
	struct ng_err err = {0};

	if (taken())
		return 1;
	if (tls_make_own(&g->h, &err) < 0 || tls_request(&g->h, names, &input, &err) < 0 ||
	    tls_more_ca(&g->h, &input, &err) < 0)
		return tell(&err);
	return need_tree(g) || ask(g, str_text(&input), chain);
}

/* ---- the services ---- */

int hosting_show_cert(struct hosting *g)
{
	static const char *const jails[] = {"dovecot", "postfix", "web"};
	autofree char *mark = host_path(&g->h, TLS_NOT_SHOWN);
	int status = 0;

	if (access(mark, F_OK) < 0)
		return 0;
	if (hosting_lock(g))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(jails); i++)
		status |= hosting_reload(g, jails[i]);
	if (status == 0 && unlink(mark) < 0) {
		warn_msg("%s: %s", mark, strerror(errno));
		status = 1;
	}
	return status;
}

static int put(const struct hosting *g, const char *chain, const struct strv *names)
{
	struct ng_err err = {0};

	if (tls_install(&g->h, chain, names, &err) == 0)
		return 0;
	err_prefix(&err, "what %s gave is of no use, the old one stays", g->h.acme);
	return tell(&err);
}

static void say_until(const struct hosting *g, const char *what)
{
	struct cert c autodone(cert_done) = {0};
	struct ng_err none = {0};
	char day[32] = "";
	struct tm tm;

	if (tls_read(&g->h, &c, &none) < 0)
		return;
	if (gmtime_r(&c.until, &tm))
		strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	printf("the certificate of %s%s, by %s for %zu name%s, is valid until %s\n", g->h.hostname,
	       what, c.issuer, c.names.n, c.names.n == 1 ? "" : "s", day);
}

/* One renewal at a time. */
static int hold(struct hosting *g, int *lock)
{
	autofree char *folder = host_path(&g->h, HOST_DATA "/acme");
	struct ng_err err = {0};
	int rc = file_mkdirs(folder, 0700);

	if (rc == 0) {
		*lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = *lock < 0 || flock(*lock, LOCK_EX) < 0 ? -errno : 0;
	}
	if (rc == 0)
		return 0;
	err_sys(&err, rc, "%s", folder);
	return tell(&err);
}

int hosting_renew(struct hosting *g, bool force)
{
	struct strv names autodone(strv_done) = {0};
	struct cert now autodone(cert_done) = {0};
	struct str why autodone(str_done) = {0}, chain autodone(str_done) = {0};
	struct ng_err none = {0};
	autoclose int lock = -1;

	if (str_eq(g->h.acme, "none")) {
		puts("acme is none in " HOST_CONF ": the certificate is yours to renew");
		return 0;
	}
	if (hold(g, &lock) || hosting_show_cert(g) || look_up(g, &names))
		return 1;
	bool there = tls_read(&g->h, &now, &none) == 0;
	if (!acme_needed(there ? &now : NULL, &names, time(NULL), &why) && !force) {
		say_until(g, "");
		return 0;
	}
	printf("asking %s for a certificate of %zu name%s: %s\n", g->h.acme, names.n,
	       names.n == 1 ? "" : "s", force ? "--force" : str_text(&why));
	fflush(stdout);
	if (get(g, &names, &chain) || put(g, str_text(&chain), &names) || hosting_show_cert(g))
		return 1;
	say_until(g, " is new");
	return 0;
}

void renew_timer(void)
{
	static const char *const argv[] = {"systemctl", "enable", "--now",
					   "newgate-host-renew.timer", NULL};
	struct ng_err err = {0};

	if (!*cmd_root && access("/run/systemd/system", F_OK) == 0 &&
	    tools_run(NULL, argv, "systemd", NULL, &err) < 0)
		warn_msg("%s: without newgate-host-renew.timer, the certificate is not renewed",
			 err.text);
}

int host_renew(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	bool force = false;

	return host_flag(argc, argv, "force", &force) || hosting_open(&g, false) ||
	       hosting_renew(&g, force);
}
