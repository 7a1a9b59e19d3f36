#include "store/btrfs-module.h"

#include <btrfsutil.h>
#include <errno.h>

/* The library's own codes say which of its steps failed; errno says why. */
static int result(enum btrfs_util_error code)
{
	return code == BTRFS_UTIL_OK ? 0 : -(errno ? errno : EIO);
}

static int create(int parent, const char *name)
{
	return result(btrfs_util_create_subvolume_fd(parent, name, 0, NULL, NULL));
}

static int snapshot(int tree, int parent, const char *name, bool readonly)
{
	return result(btrfs_util_create_snapshot_fd2(
	    tree, parent, name, readonly ? BTRFS_UTIL_CREATE_SNAPSHOT_READ_ONLY : 0, NULL, NULL));
}

static int delete_subvolume(int parent, const char *name)
{
	return result(
	    btrfs_util_delete_subvolume_fd(parent, name, BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE));
}

static int is_subvolume(int fd)
{
	enum btrfs_util_error code = btrfs_util_is_subvolume_fd(fd);

	if (code == BTRFS_UTIL_ERROR_NOT_BTRFS || code == BTRFS_UTIL_ERROR_NOT_SUBVOLUME)
		return 0;
	return code == BTRFS_UTIL_OK ? 1 : result(code);
}

__attribute__((visibility("default"))) extern const struct btrfs_module newgate_btrfs;
const struct btrfs_module newgate_btrfs = {create, snapshot, delete_subvolume, is_subvolume};
