/* A jail that runs for the length of one command. */
#ifndef NG_CMD_TRIAL_H
#define NG_CMD_TRIAL_H

#include "base/err.h"

/* Runs the script in jail `jail`, which nothing configures and whose tree is at `path` (with the
 * root before it): with a network of its own, by the shell that its first line names, else by
 * /bin/sh -e. The jail ends with it. Who interrupts the script does not mean what is to be put away
 * behind it: from there on the process holds signals back, for good. script NULL: only ends what
 * runs of the jail. arg: not used, so that this is what store_recipe.run wants. */
int trial_run(void *arg, const char *jail, const char *path, const char *script,
	      struct ng_err *err);

#endif
