/* What is different between two trees. */
#ifndef NG_STORE_DIFF_H
#define NG_STORE_DIFF_H

#include <stdbool.h>
#include "base/err.h"

enum diff_what { DIFF_ADDED, DIFF_CHANGED, DIFF_REMOVED };

/* fn is called in the order of the paths, for folders before what is in them; path is as seen from
 * inside, "/etc/hosts". What counts: kind, owner, mode, extended attributes (copy.h), contents.
 * A file whose last change (ctime), which nobody can set, is the same is not read; one of the same
 * size and time is not either if `quick`, although that time can be set. */
int diff_trees(int before, int after, bool quick,
	       void (*fn)(void *arg, enum diff_what what, const char *path), void *arg,
	       struct ng_err *err) MUST_CHECK;

#endif
