/* What makes a root one particular machine: machine-id, host name, ssh host keys. */
#ifndef NG_STORE_IDENTITY_H
#define NG_STORE_IDENTITY_H

#include "base/err.h"

/* Gives a clone its own. ssh host keys are removed: the jail's /etc/rc makes new ones before it
 * starts sshd. `tree` is the complete tree, or an overlay's upper layer with `layer` open on the
 * one below it (else -1). */
int identity_renew(int tree, int layer, const char *hostname, struct ng_err *err) MUST_CHECK;
/* Takes a template's away: empty machine-id and hostname, no host keys. */
int identity_remove(int tree, int layer, struct ng_err *err) MUST_CHECK;

#endif
