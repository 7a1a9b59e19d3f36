/* newgate export: a jail, its files and its block, as one stream. */
#include <getopt.h>
#include <signal.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/exporting.h"
#include "cmd/snapname.h"

enum { OPT_COMPRESS = 1, OPT_LIVE, OPT_SINCE };

static bool parse(int argc, char **argv, struct exporting *e)
{
	static const struct option longs[] = {{"compress", required_argument, NULL, OPT_COMPRESS},
					      {"live", no_argument, NULL, OPT_LIVE},
					      {"since", required_argument, NULL, OPT_SINCE},
					      {0}};

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt == OPT_LIVE)
			e->live = true;
		else if (opt == OPT_SINCE)
			e->since = optarg;
		else if (opt == OPT_COMPRESS && str_eq(optarg, "none"))
			e->plain = true;
		else if (opt != OPT_COMPRESS || !str_eq(optarg, "zstd"))
			return false;
	}
	return optind + 1 == argc;
}

static int export(struct exporting *e)
{
	struct storage s = {0};
	int status = storage_open(&s);

	e->s = &s;
	if (status == 0)
		status = !exporting_run(e);
	storage_done(&s);
	return status;
}

static int export_run(int argc, char **argv)
{
	struct exporting e = {.fd = STDOUT_FILENO};

	if (!parse(argc, argv, &e))
		return usage(&cmd_export);
	if (isatty(STDOUT_FILENO)) {
		warn_msg("a stream is nothing for a terminal: newgate export %s > FILE",
			 argv[optind]);
		return 1;
	}
	/* A reader that goes away is an error like others, after which things are put away. */
	signal(SIGPIPE, SIG_IGN);
	autodone(snapname_done) struct snapname name = snapname_parse(argv[optind]);
	e.jail = name.jail;
	e.snap = name.snap;
	return export(&e);
}

const struct cmd cmd_export = {
    .name = "export",
    .run = export_run,
    .args = "[--compress none | zstd] [--live] [--since SNAPSHOT] NAME[@SNAPSHOT] > FILE",
    .summary = "writes a jail, its files and its block, as one stream",
    .help =
	"  --compress  zstd (the default), or none\n"
	"  --live      of a running jail: take its files as they are met, no snapshot\n"
	"  --since     only what changed since that snapshot of the jail\n"
	"\n"
	"The stream is a tar archive (tar --zstd -tf FILE lists it) with a checksum at its end.\n"
	"newgate import makes the jail of it again, on this host or another.\n",
};
