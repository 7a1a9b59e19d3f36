/* A user's mail, as files: what stays when the user goes. */
#ifndef NG_HOST_MAILBOX_H
#define NG_HOST_MAILBOX_H

#include "host/host.h"
#include "host/inside.h"

/* Where it is: HOST_DATA/dovecot/vmail/DOMAIN/NAME, without the -R prefix. The caller frees. */
char *mailbox_path(const char *address) MUST_CHECK;
/* Is there any? */
bool mailbox_exists(const struct host *h, const char *address);
/* Removes all of it; nothing there is no error. */
int mailbox_remove(const struct host *h, const char *address, struct ng_err *err) MUST_CHECK;
/* Ends the connections by which it is read, if dovecot runs. */
int mailbox_kick(struct state *s, const char *address, struct ng_err *err) MUST_CHECK;

#endif
