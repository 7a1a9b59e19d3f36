/* The process of a jail: from the namespaces to the exec of its PID 1. */
#ifndef NG_JAIL_SPAWN_H
#define NG_JAIL_SPAWN_H

#include <sys/types.h>
#include "jail/mounts.h"
#include "net/net.h"
#include "jail/privs.h"
#include "state/state.h"

/* All that was worked out before. Not owned. */
struct spawn {
	struct record *record; /* claimed; gets its pid and is written */
	struct mounts *mounts;
	struct net_jail *net;
	const struct privs *privs;
	const char *domainname; /* or NULL */
	int cgroup;             /* the jail's folder, -1: none */
	uint64_t
	    maxproc; /* processes at once; 0: as many as we may have, half of all pids at most */
	int log;     /* for what PID 1 has to say, -1: nowhere */
};

/* A jail, held. */
struct process {
	int pidfd; /* of its PID 1 */
	int ctl;   /* connection to it: while it is open the jail does not end by itself */
	int setup; /* where the child speaks until it has executed PID 1; then -1 */
	bool ready;
};
#define PROCESS_NONE ((struct process){.pidfd = -1, .ctl = -1, .setup = -1})
void process_done(struct process *p);

/* Returns with the child on its way, its record written (still `starting`) and the network
 * attached: from there it needs nobody. On failure no process is left; what record.undo lists is
 * the caller's to take back. */
int spawn(struct state *s, struct net *n, const struct spawn *sp, struct process *out,
	  struct ng_err *err) MUST_CHECK;
/* When `setup` is readable: 0 with PID 1 executed, 1 where there is more to come, or -errno, and
 * no process is left. */
int spawn_heard(struct process *p, struct ng_err *err) MUST_CHECK;

#endif
