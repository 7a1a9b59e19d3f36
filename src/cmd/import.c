/* newgate import: the jail of a stream that newgate export wrote. */
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/importing.h"

static int open_file(const char *name)
{
	if (str_eq(name, "-") && !isatty(STDIN_FILENO))
		return STDIN_FILENO;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		warn_msg("%s: %s", name, strerror(errno));
	return fd;
}

static bool import(struct importing *i, int fd)
{
	struct ng_err err = {0};

	if (import_open(i->v, &i->s->store, fd, &err) == 0)
		return importing_run(i);
	warn_msg("%s", err.text);
	return false;
}

static int import_run(int argc, char **argv)
{
	struct storage s = {0};
	autodone(import_done) struct import stream = {0};
	struct importing i = {.s = &s, .v = &stream, .n = 1};

	if (getopt(argc, argv, "+") != -1 || optind == argc)
		return usage(&cmd_import);
	const char *file = argv[optind++];
	if (optind < argc && !strchr(argv[optind], '='))
		i.jail = argv[optind++];
	i.args = argv + optind;
	i.nargs = argc - optind;
	autoclose int fd = open_file(file);
	if (fd < 0)
		return 1;
	int status = storage_open(&s);
	if (status == 0)
		status = !import(&i, fd);
	storage_done(&s);
	return status;
}

const struct cmd cmd_import = {
    .name = "import",
    .run = import_run,
    .args = "FILE | - [NAME] [PARAM=VALUE …]",
    .summary = "makes the jail of a stream that newgate export wrote",
    .help =
	"Where NAME (or the jail's own name) is configured, only its tree is made, at its path.\n"
	"Else its block is added to jail.conf, with the arguments. Under another name it is a\n"
	"copy: as newgate clone makes it, with an address, a machine-id and ssh host keys of its\n"
	"own, and without redirects.\n"
	"A stream that is cut short, altered or hostile leaves nothing behind.\n",
};
