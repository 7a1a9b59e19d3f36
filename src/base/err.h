/* An error: an errno code and the story, told from the outside in: "web: mount.fstab:3: …". */
#ifndef NG_BASE_ERR_H
#define NG_BASE_ERR_H

#include "base/macro.h"

/* By value, nothing to release. Zero-initialise. Text that does not fit is cut in its
 * middle, at an "…". */
struct ng_err {
	int code; /* errno value, 0 while nothing is wrong */
	char text[2048];
};

/* States the fact and returns -code, so that `return err_set(err, ENOENT, …)` reads as one step. */
int err_set(struct ng_err *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* The same with ": " and strerror(code) behind it; code may be negative (-errno) as sys returns. Of
 * what is denied to somebody who is not root, it asks whether that is why. */
int err_sys(struct ng_err *e, int code, const char *fmt, ...) PRINTF(3, 4);
/* Says what the caller was doing: puts "prefix: " before the text. Returns -e->code. */
int err_prefix(struct ng_err *e, const char *fmt, ...) PRINTF(2, 3);

#endif
