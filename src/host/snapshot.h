/* The whole host as it is at one instant, kept beside it for as long as it takes to write that down.
 *
 * Its jails stand still meanwhile. Whoever hands a letter on (a client to Postfix, Postfix to Dovecot,
 * Dovecot's rules to Postfix) forgets it when the other side has it on disk, so at any one instant each
 * letter that was taken is in a queue, in a mailbox or in both; in both only while it is handed on, and
 * for an instant at which none is, this waits a little. Databases are as a power cut would leave them,
 * which they are made for.
 *
 * A letter is never written again once it has its name (Maildir), so that one more link to it is a
 * copy: 100,000 of them take a second or two and no room. */
#ifndef NG_HOST_SNAPSHOT_H
#define NG_HOST_SNAPSHOT_H

#include "host/host.h"
#include "state/state.h"

/* HOST_DATA/.backup/tree: etc and var/lib as they are below /, and HOST_OWNERS. */
#define HOST_SNAPSHOT HOST_DATA "/.backup"
#define HOST_OWNERS "owners" /* owners.h */

struct host_snapshot {
	int lock;     /* the folder, held: one at a time */
	int tree;     /* in it */
	bool between; /* still.h */
};
#define HOST_SNAPSHOT_NONE ((struct host_snapshot){.lock = -1, .tree = -1})
/* `owners`: the text of that file. What a killed run left goes first. -EBUSY: another one runs. */
int host_snapshot_take(const struct host *h, struct state *st, const char *owners,
		       struct host_snapshot *out, struct ng_err *err) MUST_CHECK;
/* Removes it. */
int host_snapshot_drop(struct host_snapshot *s, struct ng_err *err) MUST_CHECK;
/* For autodone. */
void host_snapshot_done(struct host_snapshot *s);

#endif
