/* One file a verb; main.c finds it by its line in verbs.def. Only code in cmd prints and chooses
 * the exit status. To add a verb: define `const struct cmd cmd_NAME` in NAME.c, add a line to
 * verbs.def and one to meson.build. */
#ifndef NG_CMD_CMD_H
#define NG_CMD_CMD_H

#include <stdbool.h>
#include "base/diag.h"
#include "base/macro.h"

struct cmd {
	const char *name;
	/* argv[0] is what messages call the program ("jls", "newgate clone"); returns the exit
	 * status. Standard output is flushed, and checked, by main. */
	int (*run)(int argc, char **argv);
	const char *args;    /* "[-y] NAME …"; several forms are separated by newlines */
	const char *summary; /* one line for `newgate help` */
	const char *help;    /* the rest of `newgate help VERB` and --help; ends in a newline */
	bool link;           /* also a command of its own: jail, jls, jexec, pfctl */
};
#define VERB(name) extern const struct cmd cmd_##name;
#include "cmd/verbs.def"
#undef VERB
extern const struct cmd *const commands[]; /* NULL-terminated, in the order of `newgate help` */

/* -R DIR or NEWGATE_ROOT made absolute, "" for the real root. Set once by main. */
extern const char *cmd_root;
/* What messages begin with. Set once by main. */
extern const char *cmd_program;

/* "PROGRAM: text\n" on standard error. */
void warn_msg(const char *fmt, ...) PRINTF(1, 2);
/* What was found in configuration files, faults and (if they are wanted) warnings, a line each.
 * True: there are no faults. */
bool tell_diags(const struct diags *d, bool warnings);
/* The usage line of the verb on standard error; returns 1. */
int usage(const struct cmd *c);

/* help.c: the verb's page on standard output; how the verb is called ("jls", "newgate clone"). */
void help_page(const struct cmd *c);
const char *help_program(const struct cmd *c);
/* "unknown verb", with the nearest one; returns 1. */
int help_unknown(const char *verb);
const struct cmd *cmd_find(const char *verb); /* or NULL */

#endif
