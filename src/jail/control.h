/* Our end of the socket on which a jail's PID 1 listens (base/ctl.h). What comes from there may
 * have been written by the jail's root, who can do with PID 1 as he likes: nothing in it is
 * trusted. */
#ifndef NG_JAIL_CONTROL_H
#define NG_JAIL_CONTROL_H

#include <stdbool.h>
#include "base/ctl.h"
#include "base/err.h"
#include "base/str.h"
#include "jail/attach.h"
#include "state/state.h"

/* PID 1 answers at once. One that does not, the jail's root has stopped: ms that we give it. */
#define CONTROL_PATIENCE 10000

/* A connection, or -errno: -ECONNREFUSED, -ENOENT where PID 1 is gone; -EAGAIN where it takes no
 * connection, now or, with `wait`, in good time. */
int control_open(struct state *s, int jid, bool wait) MUST_CHECK;

/* CTL_RUN or CTL_SERVICE. */
struct control_command {
	enum ctl_type type;
	uint32_t flags;
	const struct jail_user *user; /* NULL: root, in no further group */
	const char *cwd, *tag;
	char *const *argv, *const *env; /* NULL-terminated */
	int fds[3];
};
int control_send(int sock, const struct control_command *c, struct ng_err *err) MUST_CHECK;

/* One message from PID 1. type 0: it closed the connection. */
struct control_answer {
	enum ctl_type type;
	uint32_t number; /* of CTL_STARTED, CTL_EXITED */
	struct ctl_error error;
};
/* Waits for one; bad ones are errors (-EBADMSG). */
int control_read(int sock, struct control_answer *out) MUST_CHECK;
/* Sends a number and waits for CTL_OK; -ESRCH: the jail ended instead. */
int control_ask(int sock, enum ctl_type type, uint32_t number) MUST_CHECK;
/* CTL_STOP: what follows is the end of PID 1. */
int control_stop(int sock, uint32_t ms) MUST_CHECK;
/* What PID 1 tells of its services: CTL_QUERY is sent by control_query, the answer taken by
 * control_services once the socket is readable. `last_failure` is the tag of the service that ended
 * badly last, cut to its first word, with how; "" where none did. */
struct control_services {
	unsigned services, paused, restarts;
	char last_failure[128];
};
int control_query(int sock) MUST_CHECK;
int control_services(int sock, struct control_services *out) MUST_CHECK;
/* Gives up the connection politely. 1: the jail goes on; 0: it was the last thing that kept the
 * jail alive, which ends. */
int control_leave(int sock) MUST_CHECK;

/* "exec PROG: reason" and the like, in jail(8)'s words. */
void control_explain(struct str *out, const struct ctl_error *e, const char *prog);

#endif
