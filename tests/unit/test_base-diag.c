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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forms),
	    cmocka_unit_test(counts_what_it_does_not_keep),
	};
	return cmocka_run_group_tests_name("base/diag", tests, NULL, NULL);
}
