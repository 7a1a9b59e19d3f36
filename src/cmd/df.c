/* newgate df: what jails' trees take on disk. */
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "store/store.h"

static bool show(const struct store *s, struct output *o, const char *jail)
{
	autodone(store_jail_done) struct store_jail j = {0};
	struct store_snapshot *v = NULL;
	struct store_usage u = {0};
	struct ng_err err = {0};
	uint64_t kept = 0;
	size_t n = 0;
	int rc = store_usage(s, jail, &u, &err);

	if (rc == 0)
		rc = store_snapshots(s, jail, &v, &n, &err);
	if (rc == 0)
		rc = store_find_jail(s, jail, &j, &err);
	for (size_t i = 0; i < n; i++)
		kept += v[i].bytes;
	store_snapshots_free(v, n);
	if (rc < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	output_row(o);
	output_str(o, "jail", "JAIL", jail);
	output_str(o, "store", "STORE", j.backend);
	output_bytes(o, "own", "OWN", u.own);
	output_bytes(o, "shared", "SHARED", u.shared);
	output_bytes(o, "snapshots", "SNAPSHOTS", kept);
	output_bytes(o, "quota", "QUOTA", u.quota);
	output_str(o, "path", "PATH", j.path);
	return true;
}

static int df_run(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	autodone(store_done) struct store store = {0};
	autodone(strv_done) struct strv jails = {0};
	struct ng_err err = {0};
	bool json = false;
	int status = 0;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'j')
			return usage(&cmd_df);
		json = true;
	}
	for (int i = optind; i < argc; i++)
		strv_add(&jails, argv[i]);
	if (store_open(&store, cmd_root, &err) < 0 ||
	    (jails.n == 0 && store_jails(&store, &jails, &err) < 0)) {
		warn_msg("%s", err.text);
		return 1;
	}
	struct output *o = output_open(stdout, json, "jails");
	for (size_t i = 0; i < jails.n; i++)
		if (!show(&store, o, jails.v[i]))
			status = 1;
	return output_close(o) < 0 ? 1 : status;
}

const struct cmd cmd_df = {
    .name = "df",
    .run = df_run,
    .args = "[--json] [JAIL …]",
    .summary = "tells what each jail's tree takes on disk",
    .help = "OWN is what would be free without the jail, SHARED what it has in common with its\n"
	    "template or others, SNAPSHOTS what only those hold, QUOTA the bound that rctl's disk\n"
	    "or somebody else set.\n",
};
