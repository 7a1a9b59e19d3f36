/* --confirm SECONDS, as newgate up and pfctl have it: what they share. What goes wrong is told. */
#ifndef NG_CMD_CONFIRMING_H
#define NG_CMD_CONFIRMING_H

#include "run/confirm.h"

/* The option's argument. */
bool confirming_seconds(const char *text, unsigned *out);
/* A change that waits keeps others from being made: what would going back mean then? */
bool confirming_free(struct state *s);
/* Before the change: writes down what there is, and makes the process that goes back. jails NULL: it
 * is about pf alone; pf: pf.conf is to be loaded; on: pf is on. 0 or 1. */
struct confirming {
	const struct gather *jails;
	bool pf, on;
	unsigned seconds;
	int sock; /* out */
};
int confirming_start(struct state *s, struct confirming *c) MUST_CHECK;
/* The change failed as a whole, so that there is nothing to go back from. */
void confirming_end(struct confirming *c);
/* The change is done, and no lock is held: the time begins. On a terminal, waits for Enter. 0, or 1:
 * it did not stay. */
int confirming_wait(struct confirming *c);

#endif
