/* newgate export: a jail, its files and its block, as one stream. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/storage.h"
#include "conf/files.h"
#include "conf/print.h"
#include "store/export.h"

enum { OPT_COMPRESS = 1, OPT_LIVE };

struct options {
	const char *jail;
	bool zstd, live;
};

/* The block as the jail has it, all that is said for several jails included. */
static char *definition(const struct conf_jail *j)
{
	struct str text = {0};

	conf_print_jail(&text, j);
	return str_take(&text);
}

static void tell_left_out(const char *jail, const struct strv *names)
{
	if (names->n > 0)
		warn_msg("%s: left out what no stream carries: %s%s", jail, names->v[0],
			 names->n > 1 ? " and more devices or sockets" : ", a device or socket");
}

/* 1: it runs; 0; -1 where that cannot be found out: told. The lock keeps it as it is. */
static int is_running(struct storage *s, const char *jail, int *lock)
{
	autodone(record_done) struct record r = {0};
	struct ng_err err = {0};

	*lock = state_lock(&s->state, jail, &err);
	int rc = *lock < 0 ? *lock : state_find(&s->state, jail, &r, &err);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		return !r.dead && str_eq(r.name, jail);
	warn_msg("%s", err.text);
	return -1;
}

static bool export(struct storage *s, const struct options *o)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(strv_done) struct strv left_out = {0};
	autofree char *text = NULL, *dir = NULL;
	autoclose int lock = -1;
	struct ng_err err = {0};
	bool configured = storage_find(s, o->jail, &j) == 0;

	if (!configured && !store_has_jail(&s->store, o->jail)) {
		storage_no_jail(s, o->jail);
		return false;
	}
	int running = is_running(s, o->jail, &lock);
	if (running < 0)
		return false;
	if (running)
		macro_close(&lock); /* it may be stopped meanwhile */
	if (running && !o->live) {
		warn_msg("%s is running, so its files change meanwhile: stop it first (jail -r "
			 "%s), or say --live to take them as they are met",
			 o->jail, o->jail);
		return false;
	}
	if (configured) {
		text = definition(&j);
		dir =
		    conf_string(&j, P_PATH) ? files_path(cmd_root, conf_string(&j, P_PATH)) : NULL;
	}
	const struct export_how how = {
	    .definition = text,
	    .path = configured ? conf_string(&j, P_PATH) : NULL,
	    .live = running > 0,
	    .zstd = o->zstd,
	    .left_out = &left_out,
	};
	int rc = export_jail(&s->store, o->jail, dir, &how, STDOUT_FILENO, &err);
	progress_end();
	if (rc < 0)
		warn_msg("%s", err.text);
	tell_left_out(o->jail, &left_out);
	return rc == 0;
}

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"compress", required_argument, NULL, OPT_COMPRESS},
					      {"live", no_argument, NULL, OPT_LIVE},
					      {0}};

	*o = (struct options){.zstd = true};
	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt == OPT_LIVE)
			o->live = true;
		else if (opt == OPT_COMPRESS && str_eq(optarg, "none"))
			o->zstd = false;
		else if (opt != OPT_COMPRESS || !str_eq(optarg, "zstd"))
			return false;
	}
	o->jail = argv[optind];
	return optind + 1 == argc;
}

static int export_run(int argc, char **argv)
{
	struct storage s = {0};
	struct options o;

	if (!parse(argc, argv, &o))
		return usage(&cmd_export);
	if (isatty(STDOUT_FILENO)) {
		warn_msg("a stream is nothing for a terminal: newgate export %s > FILE", o.jail);
		return 1;
	}
	/* A reader that goes away is an error like others, after which things are put away. */
	signal(SIGPIPE, SIG_IGN);
	int status = storage_open(&s);
	if (status == 0)
		status = !export(&s, &o);
	storage_done(&s);
	return status;
}

const struct cmd cmd_export = {
    .name = "export",
    .run = export_run,
    .args = "[--compress none | zstd] [--live] NAME > FILE",
    .summary = "writes a jail, its files and its block, as one stream",
    .help =
	"  --compress  zstd (the default), or none\n"
	"  --live      of a running jail: take its files as they are met\n"
	"\n"
	"The stream is a tar archive (tar --zstd -tf FILE lists it) with a checksum at its end.\n"
	"newgate import makes the jail of it again, on this host or another.\n",
};
