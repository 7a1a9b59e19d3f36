/* What templates are made with: programs of the host, archives. */
#ifndef NG_STORE_TOOLS_H
#define NG_STORE_TOOLS_H

#include "base/str.h"
#include "store/store.h"

/* Runs a program of the host, found along PATH, in a mount namespace of its own so that nothing it
 * mounts outlives it. Its output is noted line by line (s not NULL), or collected (out not NULL). A
 * failure's text ends with what it said last. `package`: what to install where it is missing. */
int tools_run(struct store *s, const char *const *argv, const char *package, struct str *out,
	      struct ng_err *err) MUST_CHECK;

/* The makers of trees; `tree` is an empty directory, `path` its name. */
int make_busybox(int tree, struct ng_err *err) MUST_CHECK;
/* The host's static busybox, open; *path: where it is. */
int busybox_find(const char **path, struct ng_err *err) MUST_CHECK;
/* include: packages separated by commas, or NULL. */
int make_debian(struct store *s, const char *suite, const char *include, const char *path,
		struct ng_err *err) MUST_CHECK;
int make_unpacked(struct store *s, const char *file, int tree, struct ng_err *err) MUST_CHECK;

/* An OCI image layout, "DIR[:TAG]". `defaults` gets what its config means for a jail, a
 * "parameter=value" a line; *id the manifest's sum, the caller frees. tree -1: the id alone. */
int make_oci(struct store *s, const char *layout, int tree, struct str *defaults, char **id,
	     struct ng_err *err) MUST_CHECK;

/* The tree that a recipe describes, where that is no template; `path` its name. `defaults`: as
 * make_oci has it. */
int make_tree(struct store *s, const struct store_recipe *r, int tree, const char *path,
	      struct str *defaults, struct ng_err *err) MUST_CHECK;

/* Gives a new tree what every template has: mount points, our /etc/rc, files to mount over. */
int finish_template(int tree, struct ng_err *err) MUST_CHECK;

#endif
