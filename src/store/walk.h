/* A tree, entry by entry, in the order of unpack_order(): a folder, then what is in it, names by
 * their bytes. What is mounted inside is not entered. */
#ifndef NG_STORE_WALK_H
#define NG_STORE_WALK_H

#include <stdint.h>
#include <sys/stat.h>
#include "base/err.h"
#include "store/stream-module.h"

struct walk_entry {
	const char *path; /* "" the tree's root, "etc/passwd" */
	int dir;          /* with `name` it can be opened without another look at the path */
	const char *name;
	struct statx st;
	const char *first; /* the path of the same file that came earlier, or NULL */
};
/* Stops where fn returns less than 0, and returns that. */
int walk_tree(int root, int (*fn)(void *arg, const struct walk_entry *e), void *arg,
	      struct ng_err *err) MUST_CHECK;

/* Extended attributes that a tree may carry (copy_wants_xattr), by name. Zero-initialise. */
struct walk_xattrs {
	struct stream_xattr *v;
	size_t n;
	char *names, *values;
	size_t room; /* of values */
};
int walk_read_xattrs(struct walk_xattrs *x, int fd) MUST_CHECK;
void walk_xattrs_done(struct walk_xattrs *x);

/* One number for all names, types, owners, modes, sizes, times, links and attributes of a tree, but
 * not for what the files contain: two that agree in it were the same, unless somebody took care to
 * hide a change. */
int walk_sum(const struct stream_module *m, int root, char hex[static STREAM_SUM_HEX],
	     struct ng_err *err) MUST_CHECK;

#endif
