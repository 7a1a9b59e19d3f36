/* Which files with several names were met, and under which name first. */
#ifndef NG_STORE_LINKS_H
#define NG_STORE_LINKS_H

#include <stdint.h>
#include "base/mem.h"

/* Zero-initialise. */
struct links {
	struct arena arena;
	struct link_seen *seen; /* open addressing, cap is a power of two */
	size_t n, cap;
};
/* The name that this file came under first; NULL: it comes now, and `name` is remembered. Lasts
 * until links_done. */
const char *links_first(struct links *l, uint64_t dev, uint64_t ino, const char *name);
void links_done(struct links *l);

#endif
