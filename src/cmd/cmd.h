/* One file a verb; main.c finds it here. Only code in cmd prints and chooses the exit status. */
#ifndef NG_CMD_CMD_H
#define NG_CMD_CMD_H

#include <stdbool.h>
#include "base/macro.h"

struct cmd {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
	const char *args;		   /* "[-y] NAME …" */
	const char *summary;		   /* one line for `newgate help` */
	const char *help;		   /* the page of `newgate help VERB` and --help */
	bool link;			   /* also a command of its own: jail, jls, jexec, pfctl */
};
extern const struct cmd *const commands[]; /* NULL-terminated, in the order of `newgate help` */

/* -R DIR or NEWGATE_ROOT, "" for the real root. Set once by main. */
extern const char *cmd_root;

/* "PROGRAM: text\n" on standard error. */
void warn_msg(const char *fmt, ...) PRINTF(1, 2);
/* The usage line of the verb on standard error; returns 1. */
int usage(const struct cmd *c);

#endif
