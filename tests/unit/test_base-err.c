#include "unit.h"

#include <string.h>

#include "base/err.h"

#define ELLIPSIS "\xe2\x80\xa6"

static void tells_the_story_from_outside_in(void **state UNUSED)
{
	struct ng_err e = {0};
	assert_int_equal(err_sys(&e, -ENOENT, "open %s", "/etc/fstab"), -ENOENT);
	assert_int_equal(err_prefix(&e, "mount.fstab:%d", 3), -ENOENT);
	assert_int_equal(err_prefix(&e, "web"), -ENOENT);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.text,
			    "web: mount.fstab:3: open /etc/fstab: No such file or directory");
}

static void takes_either_sign(void **state UNUSED)
{
	struct ng_err e = {0};
	assert_int_equal(err_set(&e, EINVAL, "a"), -EINVAL);
	assert_int_equal(e.code, EINVAL);
	assert_int_equal(err_set(&e, -EPERM, "b"), -EPERM);
	assert_int_equal(e.code, EPERM);
	assert_int_equal(err_sys(&e, EPERM, "c"), -EPERM);
	assert_string_equal(e.text, "c: Operation not permitted");
}

static void may_quote_itself(void **state UNUSED)
{
	struct ng_err e = {0};
	err_set(&e, EIO, "inner");
	err_set(&e, EIO, "outer (%s)", e.text);
	assert_string_equal(e.text, "outer (inner)");
	err_prefix(&e, "%s", e.text);
	assert_string_equal(e.text, "outer (inner): outer (inner)");
}

/* The reason stands behind what is too long. */
static void long_text_loses_its_middle(void **state UNUSED)
{
	struct ng_err e = {0};
	char text[70000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';

	err_sys(&e, ENOENT, "open %s", text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_non_null(strstr(e.text, "x " ELLIPSIS " x"));
	assert_memory_equal(e.text, "open xxx", 8);
	assert_non_null(strstr(e.text, "xxx: No such file or directory"));
	err_prefix(&e, "web");
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "web: open xxx", 13);
	assert_non_null(strstr(e.text, "xxx: No such file or directory"));

	/* What just fits is left whole. */
	err_set(&e, EIO, "%.*s", (int)sizeof(e.text) - 1, text);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_null(strstr(e.text, ELLIPSIS));
}

/* Wherever the cut falls, no character is cut in two. */
static void cuts_between_characters(void **state UNUSED)
{
	char text[3100];
	for (int shift = 0; shift < 4; shift++) {
		struct ng_err e = {0};
		size_t n = 0;
		while (n < (size_t)shift)
			text[n++] = 'x';
		for (; n < sizeof(text) - 5; n += 4)
			memcpy(text + n, "\xf0\x9f\x98\x80", 4);
		text[n] = '\0';
		err_set(&e, EIO, "%s", text);
		size_t len = strlen(e.text);
		const char *gap = strstr(e.text, " " ELLIPSIS " ");
		assert_non_null(gap);
		assert_int_equal((gap - e.text - shift) % 4, 0);
		assert_int_equal((e.text + len - gap - 5) % 4, 0);
		assert_true(len > sizeof(e.text) - 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_the_story_from_outside_in),
	    cmocka_unit_test(takes_either_sign),
	    cmocka_unit_test(may_quote_itself),
	    cmocka_unit_test(long_text_loses_its_middle),
	    cmocka_unit_test(cuts_between_characters),
	};
	return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
