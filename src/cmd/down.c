/* newgate down: stops jails, those first that depend on others. */
#include <getopt.h>
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "conf/files.h"
#include "run/up.h"

static int down(struct configured *c, bool verbose, char **names, int n)
{
	static const char *const all[] = {"*"};
	const struct run_options o = {
	    .op = RUN_REMOVE, .quiet = false, .verbose = verbose, .note_removed = true};
	struct ng_err err = {0};
	for (int i = 0; i < n; i++)
		if (!conf_is_wildcard(names[i]) && !configured_knows(c, names[i]))
			return 1;
	autoclose int lock = up_lock(&c->state, &err);
	if (lock < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return run_jails(&c->state, &c->conf, &c->rc, &o, n ? (const char *const *)names : all,
			 n ? (size_t)n : 1, &configured_sink);
}

static int down_run(int argc, char **argv)
{
	struct configured c autodone(configured_done) = {0};
	bool verbose = false;
	for (int opt; (opt = getopt(argc, argv, "v")) != -1;) {
		if (opt != 'v')
			return usage(&cmd_down);
		verbose = true;
	}
	/* Stopping works on what runs, whatever became of the files: faults are but told. */
	int rc = files_read_all(&c.conf, cmd_root, &c.diags);
	if (!tell_diags(&c.diags, true) || rc < 0) {
		conf_done(&c.conf);
		c.conf = (struct conf){0};
	}
	if (configured_open_rest(&c))
		return 1;
	return down(&c, verbose, argv + optind, argc - optind);
}

const struct cmd cmd_down = {
    .name = "down",
    .run = down_run,
    .args = "[-v] [NAME …]",
    .summary = "stops jails, in the reverse of the order in which they start",
    .help = "NAME is a jail or a wildcard; without it, all that run.\n",
};
