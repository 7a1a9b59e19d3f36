/* Files out of an archive into a tree. Its names and contents are a stranger's: each name is walked
 * component by component from the tree's root, following no link, so nothing is written outside of
 * the tree whatever the archive says. What no honest one can mean (absolute names, "..", a way
 * through a link) is refused rather than bent. */
#ifndef NG_STORE_UNPACK_H
#define NG_STORE_UNPACK_H

#include <limits.h>
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/map.h"
#include "store/archive-module.h"
#include "store/store.h"

enum unpack_flag {
	/* One of newgate's own streams: names come in the order of unpack_order(), so none comes
	 * twice; folders come before what is in them; there are no devices. Anything else is
	 * refused. */
	UNPACK_STRICT = 1,
	/* The tree holds an earlier state of the same files, which the archive's replace. */
	UNPACK_OVER = 2,
	/* A layer of an image (whiteout.c): over what earlier ones left in the tree. Folders that they
	 * made links are followed where the link stays in the tree. */
	UNPACK_LAYER = 4,
};

/* One archive on its way. Fill in the first five; unpack_done in any case. */
struct unpack {
	const struct archive_module *module;
	void *archive; /* open; not owned */
	int tree;      /* not owned */
	unsigned flags;
	struct ng_err *err;
	/* Whom to tell how far it is; NULL: nobody. */
	struct store *store;
	const char *what;
	int fd;                 /* that the archive is read from */
	uint64_t before, total; /* bytes of earlier files, and of all of them */
	/* unpack.c's own */
	struct arena arena;
	struct late_dir *late;
	size_t nlate;
	struct str last; /* the name before, with UNPACK_STRICT */
	struct map made; /* UNPACK_LAYER: the names it made, with those on the way to them */
};
/* Everything in the archive; may hold nothing with UNPACK_LAYER alone. */
int unpack_all(struct unpack *u) MUST_CHECK;
/* The entry that was read last. */
int unpack_entry(struct unpack *u, const struct archive_file *f) MUST_CHECK;
/* With UNPACK_OVER, before any entry: what the tree has there goes, with all that is in it. */
int unpack_remove(struct unpack *u, const char *path) MUST_CHECK;
/* When all are there: what folders get last. */
int unpack_finish(struct unpack *u) MUST_CHECK;
void unpack_done(struct unpack *u);

/* The order in which a tree is walked: a folder, then what is in it; names by their bytes. */
int unpack_order(const char *a, const char *b);

/* The next component of a name: 1, 0 at its end, -EXDEV where it would lead out. */
int unpack_component(const char **p, char name[static NAME_MAX + 1]) MUST_CHECK;
/* Opens the folder that `path` is in, making what is missing, and gives its last name: "" for the
 * tree itself. -EXDEV: it leads out of the tree; -ELOOP: through a link or a file. */
int unpack_open_folder(struct unpack *u, const char *path, bool make,
		       char name[static NAME_MAX + 1]) MUST_CHECK;

/* whiteout.c: the entry, where it is a mark for what earlier layers left: 1, else 0, or -errno. */
int layer_whiteout(struct unpack *u, const char *path) MUST_CHECK;
/* Remembers a name that the layer made. */
void layer_made(struct unpack *u, const char *path);

#endif
