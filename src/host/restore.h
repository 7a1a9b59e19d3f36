/* A host put back from what host_snapshot_take kept, in three steps: everything is laid out beside the
 * host and checked; what is there moves aside; what was laid out takes its place. The last two are
 * renames.
 *
 *   HOST_DATA/.restore/tree      what is laid out: as below /
 *   HOST_DATA/.restore/placing   what is there may be half of it: whoever restores next may move it
 *                                aside without being asked
 *   HOST_DATA/.before-TIME, /etc/newgate/before-TIME   what was there */
#ifndef NG_HOST_RESTORE_H
#define NG_HOST_RESTORE_H

#include "host/host.h"
#include "host/owners.h"

#define HOST_RESTORE HOST_DATA "/.restore"
#define HOST_PLACING "placing"

struct host_restore {
	char *root;       /* the -R prefix; owned */
	int lock;         /* HOST_RESTORE, held */
	int tree;         /* in it: empty, to be filled */
	char *path;       /* of that; owned. A host's `root`, for its settings and lists */
	bool interrupted; /* an earlier one was: what is there is not to be kept for its own sake */
};
#define HOST_RESTORE_NONE ((struct host_restore){.lock = -1, .tree = -1})
int host_restore_begin(const char *root, struct host_restore *r, struct ng_err *err) MUST_CHECK;
/* Is anything there of a host? Its path, which the caller frees; or NULL. */
char *host_restore_present(const struct host_restore *r) MUST_CHECK;
/* What the tree must have, and who owned what in it. -EBADMSG. */
int host_restore_check(const struct host_restore *r, struct owners *owners,
		       struct ng_err *err) MUST_CHECK;
/* The tree's owners, as the trees of the jails here have them. */
int host_restore_own(const struct host_restore *r, const struct owners *from,
		     const struct owners *to, struct ng_err *err) MUST_CHECK;
/* Moves what is there aside and puts the tree in its place; no jail of the host runs. *aside: what
 * is there now "before-TIME", or NULL where nothing was; owned by the caller. */
int host_restore_place(struct host_restore *r, char **aside, struct ng_err *err) MUST_CHECK;
/* Removes what was laid out and is in no place. */
void host_restore_done(struct host_restore *r);

#endif
