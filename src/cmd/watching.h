/* Bans need somebody who watches: he is started with the jails of a mail host, and ends with them. */
#ifndef NG_CMD_WATCHING_H
#define NG_CMD_WATCHING_H

#include "state/state.h"

/* Starts `newgate host watch` where there is a mail host that runs and nobody watches it; returns when
 * nothing is missed any more. Where it cannot be started that is told. */
void watching_start(struct state *s);

#endif
