/* newgate up: what runs is made equal to what is configured. */
#ifndef NG_RUN_UP_H
#define NG_RUN_UP_H

#include "run/gather.h"
#include "run/reconcile.h"
#include "run/run.h"
#include "run/stray.h"

/* Which jails it is about. */
struct up_scope {
	const char *const *names; /* names and wildcards; n 0: all */
	size_t n;
	const char *const *start; /* those that are to run where no names are given,
				     NULL-terminated; NULL: all that are configured */
	bool exactly;             /* and others are stopped */
};

struct up {
	struct gather all;
	struct reconcile_jail *jail;
	struct strv *elems, *ip; /* of each */
	struct strv host;
	struct stray stray;
	struct reconcile plan;
	bool pf;              /* pf.conf is to be loaded */
	struct strv warnings; /* about it */
};
/* Looks and decides; changes nothing. Zero-initialise; up_done in any case. */
int up_plan(struct up *u, struct state *s, const struct conf *c, const struct rcconf *rc,
	    const struct up_scope *scope, struct ng_err *err) MUST_CHECK;
/* Does it, all at once, in the order that depend wants. 0, or 1 where anything failed. */
int up_run(struct up *u, const struct rcconf *rc, bool verbose, const struct run_sink *sink);
void up_done(struct up *u);

/* Only one at a time plans and does: waits, and holds the lock until it is closed. */
int up_lock(struct state *s, struct ng_err *err) MUST_CHECK;

#endif
