#include "storebox.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include "store/copy.h"
#include "store/measure.h"

/* Copies box/src to box/dst. */
static int copy_box(unsigned flags, struct ng_err *err)
{
	if (mkdir(in_box("dst"), 0700) < 0 && errno != EEXIST)
		return -errno;
	autoclose int src = open_box(in_box("src"));
	autoclose int dst = open_box(in_box("dst"));
	return copy_tree(src, dst, flags, -1, err);
}

static void copy_ok(unsigned flags)
{
	struct ng_err err = {0};

	if (copy_box(flags, &err) < 0)
		fail_msg("%s", err.text);
}

static int make_src(void **arg)
{
	return box_make(arg) < 0 || mkdir(in_box("src"), 0755) < 0 ? -1 : 0;
}

static void set_times(const char *path, long seconds, long nanoseconds)
{
	const struct timespec t[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};

	assert_int_equal(utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void assert_same_meta(const char *name)
{
	struct stat a = stat_of(in_box("src/%s", name)), b = stat_of(in_box("dst/%s", name));

	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_uid, b.st_uid);
	assert_int_equal(a.st_gid, b.st_gid);
	assert_int_equal(a.st_mtim.tv_sec, b.st_mtim.tv_sec);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
}

static void keeps_owners_modes_and_times(void **arg)
{
	(void)arg;
	put_file(in_box("src/suid"), "x");
	assert_int_equal(chown(in_box("src/suid"), 1000, 1001), 0);
	assert_int_equal(chmod(in_box("src/suid"), 06751), 0);
	set_times(in_box("src/suid"), 1234567890, 123456789);
	assert_int_equal(symlink("/no/such\nplace", in_box("src/link")), 0);
	assert_int_equal(lchown(in_box("src/link"), 7, 8), 0);
	set_times(in_box("src/link"), 5, 6);
	assert_int_equal(mkfifo(in_box("src/pipe"), 0620), 0);
	set_times(in_box("src/pipe"), 8, 9);
	put_dir(in_box("src/dir/sub"));
	put_file(in_box("src/dir/unreadable"), "y");
	assert_int_equal(chmod(in_box("src/dir/unreadable"), 0), 0);
	assert_int_equal(chmod(in_box("src/dir"), 03511), 0);
	set_times(in_box("src/dir"), 77, 88);
	assert_int_equal(chmod(in_box("src"), 0711), 0);
	set_times(in_box("src"), 99, 11);

	copy_ok(0);
	assert_same_meta("suid");
	assert_same_meta("link");
	assert_same_meta("pipe");
	assert_same_meta("dir");
	assert_same_meta("dir/sub");
	assert_same_meta("dir/unreadable");
	assert_same_meta("");
	char target[64] = {0};
	assert_int_equal(readlink(in_box("dst/link"), target, sizeof(target)), 14);
	assert_string_equal(target, "/no/such\nplace");
}

/* version 2, then {tag, perm, id}: user::rwx user:1000:r-x group::--- mask::r-x other::--- */
static const uint8_t acl[] = {2,    0,    0,    0,    0x01, 0,    7,    0,    0xff, 0xff, 0xff,
			      0xff, 0x02, 0,    5,    0,    0xe8, 0x03, 0,    0,    0x04, 0,
			      0,    0,    0xff, 0xff, 0xff, 0xff, 0x10, 0,    5,    0,    0xff,
			      0xff, 0xff, 0xff, 0x20, 0,    0,    0,    0xff, 0xff, 0xff, 0xff};

static void keeps_extended_attributes(void **arg)
{
	char value[256];

	(void)arg;
	put_file(in_box("src/ping"), "x");
	assert_int_equal(setxattr(in_box("src/ping"), "user.note", "a\0b", 3, 0), 0);
	assert_int_equal(setxattr(in_box("src/ping"), "security.capability", CAP_NET_RAW_EP,
				  CAP_NET_RAW_EP_LEN, 0),
			 0);
	assert_int_equal(setxattr(in_box("src/ping"), "user.overlay.opaque", "y", 1, 0), 0);
	put_file(in_box("src/acl"), "x");
	assert_int_equal(
	    setxattr(in_box("src/acl"), "system.posix_acl_access", acl, sizeof(acl), 0), 0);
	put_dir(in_box("src/d"));
	put_file(in_box("src/d/plain"), "x");
	assert_int_equal(chmod(in_box("src/d/plain"), 0640), 0);
	assert_int_equal(setxattr(in_box("src/d"), "system.posix_acl_default", acl, sizeof(acl), 0),
			 0);

	copy_ok(0);
	assert_int_equal(getxattr(in_box("dst/ping"), "user.note", value, sizeof(value)), 3);
	assert_memory_equal(value, "a\0b", 3);
	assert_int_equal(getxattr(in_box("dst/ping"), "security.capability", value, sizeof(value)),
			 CAP_NET_RAW_EP_LEN);
	assert_memory_equal(value, CAP_NET_RAW_EP, CAP_NET_RAW_EP_LEN);
	assert_int_equal(getxattr(in_box("dst/ping"), "user.overlay.opaque", value, sizeof(value)),
			 -1);
	assert_int_equal(
	    getxattr(in_box("dst/acl"), "system.posix_acl_access", value, sizeof(value)),
	    sizeof(acl));
	assert_memory_equal(value, acl, sizeof(acl));
	assert_int_equal(
	    getxattr(in_box("dst/d"), "system.posix_acl_default", value, sizeof(value)),
	    sizeof(acl));
	/* A default list set too early would have been inherited here. */
	assert_int_equal(
	    getxattr(in_box("dst/d/plain"), "system.posix_acl_access", value, sizeof(value)), -1);
	assert_int_equal(stat_of(in_box("dst/d/plain")).st_mode & 07777, 0640);
}

static void keeps_hard_links(void **arg)
{
	(void)arg;
	put_dir(in_box("src/a"));
	put_dir(in_box("src/b/c"));
	for (int i = 0; i < 700; i++) { /* so many that the table must grow */
		put_file(in_box("src/a/%d", i), "x");
		assert_int_equal(link(in_box("src/a/%d", i), in_box("src/b/c/%d", i)), 0);
	}
	assert_int_equal(link(in_box("src/a/5"), in_box("src/third")), 0);
	assert_int_equal(symlink("x", in_box("src/s1")), 0);
	assert_int_equal(link(in_box("src/s1"), in_box("src/s2")), 0);

	copy_ok(0);
	for (int i = 0; i < 700; i++)
		assert_int_equal(stat_of(in_box("dst/a/%d", i)).st_ino,
				 stat_of(in_box("dst/b/c/%d", i)).st_ino);
	assert_int_equal(stat_of(in_box("dst/a/5")).st_nlink, 3);
	assert_int_equal(stat_of(in_box("dst/a/6")).st_nlink, 2);
	assert_int_not_equal(stat_of(in_box("dst/a/5")).st_ino, stat_of(in_box("dst/a/6")).st_ino);
	assert_int_equal(stat_of(in_box("dst/s1")).st_ino, stat_of(in_box("dst/s2")).st_ino);
	assert_true(S_ISLNK(stat_of(in_box("dst/s1")).st_mode));
}

static void keeps_holes(void **arg)
{
	const off_t gib = 1 << 30;
	char got[8] = {0};

	(void)arg;
	int fd = open(in_box("src/sparse"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(pwrite(fd, "start", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, gib / 2 + 3), 6);
	assert_int_equal(ftruncate(fd, gib), 0);
	close(fd);
	fd = open(in_box("src/all-hole"), O_RDWR | O_CREAT, 0644);
	assert_int_equal(ftruncate(fd, gib), 0);
	close(fd);

	copy_ok(0);
	assert_int_equal(stat_of(in_box("dst/sparse")).st_size, gib);
	assert_true(stat_of(in_box("dst/sparse")).st_blocks <= 64);
	assert_int_equal(stat_of(in_box("dst/all-hole")).st_size, gib);
	assert_int_equal(stat_of(in_box("dst/all-hole")).st_blocks, 0);
	fd = open(in_box("dst/sparse"), O_RDONLY);
	assert_int_equal(pread(fd, got, 6, gib / 2 + 3), 6);
	assert_string_equal(got, "middle");
	close(fd);

	/* Between file systems, where no blocks can be shared. */
	put_dir(in_box("other"));
	assert_int_equal(mount("tmpfs", in_box("other"), "tmpfs", 0, "size=1M"), 0);
	struct ng_err err = {0};
	autoclose int src = open_box(in_box("src"));
	autoclose int dst = open_box(in_box("other"));
	assert_int_equal(copy_tree(src, dst, 0, -1, &err), 0);
	fd = open(in_box("other/sparse"), O_RDONLY);
	assert_int_equal(pread(fd, got, 6, gib / 2 + 3), 6);
	assert_string_equal(got, "middle");
	close(fd);
}

static void leaves_devices_and_sockets_out(void **arg)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	(void)arg;
	assert_int_equal(mknod(in_box("src/null"), S_IFCHR | 0666, makedev(1, 3)), 0);
	assert_int_equal(mknod(in_box("src/disk"), S_IFBLK | 0600, makedev(7, 200)), 0);
	assert_int_equal(mknod(in_box("src/whiteout"), S_IFCHR, 0), 0);
	assert_true((size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", in_box("src/socket")) <
		    sizeof(sa.sun_path));
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(s);
	put_file(in_box("src/file"), "kept");

	copy_ok(0);
	assert_false(exists(in_box("dst/null")));
	assert_false(exists(in_box("dst/disk")));
	assert_false(exists(in_box("dst/socket")));
	assert_false(exists(in_box("dst/whiteout")));
	assert_text(in_box("dst/file"), "kept");
}

static void keeps_what_an_upper_layer_says(void **arg)
{
	char value[8];

	(void)arg;
	assert_int_equal(mknod(in_box("src/whiteout"), S_IFCHR, 0), 0);
	assert_int_equal(mknod(in_box("src/null"), S_IFCHR | 0666, makedev(1, 3)), 0);
	put_dir(in_box("src/opaque"));
	assert_int_equal(setxattr(in_box("src/opaque"), "user.overlay.opaque", "y", 1, 0), 0);

	copy_ok(COPY_UPPER);
	assert_true(S_ISCHR(stat_of(in_box("dst/whiteout")).st_mode));
	assert_int_equal(stat_of(in_box("dst/whiteout")).st_rdev, 0);
	assert_false(exists(in_box("dst/null")));
	assert_int_equal(
	    getxattr(in_box("dst/opaque"), "user.overlay.opaque", value, sizeof(value)), 1);
}

static void stays_on_its_mount(void **arg)
{
	(void)arg;
	put_dir(in_box("src/mnt"));
	put_dir(in_box("elsewhere"));
	put_file(in_box("elsewhere/secret"), "x");
	put_file(in_box("src/file"), "");
	/* The same file system, so only the mount tells them apart. */
	assert_int_equal(mount(in_box("elsewhere"), in_box("src/mnt"), NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(in_box("elsewhere/secret"), in_box("src/file"), NULL, MS_BIND, NULL),
			 0);

	copy_ok(0);
	assert_true(S_ISDIR(stat_of(in_box("dst/mnt")).st_mode));
	assert_false(exists(in_box("dst/mnt/secret")));
	assert_false(exists(in_box("dst/file")));
}

static void copies_a_tree_into_itself(void **arg)
{
	struct ng_err err = {0};

	(void)arg;
	put_dir(in_box("src/var/store/new"));
	put_dir(in_box("src/var/store/old"));
	put_file(in_box("src/etc"), "x");
	put_file(in_box("src/var/store/old/x"), "x");
	autoclose int src = open_box(in_box("src"));
	autoclose int dst = open_box(in_box("src/var/store/new"));
	autoclose int store = open_box(in_box("src/var/store"));
	assert_int_equal(copy_tree(src, dst, 0, store, &err), 0);
	assert_text(in_box("src/var/store/new/etc"), "x");
	assert_true(exists(in_box("src/var/store/new/var/store")));
	assert_false(exists(in_box("src/var/store/new/var/store/old")));

	put_dir(in_box("src/again"));
	autoclose int again = open_box(in_box("src/again"));
	assert_int_equal(copy_tree(src, again, 0, -1, &err), 0);
	assert_true(exists(in_box("src/again/var/store/old/x")));
	assert_false(exists(in_box("src/again/again/again")));
}

static void names_the_file_when_the_disk_is_full(void **arg)
{
	struct ng_err err = {0};
	autofree char *megabytes = mem_alloc(4 << 20);

	(void)arg;
	memset(megabytes, 'x', (4 << 20) - 1);
	put_dir(in_box("src/var"));
	put_file(in_box("src/var/big"), megabytes);
	put_dir(in_box("dst"));
	assert_int_equal(mount("tmpfs", in_box("dst"), "tmpfs", 0, "size=1M"), 0);
	assert_int_equal(copy_box(0, &err), -ENOSPC);
	assert_string_equal(err.text, "var/big: No space left on device");
}

static void copies_deep_trees(void **arg)
{
	autodone(str_done) struct str path = {0};

	(void)arg;
	str_add(&path, in_box("src"));
	for (int i = 0; i < 300; i++)
		str_add(&path, "/deep");
	put_dir(path.s);
	str_add(&path, "/file");
	put_file(path.s, "x");
	copy_ok(0);
	memcpy(path.s + strlen(box) + 1, "dst", 3);
	assert_text(path.s, "x");
}

static void counts_the_size_once(void **arg)
{
	uint64_t bytes, more;

	(void)arg;
	autofree char *text = mem_alloc(100001);
	memset(text, 'x', 100000);
	put_file(in_box("src/a"), text);
	autoclose int src = open_box(in_box("src"));
	assert_int_equal(measure_tree(src, &bytes, NULL), 0);
	assert_true(bytes >= 100000 && bytes < 200000);
	assert_int_equal(link(in_box("src/a"), in_box("src/b")), 0);
	assert_int_equal(measure_tree(src, &more, NULL), 0);
	assert_int_equal(bytes, more);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_src, box_remove)

int main(void)
{
	ENTER_NAMESPACES(0);
	umask(077); /* a caller's umask has no say in a copy */
	const struct CMUnitTest tests[] = {
	    TEST(keeps_owners_modes_and_times),
	    TEST(keeps_extended_attributes),
	    TEST(keeps_hard_links),
	    TEST(keeps_holes),
	    TEST(leaves_devices_and_sockets_out),
	    TEST(keeps_what_an_upper_layer_says),
	    TEST(stays_on_its_mount),
	    TEST(copies_a_tree_into_itself),
	    TEST(names_the_file_when_the_disk_is_full),
	    TEST(copies_deep_trees),
	    TEST(counts_the_size_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
