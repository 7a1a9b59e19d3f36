/* Signals, held back while something must be brought to its end. */
#ifndef NG_CMD_HELD_H
#define NG_CMD_HELD_H

#include <signal.h>
#include <stdbool.h>

/* Holds back what users interrupt with, for good. *before: what the mask was, for commands. */
void held_begin(sigset_t *before);
/* Has one come since the last time this was asked? The engine (run.h) would take it to mean that
 * nothing more is to be done. */
bool held_came(void);

#endif
