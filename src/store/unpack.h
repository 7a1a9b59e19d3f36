/* Files out of an archive into a tree. Its names and contents are a stranger's: each name is walked
 * component by component from the tree's root, following no link, so nothing is written outside of
 * the tree whatever the archive says. What no honest one can mean (absolute names, "..", a way
 * through a link) is refused rather than bent. */
#ifndef NG_STORE_UNPACK_H
#define NG_STORE_UNPACK_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/archive-module.h"

enum unpack_flag {
	/* One of newgate's own streams: names come in the order of unpack_order(), so none comes
	 * twice; folders come before what is in them; there are no devices. Anything else is
	 * refused. */
	UNPACK_STRICT = 1,
	/* The tree holds an earlier state of the same files, which the archive's replace. */
	UNPACK_OVER = 2,
};

/* One archive on its way. Fill in the first five; unpack_done in any case. */
struct unpack {
	const struct archive_module *module;
	void *archive; /* open; not owned */
	int tree;      /* not owned */
	unsigned flags;
	struct ng_err *err;
	/* unpack.c's own */
	struct arena arena;
	struct late_dir *late;
	size_t nlate;
	struct str last; /* the name before, with UNPACK_STRICT */
};
/* The entry that was read last. */
int unpack_entry(struct unpack *u, const struct archive_file *f) MUST_CHECK;
/* When all are there: what folders get last. */
int unpack_finish(struct unpack *u) MUST_CHECK;
void unpack_done(struct unpack *u);

/* The order in which a tree is walked: a folder, then what is in it; names by their bytes. */
int unpack_order(const char *a, const char *b);

#endif
