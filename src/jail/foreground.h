/* A child that runs in our place. On FreeBSD jexec becomes the command; on Linux only a new process
 * can be in another PID namespace, so one of ours must stay, and the shell that called us must not
 * notice: what is sent to us reaches the child, when it stops we stop, when it ends so do we.
 *
 * The child stays in our session and process group: the terminal's own signals (Ctrl-C, Ctrl-Z, a
 * new window size) reach it from the kernel. Only what somebody sends to our pid is passed on. */
#ifndef NG_JAIL_FOREGROUND_H
#define NG_JAIL_FOREGROUND_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct foreground {
	sigset_t signals;          /* what we take while the child runs */
	sigset_t mask;             /* as it was */
	sigset_t child;            /* the child's */
	struct sigaction on_child; /* SIGCHLD's, as it was; the child's */
	int tty;                   /* the one of descriptors 0..2 that is our terminal, or -1 */
};

/* Before the fork: from here on signals wait. mask: the child's; NULL: as ours was. */
void foreground_begin(struct foreground *f, const sigset_t *mask);
/* In the child, right before it becomes the command: signals as they are to be. */
void foreground_child(const struct foreground *f);
/* Until the child has ended; its wait status. */
int foreground_wait(const struct foreground *f, pid_t child);
/* In the parent, whether there was a child or not. */
void foreground_end(const struct foreground *f);

#endif
