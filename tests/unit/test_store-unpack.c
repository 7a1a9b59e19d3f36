/* Archives, honest ones and others. */
#include "tarbox.h"

#include "store/tools.h"

static struct ng_err err;

static int begin(void **arg)
{
	if (box_make(arg) < 0)
		return -1;
	umask(077);
	archive = open(in_box("a.tar"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return archive < 0 ? -1 : mkdir(in_box("tree"), 0755);
}

static int end(void **arg)
{
	close(archive);
	return box_remove(arg);
}

static int unpack(void)
{
	autoclose int tree = open_box(in_box("tree"));

	err = (struct ng_err){0};
	return make_unpacked(NULL, in_box("a.tar"), tree, &err);
}

static void unpack_ok(void)
{
	finish();
	if (unpack() < 0)
		fail_msg("%s", err.text);
}

static void unpack_fails(int code, const char *text)
{
	finish();
	assert_int_equal(unpack(), -code);
	assert_contains(err.text, text);
	assert_false(exists(in_box("evil")));
}

static void keeps_everything(void **arg)
{
	char value[64], target[64] = {0};

	(void)arg;
	add('5', "./", 0711, 0, NULL, NULL);
	add('5', "./etc/", 02511, 5, NULL, NULL);
	add('0', "./etc/file", 04755, 1000, NULL, "contents\n");
	add('1', "./etc/again", 0644, 0, "./etc/file", NULL);
	add('2', "./link", 0777, 7, "/no/such", NULL);
	add('6', "./pipe", 0620, 3, NULL, NULL);
	add('3', "./null", 0666, 0, NULL, NULL);
	add_pax("SCHILY.xattr.user.note", "hello");
	add('0', "noted", 0600, 0, NULL, "x");
	add_pax("SCHILY.xattr.user.overlay.opaque", "y");
	add('5', "opaque", 0755, 0, NULL, NULL);
	add_pax("SCHILY.acl.access", "user::rwx,user:joe:r-x:1000,group::---,mask::r-x,other::---");
	add('0', "acl", 0750, 0, NULL, "x");
	add_pax("path", "gr\xc3\xbc\xc3\x9f"
			"e");
	add('0', "x", 0644, 0, NULL, "utf8");
	add('0', "not/yet/made", 0644, 0, NULL, "parents");
	unpack_ok();

	assert_int_equal(stat_of(in_box("tree")).st_mode & 07777, 0711);
	struct stat st = stat_of(in_box("tree/etc"));
	assert_int_equal(st.st_mode, S_IFDIR | 02511);
	assert_int_equal(st.st_uid, 5);
	assert_int_equal(st.st_gid, 6);
	assert_int_equal(st.st_mtime, 1234567890);
	st = stat_of(in_box("tree/etc/file"));
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtime, 1234567890);
	assert_int_equal(st.st_ino, stat_of(in_box("tree/etc/again")).st_ino);
	assert_text(in_box("tree/etc/file"), "contents\n");
	assert_int_equal(readlink(in_box("tree/link"), target, sizeof(target)), 8);
	assert_int_equal(stat_of(in_box("tree/link")).st_uid, 7);
	assert_int_equal(stat_of(in_box("tree/pipe")).st_mode, S_IFIFO | 0620);
	assert_false(exists(in_box("tree/null")));
	assert_int_equal(getxattr(in_box("tree/noted"), "user.note", value, sizeof(value)), 5);
	assert_int_equal(getxattr(in_box("tree/opaque"), "user.overlay.opaque", value, 64), -1);
	/* version, then user::, user:1000, group::, mask::, other:: */
	assert_int_equal(getxattr(in_box("tree/acl"), "system.posix_acl_access", value, 64), 44);
	assert_memory_equal(value + 12, "\x02\0\x05\0\xe8\x03\0\0", 8);
	assert_text(in_box("tree/gr\xc3\xbc\xc3\x9f"
			   "e"),
		    "utf8");
	assert_text(in_box("tree/not/yet/made"), "parents");
	assert_int_equal(stat_of(in_box("tree/not/yet")).st_uid, 0);
}

static void the_last_entry_of_a_name_counts(void **arg)
{
	(void)arg;
	add('0', "a", 0644, 0, NULL, "first");
	add('0', "a", 0600, 0, NULL, "second");
	add('2', "b", 0777, 0, "a", NULL);
	add('0', "b", 0644, 0, NULL, "no longer a link");
	add('2', "lib", 0777, 0, "a", NULL);
	add('5', "lib", 0755, 0, NULL, NULL);
	add('0', "lib/x", 0644, 0, NULL, "x");
	unpack_ok();
	assert_text(in_box("tree/a"), "second");
	assert_text(in_box("tree/b"), "no longer a link");
	assert_text(in_box("tree/lib/x"), "x");
}

static void absolute_names_are_refused(void **arg)
{
	(void)arg;
	add('0', in_box("evil"), 0644, 0, NULL, "x");
	unpack_fails(EXDEV, "evil: this name leads out of the tree");
}

static void parents_are_refused(void **arg)
{
	(void)arg;
	add('5', "a", 0755, 0, NULL, NULL);
	add('0', "a/../../evil", 0644, 0, NULL, "x");
	unpack_fails(EXDEV, "a/../../evil: this name leads out of the tree");
}

static void no_way_leads_through_a_link(void **arg)
{
	(void)arg;
	add('2', "out", 0777, 0, "..", NULL);
	add('0', "out/evil", 0644, 0, NULL, "x");
	unpack_fails(ELOOP, "out/evil: goes through a link");
}

static void no_way_leads_through_a_link_behind_a_folder(void **arg)
{
	(void)arg;
	/* First an honest folder, which a link then tries to replace. */
	add('5', "d", 0755, 0, NULL, NULL);
	add('2', "d", 0777, 0, "..", NULL);
	unpack_fails(EISDIR, "d: Is a directory");
}

static void a_folder_that_became_a_link_keeps_its_attributes_to_itself(void **arg)
{
	(void)arg;
	put_dir(in_box("victim"));
	assert_int_equal(chmod(in_box("victim"), 0700), 0);
	/* Its attributes are set at the end: they must not reach what the link names. */
	add('2', "l", 0777, 0, "../victim", NULL);
	add('5', "l/", 0777, 99, NULL, NULL);
	unpack_ok();
	assert_int_equal(stat_of(in_box("victim")).st_mode & 07777, 0700);
	assert_int_equal(stat_of(in_box("victim")).st_uid, 0);
	assert_true(S_ISDIR(stat_of(in_box("tree/l")).st_mode));
}

static void hard_links_stay_inside(void **arg)
{
	(void)arg;
	put_file(in_box("secret"), "the host's");
	add('1', "stolen", 0644, 0, "../secret", NULL);
	unpack_fails(EXDEV, "stolen: this name leads out of the tree");
	assert_int_equal(stat_of(in_box("secret")).st_nlink, 1);
}

static void hard_links_do_not_go_through_links(void **arg)
{
	(void)arg;
	put_file(in_box("secret"), "the host's");
	add('2', "out", 0777, 0, "..", NULL);
	add('1', "stolen", 0644, 0, "out/secret", NULL);
	unpack_fails(ELOOP, "stolen");
	assert_int_equal(stat_of(in_box("secret")).st_nlink, 1);
}

static void a_hard_link_to_a_link_writes_nothing_outside(void **arg)
{
	(void)arg;
	put_file(in_box("secret"), "the host's");
	add('2', "l", 0777, 0, "../secret", NULL);
	add('1', "h", 0644, 0, "l", NULL);
	add('0', "h", 0666, 9, NULL, "overwritten");
	unpack_ok();
	assert_text(in_box("secret"), "the host's");
	assert_int_equal(stat_of(in_box("secret")).st_uid, 0);
	assert_text(in_box("tree/h"), "overwritten");
}

static void what_is_no_archive_is_told(void **arg)
{
	(void)arg;
	assert_int_equal(unpack(), -EBADMSG);
	assert_contains(err.text, "it holds no files");
	put_file(in_box("a.tar"), "this is not an archive, though its name says so\n");
	assert_int_equal(unpack(), -EBADMSG);
	assert_contains(err.text, "Unrecognized archive format");
}

static void a_short_archive_is_told(void **arg)
{
	(void)arg;
	add('0', "file", 0644, 0, NULL, "some text that fills more than nothing");
	assert_int_equal(ftruncate(archive, 512 + 10), 0);
	assert_int_equal(unpack(), -EBADMSG);
	assert_contains(err.text, "file: ");
	assert_contains(err.text, "runcated");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    TEST(keeps_everything),
	    TEST(the_last_entry_of_a_name_counts),
	    TEST(absolute_names_are_refused),
	    TEST(parents_are_refused),
	    TEST(no_way_leads_through_a_link),
	    TEST(no_way_leads_through_a_link_behind_a_folder),
	    TEST(a_folder_that_became_a_link_keeps_its_attributes_to_itself),
	    TEST(hard_links_stay_inside),
	    TEST(hard_links_do_not_go_through_links),
	    TEST(a_hard_link_to_a_link_writes_nothing_outside),
	    TEST(what_is_no_archive_is_told),
	    TEST(a_short_archive_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
