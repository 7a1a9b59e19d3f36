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

/* The three makers of trees; `tree` is an empty directory, `path` its name. */
int make_busybox(int tree, struct ng_err *err) MUST_CHECK;
int make_debian(struct store *s, const char *suite, const char *path,
		struct ng_err *err) MUST_CHECK;
int make_unpacked(const char *file, int tree, struct ng_err *err) MUST_CHECK;

/* Gives a new tree what every template has: mount points, our /etc/rc, files to mount over. */
int finish_template(int tree, struct ng_err *err) MUST_CHECK;

#endif
