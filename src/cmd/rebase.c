/* newgate rebase: jails onto another version of their template. */
#include "store/rebase.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/held.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/rebasing.h"
#include "cmd/storage.h"
#include "jail/attach.h"

#define CONFLICTS 2 /* the exit status of -n */

struct options {
	const char *to, *test;
	bool only_print, json, force, overwrite;
	sigset_t mask;     /* of the test */
	rebase_look *look; /* or NULL */
	void *look_arg;
};

struct rebasing {
	struct storage s;
	struct configured c;
	struct options o;
	struct output *json; /* -n --json */
};

/* ---- telling ---- */

static void print_changes(struct rebasing *b, const struct rebase *r)
{
	static const char *const words[] = {"added", "changed", "removed"};

	for (size_t i = 0; i < r->n; i++) {
		autodone(str_done) struct str path = {0};
		if (b->json) {
			output_row(b->json);
			output_str(b->json, "jail", "", r->jail);
			output_str(b->json, "from", "", r->from);
			output_str(b->json, "to", "", r->to);
			output_str(b->json, "path", "", r->v[i].path);
			output_str(b->json, "change", "", words[r->v[i].what]);
			output_bool(b->json, "conflict", "", r->v[i].conflict);
			continue;
		}
		str_add_visible(&path, r->v[i].path);
		printf("%c %s%s\n", "+M-"[r->v[i].what], path.s,
		       r->v[i].conflict ? "  (conflict)" : "");
	}
}

static void tell_conflicts(const struct rebase *r)
{
	warn_msg("%s: the jail and %s both changed what follows: --force keeps what the jail has, "
		 "--overwrite takes what the template has",
		 r->jail, r->to);
	for (size_t i = 0; i < r->n; i++) {
		autodone(str_done) struct str path = {0};
		str_add_visible(&path, r->v[i].path);
		if (r->v[i].conflict)
			fprintf(stderr, "  %s\n", path.s);
	}
}

static bool may_go_on(const struct rebasing *b, const struct rebase *r)
{
	if (r->conflicts == 0 || b->o.force || b->o.overwrite)
		return true;
	tell_conflicts(r);
	return false;
}

/* ---- the jail ---- */

static bool runs(struct rebasing *b, const char *jail)
{
	autodone(record_done) struct record r = {0};
	struct ng_err ignored = {0};

	return state_find(&b->c.state, jail, &r, &ignored) == 0 && !r.dead && str_eq(r.name, jail);
}

/* Stops the jail, or starts it. An interruption means that the new version is not wanted, and
 * nothing else. */
static bool turn(struct rebasing *b, const char *jail, unsigned op)
{
	const struct run_options o = {.op = op, .note_removed = true};
	bool interrupted = held_came();
	const struct run_item item = {jail, op};
	/* It is away for a moment only: those that depend on it stay. */
	bool done =
	    run_plan(&b->c.state, &b->c.conf, &b->c.rc, &o, &item, 1, &configured_sink) == 0;

	return done && !(interrupted && op == RUN_CREATE);
}

static bool passes(struct rebasing *b, const char *jail)
{
	autodone(record_done) struct record r = {0};
	struct ng_err err = {0};
	char *const argv[] = {"/bin/sh", "-c", (char *)b->o.test, NULL};
	const struct attach a = {.argv = argv, .clean = true, .mask = &b->o.mask};
	int status = state_find(&b->c.state, jail, &r, &err);

	fflush(stdout);
	if (status == 0)
		status = attach_run(&b->c.state, &r, &a, &err);
	if (held_came() && status == 0)
		warn_msg("%s: interrupted", jail);
	else if (status < 0)
		warn_msg("%s: the test could not be run: %s", jail, err.text);
	else if (WIFSIGNALED(status))
		warn_msg("%s: the test was ended by signal %d", jail, WTERMSIG(status));
	else if (status != 0)
		warn_msg("%s: the test ended with status %d", jail, WEXITSTATUS(status));
	else
		return true;
	return false;
}

/* ---- the steps ---- */

static bool told(int rc, const struct ng_err *err)
{
	progress_end();
	if (rc < 0)
		warn_msg("%s", err->text);
	return rc >= 0;
}

/* With the jail held: looks again, now that nothing changes any more, and does it. */
static bool apply(struct rebasing *b, const char *jail, const char *snapshot)
{
	autodone(rebase_done) struct rebase r = {0};
	autoclose int lock = -1;
	struct ng_err err = {0};

	if (!storage_hold(&b->s, jail, &lock) ||
	    !told(rebase_plan(&b->s.store, jail, b->o.to, &r, &err), &err) || !may_go_on(b, &r))
		return false;
	int rc = rebase_apply(&b->s.store, &r, snapshot, b->o.overwrite, &err);
	if (rc == 0)
		rc = rebase_try(&b->s.store, jail, &err);
	return told(rc, &err);
}

static bool go_back(struct rebasing *b, const char *jail)
{
	autoclose int lock = -1;
	struct ng_err err = {0};

	if ((runs(b, jail) && !turn(b, jail, RUN_REMOVE)) || !storage_hold(&b->s, jail, &lock))
		return false;
	return told(rebase_back(&b->s.store, jail, &err), &err);
}

/* The snapshot stays where nobody has said that the jail does what it should. */
static bool settle(struct rebasing *b, const struct rebase *r, const char *snapshot)
{
	struct ng_err err = {0};
	int rc = rebase_commit(&b->s.store, r->jail, &err);

	if (rc == 0 && b->o.test)
		rc = store_snapshot_destroy(&b->s.store, r->jail, snapshot, &err);
	if (!told(rc, &err))
		return false;
	printf("%s: from %s to %s", r->jail, r->from, r->to);
	if (!b->o.test)
		printf(" (newgate rollback %s@%s goes back)", r->jail, snapshot);
	puts("");
	return true;
}

/* Runs it on the new version, as far as that was asked for. */
static bool try(struct rebasing *b, const char *jail, bool ran)
{
	if (!ran && !b->o.test)
		return !held_came();
	if (!turn(b, jail, RUN_CREATE) || (b->o.test && !passes(b, jail)) ||
	    (b->o.look && !b->o.look(b->o.look_arg, jail)))
		return false;
	return ran || turn(b, jail, RUN_REMOVE);
}

/* One that there is not yet: "rebase-20270131-120000", and ".2" behind it where two come in one
 * second. The caller frees. */
static char *new_snapshot(struct rebasing *b, const char *jail)
{
	autodone(str_done) struct str name = {0};
	struct ng_err ignored = {0};
	char stamp[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	str_addf(&name, "rebase-%s", stamp);
	for (size_t len = name.len, n = 2; store_has_snapshot(&b->s.store, jail, name.s, &ignored);
	     n++) {
		name.len = len;
		str_addf(&name, ".%zu", n);
	}
	return str_take(&name);
}

static bool rebase(struct rebasing *b, const struct rebase *r)
{
	autofree char *snapshot = new_snapshot(b, r->jail);
	bool ran = runs(b, r->jail);

	held_begin(&b->o.mask);
	if (ran && !turn(b, r->jail, RUN_REMOVE))
		return false;
	if (!apply(b, r->jail, snapshot)) {
		if (ran)
			(void)turn(b, r->jail, RUN_CREATE);
		return false;
	}
	if (try(b, r->jail, ran))
		return settle(b, r, snapshot);
	if (!go_back(b, r->jail)) {
		warn_msg("%s: it could not go back: newgate rollback %s@%s does", r->jail, r->jail,
			 snapshot);
		return false;
	}
	warn_msg("%s: back on %s", r->jail, r->from);
	if (ran)
		(void)turn(b, r->jail, RUN_CREATE);
	return false;
}

static void tell_left(struct rebasing *b, const char *jail)
{
	autofree char *snapshot = NULL;
	struct ng_err err = {0};
	int rc = rebase_left(&b->s.store, jail, &snapshot, &err);

	if (rc > 0)
		warn_msg(
		    "%s: its last rebase was cut off when it was to run on the new version: it "
		    "stays there (newgate rollback %s@%s goes back)",
		    jail, jail, snapshot);
	else if (rc < 0)
		warn_msg("%s", err.text);
}

/* The exit status. */
static int one(struct rebasing *b, const char *jail)
{
	autodone(rebase_done) struct rebase r = {0};
	struct ng_err err = {0};

	if (!b->o.only_print)
		tell_left(b, jail);
	/* What was killed half-way goes back before anybody looks. */
	if (!runs(b, jail)) {
		autoclose int lock = -1;
		if (!storage_hold(&b->s, jail, &lock))
			return 1;
	}
	int rc = rebase_plan(&b->s.store, jail, b->o.to, &r, &err);
	progress_end();
	if (rc == -EALREADY) {
		if (!b->o.json)
			printf("%s: %s\n", jail, err.text);
		return 0;
	}
	if (!told(rc, &err))
		return 1;
	if (b->o.only_print) {
		if (!b->o.json)
			printf("%s: from %s to %s\n", jail, r.from, r.to);
		print_changes(b, &r);
		return r.conflicts > 0 ? CONFLICTS : 0;
	}
	return may_go_on(b, &r) && rebase(b, &r) ? 0 : 1;
}

static bool parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"to", required_argument, NULL, 't'}, {"test", required_argument, NULL, 'c'},
	    {"force", no_argument, NULL, 'f'},    {"overwrite", no_argument, NULL, 'o'},
	    {"json", no_argument, NULL, 'j'},     {0}};

	for (int opt; (opt = getopt_long(argc, argv, "n", longs, NULL)) != -1;) {
		switch (opt) {
		case 't':
			o->to = optarg;
			break;
		case 'c':
			o->test = optarg;
			break;
		case 'f':
			o->force = true;
			break;
		case 'o':
			o->overwrite = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'n':
			o->only_print = true;
			break;
		default:
			return false;
		}
	}
	if (o->force && o->overwrite) {
		warn_msg("--force and --overwrite are opposites");
		return false;
	}
	return optind < argc && (o->only_print || !o->json);
}

static void rebasing_done(struct rebasing *b)
{
	configured_done(&b->c);
	storage_done(&b->s);
}

bool rebase_looking(const char *jail, rebase_look *look, void *arg)
{
	autodone(rebasing_done) struct rebasing b = {
	    .o = {.force = true, .look = look, .look_arg = arg}};

	return storage_open(&b.s) == 0 && configured_open(&b.c) == 0 && one(&b, jail) == 0;
}

static int rebase_run(int argc, char **argv)
{
	autodone(rebasing_done) struct rebasing b = {0};
	int status = 0;

	if (!parse(&b.o, argc, argv))
		return usage(&cmd_rebase);
	if (storage_open(&b.s) || configured_open(&b.c))
		return 1;
	if (b.o.json)
		b.json = output_open(stdout, true, "changes");
	for (int i = optind; i < argc; i++) {
		int said = one(&b, argv[i]);
		if (said == 1 || status == 0)
			status = said;
	}
	return b.json && output_close(b.json) < 0 ? 1 : status;
}

const struct cmd cmd_rebase = {
    .name = "rebase",
    .run = rebase_run,
    .args = "[--to NAME[@VERSION]] [--test COMMAND] [--force | --overwrite] JAIL …\n"
	    "-n [--json] [--to NAME[@VERSION]] JAIL …",
    .summary = "brings jails onto the new version of their template",
    .help =
	"What the template changed is changed in the jail; what the jail itself changed is\n"
	"kept. Where both changed the same, and not alike, nothing is done but to list it.\n"
	"A jail that runs is stopped, and started again on the new version; where that or the\n"
	"test fails, it goes back by itself to what it was.\n"
	"\n"
	"  --to         another version than the newest, or another template\n"
	"  --test       runs COMMAND in the jail on the new version; it must end with 0\n"
	"  --force      where both changed the same: what the jail has stays\n"
	"  --overwrite  what the template has replaces it\n"
	"  -n           only lists what would change: + added, M changed, - removed; ends with 2\n"
	"               where there are conflicts\n",
};
