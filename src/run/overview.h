/* All jails, configured or running, each with what it does and uses: what status, top and metrics
 * show. */
#ifndef NG_RUN_OVERVIEW_H
#define NG_RUN_OVERVIEW_H

#include "conf/conf.h"
#include "conf/rcconf.h"
#include "run/usage.h"

enum jail_state {
	JAIL_STOPPED, /* configured, not running */
	JAIL_STARTING,
	JAIL_RUNNING,
	JAIL_ENDED,  /* ended by itself; the next command clears up after it */
	JAIL_FAILED, /* its last start or stop failed, and it does not run */
};
const char *jail_state_name(enum jail_state s);

struct overview_jail {
	char *name; /* owned, as all strings here */
	enum jail_state state;
	int jid;       /* 0: none */
	int64_t since; /* seconds since 1970; 0: not running */
	struct strv
	    address;     /* of a jail that does not run: those it is to have, "auto" among them */
	struct strv rdr; /* as configured: "tcp 80" */
	char *failure;   /* the last one, of the jail or of a service; NULL: none */
	bool linked;     /* it was given a link; usage.net: it has it */
	struct usage usage;
};

struct overview {
	struct overview_jail *v;
	size_t n;
	bool failures; /* some reason of a failure is kept: failed jails have theirs */
};

/* Running jails by jid, then the configured others in order of definition. conf may be NULL. */
int overview_read(struct state *s, const struct conf *conf, struct overview *out,
		  struct ng_err *err) MUST_CHECK;
/* Running jails alone, by jid, with what changes all the time: name, state, jid, and what of their
 * use the kernel counts. */
int overview_running(struct state *s, struct overview *out, struct ng_err *err) MUST_CHECK;
void overview_done(struct overview *o);
/* What of the network of those that run is not as it was left, a sentence each. Costs little: jails
 * are not looked at one by one, as newgate up does. */
int overview_faults(const struct overview *o, struct state *s, const struct rcconf *rc,
		    struct strv *faults, struct ng_err *err) MUST_CHECK;

#endif
