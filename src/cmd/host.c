/* newgate host: web and e-mail, each service in a jail of its own. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "store/tools.h"

/* ---- what the verbs share ---- */

int host_usage(void)
{
	return usage(&cmd_host);
}

void hosting_done(struct hosting *g)
{
	macro_close(&g->lock);
	host_lists_done(&g->l);
	host_settings_done(&g->h);
	state_done(&g->state);
}

int hosting_lock(struct hosting *g)
{
	autofree char *path = host_path(&g->h, HOST_CONF);

	if (g->lock >= 0)
		return 0;
	g->lock = open(path, O_RDONLY | O_CLOEXEC);
	if (g->lock >= 0 && flock(g->lock, LOCK_EX) == 0)
		return 0;
	warn_msg("%s: %s", path, strerror(errno));
	return 1;
}

int hosting_open(struct hosting *g, bool change)
{
	struct ng_err err = {0};
	int rc = host_settings_read(&g->h, cmd_root, &err);

	if (rc == 0 && change && hosting_lock(g))
		return 1;
	if (rc == 0)
		rc = host_lists_read(&g->h, &g->l, &err);
	if (rc == 0)
		rc = state_open(&g->state, cmd_root, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}

int hosting_reload(struct hosting *g, const char *jail)
{
	static const char *const start[] = {"/etc/host/start", NULL};
	struct ng_err err = {0};

	if (!inside_runs(&g->state, jail))
		return 0;
	if (inside_do(&g->state, jail, start, NULL, NULL, &err) == 0 &&
	    inside_reload(&g->state, jail, &err) == 0)
		return 0;
	warn_msg("%s", err.text);
	return 1;
}

int hosting_save(struct hosting *g, enum host_list which, const char *const *jails)
{
	struct ng_err err = {0};
	int status = 0;

	if (host_lists_write(&g->h, &g->l, which, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	for (; *jails; jails++)
		status |= hosting_reload(g, *jails);
	return status;
}

int hosting_files(struct hosting *g)
{
	struct host_files f autodone(host_files_done) = {0};
	struct ng_err err = {0};
	size_t kept;

	if (host_files_plan(&g->h, &g->l, &f, &err) < 0 ||
	    host_files_write(&g->h, &f, &kept, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	for (size_t i = 0; i < f.n; i++)
		if (f.v[i].state == FILE_USERS)
			warn_msg("%s is yours and stays as it is: newgate host diff", f.v[i].path);
	return 0;
}

int host_dispatch(const struct host_verb *v, size_t n, const char *what, int argc, char **argv)
{
	const char *names[24];

	if (argc < 2)
		return host_usage();
	for (size_t i = 0; i < n; i++) {
		names[i] = v[i].name;
		if (str_eq(argv[1], v[i].name))
			return v[i].run(argc - 1, argv + 1);
	}
	const char *near = str_nearest(argv[1], names, n);
	warn_msg("%s: there is no \"%s\"%s%s%s", what, argv[1], near ? " (did you mean \"" : "",
		 near ? near : "", near ? "\"?)" : "");
	return host_usage();
}

int host_flag(int argc, char **argv, const char *name, bool *given)
{
	const struct option longs[] = {{name, no_argument, NULL, 1}, {0}};

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1; *given = true)
		if (opt != 1)
			return host_usage();
	return optind == argc ? 0 : host_usage();
}

int host_list(int argc, char **argv, enum host_list which, const char *rows, const char *field,
	      const char *header,
	      void (*more)(const struct hosting *g, struct output *o, const char *rest))
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	autofree char *key = NULL;
	const char *rest;
	bool json = false;

	if (host_flag(argc, argv, "json", &json))
		return 1;
	if (hosting_open(&g, false))
		return 1;
	struct output *o = output_open(stdout, json, rows);
	for (size_t i = 0; host_next(&g.l, which, &i, &key, &rest);) {
		output_row(o);
		output_str(o, field, header, key);
		if (more)
			more(&g, o, rest);
	}
	return output_close(o) < 0;
}

/* ---- diff, apply ---- */

/* Shows one file beside what would be made: by diff(1), which everybody can read. */
static int show_difference(const struct host *h, const struct host_file *f)
{
	autofree char *path = host_path(h, "%s", f->path);
	struct str out autodone(str_done) = {0};
	struct ng_err err = {0};
	char name[] = "/tmp/newgate-host.XXXXXX";
	autoclose int fd = mkstemp(name);

	if (fd < 0 || write(fd, f->text, strlen(f->text)) < (ssize_t)strlen(f->text)) {
		warn_msg("%s: %s", name, strerror(errno));
		return 1;
	}
	const char *const argv[] = {"diff",    "-u",    "--label", "as newgate would make it",
				    "--label", f->path, name,      path,
				    NULL};
	int rc = tools_run(NULL, argv, "diffutils", &out, &err);
	unlink(name);
	/* Status 1 is that they differ, as they do. */
	if (rc < 0 && !out.len) {
		warn_msg("%s", err.text);
		return 1;
	}
	fputs(str_text(&out), stdout);
	return 0;
}

static int diff_run(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct host_files f autodone(host_files_done) = {0};
	struct ng_err err = {0};
	int status = 0;

	(void)argv;
	if (argc != 1)
		return host_usage();
	if (hosting_open(&g, false))
		return 1;
	if (host_files_plan(&g.h, &g.l, &f, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	for (size_t i = 0; i < f.n; i++) {
		if (f.v[i].state == FILE_NEW)
			printf("%s is missing: newgate host apply\n", f.v[i].path);
		else if (f.v[i].state != FILE_SAME)
			status |= show_difference(&g.h, &f.v[i]);
	}
	return status;
}

static int apply_run(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct ng_err err = {0};
	int status = 0;

	(void)argv;
	if (argc != 1)
		return host_usage();
	if (hosting_open(&g, true) || hosting_files(&g) || hosting_trees(&g))
		return 1;
	if (host_tables_write(&g.h, &g.l, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	/* Another filter is another jail, which begins with what it is to see. */
	bool switched = inside_runs(&g.state, host_other_signer(&g.h));
	if (switched)
		status = hosting_start(&g);
	for (const char *const *jail = host_jails(&g.h) + switched; *jail; jail++)
		status |= hosting_reload(&g, *jail);
	return status;
}

static int host_run(int argc, char **argv)
{
	static const struct host_verb verbs[] = {
	    {"init", host_init},
	    {"diff", diff_run},
	    {"apply", apply_run},
	    {"renew", host_renew},
	    {"domain", host_domain_verbs},
	    {"user", host_user_verbs},
	    {"alias", host_alias_verbs},
	    {"site", host_site_verbs},
	    {"dns", host_dns},
	    {"ban", host_ban_verbs},
	    {"watch", host_watch},
	    {"status", host_status},
	    {"queue", host_queue_verbs},
	    {"backup", host_backup},
	    {"restore", host_restore},
	    {"upgrade", host_upgrade},
	};

	/* Of each verb below it, too. */
	for (int k = 1; k < argc; k++)
		if (str_eq(argv[k], "--help")) {
			help_page(&cmd_host);
			return 0;
		}
	return host_dispatch(verbs, ARRAY_SIZE(verbs), "newgate host", argc, argv);
}

const struct cmd cmd_host = {
    .name = "host",
    .run = host_run,
    .args = "init [--hostname NAME] [--address ADDRESS] … [--spam rspamd] [--acme URL] [--ca "
	    "FILE] "
	    "[--contact ADDRESS] DOMAIN\n"
	    "diff\n"
	    "apply\n"
	    "renew [--force]\n"
	    "domain add|remove DOMAIN | list [--json]\n"
	    "user add ADDRESS [--quota SIZE] | passwd ADDRESS | quota ADDRESS SIZE | remove "
	    "[--mail [-y]] "
	    "ADDRESS | list [--json]\n"
	    "alias add ADDRESS TARGET … | remove ADDRESS | list [--json]\n"
	    "site add NAME [--proxy JAIL:PORT] | remove NAME | list [--json]\n"
	    "dns [--check] [--json] [DOMAIN]\n"
	    "ban add ADDRESS [--for TIME] | remove ADDRESS | list [--json]\n"
	    "watch\n"
	    "status [--json]\n"
	    "queue [--json] | flush [ID …] | hold ID … | release ID … | remove ID …\n"
	    "backup [--force] [FILE | -]\n"
	    "restore [--force] [--hostname NAME] [--address ADDRESS] … FILE | -\n"
	    "upgrade [--check]",
    .summary = "hosts web and e-mail, each service in a jail of its own",
    .help =
	"  init    builds the templates, writes the configuration, starts the jails\n"
	"  diff    what you changed of the files that newgate made\n"
	"  apply   makes the files anew, but those that you changed, and lets the jails see them\n"
	"  renew   gets the certificate that TLS needs, where it is not there or ends soon\n"
	"  domain  the domains that get mail here\n"
	"  user    the mailboxes; a password is read from the terminal or standard input\n"
	"  alias   further addresses; \"@DOMAIN\" is all that are left\n"
	"  site    web sites: files in /var/lib/newgate/host/web/sites/NAME, or another jail\n"
	"  dns     the DNS records that all this needs, and with --check which of them are "
	"missing\n"
	"  ban     the addresses that failed to log in too often, and may not for a time\n"
	"  watch   bans them: runs as long as the jails, with which it is started\n"
	"  status  jails, queue, mailboxes, certificates, disk, and what needs doing; the exit "
	"status\n"
	"          is 1 where something is wrong\n"
	"  queue   the letters that wait, and why\n"
	"  backup  mail, queue, keys, lists and settings as one file, while all goes on\n"
	"  restore makes the host of such a file, on this machine or another\n"
	"  upgrade new versions of Debian's packages, tried beside the jails before they change\n"
	"newgate-host(8) tells the whole.\n",
};
