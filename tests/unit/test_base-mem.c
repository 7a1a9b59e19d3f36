#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static void alloc_is_zeroed(void **state UNUSED)
{
	autofree unsigned char *p = mem_alloc(4096);
	for (size_t i = 0; i < 4096; i++)
		assert_int_equal(p[i], 0);
	autofree void *none = mem_alloc(0);
	assert_non_null(none);
}

static void strndup_stops_at_nul(void **state UNUSED)
{
	autofree char *a = mem_strndup("abcdef", 3);
	autofree char *b = mem_strndup("ab\0def", 6);
	autofree char *c = mem_strdup("");
	assert_string_equal(a, "abc");
	assert_string_equal(b, "ab");
	assert_string_equal(c, "");
}

static void grow_keeps_what_is_there(void **state UNUSED)
{
	autofree unsigned *v = NULL;
	for (unsigned n = 0; n < 5000; n++) {
		v = mem_grow(v, n, sizeof(*v));
		v[n] = n;
	}
	for (unsigned n = 0; n < 5000; n++)
		assert_int_equal(v[n], n);
}

/* A list that shrinks and grows again must still have the room its length promises; the sanitizer
 * sees it where not. */
static void grow_after_shrinking(void **state UNUSED)
{
	static const size_t lengths[] = {17, 16, 8, 7, 0, 40, 33, 32, 31, 64, 65, 1, 9};
	autofree char *v = NULL;
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		while (n < lengths[i]) {
			v = mem_grow(v, n, 1);
			v[n++] = 'x';
		}
		n = lengths[i];
	}
	assert_int_equal(v[n - 1], 'x');
}

static void grow_from_a_first_length(void **state UNUSED)
{
	/* As strv does: the terminator counts before anything is there. */
	autofree char **v = mem_grow(NULL, 1, sizeof(*v));
	v[0] = v[1] = NULL;
	autofree char *big = mem_grow(NULL, 100, 1);
	memset(big, 'x', 101);
	assert_int_equal(big[100], 'x');
}

static void arena_holds_small_and_large(void **state UNUSED)
{
	autodone(arena_done) struct arena a = {0};
	char *small[300];
	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		small[i] = arena_printf(&a, "item %zu", i);
		unsigned char *large = arena_alloc(&a, 1000 * (i % 20));
		assert_int_equal((uintptr_t)large % _Alignof(max_align_t), 0);
		for (size_t k = 0; k < 1000 * (i % 20); k++)
			assert_int_equal(large[k], 0);
		memset(large, 0xff, 1000 * (i % 20));
	}
	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		char want[20];
		snprintf(want, sizeof(want), "item %zu", i);
		assert_string_equal(small[i], want);
	}
	assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
	assert_string_equal(arena_strndup(&a, "abc", 9), "abc");
}

static void arena_of_nothing(void **state UNUSED)
{
	struct arena a = {0};
	arena_done(&a);
	assert_non_null(arena_alloc(&a, 0));
	arena_done(&a);
	assert_null(a.block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(alloc_is_zeroed),
	    cmocka_unit_test(strndup_stops_at_nul),
	    cmocka_unit_test(grow_keeps_what_is_there),
	    cmocka_unit_test(grow_after_shrinking),
	    cmocka_unit_test(grow_from_a_first_length),
	    cmocka_unit_test(arena_holds_small_and_large),
	    cmocka_unit_test(arena_of_nothing),
	};
	return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
