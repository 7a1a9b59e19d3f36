/* newgate rollback: a jail's tree becomes what it was. */
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/progress.h"
#include "cmd/snapname.h"
#include "cmd/storage.h"

static bool runs(struct state *s, const char *jail)
{
	autodone(record_done) struct record r = {0};
	struct ng_err ignored = {0};

	return state_find(s, jail, &r, &ignored) == 0 && !r.dead && str_eq(r.name, jail);
}

/* Stops the jail, or starts it. */
static bool turn(struct configured *c, const char *jail, unsigned op)
{
	const struct run_options o = {.op = op, .note_removed = true};

	return run_jails(&c->state, &c->conf, &c->rc, &o, &jail, 1, &configured_sink) == 0;
}

/* The newest, where the user names none. The caller frees; NULL: told. */
static char *choose(struct storage *s, const char *jail)
{
	struct store_snapshot *v = NULL;
	struct ng_err err = {0};
	char *name = NULL;
	size_t n = 0;

	if (store_snapshots(&s->store, jail, &v, &n, &err) < 0)
		warn_msg("%s", err.text);
	else if (n == 0)
		warn_msg("%s has no snapshots", jail);
	else
		name = take_ptr(v[n - 1].name);
	store_snapshots_free(v, n);
	return name;
}

/* Nothing is stopped for a snapshot that is not there. */
static bool is_there(struct storage *s, const char *jail, const char *snap)
{
	autodone(store_view_done) struct store_view v = STORE_VIEW_NONE;
	struct ng_err err = {0};

	if (store_snapshot_check(snap, &err) == 0 &&
	    store_has_snapshot(&s->store, jail, snap, &err))
		return true;
	warn_msg("%s", err.text);
	return false;
}

static bool go_back(struct storage *s, const char *jail, const char *snap, bool later)
{
	autoclose int lock = -1;
	struct ng_err err = {0};

	if (!storage_hold(s, jail, &lock))
		return false;
	int rc = store_rollback(&s->store, jail, snap, later, &err);
	progress_end();
	if (rc == 0) {
		printf("%s: as it was at %s\n", jail, snap);
		fflush(stdout);
		return true;
	}
	warn_msg("%s", err.text);
	return false;
}

static bool rollback(struct storage *s, struct configured *c, const char *arg, bool later, bool yes)
{
	autodone(snapname_done) struct snapname n = snapname_parse(arg);

	if (!n.snap && !(n.snap = choose(s, n.jail)))
		return false;
	if (!is_there(s, n.jail, n.snap))
		return false;
	bool running = runs(&c->state, n.jail);
	if (!yes && !storage_ask("%s%s loses what changed since %s. Roll back?", n.jail,
				 running ? " is stopped, started again, and" : "", n.snap))
		return false;
	if (running && !turn(c, n.jail, RUN_REMOVE))
		return false;
	bool back = go_back(s, n.jail, n.snap, later);
	/* It ran before, and so it does whatever came of this. */
	return (!running || turn(c, n.jail, RUN_CREATE)) && back;
}

static int rollback_run(int argc, char **argv)
{
	autodone(configured_done) struct configured c = {0};
	autodone(storage_done) struct storage s = {0};
	bool later = false, yes = false;
	int status = 0;

	for (int opt; (opt = getopt(argc, argv, "ry")) != -1;) {
		if (opt == 'r')
			later = true;
		else if (opt == 'y')
			yes = true;
		else
			return usage(&cmd_rollback);
	}
	if (optind == argc)
		return usage(&cmd_rollback);
	if (storage_open(&s) || configured_open(&c))
		return 1;
	for (int i = optind; i < argc; i++)
		if (!rollback(&s, &c, argv[i], later, yes))
			status = 1;
	return status;
}

const struct cmd cmd_rollback = {
    .name = "rollback",
    .run = rollback_run,
    .args = "[-ry] JAIL[@NAME] …",
    .summary = "makes a jail's tree what it was at a snapshot",
    .help =
	"Without NAME, at the newest one. A jail that runs is stopped before and started\n"
	"again afterwards. The snapshots stay.\n"
	"\n"
	"  -r  on zfs, where snapshots that are newer than NAME stand in the way: destroys them\n"
	"  -y  without asking\n",
};
