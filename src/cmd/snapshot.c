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
#include "conf/value.h"
#include "store/keep.h"

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

/* ---- auto ---- */

/* Those that are taken by themselves, and their times, the oldest first. */
static struct store_snapshot *find_auto(struct store_snapshot *v, size_t *n, int64_t *made)
{
	size_t found = 0;

	for (size_t i = 0; i < *n; i++) {
		if (!keep_is_name(v[i].name)) {
			free(v[i].name);
			continue;
		}
		made[found] = v[i].made;
		v[found++] = v[i];
	}
	*n = found;
	return v;
}

/* `coming`: one that would have been taken, where it is only told; else 0. */
static bool prune(struct storage *s, const char *jail, const struct conf_keep *keep, bool only_tell,
		  int64_t coming)
{
	struct store_snapshot *v = NULL;
	struct ng_err err = {0};
	bool good = true;
	size_t n = 0;

	if (store_snapshots(&s->store, jail, &v, &n, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	autofree int64_t *made = mem_alloc((n + 1) * sizeof(*made));
	autofree bool *stays = mem_alloc(n + 1);
	v = find_auto(v, &n, made);
	made[n] = coming;
	keep_choose(keep, made, n + (coming > 0), stays);
	for (size_t i = 0; i < n; i++) {
		autodone(str_done) struct str name = {0};
		if (stays[i])
			continue;
		str_addf(&name, "%s@%s", jail, v[i].name);
		if (!only_tell && !destroy_one(s, name.s)) {
			good = false;
			continue;
		}
		printf("%s: %s\n", name.s, only_tell ? "would be removed" : "removed");
	}
	store_snapshots_free(v, n);
	return good;
}

/* 1, 0, -1: it cannot be told, and is said. */
static int is_due(struct storage *s, const char *jail, const struct conf_keep *keep, int64_t now)
{
	struct store_snapshot *v = NULL;
	struct ng_err err = {0};
	size_t n = 0;

	if (store_snapshots(&s->store, jail, &v, &n, &err) < 0) {
		warn_msg("%s", err.text);
		return -1;
	}
	autofree int64_t *made = mem_alloc((n + 1) * sizeof(*made));
	v = find_auto(v, &n, made);
	bool due = keep_due(keep, made, n, now);
	store_snapshots_free(v, n);
	return due;
}

static bool keep_one(struct storage *s, const char *jail, const struct conf_keep *keep,
		     bool only_tell)
{
	char name[KEEP_NAME];
	int64_t now = time(NULL);
	int due = is_due(s, jail, keep, now);

	if (due < 0)
		return false;
	keep_name(now, name);
	if (due && only_tell)
		printf("%s@%s: would be taken\n", jail, name);
	/* Nothing is removed for one that could not be taken. */
	if (due && !only_tell && !take(s, jail, name))
		return false;
	return prune(s, jail, keep, only_tell, due && only_tell ? now : 0);
}

/* What the jail's block says; false: nothing, or nothing that can be read. */
static bool wants(struct storage *s, const char *jail, struct conf_keep *keep)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	const char *why;

	return storage_find(s, jail, &j) == 0 && conf_is_set(&j, P_SNAPSHOT_KEEP) &&
	       value_keep(conf_string(&j, P_SNAPSHOT_KEEP), keep, &why) == 0;
}

static int auto_run(struct storage *s, int argc, char **argv)
{
	bool only_tell = false;
	int status = 0;
	size_t n;
	autofree const char **all = conf_names(&s->conf, &n);

	for (int opt; (opt = getopt(argc, argv, "n")) != -1;) {
		if (opt != 'n')
			return usage(&cmd_snapshot);
		only_tell = true;
	}
	bool named = optind < argc;
	for (size_t i = 0; i < (named ? (size_t)(argc - optind) : n); i++) {
		const char *jail = named ? argv[(size_t)optind + i] : all[i];
		struct conf_keep keep;
		if (wants(s, jail, &keep)) {
			status |= !keep_one(s, jail, &keep, only_tell);
		} else if (named) {
			warn_msg("%s: jail.conf has no snapshot.keep for it", jail);
			status = 1;
		}
	}
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
	if (str_eq(argv[1], "auto"))
		return auto_run(&s, argc - 1, argv + 1);
	if (getopt(argc, argv, "") != -1)
		return usage(&cmd_snapshot);
	return take_run(&s, argc - optind, argv + optind);
}

const struct cmd cmd_snapshot = {
    .name = "snapshot",
    .run = snapshot_run,
    .args = "JAIL[@NAME] …\n"
	    "list [--json] [JAIL …]\n"
	    "destroy JAIL@NAME …\n"
	    "auto [-n] [JAIL …]",
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
