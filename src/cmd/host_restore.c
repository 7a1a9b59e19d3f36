/* newgate host restore: the host that newgate host backup wrote, on this machine. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "cmd/progress.h"
#include "cmd/trial.h"
#include "host/restore.h"
#include "host/served.h"
#include "host/trees.h"
#include "store/import.h"

#define START_SECONDS 30 /* until all services listen */

struct restoring {
	const char *file;
	int fd;
	const char *hostname;
	const char *address[2]; /* by family; NULL: as it was */
	bool force;
	struct host_restore r;
	struct owners owners;
	struct host h; /* as the backup has it, with what was asked for */
	struct store s;
};

static void restoring_done(struct restoring *x)
{
	host_restore_done(&x->r);
	owners_done(&x->owners);
	host_settings_done(&x->h);
	store_done(&x->s);
}

static bool told(int rc, const struct ng_err *err)
{
	progress_end();
	if (rc < 0)
		warn_msg("%s", err->text);
	return rc >= 0;
}

/* ---- laying it out ---- */

static bool may_begin(struct restoring *x)
{
	autofree char *present = host_restore_present(&x->r);

	if (x->r.interrupted)
		warn_msg("an earlier restore was interrupted: what it left moves aside");
	if (!present || x->force || x->r.interrupted)
		return true;
	warn_msg("there is a host already (%s): --force moves it aside first", present);
	return false;
}

static int unpack(struct restoring *x, struct ng_err *err)
{
	autodone(import_done) struct import i = {0};
	int rc = import_open(&i, &x->s, x->fd, err);

	if (rc == 0 && !i.info.host)
		rc = err_set(err, EINVAL, "it is jail %s: newgate import", i.info.jail);
	if (rc == 0)
		rc = import_folder(&i, x->r.tree, err);
	if (rc == 0)
		rc = host_restore_check(&x->r, &x->owners, err);
	return rc < 0 ? err_prefix(err, "%s", x->file) : 0;
}

static bool lay_out(struct restoring *x)
{
	struct ng_err err = {0};

	return told(unpack(x, &err), &err);
}

static void set(char **where, const char *value)
{
	if (!value)
		return;
	free(*where);
	*where = mem_strdup(value);
}

/* The settings, for this machine. */
static bool settle(struct restoring *x)
{
	struct ng_err err = {0};

	if (!told(host_settings_read(&x->h, x->r.path, &err), &err) ||
	    hosting_range(&x->h.interface))
		return false;
	set(&x->h.hostname, x->hostname);
	if (x->address[0] || x->address[1]) {
		/* What is not said of a new machine, it has not. */
		free(take_ptr(x->h.address4));
		free(take_ptr(x->h.address6));
	}
	set(&x->h.address4, x->address[0]);
	set(&x->h.address6, x->address[1]);
	return told(host_settings_write(&x->h, &err), &err);
}

/* The jails' trees: what takes long, or fails, comes before anything is touched. */
static bool make_trees(struct restoring *x)
{
	autodone(owners_done) struct owners now = {0};
	struct ng_err err = {0};
	int rc = 0;

	set(&x->h.root, cmd_root);
	for (const char *const *jail = host_jails(&x->h); *jail && rc == 0; jail++)
		rc = trees_make_tree(&x->h, &x->s, *jail, trial_run, &err);
	if (rc == 0 && !str_eq(x->h.acme, "none"))
		rc = trees_make_tree(&x->h, &x->s, "acme", trial_run, &err);
	if (rc == 0)
		rc = owners_of_trees(&x->s, &now, &err);
	if (rc == 0)
		rc = host_restore_own(&x->r, &x->owners, &now, &err);
	return told(rc, &err);
}

/* ---- putting it in its place ---- */

static bool stop_jails(void)
{
	struct state st = {.dir = -1};
	struct ng_err err = {0};
	char *argv[16] = {(char *)"down"};
	int argc = 1;
	bool opened = told(state_open(&st, cmd_root, &err), &err);

	for (size_t i = 0; opened && host_all_jails[i]; i++)
		if (inside_runs(&st, host_all_jails[i]))
			argv[argc++] = (char *)host_all_jails[i];
	argv[argc] = NULL;
	state_done(&st);
	optind = 0;
	return opened && (argc == 1 || cmd_down.run(argc, argv) == 0);
}

static bool place(struct restoring *x)
{
	autofree char *aside = NULL, *conf = host_path(&x->h, HOST_CONF);
	autoclose int lock = open(conf, O_RDONLY | O_CLOEXEC);
	struct ng_err err = {0};

	/* Nobody changes a list while it moves. */
	if (lock >= 0 && flock(lock, LOCK_EX) < 0) {
		warn_msg("%s: %s", conf, strerror(errno));
		return false;
	}
	if (!stop_jails() || !told(host_restore_place(&x->r, &aside, &err), &err))
		return false;
	if (aside)
		printf("What was there is in " HOST_DATA "/.%s and /etc/newgate/%s\n", aside,
		       aside);
	return true;
}

/* "Runs" is true once whoever follows it is answered. */
static int wait_served(struct hosting *g)
{
	struct ng_err err = {0};
	int rc = 0;

	for (const char *const *jail = host_jails(&g->h); *jail && rc == 0; jail++) {
		autodone(record_done) struct record r = {0};
		struct served want = {0};
		uint16_t port;

		rc = state_find(&g->state, *jail, &r, &err);
		if (rc < 0)
			break;
		served_promised(&r, &want);
		rc = served_wait(&g->state, *jail, &want, START_SECONDS, &port, &err);
	}
	if (rc < 0)
		warn_msg("%s: newgate logs tells why", err.text);
	return rc < 0;
}

/* As `newgate host init` does from here on. */
static bool start(void)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct ng_err err = {0};

	if (hosting_open(&g, true) || hosting_files(&g) ||
	    !told(host_tables_write(&g.h, &g.l, &err), &err) || hosting_trees(&g) ||
	    hosting_run(&g) || wait_served(&g))
		return false;
	hosting_say_next(&g);
	return true;
}

static bool restore(struct restoring *x)
{
	struct ng_err err = {0};

	return told(store_open(&x->s, cmd_root, &err), &err) &&
	       (progress_attach(&x->s), told(host_restore_begin(cmd_root, &x->r, &err), &err)) &&
	       may_begin(x) && lay_out(x) && settle(x) && make_trees(x) && place(x) && start();
}

static bool read_address(struct restoring *x, const char *text)
{
	struct ip ip;

	if (ip_parse(text, &ip) < 0) {
		warn_msg("--address %s is not an address", text);
		return false;
	}
	x->address[ip.family == AF_INET6] = text;
	return true;
}

int host_restore(int argc, char **argv)
{
	static const struct option longs[] = {{"force", no_argument, NULL, 'f'},
					      {"address", required_argument, NULL, 'a'},
					      {"hostname", required_argument, NULL, 'h'},
					      {0}};
	autodone(restoring_done) struct restoring x = {.r = HOST_RESTORE_NONE};
	autofree char *hostname = NULL;
	const char *why = NULL;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt == 'a' ? !read_address(&x, optarg) : opt != 'f' && opt != 'h')
			return opt == 'a' ? 1 : host_usage();
		if (opt == 'h' && !(hostname = host_domain(optarg, &why))) {
			warn_msg("--hostname \"%s\" %s", optarg, why);
			return 1;
		}
		x.force |= opt == 'f';
	}
	if (optind + 1 != argc)
		return host_usage();
	x.file = argv[optind];
	x.hostname = hostname;
	autoclose int fd = str_eq(x.file, "-") ? -1 : open(x.file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && !str_eq(x.file, "-")) {
		warn_msg("%s: %s", x.file, strerror(errno));
		return 1;
	}
	x.fd = fd < 0 ? STDIN_FILENO : fd;
	return restore(&x) ? 0 : 1;
}
