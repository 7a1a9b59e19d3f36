/* Trees that lie complete at their place, as files: what dir, btrfs and zfs share. */
#ifndef NG_STORE_PLAIN_H
#define NG_STORE_PLAIN_H

#include "store/backend.h"

/* Opens a directory, no link. */
int plain_open_dir(int at, const char *path, struct ng_err *err) MUST_CHECK;
/* Its tree at its place; a jail's by no link. */
int plain_open_tree(const struct thing *t, struct ng_err *err) MUST_CHECK;
/* The folder that a path lies in (stage_open_parent), made where it is missing: closed to others, who shall not come
 * near what a jail's root makes setuid. */
int plain_open_parent(const char *path, struct ng_err *err) MUST_CHECK;

/* Of the table. */
bool plain_there(const struct thing *t);
int plain_open(const struct thing *t, struct source *out, struct ng_err *err) MUST_CHECK;
int plain_layout(const struct thing *t, struct store_layout *out, struct ng_err *err) MUST_CHECK;
int plain_view(const struct thing *t, const char *snap, struct store_view *out,
	       struct ng_err *err) MUST_CHECK;

/* Of a snapshot that is a folder "root" of its own; an overlay's upper layer is one, too. */
int plain_snapshot_size(const struct thing *t, const char *name, int folder, uint64_t *bytes,
			struct ng_err *err) MUST_CHECK;

/* A jail's tree is made, and removed, beside its path (stage_twin_name). */
int plain_place(const struct thing *t, struct ng_err *err) MUST_CHECK;
int plain_displace(const struct thing *t, struct ng_err *err) MUST_CHECK;

/* Removes a twin; each backend has its own way. */
typedef int plain_remover(const char *path, struct ng_err *err);
/* The twin takes the place of the tree, and the entry becomes t->e: what it was when snapshot
 * `snap` was taken. A mark on the new tree makes both one step. */
int plain_exchange(struct thing *t, const char *snap, plain_remover *remove,
		   struct ng_err *err) MUST_CHECK;
int plain_mend(struct thing *t, plain_remover *remove, struct ng_err *err) MUST_CHECK;

#endif
