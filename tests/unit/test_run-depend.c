#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/macro.h"
#include "run/depend.h"

/* web needs db and cache; db needs cache. */
enum { WEB, DB, CACHE, N };

static struct depend three(bool down, bool up)
{
	struct depend d = {0};
	for (int i = 0; i < N; i++)
		assert_int_equal(depend_add(&d, down, up), i);
	depend_edge(&d, WEB, DB, false);
	depend_edge(&d, WEB, CACHE, false);
	depend_edge(&d, DB, CACHE, false);
	return d;
}

static void up_in_order(void **state)
{
	(void)state;
	struct depend d autodone(depend_done) = three(false, true);
	assert_int_equal(depend_may(&d, WEB), DEPEND_NOT_YET);
	assert_int_equal(depend_may(&d, DB), DEPEND_NOT_YET);
	assert_int_equal(depend_may(&d, CACHE), DEPEND_READY);
	d.v[CACHE].level = DEPEND_MADE; /* a full edge wants the whole start */
	assert_int_equal(depend_may(&d, DB), DEPEND_NOT_YET);
	d.v[CACHE].level = DEPEND_UP;
	assert_int_equal(depend_may(&d, DB), DEPEND_READY);
	assert_int_equal(depend_may(&d, WEB), DEPEND_NOT_YET);
	d.v[DB].level = DEPEND_UP;
	assert_int_equal(depend_may(&d, WEB), DEPEND_READY);
}

static void down_in_reverse(void **state)
{
	(void)state;
	struct depend d autodone(depend_done) = three(true, false);
	assert_int_equal(depend_may(&d, CACHE), DEPEND_NOT_YET);
	assert_int_equal(depend_may(&d, DB), DEPEND_NOT_YET);
	assert_int_equal(depend_may(&d, WEB), DEPEND_READY);
	d.v[WEB].level = DEPEND_DOWN;
	assert_int_equal(depend_may(&d, DB), DEPEND_READY);
	assert_int_equal(depend_may(&d, CACHE), DEPEND_NOT_YET);
}

/* All go down, from the top; then up, from the bottom. */
static void restart_is_both(void **state)
{
	(void)state;
	struct depend d autodone(depend_done) = three(true, true);
	d.v[WEB].level = DEPEND_DOWN;
	assert_int_equal(depend_may(&d, WEB), DEPEND_NOT_YET);
	d.v[DB].level = DEPEND_DOWN;
	assert_int_equal(depend_may(&d, CACHE), DEPEND_READY);
	d.v[CACHE].level = DEPEND_DOWN;
	assert_int_equal(depend_may(&d, DB), DEPEND_NOT_YET);
	assert_int_equal(depend_may(&d, CACHE), DEPEND_READY);
	d.v[CACHE].level = DEPEND_UP;
	assert_int_equal(depend_may(&d, DB), DEPEND_READY);
}

static void a_parent_need_only_be_made(void **state)
{
	(void)state;
	struct depend d autodone(depend_done) = {0};
	size_t a = depend_add(&d, false, true), ab = depend_add(&d, false, true);
	depend_edge(&d, ab, a, true);
	assert_int_equal(depend_may(&d, ab), DEPEND_NOT_YET);
	d.v[a].level = DEPEND_MADE;
	assert_int_equal(depend_may(&d, ab), DEPEND_READY);
	depend_edge(&d, ab, a, false); /* the stronger of two edges counts */
	assert_int_equal(depend_may(&d, ab), DEPEND_NOT_YET);
}

static void who_waits_for_a_failure_fails(void **state)
{
	(void)state;
	struct depend d autodone(depend_done) = three(false, true);
	d.v[CACHE].failed = true;
	assert_int_equal(depend_may(&d, DB), DEPEND_NEVER);
	struct depend e autodone(depend_done) = three(true, false);
	e.v[WEB].failed = true; /* it still runs */
	assert_int_equal(depend_may(&e, DB), DEPEND_NEVER);
	e.v[WEB].level = DEPEND_DOWN; /* it is gone; what failed came after */
	assert_int_equal(depend_may(&e, DB), DEPEND_READY);
}

static void loops_are_found(void **state)
{
	(void)state;
	struct depend d autodone(depend_done) = three(false, true);
	size_t other = depend_add(&d, false, true);
	for (size_t i = 0; i < d.n; i++)
		assert_false(depend_in_loop(&d, i));
	depend_edge(&d, CACHE, WEB, false);
	depend_edge(&d, other, WEB, false);
	for (size_t i = 0; i < N; i++)
		assert_true(depend_in_loop(&d, i));
	assert_false(depend_in_loop(&d, other)); /* it hangs on a loop but is not on it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(up_in_order),
	    cmocka_unit_test(down_in_reverse),
	    cmocka_unit_test(restart_is_both),
	    cmocka_unit_test(a_parent_need_only_be_made),
	    cmocka_unit_test(who_waits_for_a_failure_fails),
	    cmocka_unit_test(loops_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
