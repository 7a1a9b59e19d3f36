/* The ways of keeping a jail's tree, each a small table of functions. The first one that suits the
 * file systems at hand makes the clone; its name is in the jail's entry from then on. */
#ifndef NG_STORE_BACKEND_H
#define NG_STORE_BACKEND_H

#include <stdbool.h>
#include "store/entry.h"

/* What is cloned. */
struct source {
	const struct store_backend *backend; /* of a jail; NULL: a template or a plain directory */
	int tree;    /* the complete tree; of an overlay's jail the upper layer */
	int layer;   /* the template's root that may be, or is, the layer below; or -1 */
	int lock;    /* held, shared, so that the template stays; or -1 */
	char *lower; /* that template's name, or NULL; owned */
	/* Instead of all that: fills the empty directory `tree` with a complete tree. */
	int (*make)(void *arg, int tree, struct ng_err *err);
	void *make_arg;
};
#define SOURCE_NONE ((struct source){.tree = -1, .layer = -1, .lock = -1})
void source_done(struct source *src);

struct store_backend {
	const char *name;
	bool layered; /* its jails need their template to stay */
	/* Can a clone of src be kept this way in the folder `stage`, for a jail at `path`? 1, 0, or
	 * -errno where it cannot and no other way will do. */
	int (*suits)(const struct source *src, int stage, const char *path, struct ng_err *err);
	/* Fills the stage or its twin and gives the clone an identity of its own; hostname NULL: it
	 * keeps the one that its tree comes with. */
	int (*fill)(const struct source *src, int stage, const char *path, const char *hostname,
		    struct ng_err *err);
	/* The entry is in place: what is left to do at `path`. May be NULL. */
	int (*place)(const char *path, struct ng_err *err);
	/* Is the tree there? An entry without it is what a killed run left. */
	bool (*there)(const struct entry *e);
	/* Opens the tree for cloning it further; `entry` is the jail's folder. */
	int (*open)(const struct store *s, int entry, const struct entry *e, struct source *out,
		    struct ng_err *err);
	int (*layout)(const struct store *s, const char *jail, const struct entry *e,
		      struct store_layout *out, struct ng_err *err);
	/* The entry has become a stage again: what is at `path` becomes its twin, or goes. */
	int (*displace)(const char *path, struct ng_err *err);
};
extern const struct store_backend backend_overlay, backend_dir;
const struct store_backend *backend_find(const char *name); /* NULL: unknown */
int backend_choose(const struct source *src, int stage, const char *path,
		   const struct store_backend **out, struct ng_err *err) MUST_CHECK;

/* Can trees below this directory be mounted with mapped owners? 0, or -errno with the file system
 * named and the remedy told. `what` is the path for the message. */
int backend_check_idmap(int dir, const char *what, struct ng_err *err) MUST_CHECK;
/* A detached copy of the mount of a directory with owners mapped; any range does for a trial. */
#define PROBE_BASE 0x40000000u
#define PROBE_COUNT 65536u
int backend_mapped(int dir, int userns) MUST_CHECK;

/* Opens templates/NAME/root. */
int template_open_root(const struct store *s, const char *name) MUST_CHECK;

#endif
