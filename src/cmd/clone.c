/* newgate clone: a jail's tree, from a template or another jail. */
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/block.h"
#include "cmd/cmd.h"

/* The jail is configured: only its tree is missing. */
static int clone_configured(struct storage *s, const char *from, const char *jail, int nargs)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	const struct conf_record *block = conf_find(&s->conf, jail);

	if (nargs > 0) {
		warn_msg("%s:%u: %s is configured already: change it there", block->pos.file,
			 block->pos.line, jail);
		return 1;
	}
	if (storage_find(s, jail, &j) < 0 || !storage_clone(s, from, &j))
		return 1;
	printf("%s: cloned from %s to %s\n", jail, from, conf_string(&j, P_PATH));
	return 0;
}

static int clone(struct storage *s, const char *from, const char *jail, char *const *args, int n)
{
	autoclose int lock = -1, source = -1;
	bool template = store_has_template(&s->store, from);

	if (str_eq(from, jail)) {
		warn_msg("%s cannot be cloned to itself", jail);
		return 1;
	}
	/* The files of a jail must hold still. */
	if (!(template ? storage_hold(s, jail, &lock)
		       : storage_hold_both(s, from, jail, &source, &lock)) ||
	    !storage_reread(s))
		return 1;
	if (conf_find(&s->conf, jail))
		return clone_configured(s, from, jail, n);
	/* A template has no block; a jail of the same name as a template is not meant. */
	return block_make(s, from, jail, template ? NULL : from, args, n);
}

static int clone_run(int argc, char **argv)
{
	static const struct option longs[] = {{"full", no_argument, NULL, 'f'}, {0}};
	struct storage s = {0};
	bool full = false;

	for (int opt; (opt = getopt_long(argc, argv, "+", longs, NULL)) != -1;) {
		if (opt != 'f')
			return usage(&cmd_clone);
		full = true;
	}
	if (optind + 2 > argc)
		return usage(&cmd_clone);
	const char *from = argv[optind], *jail = argv[optind + 1];
	if (!storage_good_name(jail))
		return 1;
	int status = storage_open(&s);
	s.store.full = full;
	if (status == 0)
		status = clone(&s, from, jail, argv + optind + 2, argc - optind - 2);
	storage_done(&s);
	return status;
}

const struct cmd cmd_clone = {
    .name = "clone",
    .run = clone_run,
    .args = "[--full] FROM NAME [PARAM=VALUE …]",
    .summary = "makes a jail's tree from a template or a stopped jail",
    .help = "Where NAME is configured, only its tree is made, at its path. Else a block is added\n"
	    "to jail.conf: that of the jail FROM with an address of its own (ip4.addr = auto) and\n"
	    "without its redirects, or, from a template, as newgate create writes it.\n"
	    "The clone gets its own machine-id, host name and ssh host keys.\n"
	    "\n"
	    "  --full  shares nothing with FROM and needs nothing of it\n",
};
