/* newgate console: a terminal in a jail. */
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/enter.h"

#define ESCAPE '~'

/* One character, ^C for a control character, or "none". */
static bool parse_escape(const char *text, int *out)
{
	if (str_eq(text, "none"))
		*out = CONSOLE_NO_ESCAPE;
	else if (text[0] > ' ' && text[1] == '\0')
		*out = text[0];
	else if (text[0] == '^' && text[1] >= '?' && text[1] <= '~' && text[2] == '\0')
		*out = (text[1] & 0x1f) | (text[1] == '?' ? 0x60 : 0);
	else
		return false;
	return true;
}

static int console_run(int argc, char **argv)
{
	struct console c = {.escape = ESCAPE};
	struct attach a = {.console = &c, .clean = true};

	for (int opt; (opt = getopt(argc, argv, "+e:U:")) != -1;) {
		if (opt == 'U') {
			a.jail_user = optarg;
		} else if (opt != 'e') {
			return usage(&cmd_console);
		} else if (!parse_escape(optarg, &c.escape)) {
			warn_msg("-e takes one character, ^ and a letter, or none: not \"%s\"",
				 optarg);
			return 1;
		}
	}
	if (optind == argc)
		return usage(&cmd_console);
	if (optind + 1 < argc)
		a.argv = argv + optind + 1;
	int status = enter_jail(argv[optind], &a);
	if (c.signal)
		return enter_end_like(c.signal);
	if (c.left)
		fprintf(stderr, "\nnewgate console: left %s\n", argv[optind]);
	return status;
}

const struct cmd cmd_console = {
    .name = "console",
    .run = console_run,
    .args = "[-e ESCAPE] [-U USER] NAME [COMMAND …]",
    .summary = "a terminal in a jail: a shell, or a command",
    .help = "  -e ESCAPE  another character than ~ (^X: a control character), or none\n"
	    "  -U USER    as this user of the jail instead of root\n"
	    "\n"
	    "At the start of a line, ~. leaves (what runs in the terminal is hung up), ~^Z\n"
	    "suspends newgate, and ~~ types one ~.\n",
};
