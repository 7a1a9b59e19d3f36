/* newgate up --confirm, pfctl -f --confirm: a change that goes back by itself unless somebody says
 * that it may stay.
 *
 * What ran before is written down first, below /run/newgate/confirm:
 *   before.conf   those jails as jail.conf(5), and what else they name
 *   before.run    the names of those that ran, each with a NUL behind it
 *   before.pf     where the change loads pf.conf, "on" or "off", as pf was: going back loads what it
 *                 held before
 *   ctl           the socket of the process that waits
 * That process is in a session of its own, so that it outlives the terminal. Its time begins when
 * the change is done, or when the command that does it has ended. If it is killed, the folder stays
 * and says so: the next command takes its place.
 *
 * On the socket, a packet each: "look" is answered with "left N" (seconds; -1: the change is still
 * being made), "keep" with "kept", "back" with "back STATUS" when all is as before. The command that
 * made the change holds a connection, too, on which it is told the end in the same words. */
#ifndef NG_RUN_CONFIRM_H
#define NG_RUN_CONFIRM_H

#include "run/gather.h"

/* Writes down what runs; g NULL: nothing, the change is not about jails. What was left from before is
 * replaced. */
int confirm_keep(struct state *s, const struct gather *g, struct ng_err *err) MUST_CHECK;
/* What was written down. Names are the conf's jails that ran; the caller frees the array, not its
 * strings, which are the arena's. */
struct confirm_kept {
	struct conf conf;
	struct arena arena;
	const char **names; /* NULL-terminated */
	size_t n;
};
int confirm_read(struct state *s, struct confirm_kept *out, struct diags *d,
		 struct ng_err *err) MUST_CHECK;
void confirm_kept_done(struct confirm_kept *k);
/* The change loads pf.conf, and pf was on before, or off; does it? */
int confirm_keep_pf(struct state *s, bool on, struct ng_err *err) MUST_CHECK;
bool confirm_has_pf(struct state *s, bool *on);
/* Is it about jails? */
bool confirm_has_jails(struct state *s);
/* Forgets it. */
void confirm_forget(struct state *s);

/* Makes the process that waits. It calls back() when the time is over, or when it is asked to; the
 * state of the caller is not open there any more. *sock: the command's connection. */
int confirm_start(struct state *s, unsigned seconds, int (*back)(void), int *sock,
		  struct ng_err *err) MUST_CHECK;
/* The change is done: the time begins. */
int confirm_applied(int sock) MUST_CHECK;

enum confirm_state { CONFIRM_NONE, CONFIRM_WAITING, CONFIRM_ORPHANED };
/* *left: seconds, -1 while the change is being made. */
enum confirm_state confirm_look(struct state *s, int *left);
/* "keep" or "back" to the process that waits, and what came of it: 0, or 1 where going back failed.
 * -errno: it cannot be reached. */
int confirm_ask(struct state *s, const char *what) MUST_CHECK;
/* Reads how it ended from a connection: 'k' kept, 'b' back, 'f' went back with failures; 0: the
 * process was killed. */
char confirm_end(int sock);

#endif
