/* Paths inside somebody else's tree. Nothing here follows a link or ".." out of the tree that
 * `root` is open on: openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS. "/" is `root` itself,
 * and absolute links start there. */
#ifndef NG_SYS_PATH_H
#define NG_SYS_PATH_H

#include <sys/stat.h>
#include <sys/types.h>
#include "base/macro.h"

/* As open(2), seen from inside the tree; O_CLOEXEC is added. A descriptor or -errno. */
int path_open(int root, const char *path, int flags, mode_t mode) MUST_CHECK;
/* The same but any symbolic link on the way is -ELOOP (FreeBSD's rule for mount points). */
int path_open_nolink(int root, const char *path, int flags, mode_t mode) MUST_CHECK;
/* The same with links followed, but none that would leave the tree if "/" were the host's: absolute
 * ones and too many ".." are -EXDEV. */
int path_open_beneath(int root, const char *path, int flags) MUST_CHECK;
/* A path of the host's own, absolute, where a stranger may have part of it: -ELOOP as above. */
int path_open_host(const char *path, int flags, mode_t mode) MUST_CHECK;
/* Opens a directory, making it and its missing parents (their mode is subject to the umask). */
int path_open_dirs(int root, const char *path, mode_t mode) MUST_CHECK;
/* Writes a file anew: a temporary beside it, renamed over it (over the link, where the last part is
 * one). Its mode is `mode`, whatever the umask. Not synced to disk. */
int path_replace(int root, const char *path, const void *data, size_t len, mode_t mode) MUST_CHECK;
/* rename(2) to what is not there yet: -EEXIST. Some file systems (ZFS before OpenZFS 2.2, FUSE)
 * cannot do both in one step; there the caller's locks must keep others away. */
int path_rename_new(int fromdir, const char *from, int todir, const char *to) MUST_CHECK;
/* Removes everything below and including dirfd/name, however deep; `name` is a single component.
 * -EXDEV before anything is removed where something is mounted at or below it; never crosses a
 * mount point, never follows a link. -ENOENT: it is not there. */
int path_remove_tree(int dirfd, const char *name) MUST_CHECK;
/* The same in a tree that is new, or mounted nowhere, so that no list of mounts knows it. */
int path_remove_detached(int dirfd, const char *name) MUST_CHECK;
/* Is `path` a mount point, or is anything mounted below it (by this mount namespace's view)?
 * 1, 0 or -errno. `first` gets the path of the first one found if not NULL; the caller frees. */
int path_mounted_below(const char *path, char **first) MUST_CHECK;

/* The same question asked of the text of /proc/PID/mountinfo, `path` being absolute and without
 * links. For tests. */
int path_find_mount(const char *mountinfo, size_t len, const char *path, char **first) MUST_CHECK;

#endif
