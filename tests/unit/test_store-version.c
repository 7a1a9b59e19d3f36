/* Names of versions, and keys. */
#include "storebox.h"

#include "store/entry.h"
#include "store/key.h"
#include "store/version.h"

static struct store store;
static struct ng_err err;

static int setup(void **arg)
{
	return box_make(arg) < 0 || store_open(&store, box, &err) < 0 ? -1 : 0;
}

static int teardown(void **arg)
{
	store_done(&store);
	return box_remove(arg);
}

static void assert_version(const char *name, unsigned number, size_t len)
{
	size_t got;

	assert_int_equal(version_of(name, &got), number);
	assert_int_equal(got, len);
}

static void names_have_numbers(void **arg)
{
	(void)arg;
	assert_version("d12", 1, 3);
	assert_version("d12@2", 2, 3);
	assert_version("d12@1", 1, 3);
	assert_version("a@b@10", 10, 3);
	/* What is no number behind the last @ is part of a name. */
	assert_version("a@b", 1, 3);
	assert_version("a@0", 1, 3);
	assert_version("a@02", 1, 4);
	assert_version("a@", 1, 2);
	assert_version("@2", 1, 2);
	assert_version("a@99999999999", 1, 13);
	assert_true(version_same("a", "a@7"));
	assert_false(version_same("a", "ab@7"));
	assert_false(version_same("a@b", "a"));
	autofree char *first = version_folder("a@7", 1), *third = version_folder("a", 3);
	assert_string_equal(first, "a");
	assert_string_equal(third, "a@3");
}

static void make_version(const char *name)
{
	const struct entry e = {.backend = (char *)"dir"};

	put_dir(in_box("var/lib/newgate/templates/%s/root", name));
	autoclose int dir = open_box(in_box("var/lib/newgate/templates/%s", name));
	assert_int_equal(entry_write(dir, store_kind_file(STORE_TEMPLATES), &e), 0);
}

static void assert_resolves(const char *name, const char *folder)
{
	autofree char *got = NULL;

	assert_int_equal(version_resolve(&store, name, &got), folder ? 0 : -ENOENT);
	if (folder)
		assert_string_equal(got, folder);
}

static void a_name_means_the_newest(void **arg)
{
	(void)arg;
	assert_resolves("a", NULL);
	make_version("a");
	make_version("ab");
	assert_resolves("a", "a");
	assert_resolves("a@1", "a");
	assert_resolves("a@2", NULL);
	make_version("a@9");
	make_version("a@10");
	/* Without a tree it is what a killed run left. */
	put_dir(in_box("var/lib/newgate/templates/a@11"));
	assert_resolves("a", "a@10");
	assert_resolves("a@9", "a@9");
	assert_resolves("ab", "ab");
}

static char *key_of(const struct store_recipe *r, const char *version, const struct entry *base)
{
	char *k = NULL;

	if (key_make(&store, r, version, base, &k, &err) < 0)
		fail_msg("%s", err.text);
	return k;
}

static char *key(const struct store_recipe *r, const struct entry *base)
{
	return key_of(r, base ? "a" : NULL, base);
}

#define ASSERT_OTHER(a, b)                       \
	do {                                     \
		autofree char *a_ = (a);         \
		autofree char *b_ = (b);         \
		assert_string_not_equal(a_, b_); \
	} while (0)

static void a_key_is_of_all_that_goes_in(void **arg)
{
	const struct store_recipe debian = {.from = "debian:bookworm"};
	const struct store_recipe more = {.from = "debian:bookworm", .include = "vim"};
	const struct store_recipe script = {.from = "a", .script = "echo"};
	const struct store_recipe other = {.from = "a", .script = "echo 2"};
	const struct store_recipe plain = {.from = "a"};
	const struct entry base = {.key = (char *)"1", .made = 5};
	const struct entry anew = {.key = (char *)"1", .made = 6};

	(void)arg;
	autofree char *one = key(&debian, NULL), *two = key(&debian, NULL);
	assert_string_equal(one, two);
	assert_int_equal(strlen(one), 64);
	ASSERT_OTHER(key(&debian, NULL), key(&more, NULL));
	ASSERT_OTHER(key(&script, &base), key(&other, &base));
	ASSERT_OTHER(key(&script, &base), key(&plain, &base));
	ASSERT_OTHER(key(&script, &base), key(&script, &anew));
	/* Another version, made anew within the same second. */
	ASSERT_OTHER(key(&script, &base), key_of(&script, "a@2", &base));
}

static void a_folder_is_what_is_in_it(void **arg)
{
	const char *folder = in_box("src");
	const struct store_recipe r = {.from = folder};

	(void)arg;
	put_dir(in_box("src/sub"));
	put_file(in_box("src/sub/a"), "1");
	autofree char *one = key(&r, NULL);
	autofree char *again = key(&r, NULL);
	assert_string_equal(one, again);
	put_file(in_box("src/sub/b"), "");
	ASSERT_OTHER(mem_strdup(one), key(&r, NULL));
	assert_int_equal(unlink(in_box("src/sub/b")), 0);
	autofree char *before = key(&r, NULL);
	assert_int_equal(chmod(in_box("src/sub/a"), 0600), 0);
	ASSERT_OTHER(mem_strdup(before), key(&r, NULL));
	/* Nobody can tell of what is not there. */
	const struct store_recipe none = {.from = "/nonexistent/x"};
	assert_null(key(&none, NULL));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    TEST(names_have_numbers),
	    TEST(a_name_means_the_newest),
	    TEST(a_key_is_of_all_that_goes_in),
	    TEST(a_folder_is_what_is_in_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
