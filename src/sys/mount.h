/* The new mount API: trees and file systems as descriptors, attached when they are ready.
 * All return a descriptor or 0, or -errno. */
#ifndef NG_SYS_MOUNT_H
#define NG_SYS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/macro.h"

enum mount_flag {
	MOUNT_RO = 1,
	MOUNT_NOSUID = 2,
	MOUNT_NODEV = 4,
	MOUNT_NOEXEC = 8,
	MOUNT_NOSYMFOLLOW = 0x200000
};

/* A detached copy of the tree at dirfd/path ("" with dirfd: itself). */
int mount_clone(int dirfd, const char *path, bool recursive) MUST_CHECK;
/* A new file system, detached. opts: "key=value" or "flag" strings, NULL-terminated; may be NULL.
 * Keys are at most 63 bytes long, values 255 (the kernel's limit): a longer path can be named
 * through a descriptor, /proc/self/fd/N. */
int mount_new(const char *fstype, const char *source, const char *const *opts,
	      unsigned attr) MUST_CHECK;
/* What the file system itself said about the last mount_new that failed; "": nothing. */
const char *mount_reason(void);
/* Adds attributes (enum mount_flag) and makes the mount private; recursive: to everything below
 * too. attr 0: only that. A copy is to be made private before anything is mounted on it. */
int mount_restrict(int mnt, unsigned attr, bool recursive) MUST_CHECK;
/* Maps owners by a user namespace. -EINVAL, -EOPNOTSUPP, -EPERM: the file system cannot. */
int mount_idmap(int mnt, int userns, bool recursive) MUST_CHECK;
/* Attaches a detached mount at dirfd/path ("": on top of dirfd). */
int mount_attach(int mnt, int dirfd, const char *path) MUST_CHECK;
/* Stops mounts of this namespace from travelling to others, recursively. */
int mount_private(void) MUST_CHECK;
/* Makes dirfd (a mount) the root of this namespace and drops the old root. */
int mount_pivot(int dirfd) MUST_CHECK;
int mount_detach(const char *path) MUST_CHECK; /* umount2(MNT_DETACH) */

#endif
