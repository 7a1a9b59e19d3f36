#include "sys/mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include "sys/missing.h"

_Static_assert(MOUNT_RO == MOUNT_ATTR_RDONLY && MOUNT_NOSUID == MOUNT_ATTR_NOSUID &&
		   MOUNT_NODEV == MOUNT_ATTR_NODEV && MOUNT_NOEXEC == MOUNT_ATTR_NOEXEC &&
		   MOUNT_NOSYMFOLLOW == MOUNT_ATTR_NOSYMFOLLOW,
	       "enum mount_flag is the kernel's");

static char reason[256];

const char *mount_reason(void)
{
	return reason;
}

/* A file system's context keeps a log of lines, "e text" for an error; the last one counts. */
static void keep_reason(int fs)
{
	char line[sizeof reason];
	int saved = errno;
	ssize_t n;
	while ((n = read(fs, line, sizeof line - 1)) > 0) {
		line[n] = '\0';
		line[strcspn(line, "\n")] = '\0';
		if (n > 2 && line[0] == 'e')
			memcpy(reason, line + 2, sizeof reason - 2);
	}
	errno = saved;
}

int mount_clone(int dirfd, const char *path, bool recursive)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	if (recursive)
		flags |= AT_RECURSIVE;
	int fd = open_tree(dirfd, path, flags);
	return fd < 0 ? -errno : fd;
}

static int set_option(int fs, const char *opt)
{
	char key[64];
	const char *eq = strchr(opt, '=');
	if (!eq)
		return fsconfig(fs, FSCONFIG_SET_FLAG, opt, NULL, 0);
	if ((size_t)(eq - opt) >= sizeof key) {
		errno = EINVAL;
		return -1;
	}
	memcpy(key, opt, (size_t)(eq - opt));
	key[eq - opt] = '\0';
	return fsconfig(fs, FSCONFIG_SET_STRING, key, eq + 1, 0);
}

static int configure(int fs, const char *source, const char *const *opts)
{
	if (source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return -1;
	for (; opts && *opts; opts++)
		if (set_option(fs, *opts) < 0)
			return -1;
	return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int mount_new(const char *fstype, const char *source, const char *const *opts, unsigned attr)
{
	reason[0] = '\0';
	autoclose int fs = fsopen(fstype, FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	int fd = -1;
	if (configure(fs, source, opts) == 0)
		fd = fsmount(fs, FSMOUNT_CLOEXEC, attr);
	if (fd >= 0)
		return fd;
	keep_reason(fs);
	return -errno;
}

/* Whatever is changed is also taken out of its peer group: a copy of a shared mount would otherwise
 * carry what a jail mounts below it out to the host. */
static int set_attr(int mnt, bool recursive, struct mount_attr *attr)
{
	unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	attr->propagation = MS_PRIVATE;
	return mount_setattr(mnt, "", flags, attr, sizeof *attr) < 0 ? -errno : 0;
}

int mount_restrict(int mnt, unsigned attr, bool recursive)
{
	return set_attr(mnt, recursive, &(struct mount_attr){.attr_set = attr});
}

int mount_idmap(int mnt, int userns, bool recursive)
{
	return set_attr(
	    mnt, recursive,
	    &(struct mount_attr){.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns});
}

int mount_attach(int mnt, int dirfd, const char *path)
{
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH;
	if (path[0] == '\0')
		flags |= MOVE_MOUNT_T_EMPTY_PATH;
	return move_mount(mnt, "", dirfd, path, flags) < 0 ? -errno : 0;
}

int mount_private(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -errno : 0;
}

int mount_pivot(int dirfd)
{
	/* Both arguments the same directory: the old root ends up on top of the new one, from
	 * where it is taken off without needing a folder to put it in; pivot_root(2). */
	if (fchdir(dirfd) < 0 || missing_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		return -errno;
	return 0;
}

int mount_detach(const char *path)
{
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? -errno : 0;
}
