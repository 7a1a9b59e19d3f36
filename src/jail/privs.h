/* What a jail's processes may do: the one place that turns allow.* into capabilities and a filter,
 * for PID 1 and for jexec alike. Stored in the record as "privs CAPS FILTER". */
#ifndef NG_JAIL_PRIVS_H
#define NG_JAIL_PRIVS_H

#include <stdint.h>
#include "conf/jail.h"

struct privs {
	uint64_t caps;	 /* bounding set */
	unsigned filter; /* enum seccomp_allow */
	bool memlock;	 /* allow.mlock: RLIMIT_MEMLOCK is lifted */
};
struct privs privs_of(const struct conf_jail *j);
/* Limits the calling thread for good; needs its full capabilities in its user namespace. */
int privs_apply(const struct privs *p) MUST_CHECK;

#endif
