#include "unit.h"

#include "cmd/progress.h"

#define MB (UINT64_C(1) << 20)

static void assert_line(const char *wanted, uint64_t done, uint64_t total, uint64_t ms)
{
	autodone(str_done) struct str out = {0};

	progress_text(&out, "x.tar", done, total, ms);
	assert_string_equal(out.s, wanted);
}

static void tells_how_far_how_fast_how_long(void **arg)
{
	(void)arg;
	assert_line("x.tar: 10.0M of 30.0M, 5.0M/s, 4 s left", 10 * MB, 30 * MB, 2000);
	assert_line("x.tar: 1.0M of 1.0G, 1.0M/s, 17 min left", MB, 1024 * MB, 1000);
	assert_line("x.tar: 1.0M of 1.0T, 1.0M/s, 291 h 16 min left", MB, MB * MB, 1000);
	assert_line("x.tar: 30.0M of 30.0M, 15.0M/s", 30 * MB, 30 * MB, 2000);
}

static void says_no_more_than_it_knows(void **arg)
{
	(void)arg;
	assert_line("x.tar: 512B of 2.0K", 512, 2048, 100);
	assert_line("x.tar: 0B of 2.0K", 0, 2048, 60000);
	assert_line("x.tar: 1.5K", 1536, 0, 0);
	assert_line("x.tar: 3.0M, 1.0M/s", 3 * MB, 0, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_how_far_how_fast_how_long),
	    cmocka_unit_test(says_no_more_than_it_knows),
	};
	return cmocka_run_group_tests_name("cmd/progress", tests, NULL, NULL);
}
