#include "unit.h"

#include <string.h>

#include "base/diag.h"

static void check(const struct diag *d, const char *want)
{
	autofree char *text = diag_format(d);
	assert_string_equal(text, want);
}

static void forms(void **state UNUSED)
{
	autodone(diags_done) struct diags d = {0};
	char file[] = "jail.conf";
	diag_error(&d, (struct pos){file, 14, 17}, "web: \"%s\" is no address", "x");
	diag_warn(&d, (struct pos){file, 9, 0}, "old form");
	diag_error(&d, (struct pos){file, 0, 5}, "cannot be read");
	diag_error(&d, (struct pos){0}, "no file at all");
	memset(file, 'z', 4); /* the diagnostics have their own copy */
	check(&d.v[0], "jail.conf:14:17: web: \"x\" is no address");
	check(&d.v[1], "jail.conf:9: warning: old form");
	check(&d.v[2], "jail.conf: cannot be read");
	check(&d.v[3], "no file at all");
	assert_int_equal(d.errors, 3);
	assert_int_equal(d.warnings, 1);
}

static void counts_what_it_does_not_keep(void **state UNUSED)
{
	struct diags d = {0};
	for (int i = 0; i < DIAG_MAX + 50; i++)
		diag_error(&d, (struct pos){"f", 1, 1}, "%d", i);
	diag_warn(&d, (struct pos){"f", 1, 1}, "late");
	assert_int_equal(d.n, DIAG_MAX);
	assert_int_equal(d.errors, DIAG_MAX + 50);
	assert_int_equal(d.warnings, 1);
	diags_done(&d);
	assert_int_equal(d.errors, 0);
	diags_done(&d);
}

/* One statement outside of blocks is wrong for all jails. */
static void tells_the_same_fault_once(void **state UNUSED)
{
	autodone(diags_done) struct diags d = {0};
	struct pos here = {"f", 1, 1}, there = {"f", 2, 1};
	const char *const jails[] = {"a", "a", "b", "b", "c"};
	for (size_t i = 0; i < ARRAY_SIZE(jails); i++)
		diag_error_of(&d, jails[i], here, "wrong");
	diag_error_of(&d, "b", there, "wrong");
	diag_error_of(&d, "b", here, "worse");
	diag_error_of(&d, "", here, "nameless");
	assert_int_equal(d.n, 4);
	assert_int_equal(d.errors, 8);
	assert_int_equal(diags_dropped(&d), 0);
	check(&d.v[0], "f:1:1: a and 2 more: wrong");
	check(&d.v[1], "f:2:1: b: wrong");
	check(&d.v[2], "f:1:1: b: worse");
	check(&d.v[3], "f:1:1: nameless");
}

static void warns_once(void **state UNUSED)
{
	autodone(diags_done) struct diags d = {0};
	struct pos p = {"f", 1, 1};
	diag_warn_once(&d, p, "old %s", "\x01");
	diag_warn_once(&d, p, "old %s", "\x01");
	assert_int_equal(d.n, 1);
	for (int i = 0; i < DIAG_MAX; i++)
		diag_warn_once(&d, p, "%d", i);
	assert_int_equal(d.n, DIAG_MAX / 2);
	assert_int_equal(d.warnings, DIAG_MAX + 1);
	assert_int_equal(diags_dropped(&d), DIAG_MAX / 2 + 1);
	diag_error(&d, p, "there is room for it");
	assert_int_equal(d.n, DIAG_MAX / 2 + 1);
}

static void shows_what_cannot_be_seen(void **state UNUSED)
{
	autodone(diags_done) struct diags d = {0};
	diag_error(&d, (struct pos){"a\nb", 1, 1}, "\"\x1b[31m\xff\xc3\xa4\" is no name");
	check(&d.v[0], "a\\x0ab:1:1: \"\\x1b[31m\\xff\xc3\xa4\" is no name");
}

/* What is wrong is told behind the value. */
static void cuts_the_middle(void **state UNUSED)
{
	autodone(diags_done) struct diags d = {0};
	char value[65537];
	for (size_t i = 0; i < sizeof(value) - 1; i++)
		value[i] = i % 2 ? '\xa4' : '\xc3';
	value[sizeof(value) - 1] = '\0';
	for (int shift = 0; shift < 2; shift++) {
		diag_error(&d, (struct pos){0}, "%s\"%s\" is no name", shift ? "-" : "", value);
		const char *text = d.v[shift].text;
		assert_in_range(strlen(text), DIAG_TEXT - 2, DIAG_TEXT);
		assert_non_null(strstr(text, "\xc3\xa4 … \xc3\xa4"));
		assert_non_null(strstr(text, "\xc3\xa4\" is no name"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forms),
	    cmocka_unit_test(counts_what_it_does_not_keep),
	    cmocka_unit_test(tells_the_same_fault_once),
	    cmocka_unit_test(warns_once),
	    cmocka_unit_test(shows_what_cannot_be_seen),
	    cmocka_unit_test(cuts_the_middle),
	};
	return cmocka_run_group_tests_name("base/diag", tests, NULL, NULL);
}
