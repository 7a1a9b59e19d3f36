/* Where the trees of templates and jails are kept, and how a jail's root is put together from them.
 *
 * Below /var/lib/newgate:
 *   templates/NAME/root     a complete tree with ordinary owners; never changed while a jail uses it
 *   templates/NAME/meta     text: from, made, size
 *   jails/NAME/origin       text: "template NAME" or "jail NAME", and the backend: "overlay", "dir"
 *   jails/NAME/upper, work  overlay: what the jail changed; the lower layer is the template's root
 *   jails/NAME/root         the default `path` of a jail that names none
 * A jail made by `dir` has its whole tree at its `path`. One made by overlay has there an empty
 * folder: the layers are joined in the jail's own mount namespace when it starts.
 * A jail whose path is simply an existing directory needs no entry here at all. */
#ifndef NG_STORE_STORE_H
#define NG_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/macro.h"

struct store {
	char *root; /* the -R prefix, "" for the real one; owned */
	char *dir;  /* ROOT/var/lib/newgate; owned */
};
int store_open(struct store *s, const char *root, struct ng_err *err) MUST_CHECK;
void store_done(struct store *s);

/* How to mount a jail's root. All strings owned by the layout. */
struct store_layout {
	char *path;   /* the directory itself; NULL for an overlay */
	char **lower; /* overlay: bottom layers, uppermost first, NULL-terminated */
	char *upper, *work;
};
/* `path` is the jail's path as configured (below the real root, prefix included). -ENOENT: nothing
 * is there and nothing was cloned: the message says what to type. */
int store_layout(struct store *s, const char *jail, const char *path, struct store_layout *out,
		 struct ng_err *err) MUST_CHECK;
void store_layout_done(struct store_layout *l);

/* Clones `from` (a template, else a jail that is not running) to be jail `jail` at `path`. Gives it
 * its own machine-id, ssh host keys and hostname. A clone that fails or is killed leaves nothing
 * that the next call would trip over. */
int store_clone(struct store *s, const char *from, const char *jail, const char *path,
		const char *hostname, struct ng_err *err) MUST_CHECK;
/* Removes the jail's tree. Refuses (-EBUSY) where anything is mounted at or below it. The caller has
 * made sure that it is not running. */
int store_destroy(struct store *s, const char *jail, const char *path, struct ng_err *err) MUST_CHECK;
/* Does anything exist for this jail? */
bool store_has_jail(struct store *s, const char *jail);

struct store_template {
	char *name, *from; /* owned */
	uint64_t bytes;
	int64_t made; /* seconds since 1970 */
	unsigned clones;
};
/* from: "busybox", a directory, a file .tar[.gz|.xz|.zst], "debian:SUITE". */
int store_template_create(struct store *s, const char *name, const char *from, struct ng_err *err) MUST_CHECK;
int store_template_destroy(struct store *s, const char *name, struct ng_err *err) MUST_CHECK; /* -EBUSY: clones exist */
int store_templates(struct store *s, struct store_template **out, size_t *n, struct ng_err *err) MUST_CHECK;
void store_templates_free(struct store_template *t, size_t n);

#endif
