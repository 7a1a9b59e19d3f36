/* What newgate and a jail's PID 1 say to each other.
 *
 * PID 1 listens on descriptor CTL_FD, a SOCK_SEQPACKET socket that newgate bound under
 * /run/newgate before it started the jail; the path is not visible inside. One packet, one message:
 * struct ctl_head, then `len` bytes of body. Numbers are in host order: both ends are one build.
 *
 * The jail ends when no process, no service and no open connection is left and it is not persist:
 * a connection held open (by jexec, by a start in progress) keeps it alive. It does not end before
 * the first connection was closed. A starter connects between listen(2) and the exec of PID 1 (the
 * backlog takes it): if it dies half-way, the connection's end is what lets the jail end.
 *
 * A process that came in by setns(2) is no child of PID 1: whoever brought it in holds a connection
 * while it lives, since the end of that connection is the only news of its end.
 *
 * Any number of messages may follow each other on one connection. Each is answered at once, only
 * the answers to CTL_RUN and CTL_SERVICE wait for the exec and may be overtaken by others. A bad
 * message is answered with CTL_ERROR (CTL_STEP_MESSAGE) and the connection goes on. Codes of that
 * step: EBADMSG, EMSGSIZE, EBUSY (this connection's command still runs), EEXIST (a service of that
 * tag exists), ENOSPC (CTL_SERVICES reached), ESHUTDOWN (the jail is stopping).
 */
#ifndef NG_BASE_CTL_H
#define NG_BASE_CTL_H

#include <stdint.h>

#define CTL_FD 3
#define CTL_MAX (160 * 1024) /* a whole message; the kernel's default send buffer holds it */
#define CTL_CONNECTIONS 256  /* more wait in the backlog */
#define CTL_SERVICES 16
#define CTL_TAG_MAX 255

enum ctl_type {
	/* to init */
	CTL_RUN = 1, /* body: struct ctl_exec; three descriptors (0, 1, 2) come along. In a process
			group of its own. One at a time a connection. It goes on if the connection
			is closed */
	CTL_SERVICE, /* body: struct ctl_exec with a tag; three descriptors come along. Kept
			running, in a session of its own, with pauses of 1, 2, 4 … 60 s that start
			over after a run of 60 s. CTL_ERROR: its first start failed, it is not kept
		      */
	CTL_PERSIST, /* body: uint32_t 0 or 1. Answer: CTL_OK */
	CTL_STOP,    /* body: uint32_t milliseconds between SIGTERM and SIGKILL, 0: no SIGTERM. init
			stops the services, signals everyone, waits, then exits: the connection's
			end is the answer */
	CTL_LEAVE,   /* no body. As closing the connection, but answered: CTL_OK where the jail goes
			on, the connection's end where this was the last thing that kept it */
	CTL_QUERY,   /* no body. Answer: CTL_STATUS */
	/* from init */
	CTL_OK = 64,
	CTL_ERROR,   /* body: struct ctl_error: a command could not be started, a bad message */
	CTL_STARTED, /* body: uint32_t pid inside: the answer to CTL_RUN and CTL_SERVICE */
	CTL_EXITED,  /* body: uint32_t wait status; follows CTL_STARTED of a CTL_RUN */
	CTL_STATUS,  /* body: struct ctl_status, then its services */
};

enum ctl_flags {
	CTL_F_BACKGROUND = 1, /* CTL_RUN: own session, no CTL_EXITED follows */
};

struct ctl_head {
	uint32_t type, flags, len;
};

/* Followed by `ngroups` uint32_t, then NUL-terminated strings: cwd ("" is /), tag (a service's name
 * for CTL_STATUS), then argc arguments, then envc "NAME=value". argv[0] with a slash is executed as
 * it stands, else looked for along PATH of the given environment. */
struct ctl_exec {
	uint32_t uid, gid, ngroups, argc, envc;
};

struct ctl_error {
	int32_t code;  /* errno, positive */
	uint32_t step; /* enum ctl_step: what failed */
};
enum ctl_step { CTL_STEP_MESSAGE, CTL_STEP_FORK, CTL_STEP_USER, CTL_STEP_CWD, CTL_STEP_EXEC };

struct ctl_status {
	uint32_t persist, nservices;
};
/* Each followed by its NUL-terminated tag, hence not aligned: memcpy them out. */
struct ctl_service {
	uint32_t pid;         /* inside the jail; 0 while it pauses before the next start */
	uint32_t restarts;    /* since the jail started */
	uint32_t last_status; /* wait status of its last end */
	uint32_t last_lived;  /* seconds its last run lasted */
};

#endif
