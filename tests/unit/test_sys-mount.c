#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include "netns.h"
#include "sys/fd.h"
#include "sys/mount.h"
#include "sys/ns.h"
#include "sys/path.h"

static int top = -1; /* a tmpfs of our own at /mnt */

static int make_top(void **state)
{
	(void)state;
	static const char *const opts[] = {"size=16m", "mode=711", NULL};
	autoclose int fs = mount_new("tmpfs", "test", opts, MOUNT_NODEV);
	if (fs < 0 || mount_attach(fs, AT_FDCWD, "/mnt") < 0)
		return -1;
	top = open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return top < 0;
}

static int drop_top(void **state)
{
	(void)state;
	close(top);
	return mount_detach("/mnt");
}

static unsigned long flags_of(const char *path)
{
	struct statvfs v;
	assert_int_equal(statvfs(path, &v), 0);
	return v.f_flag;
}

static void make(const char *path)
{
	assert_int_equal(mkdirat(top, path, 0755), 0);
}

static void touch(const char *path, uid_t uid)
{
	autoclose int fd = openat(top, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, uid, uid), 0);
}

static void test_new(void **state)
{
	(void)state;
	struct stat st;
	assert_int_equal(fstat(top, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_true(flags_of("/mnt") & ST_NODEV);
	static const char *const bad[] = {"no-such-option=1", NULL}, *const flag[] = {"ro", NULL};
	assert_int_equal(mount_new("tmpfs", "x", bad, 0), -EINVAL);
	assert_non_null(strstr(mount_reason(), "no-such-option"));
	assert_int_equal(mount_new("no-such-fs", NULL, NULL, 0), -ENODEV);
	assert_string_equal(mount_reason(), "");
	autoclose int fs = mount_new("tmpfs", NULL, flag, 0);
	assert_true(fs >= 0);
	assert_int_equal(openat(fs, "x", O_CREAT | O_WRONLY | O_CLOEXEC, 0644), -1);
	assert_int_equal(errno, EROFS);
}

static void test_clone_and_restrict(void **state)
{
	(void)state;
	make("src");
	make("src/sub");
	make("dst");
	autoclose int below = mount_new("tmpfs", NULL, NULL, 0);
	assert_int_equal(mount_attach(below, top, "src/sub"), 0);
	touch("src/sub/file", 0);

	autoclose int flat = mount_clone(top, "src", false);
	assert_true(flat >= 0);
	assert_int_equal(faccessat(flat, "sub/file", F_OK, 0), -1);
	autoclose int tree = mount_clone(top, "src", true);
	assert_int_equal(faccessat(tree, "sub/file", F_OK, 0), 0);
	assert_int_equal(mount_restrict(tree, MOUNT_RO | MOUNT_NOSUID, false), 0);
	assert_int_equal(mount_restrict(tree, MOUNT_NOEXEC, true), 0);
	assert_int_equal(mount_attach(tree, top, "dst"), 0);
	unsigned long outer = flags_of("/mnt/dst"), inner = flags_of("/mnt/dst/sub");
	assert_true(outer & ST_RDONLY && outer & ST_NOSUID && outer & ST_NOEXEC);
	assert_true(!(inner & ST_RDONLY) && !(inner & ST_NOSUID) && inner & ST_NOEXEC);
	/* The original is as it was. */
	assert_false(flags_of("/mnt/src") & (ST_RDONLY | ST_NOSUID | ST_NOEXEC));

	/* A directory by descriptor: what it names, and what lies on top of it. */
	autoclose int dst = openat(top, "dst/sub", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int self = mount_clone(dst, "", false);
	assert_int_equal(faccessat(self, "file", F_OK, 0), 0);
	autoclose int cover = mount_new("tmpfs", NULL, NULL, 0);
	assert_int_equal(mount_attach(cover, dst, ""), 0);
	assert_int_equal(access("/mnt/dst/sub/file", F_OK), -1);
	assert_int_equal(mount_clone(top, "none", false), -ENOENT);
	assert_int_equal(mount_attach(flat, top, "none"), -ENOENT);
}

/* The last part of where something is attached is not followed. */
static void test_attach_does_not_follow(void **state)
{
	(void)state;
	make("real");
	assert_int_equal(symlinkat("real", top, "link"), 0);
	autoclose int fs = mount_new("tmpfs", NULL, NULL, 0);
	assert_true(mount_attach(fs, top, "link") < 0);
	assert_int_equal(path_mounted_below("/mnt/real", NULL), 0);
}

static void test_idmap(void **state)
{
	(void)state;
	make("files");
	make("view");
	touch("files/root", 0);
	touch("files/user", 1000);
	touch("files/beyond", 70000);
	assert_int_equal(chmod("/mnt/files/user", 06755), 0);
	autoclose int userns = ns_user_fd(100000, 65536);
	autoclose int mnt = mount_clone(top, "files", true);
	int r = mount_idmap(mnt, userns, true);
	if (r == -EINVAL) {
		print_message("this kernel's tmpfs has no idmapped mounts\n");
		skip();
	}
	assert_int_equal(r, 0);
	assert_int_equal(mount_attach(mnt, top, "view"), 0);
	struct stat st;
	assert_int_equal(stat("/mnt/view/root", &st), 0);
	assert_true(st.st_uid == 100000 && st.st_gid == 100000);
	assert_int_equal(stat("/mnt/view/user", &st), 0);
	assert_true(st.st_uid == 101000 && st.st_gid == 101000);
	assert_int_equal(st.st_mode & 07777, 06755);
	assert_int_equal(stat("/mnt/view/beyond", &st), 0);
	assert_int_equal(st.st_uid, 65534);
	/* Written by the mapped owner it is an ordinary file of root's below. */
	int pidfd;
	assert_int_equal(chmod("/mnt/files", 0777), 0);
	pid_t pid = ns_fork(0, -1, &pidfd);
	if (pid == 0) {
		CHECK(setgid(100000) == 0 && setuid(100000) == 0);
		CHECK(open("/mnt/view/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0);
		_exit(0);
	}
	close(pidfd);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat("/mnt/files/new", &st), 0);
	assert_true(st.st_uid == 0 && st.st_gid == 0);
	/* Attached it cannot be mapped again; procfs cannot be at all. */
	assert_int_equal(mount_idmap(mnt, userns, false), -EPERM);
	autoclose int proc = mount_new("proc", NULL, NULL, 0);
	assert_int_equal(mount_idmap(proc, userns, false), -EINVAL);
}

static void test_pivot(void **state)
{
	(void)state;
	make("root");
	make("root/etc");
	touch("root/etc/inside", 0);
	int pidfd;
	pid_t pid = ns_fork(CLONE_NEWNS, -1, &pidfd);
	if (pid == 0) {
		CHECK(mount_private() == 0);
		/* Not by `top`, which leads into the mount namespace it was opened in. */
		autoclose int root = mount_clone(AT_FDCWD, "/mnt/root", false);
		CHECK(root >= 0 && mount_attach(root, AT_FDCWD, "/mnt/root") == 0);
		CHECK(mount_pivot(root) == 0);
		CHECK(access("/etc/inside", F_OK) == 0);
		CHECK(access("/mnt", F_OK) < 0);
		CHECK(chdir("../../..") == 0 && access("etc/inside", F_OK) == 0);
		/* Nothing of the old root is left in this namespace. */
		CHECK(mkdir("/proc", 0755) == 0);
		autoclose int proc = mount_new("proc", NULL, NULL, 0);
		CHECK(proc >= 0 && mount_attach(proc, AT_FDCWD, "/proc") == 0);
		char text[1024];
		ssize_t n = fd_get(AT_FDCWD, "/proc/self/mounts", text, sizeof text);
		CHECK(n > 0);
		int lines = 0;
		for (char *p = text; (p = strchr(p, '\n')); p++)
			lines++;
		CHECK(lines == 2);
		_exit(0);
	}
	close(pidfd);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(access("/mnt/root/etc/inside", F_OK), 0);
}

static void test_private_mounts_do_not_travel(void **state)
{
	(void)state;
	int ends[2], pidfd;
	make("shared");
	assert_int_equal(mount(NULL, "/mnt", NULL, MS_SHARED, NULL), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = ns_fork(CLONE_NEWNS, -1, &pidfd);
	if (pid == 0) {
		CHECK(mount_private() == 0);
		autoclose int fs = mount_new("tmpfs", NULL, NULL, 0);
		CHECK(mount_attach(fs, AT_FDCWD, "/mnt/shared") == 0);
		CHECK(path_mounted_below("/mnt/shared", NULL) == 1);
		_exit(0);
	}
	close(pidfd);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(path_mounted_below("/mnt/shared", NULL), 0);
	close(ends[0]);
	close(ends[1]);
}

#define ON_TOP(fn) cmocka_unit_test_setup_teardown(fn, make_top, drop_top)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    ON_TOP(test_new),
	    ON_TOP(test_clone_and_restrict),
	    ON_TOP(test_attach_does_not_follow),
	    ON_TOP(test_idmap),
	    ON_TOP(test_pivot),
	    ON_TOP(test_private_mounts_do_not_travel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
