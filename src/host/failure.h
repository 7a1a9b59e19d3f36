/* Failed logins, as Dovecot and Postfix tell of them in their logs.
 *
 *   Nov 23 12:02:43 auth: Info: passwd-file(NAME,ADDRESS,<SESSION>): Password mismatch
 *   Nov 23 12:02:43 auth: Info: passwd-file(NAME,ADDRESS): unknown user
 *   Nov 23 12:02:43 auth: Info: plain(?,ADDRESS): Username character disallowed by … (username: NAME)
 *   Nov 23 12:02:43 mail postfix/smtpd[158]: disconnect from HOST[ADDRESS] ehlo=1 auth=0/2 quit=1 commands=2/4
 *
 * Dovecot checks every login, those that Postfix and the web mail ask it for, too, and says from where
 * they come; only what is tried where there is no login (port 25) is Postfix's alone to tell. What
 * Postfix says of the others is not read: they would count twice.
 *
 * A client chooses NAME, and what he can of HOST: everything up to the former is matched from the line's
 * beginning, everything behind it from its end. */
#ifndef NG_HOST_FAILURE_H
#define NG_HOST_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/ip.h"

enum failure_log { LOG_DOVECOT, LOG_POSTFIX };
struct failure {
	struct ip from;
	unsigned times;
	const char *service; /* "imap" (sieve and the web mail's, too), "submission", "smtp" */
};
#define FAILURE_LINE 4096 /* the longest line that is looked at */
/* A line without its newline. False: it tells of none. */
bool failure_read(enum failure_log log, const char *line, size_t len, struct failure *out);

#endif
