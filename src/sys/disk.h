/* What file systems tell and do about room on disk: blocks that files share, and bounds. */
#ifndef NG_SYS_DISK_H
#define NG_SYS_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include "base/macro.h"

bool disk_is_btrfs(int fd);
/* Are two descriptors on the same btrfs? Its subvolumes look like file systems of their own. */
bool disk_same_btrfs(int a, int b);
/* Can files there share blocks (btrfs, xfs)? */
bool disk_shares(int fd);
/* Bytes of an open file that other files have too. 0 or -errno. */
int disk_shared(int fd, uint64_t *bytes) MUST_CHECK;

/* Makes the empty file `to` one that shares all blocks of `from`. -EOPNOTSUPP, -EXDEV, -EINVAL,
 * -ENOTTY: it cannot be. */
int disk_share(int from, int to) MUST_CHECK;

/* btrfs: bounds what a subvolume refers to, by its own quota group; 0: no bound. -ENOTCONN: quotas
 * are off there. */
int disk_limit_subvolume(int fd, uint64_t bytes) MUST_CHECK;

/* Project quotas (ext4, xfs): everything that is marked with a number is counted together.
 * -ENOTTY, -EOPNOTSUPP: the file system has none. */
int disk_set_project(int fd, uint32_t project, bool inherit) MUST_CHECK;
int disk_get_project(int fd, uint32_t *project) MUST_CHECK;
/* -ESRCH: quotas are off there; -ENOSYS: before Linux 5.14. */
int disk_limit_project(int fd, uint32_t project, uint64_t bytes) MUST_CHECK;

#endif
