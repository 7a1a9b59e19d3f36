#include "sys/disk.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <linux/btrfs.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/quota.h>

#define XFS_MAGIC 0x58465342 /* not in <linux/magic.h> of older kernels */
#define EXTENTS 64

static long type_of(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 ? 0 : (long)fs.f_type;
}

bool disk_is_btrfs(int fd)
{
	return type_of(fd) == BTRFS_SUPER_MAGIC;
}

bool disk_same_btrfs(int a, int b)
{
	struct btrfs_ioctl_fs_info_args x = {0}, y = {0};

	return ioctl(a, BTRFS_IOC_FS_INFO, &x) == 0 && ioctl(b, BTRFS_IOC_FS_INFO, &y) == 0 &&
	       memcmp(x.fsid, y.fsid, sizeof(x.fsid)) == 0;
}

bool disk_shares(int fd)
{
	long type = type_of(fd);

	return type == BTRFS_SUPER_MAGIC || type == XFS_MAGIC;
}

int disk_shared(int fd, uint64_t *bytes)
{
	union {
		struct fiemap head;
		char room[sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)];
	} map;
	const struct fiemap_extent *e = map.head.fm_extents;

	*bytes = 0;
	memset(&map, 0, sizeof(map));
	for (bool last = false; !last;) {
		map.head.fm_length = FIEMAP_MAX_OFFSET - map.head.fm_start;
		map.head.fm_extent_count = EXTENTS;
		map.head.fm_mapped_extents = 0;
		if (ioctl(fd, FS_IOC_FIEMAP, &map.head) < 0)
			return -errno;
		uint32_t n = map.head.fm_mapped_extents;
		if (n == 0)
			return 0;
		for (uint32_t i = 0; i < n; i++)
			if (e[i].fe_flags & FIEMAP_EXTENT_SHARED)
				*bytes += e[i].fe_length;
		last = e[n - 1].fe_flags & FIEMAP_EXTENT_LAST;
		map.head.fm_start = e[n - 1].fe_logical + e[n - 1].fe_length;
	}
	return 0;
}

int disk_share(int from, int to)
{
	return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
}

int disk_limit_subvolume(int fd, uint64_t bytes)
{
	/* qgroupid 0: that of the subvolume which fd is in. */
	struct btrfs_ioctl_qgroup_limit_args args = {
	    .lim = {.flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes ? bytes : UINT64_MAX}};

	return ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, &args) < 0 ? -errno : 0;
}

int disk_get_project(int fd, uint32_t *project)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	*project = x.fsx_projid;
	return 0;
}

int disk_set_project(int fd, uint32_t project, bool inherit)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	uint32_t flags = x.fsx_xflags;
	if (inherit)
		flags |= FS_XFLAG_PROJINHERIT;
	if (x.fsx_projid == project && flags == x.fsx_xflags)
		return 0;
	x.fsx_projid = project;
	x.fsx_xflags = flags;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ? -errno : 0;
}

int disk_limit_project(int fd, uint32_t project, uint64_t bytes)
{
	/* In units of 1024 bytes. */
	struct if_dqblk q = {.dqb_bhardlimit = (bytes + 1023) / 1024, .dqb_valid = QIF_BLIMITS};
	q.dqb_bsoftlimit = q.dqb_bhardlimit;

	return syscall(SYS_quotactl_fd, fd, QCMD(Q_SETQUOTA, PRJQUOTA), project, &q) < 0 ? -errno
											 : 0;
}
