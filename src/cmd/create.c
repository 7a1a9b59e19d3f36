/* newgate create: a new jail, its tree and its lines in jail.conf. */
#include <getopt.h>
#include "cmd/block.h"
#include "cmd/cmd.h"

static int create(struct storage *s, const char *jail, char *const *args, int n)
{
	autoclose int lock = -1;

	if (!storage_hold(s, jail, &lock) || !storage_reread(s))
		return 1;
	const struct conf_record *there = conf_find(&s->conf, jail);
	if (there) {
		warn_msg(
		    "%s:%u: %s is configured already: newgate clone TEMPLATE %s makes its tree",
		    there->pos.file, there->pos.line, jail, jail);
		return 1;
	}
	return block_make(s, NULL, jail, NULL, args, n);
}

static int create_run(int argc, char **argv)
{
	struct storage s = {0};

	if (getopt(argc, argv, "+") != -1 || optind == argc)
		return usage(&cmd_create);
	const char *jail = argv[optind];
	if (!storage_good_name(jail))
		return 1;
	int status = storage_open(&s);
	if (status == 0)
		status = create(&s, jail, argv + optind + 1, argc - optind - 1);
	storage_done(&s);
	return status;
}

const struct cmd cmd_create = {
    .name = "create",
    .run = create_run,
    .args = "NAME [PARAM=VALUE …]",
    .summary = "makes a jail: clones a template and adds a block to jail.conf",
    .help = "The template is the one of template=NAME, else _base, else the only one there is.\n"
	    "What the block needs and neither the arguments nor jail.conf say is added to it:\n"
	    "host.hostname, ip4.addr = auto, exec.start, exec.stop, exec.clean, mount.devfs,\n"
	    "persist.\n",
};
