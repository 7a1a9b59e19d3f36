/* Capabilities of the calling thread. */
#ifndef NG_SYS_CAPS_H
#define NG_SYS_CAPS_H

#include <stdint.h>
#include "base/macro.h"

#define CAP_BIT(c) (UINT64_C(1) << (c))

/* Bounding, permitted, effective: exactly `set`; inheritable and ambient: none. uid 0 keeps its
 * privileges within the set over exec. 0 or -errno. */
int caps_limit(uint64_t set) MUST_CHECK;
/* Files are accessed as user and group `id` from now on (setfsuid(2)), every capability kept: what
 * a root whose ids are mapped there would meet. 0: as root again. */
int caps_file_ids(uint32_t id) MUST_CHECK;
/* Capability number by its name without CAP_, any case; or -EINVAL. */
int caps_number(const char *name);

#endif
