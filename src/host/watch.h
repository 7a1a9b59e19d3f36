/* Follows the logs of Dovecot and Postfix and bans who fails to log in too often.
 *
 * The logs are the jails': their root can write what he likes into them, and cut them. So a log is
 * opened as log.h does it, lines have a bounded length and one form (failure.h), and what is banned goes
 * through ban_refused(), so that the worst he can do is to have strangers banned. */
#ifndef NG_HOST_WATCH_H
#define NG_HOST_WATCH_H

#include "host/host.h"
#include "net/ban.h"

struct watch_sink {
	void (*ready)(void *arg);                               /* nothing is missed from now on */
	void (*banned)(void *arg, const struct ban *ban);       /* done */
	void (*terms)(void *arg, const struct host_ban *terms); /* by which it bans from now on */
	void (*told)(void *arg, const char *text); /* what went wrong, or was not done */
	void *arg;
};
/* Until neither jail runs any more: 0. -EALREADY: somebody else watches. */
int watch_run(struct state *s, const struct watch_sink *sink, struct ng_err *err) MUST_CHECK;
/* Does somebody watch? */
bool watch_runs(struct state *s);
/* Is there somebody to watch over, a mail host with a jail that runs? Quick where there is none. */
bool watch_wanted(struct state *s);

#endif
