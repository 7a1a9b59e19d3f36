/* What a jail that may mount could do to the mounts that newgate made. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool can_write(const char *dir)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/written", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	close(fd);
	unlink(path);
	return true;
}

static bool by_setattr(const char *dir)
{
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	return syscall(SYS_mount_setattr, AT_FDCWD, dir, 0, &attr, sizeof(attr)) == 0 &&
	       can_write(dir);
}

static bool by_remount(const char *dir)
{
	return (mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ||
		mount(NULL, dir, NULL, MS_REMOUNT, NULL) == 0) &&
	       can_write(dir);
}

/* A second look at the same folder, without the flags. */
static bool by_copy(const char *dir)
{
	if (mkdir("/tmp/copy", 0700) < 0 && errno != EEXIST)
		broken("/tmp/copy");
	if (mount(dir, "/tmp/copy", NULL, MS_BIND, NULL) == 0 &&
	    (can_write("/tmp/copy") || by_remount("/tmp/copy") || by_setattr("/tmp/copy")))
		return true;
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	if (tree < 0)
		return false;
	syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
	return syscall(SYS_move_mount, tree, "", AT_FDCWD, "/tmp/copy", MOVE_MOUNT_F_EMPTY_PATH) ==
		   0 &&
	       can_write("/tmp/copy");
}

static bool by_reconfigure(const char *dir)
{
	int fs = (int)syscall(SYS_fspick, AT_FDCWD, dir, 0);
	return fs >= 0 && syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "rw", NULL, 0) == 0 &&
	       syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0 &&
	       can_write(dir);
}

/* readonly DIR: writes to a folder of the host that is mounted read-only there. */
static void readonly(char **argv)
{
	if (can_write(argv[0]))
		broken("%s is not read-only", argv[0]);
	if (by_copy(argv[0]))
		won("%s written through a copy", argv[0]);
	if (by_reconfigure(argv[0]))
		won("%s reconfigured", argv[0]);
	if (by_remount(argv[0]))
		won("%s remounted", argv[0]);
	if (by_setattr(argv[0]))
		won("%s changed", argv[0]);
	lost("%s stays read-only", argv[0]);
}

/* Devices come with these, or the host's own configuration. */
static const char *const kinds[] = {"devtmpfs", "debugfs",  "tracefs",   "securityfs",
				    "ext4",     "configfs", "hugetlbfs", "bpf",
				    "pstore",   "efivarfs", "cgroup",    "selinuxfs"};

/* filesystem: mounts one that only the host may. */
static void filesystem(char **argv)
{
	(void)argv;
	if (mkdir("/tmp/fs", 0700) < 0 && errno != EEXIST)
		broken("/tmp/fs");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (mount("none", "/tmp/fs", kinds[i], 0, NULL) == 0)
			won("%s", kinds[i]);
	lost("none of %zu", sizeof(kinds) / sizeof(*kinds));
}

/* nodev: a device node on a mount of our own; everything above it is nodev. */
static void nodev(char **argv)
{
	(void)argv;
	if (mkdir("/tmp/dev", 0700) < 0 && errno != EEXIST)
		broken("/tmp/dev");
	if (mount("tmpfs", "/tmp/dev", "tmpfs", 0, NULL) < 0)
		lost("tmpfs: %s", strerror(errno));
	if (mknod("/tmp/dev/null", S_IFCHR | 0666, 0x103) < 0)
		lost("mknod: %s", strerror(errno));
	int fd = open("/tmp/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		won("a device of our own");
	lost("open: %s", strerror(errno));
}

/* uncover CANARY: takes off every mount there is; is the host's tree below? */
static void uncover(char **argv)
{
	static const char *const places[] = {"/proc/sys", "/proc", "/sys", "/dev/pts", "/dev", "/"};
	unsigned taken = 0;
	for (unsigned round = 0; round < 4; round++)
		for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
			taken += umount2(places[i], MNT_DETACH) == 0;
			if (access(argv[0], F_OK) == 0)
				won("%s is below %s", argv[0], places[i]);
		}
	if (!taken)
		lost("umount: %s", strerror(errno));
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			break;
	if (access(argv[0] + 1, F_OK) == 0)
		won("%s is above", argv[0]);
	lost("nothing below %u mounts", taken);
}

/* cgroup PID: moves a process to the top of the tree, or asks for more than it has. */
static void cgroup(char **argv)
{
	static const char *const files[] = {"cgroup.procs", "../cgroup.procs", "../../cgroup.procs",
					    "pids.max",     "memory.max",      "cgroup.kill",
					    "cgroup.freeze"};
	if (mkdir("/tmp/cg", 0700) < 0 && errno != EEXIST)
		broken("/tmp/cg");
	if (mount("cgroup2", "/tmp/cg", "cgroup2", 0, NULL) < 0)
		lost("cgroup2: %s", strerror(errno));
	if (chdir("/tmp/cg") < 0)
		broken("/tmp/cg");
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		int fd = open(files[i], O_WRONLY | O_CLOEXEC);
		if (fd >= 0 &&
		    (strstr(files[i], "procs") == NULL || write(fd, argv[0], strlen(argv[0])) > 0))
			won("%s", files[i]);
	}
	if (mkdir("below", 0755) == 0)
		won("a cgroup of its own");
	lost("it can be looked at, not more");
}

const struct attack mount_attacks[] = {
    {"readonly", 1, readonly}, {"filesystem", 0, filesystem}, {"nodev", 0, nodev},
    {"uncover", 1, uncover},   {"cgroup", 1, cgroup},         {0},
};
