/* Namespaces and the one kind of process we make in them. */
#ifndef NG_SYS_NS_H
#define NG_SYS_NS_H

#include <stdint.h>
#include <sys/types.h>
#include "base/macro.h"

/* clone3(2) as fork: in the parent the pid (> 0) with *pidfd set, 0 in the child, or -errno.
 * flags: CLONE_NEW*, CLONE_PARENT; cgroup: a directory descriptor to start in, or -1. */
pid_t ns_fork(uint64_t flags, int cgroup, int *pidfd) MUST_CHECK;
/* Maps ids 0..count-1 of the child's user namespace to base..base+count-1 here. */
int ns_map_ids(pid_t pid, uint32_t base, uint32_t count) MUST_CHECK;
/* "user", "net", "mnt", …: the namespace of a process. */
int ns_open(pid_t pid, const char *which) MUST_CHECK;
/* setns(2): by pidfd to several at once, by a namespace's descriptor to that one. */
int ns_enter(int pidfd, uint64_t flags) MUST_CHECK;
/* A user namespace that maps 0..count-1 to base, held by descriptor alone (for idmapped mounts). */
int ns_user_fd(uint32_t base, uint32_t count) MUST_CHECK;
/* A session keyring that nobody shares, instead of the caller's. 0 also where the kernel has none.
 */
int ns_new_keyring(void) MUST_CHECK;

#endif
