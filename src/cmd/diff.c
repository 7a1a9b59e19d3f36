/* newgate diff: what changed in a jail's tree. */
#include "store/diff.h"

#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/snapname.h"
#include "store/store.h"

struct printing {
	struct output *json; /* or NULL: lines */
};

static void print_change(void *arg, enum diff_what what, const char *path)
{
	static const char *const words[] = {"added", "changed", "removed"};
	const struct printing *p = arg;
	autodone(str_done) struct str shown = {0};

	if (p->json) {
		output_row(p->json);
		output_str(p->json, "change", "CHANGE", words[what]);
		output_str(p->json, "path", "PATH", path);
		return;
	}
	/* A jail chooses its names; a terminal shall not act upon them. */
	str_add_visible(&shown, path);
	printf("%c %s\n", "+M-"[what], shown.s);
}

static int open_both(const struct store *s, const struct snapname *a, const char *b,
		     struct store_view *before, struct store_view *after, struct ng_err *err)
{
	int rc = a->snap ? store_view(s, a->jail, a->snap, before, err)
			 : store_view_origin(s, a->jail, before, err);

	return rc < 0 ? rc : store_view(s, a->jail, b, after, err);
}

static int diff(const struct store *s, const char *arg, const char *to, bool quick, bool json)
{
	autodone(store_view_done) struct store_view before = STORE_VIEW_NONE;
	autodone(store_view_done) struct store_view after = STORE_VIEW_NONE;
	autodone(snapname_done) struct snapname a = snapname_parse(arg);
	autodone(snapname_done) struct snapname b = {0};
	struct printing p = {0};
	struct ng_err err = {0};

	if (to) {
		b = snapname_parse(to);
		if (!b.snap || (*b.jail && !str_eq(b.jail, a.jail))) {
			warn_msg("%s: the other side is a snapshot of %s, @NAME", to, a.jail);
			return 1;
		}
	}
	int rc = open_both(s, &a, b.snap, &before, &after, &err);
	if (rc == 0 && json)
		p.json = output_open(stdout, true, "changes");
	if (rc == 0)
		rc = diff_trees(before.root, after.root, quick, print_change, &p, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return (p.json && output_close(p.json) < 0) || rc < 0;
}

static int diff_run(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	autodone(store_done) struct store store = {0};
	bool quick = false, json = false;
	struct ng_err err = {0};

	for (int opt; (opt = getopt_long(argc, argv, "q", longs, NULL)) != -1;) {
		if (opt == 'q')
			quick = true;
		else if (opt == 'j')
			json = true;
		else
			return usage(&cmd_diff);
	}
	if (optind == argc || optind + 2 < argc)
		return usage(&cmd_diff);
	if (store_open(&store, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return diff(&store, argv[optind], argv[optind + 1], quick, json);
}

const struct cmd cmd_diff = {
    .name = "diff",
    .run = diff_run,
    .args = "[-q] [--json] JAIL[@A] [@B]",
    .summary = "tells what changed in a jail's tree",
    .help = "From snapshot A, or without it from the template that the jail was cloned from, to\n"
	    "snapshot B, or without it to what the tree is now. A line a name: + added,\n"
	    "M changed (kind, owner, mode, attributes or contents), - removed.\n"
	    "\n"
	    "  -q  takes files of the same size and time for the same, without reading them\n",
};
