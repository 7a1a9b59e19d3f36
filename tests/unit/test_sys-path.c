#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include "netns.h"
#include "sys/fd.h"
#include "sys/path.h"

/* On a tmpfs of this test's own: outside/secret must never be read or changed through tree/. */
static int top = -1, root = -1;

static void put(int at, const char *name, const char *text)
{
	autoclose int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void expect_text(int at, const char *name, const char *text)
{
	char buf[256];
	assert_true(fd_get(at, name, buf, sizeof buf) >= 0);
	assert_string_equal(buf, text);
}

static void dir(int at, const char *name)
{
	assert_int_equal(mkdirat(at, name, 0755), 0);
}

static void sym(const char *target, const char *name)
{
	assert_int_equal(symlinkat(target, root, name), 0);
}

static int make_tree(void **state)
{
	(void)state;
	if (mount("tmpfs", "/mnt", "tmpfs", 0, NULL) < 0)
		return -1;
	top = open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir(top, "outside");
	put(top, "outside/secret", "secret");
	dir(top, "tree");
	root = openat(top, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir(root, "etc");
	dir(root, "sub");
	dir(root, "sub/deep");
	put(root, "etc/passwd", "inside");
	return 0;
}

static int drop_tree(void **state)
{
	(void)state;
	expect_text(top, "outside/secret", "secret");
	close(root);
	close(top);
	return umount2("/mnt", MNT_DETACH);
}

static void reads_inside(const char *path)
{
	char buf[16];
	autoclose int fd = path_open(root, path, O_RDONLY, 0);
	if (fd < 0)
		print_error("%s: %s\n", path, strerror(-fd));
	assert_true(fd >= 0);
	ssize_t n = read(fd, buf, sizeof buf - 1);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, "inside");
}

static void test_links_and_dots_stay_inside(void **state)
{
	(void)state;
	reads_inside("etc/passwd");
	reads_inside("/etc/passwd");
	reads_inside("//etc/./passwd");
	reads_inside("../etc/passwd");
	reads_inside("../../../../../../etc/passwd");
	reads_inside("/sub/deep/../../../../etc/passwd");
	sym("/etc/passwd", "absolute");
	sym("../../../../etc/passwd", "relative");
	sym("/etc", "dir");
	sym("../..", "up");
	sym("up/up/dir", "chain");
	reads_inside("absolute");
	reads_inside("relative");
	reads_inside("dir/passwd");
	reads_inside("up/etc/passwd");
	reads_inside("sub/deep/../../up/../up/etc/passwd");
	reads_inside("chain/passwd");
	assert_int_equal(path_open(root, "up/outside/secret", O_RDONLY, 0), -ENOENT);
	assert_int_equal(path_open(root, "../outside/secret", O_RDONLY, 0), -ENOENT);
	sym("/mnt/outside/secret", "named");
	assert_int_equal(path_open(root, "named", O_RDONLY, 0), -ENOENT);
	assert_int_equal(path_open(root, "", O_RDONLY, 0), -ENOENT);
	sym("loop", "loop");
	assert_int_equal(path_open(root, "loop", O_RDONLY, 0), -ELOOP);
	/* The root itself. */
	struct stat a, b;
	autoclose int self = path_open(root, "/", O_PATH, 0);
	assert_true(fstat(self, &a) == 0 && fstat(root, &b) == 0 && a.st_ino == b.st_ino);
	assert_int_equal(fcntl(self, F_GETFD), FD_CLOEXEC);
}

/* /proc mounted within, as every jail has it, offers ways out to any open descriptor. */
static void test_magic_links_are_refused(void **state)
{
	(void)state;
	char path[64];
	dir(root, "proc");
	assert_int_equal(mount("proc", "/mnt/tree/proc", "proc", 0, NULL), 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", top);
	assert_int_equal(path_open(root, path, O_RDONLY | O_DIRECTORY, 0), -ELOOP);
	assert_int_equal(path_open(root, "/proc/self/root/etc", O_PATH, 0), -ELOOP);
	assert_int_equal(path_open(root, "/proc/self/cwd", O_PATH, 0), -ELOOP);
	assert_int_equal(path_open_dirs(root, "/proc/self/cwd/new", 0755), -ELOOP);
	snprintf(path, sizeof path, "/proc/self/fd/%d/outside/secret", top);
	assert_int_equal(path_replace(root, path, "x", 1, 0600), -ELOOP);
	assert_int_equal(umount2("/mnt/tree/proc", MNT_DETACH), 0);
}

static void test_nolink(void **state)
{
	(void)state;
	sym("/etc", "dir");
	autoclose int fd = path_open_nolink(root, "/etc/../etc/passwd", O_RDONLY, 0);
	assert_true(fd >= 0);
	assert_int_equal(path_open_nolink(root, "dir/passwd", O_RDONLY, 0), -ELOOP);
	assert_int_equal(path_open_nolink(root, "dir", O_PATH, 0), -ELOOP);
	assert_int_equal(path_open_nolink(root, "etc/none", O_RDONLY, 0), -ENOENT);
}

static void test_create(void **state)
{
	(void)state;
	sym("/mnt/outside", "out");
	sym("/var/new", "dangling");
	autoclose int fd = path_open(root, "etc/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(path_open(root, "out/new", O_WRONLY | O_CREAT, 0600), -ENOENT);
	assert_int_equal(path_open(root, "dangling", O_WRONLY | O_CREAT, 0600), -ENOENT);
	assert_int_equal(faccessat(top, "outside/new", F_OK, 0), -1);
}

static void test_open_dirs(void **state)
{
	(void)state;
	struct stat a, b;
	autoclose int fd = path_open_dirs(root, "/var/lib/x//y/", 0750);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &a), 0);
	assert_int_equal(fstatat(root, "var/lib/x/y", &b, 0), 0);
	assert_true(a.st_ino == b.st_ino && S_ISDIR(a.st_mode));
	assert_int_equal(a.st_mode & 07777, 0750);
	autoclose int again = path_open_dirs(root, "var/lib/x/y", 0700);
	assert_true(again >= 0);
	/* A link on the way is followed within the tree, up to there and no further. */
	sym("/var", "link");
	sym("/../../outside", "out");
	sym("/mnt/outside", "named");
	autoclose int by_link = path_open_dirs(root, "link/spool/mail", 0755);
	assert_true(by_link >= 0);
	assert_int_equal(fstatat(root, "var/spool/mail", &b, 0), 0);
	autoclose int dots = path_open_dirs(root, "../../a/../b", 0755);
	assert_true(dots >= 0);
	assert_int_equal(fstatat(root, "b", &b, 0), 0);
	assert_int_equal(path_open_dirs(root, "out/x", 0755), -ENOENT);
	assert_int_equal(path_open_dirs(root, "named/x", 0755), -ENOENT);
	assert_int_equal(faccessat(top, "outside/x", F_OK, 0), -1);
	assert_int_equal(path_open_dirs(root, "etc/passwd/x", 0755), -ENOTDIR);
	assert_int_equal(path_open_dirs(root, "etc/passwd", 0755), -ENOTDIR);
	assert_int_equal(path_open_dirs(root, "", 0755), -ENOENT);
	char name[NAME_MAX + 2];
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(path_open_dirs(root, name, 0755), -ENAMETOOLONG);
}

static int entries(int at, const char *name)
{
	int n = 0;
	DIR *d = fdopendir(openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_replace(void **state)
{
	(void)state;
	struct stat st;
	mode_t old = umask(077);
	assert_int_equal(path_replace(root, "/etc/hostname", "web\n", 4, 0644), 0);
	umask(old);
	expect_text(root, "etc/hostname", "web\n");
	assert_int_equal(fstatat(root, "etc/hostname", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(path_replace(root, "hosts", "", 0, 0600), 0);
	/* A link in the place is replaced, what it points to is left alone. */
	assert_int_equal(symlinkat("/mnt/outside/secret", root, "etc/resolv.conf"), 0);
	assert_int_equal(path_replace(root, "etc/resolv.conf", "x", 1, 0644), 0);
	assert_int_equal(fstatat(root, "etc/resolv.conf", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
	sym("/mnt/outside", "out");
	sym("/../../outside", "up");
	assert_int_equal(path_replace(root, "out/secret", "x", 1, 0644), -ENOENT);
	assert_int_equal(path_replace(root, "up/secret", "x", 1, 0644), -ENOENT);
	assert_int_equal(path_replace(root, "none/x", "x", 1, 0644), -ENOENT);
	assert_int_equal(path_replace(root, "etc/", "x", 1, 0644), -EISDIR);
	assert_int_equal(path_replace(root, "etc/..", "x", 1, 0644), -EISDIR);
	assert_int_equal(path_replace(root, "", "x", 1, 0644), -EISDIR);
	/* A directory in the place: refused, and no temporary stays. */
	assert_int_equal(path_replace(root, "sub/deep", "x", 1, 0644), -EISDIR);
	assert_int_equal(entries(root, "sub"), 1);
	assert_int_equal(entries(root, "etc"), 3);
}

static void test_remove_tree(void **state)
{
	(void)state;
	dir(root, "victim");
	dir(root, "victim/a");
	dir(root, "victim/a/b");
	put(root, "victim/a/b/file", "x");
	assert_int_equal(symlinkat("/mnt/outside", root, "victim/a/link"), 0);
	assert_int_equal(symlinkat("../../../outside", root, "victim/up"), 0);
	assert_int_equal(mkfifoat(root, "victim/fifo", 0600), 0);
	assert_int_equal(mkdirat(root, "victim/closed", 0), 0);
	for (int i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof name, "victim/a/%d", i);
		put(root, name, "");
	}
	assert_int_equal(path_remove_tree(root, "victim"), 0);
	assert_int_equal(faccessat(root, "victim", F_OK, 0), -1);
	assert_int_equal(path_remove_tree(root, "victim"), -ENOENT);
	expect_text(top, "outside/secret", "secret");
	/* Not a directory. */
	sym("/mnt/outside", "link");
	assert_int_equal(path_remove_tree(root, "link"), 0);
	expect_text(top, "outside/secret", "secret");
	put(root, "file", "");
	assert_int_equal(path_remove_tree(root, "file"), 0);
	static const char *const refused[] = {"", ".", "..", "sub/deep", "/", "../outside"};
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		assert_int_equal(path_remove_tree(root, refused[i]), -EINVAL);
}

/* Deeper than there are descriptors, and than a path or the stack can be. */
static void test_remove_a_very_deep_tree(void **state)
{
	(void)state;
	struct rlimit few = {.rlim_cur = 128, .rlim_max = 128}, old;
	dir(root, "abyss");
	int at = openat(root, "abyss", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 20000; i++) {
		dir(at, "dddddddddddddddddddd");
		int next = openat(at, "dddddddddddddddddddd", O_PATH | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	close(at);
	/* In the way of what is brought up. */
	put(root, "abyss/.newgate-deep-0", "");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(path_remove_tree(root, "abyss"), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(faccessat(root, "abyss", F_OK, 0), -1);
}

static void test_remove_refuses_mounts(void **state)
{
	(void)state;
	dir(root, "victim");
	dir(root, "victim/data");
	put(root, "victim/first", "first");
	dir(root, "victim/a b");
	assert_int_equal(mount("/mnt/outside", "/mnt/tree/victim/a b", NULL, MS_BIND, NULL), 0);
	assert_int_equal(path_remove_tree(root, "victim"), -EXDEV);
	expect_text(root, "victim/first", "first");
	expect_text(top, "outside/secret", "secret");
	char *first = NULL;
	assert_int_equal(path_mounted_below("/mnt/tree/victim", &first), 1);
	assert_string_equal(first, "/mnt/tree/victim/a b");
	free(first);
	assert_int_equal(path_mounted_below("/mnt/tree/../tree/victim/a b", NULL), 1);
	assert_int_equal(path_mounted_below("/mnt/tree/victim/data", &first), 0);
	assert_null(first);
	assert_int_equal(path_mounted_below("/mnt/none", NULL), -ENOENT);
	assert_int_equal(umount2("/mnt/tree/victim/a b", 0), 0);
	/* On the tree itself, and on a single file. */
	assert_int_equal(mount("/mnt/outside", "/mnt/tree/victim", NULL, MS_BIND, NULL), 0);
	assert_int_equal(path_remove_tree(root, "victim"), -EXDEV);
	assert_int_equal(umount2("/mnt/tree/victim", 0), 0);
	assert_int_equal(
	    mount("/mnt/outside/secret", "/mnt/tree/victim/first", NULL, MS_BIND, NULL), 0);
	assert_int_equal(path_remove_tree(root, "victim"), -EXDEV);
	assert_int_equal(umount2("/mnt/tree/victim/first", 0), 0);
	assert_int_equal(path_remove_tree(root, "victim"), 0);
}

static void test_find_mount_reads_mountinfo(void **state)
{
	(void)state;
	static const char text[] =
	    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
	    "30 22 0:5 / /var/jails/web rw master:1 - tmpfs x rw\n"
	    "31 22 0:6 /a /var/jails/web2 rw shared:3 propagate_from:1 - tmpfs x rw\n"
	    "32 22 0:7 / /srv/with\\040blank\\134\\011and rw - tmpfs x rw\n"
	    "short line\n"
	    "33 22 0:8 / /last rw - tmpfs x rw";
	char *first = NULL;
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/var/jails/web", &first), 1);
	assert_string_equal(first, "/var/jails/web");
	free(first);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/var/jails/we", NULL), 0);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/var/jails/web/sub", NULL), 0);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/var/jails/", &first), 1);
	assert_string_equal(first, "/var/jails/web");
	free(first);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/srv/with blank\\\tand", NULL), 1);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/srv", &first), 1);
	assert_string_equal(first, "/srv/with blank\\\tand");
	free(first);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/last", NULL), 1);
	assert_int_equal(path_find_mount(text, sizeof text - 1, "/", &first), 1);
	assert_string_equal(first, "/");
	free(first);
	assert_int_equal(path_find_mount("", 0, "/", NULL), 0);
}

/* A name in the tree turns from a directory into a link outwards and back, as fast as can be. */
static atomic_bool stop;

static void *flip(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		renameat2(root, "race", root, "other", RENAME_EXCHANGE);
		renameat(root, "sub/deep", root, "sub/moved");
		renameat(root, "sub/moved", root, "sub/deep");
	}
	return NULL;
}

static void test_a_racing_rename_does_not_help(void **state)
{
	(void)state;
	pthread_t t;
	dir(root, "race");
	sym("/../../../outside", "other");
	put(root, "race/secret", "inside");
	assert_int_equal(pthread_create(&t, NULL, flip, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		char buf[16];
		autoclose int fd =
		    path_open(root, "sub/deep/../../race/../race/secret", O_RDONLY, 0);
		if (fd < 0) {
			assert_true(fd == -ENOENT || fd == -EAGAIN);
			continue;
		}
		ssize_t n = read(fd, buf, sizeof buf - 1);
		assert_true(n == 6 && memcmp(buf, "inside", 6) == 0);
		int r = path_replace(root, "race/secret", "inside", 6, 0644);
		assert_true(r == 0 || r == -ENOENT || r == -EAGAIN);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	expect_text(top, "outside/secret", "secret");
}

static void test_removal_races_with_a_rename(void **state)
{
	(void)state;
	pthread_t t;
	atomic_store(&stop, false);
	sym("/mnt/outside", "other");
	dir(root, "race");
	assert_int_equal(pthread_create(&t, NULL, flip, NULL), 0);
	for (int i = 0; i < 200; i++) {
		(void)!path_remove_tree(root, "race");
		(void)mkdirat(root, "race", 0755);
		(void)symlinkat("/mnt/outside", root, "other");
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	expect_text(top, "outside/secret", "secret");
}

#define IN_TREE(fn) cmocka_unit_test_setup_teardown(fn, make_tree, drop_tree)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    IN_TREE(test_links_and_dots_stay_inside),
	    IN_TREE(test_magic_links_are_refused),
	    IN_TREE(test_nolink),
	    IN_TREE(test_create),
	    IN_TREE(test_open_dirs),
	    IN_TREE(test_replace),
	    IN_TREE(test_remove_tree),
	    IN_TREE(test_remove_a_very_deep_tree),
	    IN_TREE(test_remove_refuses_mounts),
	    cmocka_unit_test(test_find_mount_reads_mountinfo),
	    IN_TREE(test_a_racing_rename_does_not_help),
	    IN_TREE(test_removal_races_with_a_rename),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
