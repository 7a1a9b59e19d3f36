/* Copying trees whole, and what unpacking shares with it. Every name is looked up in an open
 * directory, without following links, so neither side can be led out of its tree. */
#ifndef NG_STORE_COPY_H
#define NG_STORE_COPY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

enum copy_flag {
	/* The tree is the upper layer of an overlay: its whiteouts and marks are part of it. In any
	 * other tree they would hide files once it becomes a layer, and are left out. */
	COPY_UPPER = 1,
	/* Blocks of its own, also where the file system could share them. */
	COPY_APART = 2,
};

/* Copies what is in the directory src into the empty directory dst, which also gets src's own
 * attributes. Kept: owners, modes, times, hard links, holes, symbolic links as they stand, and
 * extended attributes of users, ACLs and capabilities. Blocks are shared where the file system can
 * (reflinks of btrfs and xfs).
 * Left out: devices and sockets. An empty directory takes the place of what is mounted inside, of
 * dst itself and of the directory `skip` (-1: none): so "/" can be copied into a part of itself. */
int copy_tree(int src, int dst, unsigned flags, int skip, struct ng_err *err) MUST_CHECK;
/* The same, and s is told how far it is with `what`; total 0: nobody knows how many bytes. */
struct store;
struct copy_watch {
	const struct store *s;
	const char *what;
	uint64_t total;
};
int copy_tree_watched(int src, int dst, unsigned flags, int skip, const struct copy_watch *watch,
		      struct ng_err *err) MUST_CHECK;

/* May a tree carry this extended attribute? The labels of the host's security modules may not. */
bool copy_wants_xattr(const char *name, unsigned flags);

/* All names in a directory but "." and "..". The descriptor's own position is left alone. */
struct strv;
int copy_names(int dir, struct strv *names) MUST_CHECK;

/* One thing of the directory src to the directory dst, which has nothing of that name; a directory
 * without what is in it. */
int copy_one(int src, int dst, const char *name, struct ng_err *err) MUST_CHECK;

/* The directory src's own attributes for the directory dst. */
int copy_dir_attributes(int src, int dst, unsigned flags, struct ng_err *err) MUST_CHECK;

#endif
