/* What jexec and console share. */
#ifndef NG_CMD_ENTER_H
#define NG_CMD_ENTER_H

#include "jail/attach.h"

/* Runs it in the running jail `who`, a name or a number; ends as it ended. What is wrong is told.
 * The exit status. */
int enter_jail(const char *who, const struct attach *a);
/* The exit status for a wait status; or ends as the command did, by its signal. */
int enter_end_like(int status);

#endif
