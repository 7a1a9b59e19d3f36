/* A running jail made to stand still for a moment, so that its files can be copied as they are at
 * one instant. A process of ours waits beside it and lets it go on when the caller ends, however
 * that comes. */
#ifndef NG_JAIL_FREEZE_H
#define NG_JAIL_FREEZE_H

#include <sys/types.h>
#include "state/state.h"

struct freeze {
	int cg;
	int held;    /* the guard lets go when this is closed */
	pid_t guard; /* 0: nothing stands still */
};
#define FREEZE_NONE ((struct freeze){.cg = -1, .held = -1})
/* -ENOENT, without a text: the host has no cgroup v2, and the jail goes on. */
int freeze_begin(struct state *s, const struct record *r, struct freeze *out,
		 struct ng_err *err) MUST_CHECK;
void freeze_end(struct freeze *f);

#endif
