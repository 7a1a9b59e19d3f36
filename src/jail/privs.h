/* What a jail's processes may do: the one place that turns allow.* into capabilities and a filter,
 * for PID 1 and for jexec alike. Stored in the record as "privs=CAPS:FILTER:MEMLOCK:FILES"
 * (record.param). */
#ifndef NG_JAIL_PRIVS_H
#define NG_JAIL_PRIVS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/str.h"
#include "conf/jail.h"

struct privs {
	uint64_t caps;   /* bounding set */
	unsigned filter; /* enum seccomp_allow */
	bool memlock;    /* allow.mlock: RLIMIT_MEMLOCK is lifted */
	uint64_t files;  /* rctl openfiles: RLIMIT_NOFILE, 0: as newgate was started with */
};
struct privs privs_of(const struct conf_jail *j);

/* Resource limits, set from the host on a process that is about to enter (0: the caller): inside,
 * nobody may raise one. */
int privs_rlimits(const struct privs *p, pid_t pid) MUST_CHECK;
/* Limits the calling thread for good; needs its full capabilities in its user namespace.
 * no_new_privs is not set: setgid programs inside (postdrop, crontab) must work, and what they gain
 * is bounded by the same set. */
int privs_apply(const struct privs *p) MUST_CHECK;

/* As text and back; -EINVAL. */
#define PRIVS_PARAM "privs"
void privs_format(struct str *out, const struct privs *p);
int privs_parse(const char *text, struct privs *out) MUST_CHECK;

#endif
