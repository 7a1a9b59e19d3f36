/* The ways of keeping trees, each a small table of functions over the same few notions:
 *
 *   a thing     a jail or a template: its folder in the store, and what that says of it
 *   a source    what is cloned, open
 *   a view      a complete tree to read, of a thing as it is or of one of its snapshots (store.h)
 *
 * Which table keeps a thing is chosen once, by the file systems at hand and by what `newgate init
 * --store` said, and is in its entry from then on. */
#ifndef NG_STORE_BACKEND_H
#define NG_STORE_BACKEND_H

#include <stdbool.h>
#include "store/entry.h"

/* A jail or template and its folder: a finished one, or a stage (stage.h). Owns `dir` and `e`. */
struct thing {
	const struct store *s;
	enum store_kind kind;
	const char *name;
	int dir;
	struct entry e;
	const struct store_backend *b; /* NULL: an entry of no backend known here */
	bool wanted; /* while one is being chosen: this backend was asked for by name */
	/* While a snapshot is restored: what is to be changed in the tree that comes of it, before it
	 * takes its place. NULL: nothing. */
	int (*change)(void *arg, int tree, struct ng_err *err);
	void *change_arg;
};
#define THING_NONE ((struct thing){.dir = -1})
/* Opens a finished one. -ENOENT, without a text: there is none, or what there is lacks its tree. */
int thing_open(const struct store *s, enum store_kind kind, const char *name, struct thing *out,
	       struct ng_err *err) MUST_CHECK;
void thing_done(struct thing *t);
/* Where its tree is, or will be once its folder is in place: of a jail its path, of a template
 * STORE/templates/NAME/root. The caller frees. */
char *thing_tree(const struct thing *t) MUST_CHECK;
/* copy_tree, of which is told how far it is. */
int thing_copy(const struct thing *t, int from, int to, unsigned flags,
	       struct ng_err *err) MUST_CHECK;

/* What is cloned. Everything is released by source_done. */
struct source {
	const struct store_backend *backend; /* NULL: a plain directory */
	bool jail;      /* not a template: a clone of it is kept as it is kept itself */
	bool full;      /* share nothing with it, need nothing of it */
	int tree;       /* the complete tree */
	int upper;      /* of an overlay's jail its own layer; else -1 */
	int root;       /* the root of template `lower` as it lies on disk; or -1 */
	int layer;      /* what that template shows, with the layers below it; or -1 */
	int lock;       /* held, shared, so that template `lower` stays; or -1 */
	char *lower;    /* the template that it is, or that it needs; or NULL */
	char *volume;   /* the data set that holds the tree; or NULL */
	char *template; /* the version of a template that it is, or that it stems from; or NULL */
	/* Instead of all that: fills the empty directory `tree` with a complete tree. */
	int (*make)(void *arg, int tree, struct ng_err *err);
	void *make_arg;
};
#define SOURCE_NONE ((struct source){.tree = -1, .upper = -1, .root = -1, .layer = -1, .lock = -1})
/* A template, else a jail that was cloned here. */
int source_find(const struct store *s, const char *from, struct source *out,
		struct ng_err *err) MUST_CHECK;
/* 1, 0 where there is no such template, or -errno. */
int source_template(const struct store *s, const char *name, struct source *out,
		    struct ng_err *err) MUST_CHECK;
int source_dir(const char *path, struct source *out, struct ng_err *err) MUST_CHECK;
void source_done(struct source *src);

struct store_backend {
	const char *name;
	bool copies; /* a snapshot is a copy of files */
	bool mounts; /* a tree is a file system of its own, mounted at its place */

	/* --- making; src NULL: an empty tree --- */

	/* Can t, a stage, be kept this way as a clone of src? 1, 0 where not, or -errno where not
	 * and no other way will do. Told why in both cases. */
	int (*suits)(const struct source *src, const struct thing *t, struct ng_err *err);
	/* Completes t->e before it is written: whatever is made beyond the stage's folder must be
	 * named there first, so that `drop` finds it; so must the template that is needed (lower).
	 * May be NULL. */
	int (*plan)(const struct source *src, struct thing *t, struct ng_err *err);
	/* Makes the tree. The descriptor of what may be written of it: of an overlay the upper
	 * layer. */
	int (*fill)(const struct source *src, const struct thing *t, struct ng_err *err);
	/* The folder is in its place: what is left to do for the tree. May be NULL. */
	int (*place)(const struct thing *t, struct ng_err *err);

	/* --- using --- */

	/* Is the tree there? An entry without it is what a killed run left. */
	bool (*there)(const struct thing *t);
	/* For cloning it further: fills tree, and what else there is of upper, root, layer, volume. */
	int (*open)(const struct thing *t, struct source *out, struct ng_err *err);
	int (*layout)(const struct thing *t, struct store_layout *out, struct ng_err *err);
	/* snap NULL: as it is now. */
	int (*view)(const struct thing *t, const char *snap, struct store_view *out,
		    struct ng_err *err);
	int (*usage)(const struct thing *t, struct store_usage *out, struct ng_err *err);
	/* 0: none. -EOPNOTSUPP with the reason where it cannot be bounded here. */
	int (*quota)(struct thing *t, uint64_t bytes, struct ng_err *err);

	/* The tree of a jail goes to another path. NULL: as a folder is renamed. */
	int (*move)(const struct thing *t, const char *path, struct ng_err *err);

	/* --- snapshots; `folder`: STORE/jails/JAIL/snapshots/NAME, or what becomes it --- */

	/* Keeps the tree as it is now, below the folder or under the snapshot's name. */
	int (*snapshot)(const struct thing *t, const char *name, int folder, struct ng_err *err);
	/* What was kept goes. What is not there is no fault. May be NULL. */
	int (*forget)(const struct thing *t, const char *name, int folder, struct ng_err *err);
	/* The tree becomes what it was then, and the entry what t->e says now: as one step, or so
	 * that `mend` completes it. `later`: snapshots that were taken since may go for it. */
	int (*restore)(struct thing *t, const char *name, int folder, bool later,
		       struct ng_err *err);
	/* Bytes that would be free without it. */
	int (*snapshot_size)(const struct thing *t, const char *name, int folder, uint64_t *bytes,
			     struct ng_err *err);
	/* Completes, or takes back, what a killed run left of the tree. May be NULL. */
	int (*mend)(struct thing *t, struct ng_err *err);

	/* --- removing --- */

	/* The tree leaves its place before the folder leaves its own. Refuses (-EBUSY) what others
	 * need. */
	int (*displace)(const struct thing *t, struct ng_err *err);
	/* t is a stage that goes: what belongs to it and is not simply files in its folder. What is
	 * not there any more is no fault. May be NULL. */
	int (*drop)(const struct thing *t, struct ng_err *err);
};
extern const struct store_backend backend_zfs, backend_btrfs, backend_overlay, backend_dir;
const struct store_backend *backend_find(const char *name); /* NULL: unknown */
/* What `newgate init --store` said: backend and volume, NULL where it said nothing. */
int store_told(const struct store *s, struct entry *out, struct ng_err *err) MUST_CHECK;
/* Sets t->b and t->e.backend, and completes the entry: what keeps the jail that is cloned, else what
 * the store was told to use (store_choose), else the first that suits. */
int backend_choose(const struct source *src, struct thing *t, struct ng_err *err) MUST_CHECK;

/* By a project quota: all below the directories at/dirs, the first of them being there. */
int quota_project(struct thing *t, int at, const char *const *dirs, uint64_t bytes,
		  struct ng_err *err) MUST_CHECK;

/* The folder of a snapshot. -ENOENT, with a text that names those there are. */
int snapshot_open(const struct thing *t, const char *name, struct ng_err *err) MUST_CHECK;
/* Makes t->e what the entry said of the template when the snapshot was taken. Where the jail is and
 * what keeps it has stayed. */
int snapshot_origin(struct thing *t, const char *name, struct ng_err *err) MUST_CHECK;
/* It is one that goes, from now on, whoever removes it. -ENOENT is no fault. */
int snapshot_hide(const struct thing *t, const char *name, struct ng_err *err) MUST_CHECK;
/* Has the jail with this folder any? */
bool snapshot_any(int dir);
/* Does a snapshot of this jail stand on one of those templates? */
struct strv;
bool snapshot_needs(const struct store *s, const char *jail, const struct strv *templates);
/* The tree becomes what the snapshot is, changed: all of that, or nothing. The jail must not run. */
int snapshot_change(const struct store *s, const char *jail, const char *name,
		    int (*change)(void *arg, int tree, struct ng_err *err), void *arg,
		    struct ng_err *err) MUST_CHECK;
#define SNAPSHOT_META "meta" /* there: what the jail's entry said then */

/* Can trees below this directory be mounted with mapped owners? 0, or -errno with the file system
 * named and the remedy told. `what` is the path for the message. */
int backend_check_idmap(int dir, const char *what, struct ng_err *err) MUST_CHECK;
/* The name of the file system that holds `fd`: "ext4". */
void backend_fs_name(int fd, char *out, size_t size);
/* A detached copy of the mount of a directory with owners mapped; any range does for a trial. */
#define PROBE_BASE 0x40000000u
#define PROBE_COUNT 65536u
int backend_mapped(int dir, int userns) MUST_CHECK;

/* What layers show together, read-only, mounted nowhere: the uppermost first. One layer is itself.
 * A descriptor to read from. */
int layers_join(const int *layer, size_t n, struct ng_err *err) MUST_CHECK;
/* A template can be built on another. Paths of the layers of which template `name` is the
 * uppermost. */
#define LAYERS_MAX 12
struct strv;
int layers_of(const struct store *s, const char *name, struct strv *out,
	      struct ng_err *err) MUST_CHECK;
/* What these show, below `upper` (-1: none). */
int layers_view(const struct store *s, const char *name, int upper, struct ng_err *err) MUST_CHECK;
/* The same to write to: what changes goes to `upper`. */
int layers_write(const struct store *s, const char *name, int upper, int work,
		 struct ng_err *err) MUST_CHECK;

#endif
