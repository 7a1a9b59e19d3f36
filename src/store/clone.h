/* Making a jail's tree from another one, and removing it. */
#ifndef NG_STORE_CLONE_H
#define NG_STORE_CLONE_H

#include "store/backend.h"

/* What store_clone does once it has found the source; hostname NULL: the tree keeps the identity
 * that it comes with. `from` is what the jail's entry tells of its origin. */
int clone_source(struct store *s, const struct source *src, const char *from, const char *jail,
		 const char *path, const char *hostname, struct ng_err *err) MUST_CHECK;

#endif
