/* cgroup v2: one folder a jail below one of ours. */
#ifndef NG_SYS_CGROUP_H
#define NG_SYS_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/macro.h"

/* The top of the cgroup v2 mount. -ENOENT: none is mounted. */
int cgroup_open_top(void) MUST_CHECK;
/* Opens (making it) the folder `name` at the top of the cgroup v2 mount, wherever that is
 * (/sys/fs/cgroup, /sys/fs/cgroup/unified), with the controllers that count memory and processes
 * handed down, as systemd has them too. A descriptor; -ENOENT: no cgroup v2 is mounted. */
int cgroup_open_base(const char *name) MUST_CHECK;
/* Makes (or finds, where it is empty) one jail's folder; a descriptor. */
int cgroup_make(int base, const char *name) MUST_CHECK; /* -EBUSY: somebody is in it */
/* The folder of a jail that runs, nothing being made. -ENOENT: it has none, or no v2 is mounted. */
int cgroup_open(const char *base, const char *name) MUST_CHECK;
bool cgroup_has(int cg, const char *controller);
/* The same, and where a jail has it not, hands it down from the top. Only for a jail that needs it:
 * the host's own folders get it too, and cpu, say, then shares the processors out among them. */
bool cgroup_want(int cg, const char *controller);
int cgroup_set(int cg, const char *file, const char *value) MUST_CHECK;
int cgroup_kill(int cg) MUST_CHECK;      /* cgroup.kill: everyone inside, at once */
int cgroup_populated(int cg) MUST_CHECK; /* 1, 0, -errno */
/* Waits until nobody is left inside, at most `ms` (-1: for ever). 0, -ETIMEDOUT, -errno. */
int cgroup_wait_empty(int cg, int ms) MUST_CHECK;
/* Everyone inside stands still, or goes on. Waits until that is so. */
int cgroup_freeze(int cg, bool still) MUST_CHECK;
/* What those inside use. Where the controller is missing, processes are counted and memory is the
 * sum of what they hold in memory, shared pages counted for each. 0 or -errno. */
struct cgroup_usage {
	uint64_t processes, memory, cpu_usec;
};
int cgroup_usage(int cg, struct cgroup_usage *out) MUST_CHECK;
/* Removes the folder and those below it. -EBUSY while a process is left. */
int cgroup_remove(int base, const char *name) MUST_CHECK;

#endif
