/* The host's jails made to stand still, so that their files can be copied as they are at one instant.
 * They go on when the caller ends, however that comes (jail/freeze.h). */
#ifndef NG_HOST_STILL_H
#define NG_HOST_STILL_H

#include <stddef.h>
#include "host/host.h"
#include "jail/freeze.h"

#define STILL_JAILS 16

/* Zero-initialise. */
struct still {
	struct freeze of[STILL_JAILS];
	size_t n;
	bool between; /* a letter is on its way from Postfix to Dovecot, and may be with both */
};
/* Those that run. Dovecot stops at an instant at which no letter is being handed to it, for which
 * this waits a few seconds at most. */
int still_begin(const struct host *h, struct state *st, struct still *s,
		struct ng_err *err) MUST_CHECK;
void still_end(struct still *s);

/* Is one line of /proc/net/tcp a connection to the local port, from whichever end it is being closed?
 * For tests. */
bool still_is_open(const char *line, unsigned port);

#endif
