/* newgate snapshot: jails' trees as they were. */
#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/snapname.h"
#include "cmd/temporary.h"

static bool take(struct storage *s, const char *jail, const char *name)
{
	autodone(record_done) struct record r = {0};
	autoclose int lock = -1;

	if (!temporary_look(s, jail, &lock, &r) || !temporary_snapshot(s, jail, name, &r))
		return false;
	printf("%s@%s: taken%s\n", jail, name,
	       r.name ? " while it runs: it holds what a power cut would leave" : "");
	return true;
}

static int take_run(struct storage *s, int argc, char **argv)
{
	int status = 0;

	for (int i = 0; i < argc; i++) {
		autodone(snapname_done) struct snapname n = snapname_parse(argv[i]);
		char now[32] = "";
		struct tm tm;

		if (localtime_r(&(time_t){time(NULL)}, &tm))
			strftime(now, sizeof(now), "%Y%m%d-%H%M%S", &tm);
		if (!take(s, n.jail, n.snap ? n.snap : now))
			status = 1;
	}
	return status;
}

/* ---- list ---- */

static bool list_one(struct storage *s, struct output *o, const char *jail)
{
	struct store_snapshot *v = NULL;
	struct ng_err err = {0};
	size_t n = 0;

	if (store_snapshots(&s->store, jail, &v, &n, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		char made[32] = "";
		struct tm tm;

		if (localtime_r(&(time_t){v[i].made}, &tm))
			strftime(made, sizeof(made), "%Y-%m-%dT%H:%M:%S%z", &tm);
		output_row(o);
		output_str(o, "jail", "JAIL", jail);
		output_str(o, "name", "NAME", v[i].name);
		output_bytes(o, "size", "SIZE", v[i].bytes);
		output_str(o, "made", "MADE", made);
	}
	store_snapshots_free(v, n);
	return true;
}

static int list_run(struct storage *s, int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	autodone(strv_done) struct strv jails = {0};
	struct ng_err err = {0};
	bool json = false;
	int status = 0;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'j')
			return usage(&cmd_snapshot);
		json = true;
	}
	for (int i = optind; i < argc; i++)
		strv_add(&jails, argv[i]);
	if (jails.n == 0 && store_jails(&s->store, &jails, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	struct output *o = output_open(stdout, json, "snapshots");
	for (size_t i = 0; i < jails.n; i++)
		if (!list_one(s, o, jails.v[i]))
			status = 1;
	return output_close(o) < 0 ? 1 : status;
}

/* ---- destroy ---- */

static bool destroy_one(struct storage *s, const char *arg)
{
	autodone(snapname_done) struct snapname n = snapname_parse(arg);
	autodone(record_done) struct record r = {0};
	autoclose int lock = -1;
	struct ng_err err = {0};

	if (!n.snap) {
		warn_msg("%s: which snapshot? JAIL@NAME (newgate snapshot list %s)", arg, arg);
		return false;
	}
	if (!temporary_look(s, n.jail, &lock, &r))
		return false;
	if (store_snapshot_destroy(&s->store, n.jail, n.snap, &err) == 0)
		return true;
	warn_msg("%s", err.text);
	return false;
}

static int destroy_run(struct storage *s, int argc, char **argv)
{
	int status = 0;

	if (getopt(argc, argv, "") != -1 || optind == argc)
		return usage(&cmd_snapshot);
	for (int i = optind; i < argc; i++)
		if (!destroy_one(s, argv[i]))
			status = 1;
	return status;
}

static int snapshot_run(int argc, char **argv)
{
	autodone(storage_done) struct storage s = {0};

	if (argc < 2)
		return usage(&cmd_snapshot);
	if (storage_open(&s))
		return 1;
	if (str_eq(argv[1], "list"))
		return list_run(&s, argc - 1, argv + 1);
	if (str_eq(argv[1], "destroy"))
		return destroy_run(&s, argc - 1, argv + 1);
	if (getopt(argc, argv, "") != -1)
		return usage(&cmd_snapshot);
	return take_run(&s, argc - optind, argv + optind);
}

const struct cmd cmd_snapshot = {
    .name = "snapshot",
    .run = snapshot_run,
    .args = "JAIL[@NAME] …\n"
	    "list [--json] [JAIL …]\n"
	    "destroy JAIL@NAME …",
    .summary = "keeps a jail's tree as it is now",
    .help =
	"Without NAME it is called by the time. A jail may run meanwhile: its snapshot is what\n"
	"a power cut would leave. On zfs and btrfs it takes an instant and no room; else it is\n"
	"a copy (of what the jail changed, with overlay), for which the jail stands still, and\n"
	"which shares its blocks where the file system can (xfs, btrfs).\n"
	"\n"
	"  list     lists them, with what each takes on disk\n"
	"  destroy  removes them for good\n",
};
