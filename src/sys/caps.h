/* Capabilities of the calling thread. */
#ifndef NG_SYS_CAPS_H
#define NG_SYS_CAPS_H

#include <stdint.h>
#include <sys/types.h>
#include "base/macro.h"

#define CAP_BIT(c) (UINT64_C(1) << (c))

/* Bounding, permitted, effective: exactly `set`; inheritable and ambient: none. uid 0 keeps its
 * privileges within the set over exec. 0 or -errno. */
int caps_limit(uint64_t set) MUST_CHECK;
/* Files are accessed as user and group `id` from now on (setfsuid(2)), every capability kept: what
 * a root whose ids are mapped there would meet. 0: as root again. */
int caps_file_ids(uint32_t id) MUST_CHECK;
/* The process's real and effective user becomes `uid`, every capability kept; the saved one stays,
 * to come back to. What is made meanwhile (a user namespace, say) is that user's. */
int caps_act_as(uid_t uid) MUST_CHECK;
/* Capability number by its name without CAP_, any case; or -EINVAL. */
int caps_number(const char *name);

#endif
