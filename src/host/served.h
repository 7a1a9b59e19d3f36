/* The TCP ports on which a jail serves others, and waiting for them. */
#ifndef NG_HOST_SERVED_H
#define NG_HOST_SERVED_H

#include "state/state.h"

#define SERVED_MAX 64
/* Each once. Zero-initialise. */
struct served {
	uint16_t v[SERVED_MAX];
	size_t n;
};
bool served_has(const struct served *p, uint16_t port);
/* On which the jail listens, not for itself alone. */
int served_now(const struct record *r, struct served *out) MUST_CHECK;
/* To which its `rdr` leads the outside. */
void served_promised(const struct record *r, struct served *out);
/* Until the jail of that name listens on all of them: 0. -ETIMEDOUT: it did not in `seconds`, and
 * *port is one of those that it does not listen on; -ESRCH: it has ended meanwhile. */
int served_wait(struct state *s, const char *jail, const struct served *want, int seconds,
		uint16_t *port, struct ng_err *err) MUST_CHECK;

#endif
