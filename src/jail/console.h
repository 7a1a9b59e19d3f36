/* A terminal of the jail's own for what enters it, joined to the caller's.
 *
 * The entering child opens the pseudo-terminal, from the jail's own devpts, when it is already the
 * jail's user: the other side has a name inside, an owner, and a session that controls it. What the
 * child opened may be whatever the jail's root has put at /dev/ptmx; it hands the descriptor back,
 * and we, outside, open nothing by a name, look whether it is the master of a pseudo-terminal, and
 * never wait for it alone. The caller's terminal does not come along: nothing inside ever holds it.
 *
 * When the caller goes away, however he does, the master closes, and the kernel hangs up the
 * session inside, as at the end of a modem line. */
#ifndef NG_JAIL_CONSOLE_H
#define NG_JAIL_CONSOLE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>
#include "base/err.h"

#define CONSOLE_NO_ESCAPE (-1)

struct console {
	int escape; /* in: the character that begins a command to us at the start of a line */
	bool left;  /* out: the user left; what ran inside has been hung up */
	int signal; /* out: this one ended us, 0: none */

	/* console.c's own */
	struct termios terminal; /* the caller's, as it was */
	sigset_t signals, mask;
	struct sigaction on_child;
	int ours, theirs; /* the socket on which the master comes */
};

/* Before the fork: signals wait from here on. Standard input and output must be a terminal. */
int console_begin(struct console *c, struct ng_err *err) MUST_CHECK;
/* In the child, as the jail's user, right before it becomes the command. */
int console_child(struct console *c, struct ng_err *err) MUST_CHECK;
/* In the parent, once the child is the command, until it ends or is left: its wait status (0 where
 * it was left), or -errno. The terminal is as before. */
int console_relay(struct console *c, pid_t child, int pidfd, struct ng_err *err) MUST_CHECK;
void console_end(struct console *c);

#endif
