/* Paths inside somebody else's tree. Nothing here follows a link, a mount of ours or ".." out of
 * the tree that `root` is open on: openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS. */
#ifndef NG_SYS_PATH_H
#define NG_SYS_PATH_H

#include <sys/stat.h>
#include <sys/types.h>
#include "base/macro.h"

/* As open(2), seen from inside the tree; O_CLOEXEC is added. A descriptor or -errno. */
int path_open(int root, const char *path, int flags, mode_t mode) MUST_CHECK;
/* The same but any symbolic link on the way is -ELOOP (FreeBSD's rule for mount points). */
int path_open_nolink(int root, const char *path, int flags, mode_t mode) MUST_CHECK;
/* Opens a directory, making it and its missing parents. */
int path_open_dirs(int root, const char *path, mode_t mode) MUST_CHECK;
/* Writes a file anew: a temporary beside it, renamed over it. */
int path_replace(int root, const char *path, const void *data, size_t len, mode_t mode) MUST_CHECK;
/* Removes everything below and including dirfd/name; never crosses a mount point (-EXDEV before
 * anything is removed in that branch), never follows a link. */
int path_remove_tree(int dirfd, const char *name) MUST_CHECK;
/* Is dirfd/path a mount point, or is anything mounted below it (by this mount namespace's view)?
 * 1, 0 or -errno. `first` gets the path of the first one found if not NULL; the caller frees. */
int path_mounted_below(const char *path, char **first) MUST_CHECK;

#endif
