/* What there is of jails without a record: /run was emptied under them, or a command was killed before
 * it could write one. Their processes are found by their cgroups, their links by the link group. */
#ifndef NG_RUN_STRAY_H
#define NG_RUN_STRAY_H

#include "net/net.h"

struct stray {
	struct strv jails; /* whose it is, each name once: of claims and cgroups */
	struct strv links; /* theirs, "ng7 web" */
};
/* Only looks. Zero-initialise; stray_done in any case. */
int stray_look(struct stray *v, struct state *s, struct net *n, struct ng_err *err) MUST_CHECK;
/* Ends the processes, and takes cgroups and links away. The claims are run_reap's. */
int stray_clear(const struct stray *v, struct state *s, struct net *n,
		struct ng_err *err) MUST_CHECK;
void stray_done(struct stray *v);

#endif
