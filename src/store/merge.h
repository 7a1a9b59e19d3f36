/* Inside of a rebase: single files of one tree made like those of another. */
#ifndef NG_STORE_MERGE_H
#define NG_STORE_MERGE_H

#include "base/err.h"
#include "store/diff.h"

/* A tree that is being changed. */
struct merge {
	int tree;   /* what may be written: of an overlay the upper layer */
	int fresh;  /* the new version, complete */
	bool layer; /* `tree` is a layer that will lie over `fresh` */
	struct ng_err *err;
};
/* Makes the folders on the way to what the template has, where the jail removed them or has something
 * else there. */
int merge_make_way(const struct merge *m, const char *path) MUST_CHECK;
/* Makes `path` what it is in `fresh`; where it is a folder on both sides, what is in it stays. What
 * is not there any more goes, but no folder with anything left in it. Of a list of changes, those
 * that remove come last, and in reverse. */
int merge_take(const struct merge *m, enum diff_what what, const char *path) MUST_CHECK;

#endif
