/* Layers of images over each other. */
#include "tarbox.h"

#include "store/layer-module.h"
#include "store/unpack.h"

static struct ng_err err;
static char stored[LAYER_SUM_HEX], plain[LAYER_SUM_HEX];

static int begin(void **arg)
{
	if (box_make(arg) < 0)
		return -1;
	umask(077);
	return mkdir(in_box("tree"), 0755);
}

static int apply(void)
{
	autoclose int tree = open_box(in_box("tree"));
	autoclose int fd = open(in_box("layer"), O_RDONLY | O_CLOEXEC);
	autodone(unpack_done) struct unpack u = {
	    .module = archive_load(&err), .tree = tree, .flags = UNPACK_LAYER, .err = &err};

	err = (struct ng_err){0};
	const struct layer_module *m = archive_symbol(LAYER_SYMBOL, &err);
	assert_true(u.module && m);
	void *opened = m->open(fd, &u.archive);
	int rc = unpack_all(&u);
	if (rc == 0)
		rc = m->sums(opened, stored, plain);
	m->close(opened);
	return rc;
}

/* Everything that is added between the two is one layer. */
static void layer(void)
{
	archive = open(in_box("layer"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(archive >= 0);
}

static void applied(void)
{
	finish();
	close(archive);
	if (apply() < 0)
		fail_msg("%s", err.text);
}

static void refused(int code, const char *text)
{
	finish();
	close(archive);
	assert_int_equal(apply(), -code);
	assert_contains(err.text, text);
	assert_false(exists(in_box("evil")));
}

static void file(const char *name, const char *text)
{
	add('0', name, 0644, 0, NULL, text);
}

static void the_first_layer(void)
{
	layer();
	add('5', "d/", 0755, 0, NULL, NULL);
	file("d/kept", "1");
	file("d/gone", "1");
	add('5', "d/sub/", 0755, 0, NULL, NULL);
	file("d/sub/deep", "1");
	file("top", "1");
	applied();
}

static void marks_take_away(void **arg)
{
	(void)arg;
	the_first_layer();
	layer();
	file("d/.wh.gone", "");
	file("./d//.wh.sub", "");
	file(".wh.top", "");
	file(".wh.never", "");
	file("nowhere/.wh.never", "");
	file("d/.wh..wh.plnk", "");
	applied();
	assert_text(in_box("tree/d/kept"), "1");
	assert_false(exists(in_box("tree/d/gone")));
	assert_false(exists(in_box("tree/d/sub")));
	assert_false(exists(in_box("tree/top")));
	assert_false(exists(in_box("tree/nowhere")));
	assert_false(exists(in_box("tree/d/.wh.gone")));
	assert_false(exists(in_box("tree/d/.wh..wh.plnk")));
}

static void what_the_layer_makes_stays(void **arg)
{
	(void)arg;
	the_first_layer();
	layer();
	/* A mark is about earlier layers, wherever it stands. */
	file("d/new", "2");
	file("d/sub/new", "2");
	file("top", "2");
	file("d/.wh..wh..opq", "");
	file(".wh.top", "");
	applied();
	assert_text(in_box("tree/d/new"), "2");
	assert_text(in_box("tree/d/sub/new"), "2");
	assert_text(in_box("tree/top"), "2");
	assert_false(exists(in_box("tree/d/kept")));
	assert_false(exists(in_box("tree/d/sub/deep")));
}

static void an_opaque_folder_of_the_top(void **arg)
{
	(void)arg;
	the_first_layer();
	layer();
	file(".wh..wh..opq", "");
	file("new", "2");
	applied();
	assert_text(in_box("tree/new"), "2");
	assert_false(exists(in_box("tree/d")));
	assert_false(exists(in_box("tree/top")));
}

static void kinds_replace_each_other(void **arg)
{
	(void)arg;
	the_first_layer();
	layer();
	add('2', "d", 0777, 0, "top", NULL);
	add('5', "top", 0711, 0, NULL, NULL);
	applied();
	assert_true(S_ISLNK(stat_of(in_box("tree/d")).st_mode));
	assert_int_equal(stat_of(in_box("tree/top")).st_mode, S_IFDIR | 0711);
}

static void folders_get_new_attributes_alone(void **arg)
{
	char value[8];

	(void)arg;
	layer();
	add_pax("SCHILY.xattr.user.old", "1");
	add('5', "d", 0700, 5, NULL, NULL);
	file("d/kept", "1");
	applied();
	layer();
	add_pax("SCHILY.xattr.user.new", "2");
	add('5', "d", 0711, 6, NULL, NULL);
	applied();
	assert_text(in_box("tree/d/kept"), "1");
	assert_int_equal(stat_of(in_box("tree/d")).st_mode & 07777, 0711);
	assert_int_equal(stat_of(in_box("tree/d")).st_uid, 6);
	assert_int_equal(getxattr(in_box("tree/d"), "user.old", value, sizeof(value)), -1);
	assert_int_equal(getxattr(in_box("tree/d"), "user.new", value, sizeof(value)), 1);
}

static void links_of_earlier_layers_are_followed_inside(void **arg)
{
	(void)arg;
	layer();
	add('5', "usr/", 0755, 0, NULL, NULL);
	add('5', "usr/lib/", 0755, 0, NULL, NULL);
	add('2', "lib", 0777, 0, "usr/lib", NULL);
	applied();
	layer();
	file("lib/x", "2");
	applied();
	assert_text(in_box("tree/usr/lib/x"), "2");
	assert_true(S_ISLNK(stat_of(in_box("tree/lib")).st_mode));
}

static void nothing_leads_out(void **arg)
{
	(void)arg;
	layer();
	add('2', "up", 0777, 0, "..", NULL);
	add('2', "abs", 0777, 0, box, NULL);
	add('5', "d/", 0755, 0, NULL, NULL);
	applied();
	put_file(in_box("victim"), "the host's");
	layer();
	file("up/evil", "x");
	refused(EXDEV, "up/evil: this name leads out");
	layer();
	file("abs/evil", "x");
	refused(EXDEV, "abs/evil: this name leads out");
	layer();
	file("up/.wh.victim", "");
	refused(EXDEV, "leads out");
	layer();
	file("up/.wh..wh..opq", "");
	refused(EXDEV, "leads out");
	layer();
	file("d/.wh...", "");
	refused(EXDEV, "leads out");
	layer();
	file("d/.wh.", "");
	refused(EXDEV, "leads out");
	layer();
	file(in_box("evil"), "x");
	refused(EXDEV, "leads out");
	layer();
	file("../evil", "x");
	refused(EXDEV, "leads out");
	layer();
	add('1', "stolen", 0644, 0, "up/victim", NULL);
	refused(EXDEV, "leads out");
	assert_text(in_box("victim"), "the host's");
}

static void sums_are_of_all_bytes(void **arg)
{
	(void)arg;
	layer();
	applied();
	/* 1024 bytes of zero, as sha256sum says. */
	assert_string_equal(stored,
			    "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
	assert_string_equal(plain, stored);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, box_remove)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    TEST(marks_take_away),
	    TEST(what_the_layer_makes_stays),
	    TEST(an_opaque_folder_of_the_top),
	    TEST(kinds_replace_each_other),
	    TEST(folders_get_new_attributes_alone),
	    TEST(links_of_earlier_layers_are_followed_inside),
	    TEST(nothing_leads_out),
	    TEST(sums_are_of_all_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
