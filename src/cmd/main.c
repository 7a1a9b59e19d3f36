/* newgate: which verb is meant, below which root. jail, jls, jexec and pfctl are links to it. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "cmd/cmd.h"

const struct cmd *const commands[] = {
#define VERB(name) &cmd_##name,
#include "cmd/verbs.def"
#undef VERB
    NULL,
};

/* A caller may have closed one of them; the next file opened must not take its place. */
static bool standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

/* The prefix of every path, absolute, since verbs may change their directory. */
static bool set_root(const char *dir)
{
	char *path = NULL;

	if (!dir || *dir == '\0')
		return true;
	path = realpath(dir, NULL); /* kept until the end */
	if (!path) {
		warn_msg("%s: %s", dir, strerror(errno));
		return false;
	}
	cmd_root = str_eq(path, "/") ? "" : path;
	return true;
}

static int run_verb(const struct cmd *c, int argc, char **argv)
{
	int status = 0;

	cmd_program = argv[0] = (char *)help_program(c);
	if (argc > 1 && str_eq(argv[1], "--help"))
		help_page(c);
	else
		status = c->run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		warn_msg("standard output: %s", strerror(errno));
		return status ? status : 1;
	}
	return status;
}

static int version(void)
{
	puts("newgate " NG_VERSION);
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"root", required_argument, NULL, 'R'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},
	    {0},
	};
	const struct cmd *c = NULL;
	const char *slash = NULL;

	if (!standard_descriptors() || argc < 1 || !set_root(getenv("NEWGATE_ROOT")))
		return 1;
	slash = strrchr(argv[0], '/');
	c = cmd_find(slash ? slash + 1 : argv[0]);
	if (c && c->link)
		return run_verb(c, argc, argv);

	argv[0] = "newgate";
	for (int opt = 0; (opt = getopt_long(argc, argv, "+R:h", longs, NULL)) != -1;) {
		switch (opt) {
		case 'R':
			if (!set_root(optarg))
				return 1;
			break;
		case 'h':
			return run_verb(&cmd_help, 1, (char *[]){"help", NULL});
		case 'V':
			return version();
		default:
			fputs("usage: newgate [-R DIR] VERB [ARGUMENT …]\n", stderr);
			return 1;
		}
	}
	argc -= optind;
	argv += optind;
	optind = 0; /* glibc: getopt starts anew in the verb */
	if (argc == 0) {
		run_verb(&cmd_help, 1, (char *[]){"help", NULL});
		return 1;
	}
	c = cmd_find(argv[0]);
	return c ? run_verb(c, argc, argv) : help_unknown(argv[0]);
}
