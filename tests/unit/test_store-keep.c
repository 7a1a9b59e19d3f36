#include "unit.h"

#include <string.h>
#include <time.h>
#include "store/keep.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define MONDAY 1767571200 /* 2026-01-05T00:00:00Z */

static int in_utc(void **arg)
{
	(void)arg;
	setenv("TZ", "UTC", 1);
	tzset();
	return 0;
}

static void test_names(void **arg)
{
	char name[KEEP_NAME];

	(void)arg;
	keep_name(MONDAY + 9 * HOUR + 5 * 60, name);
	assert_string_equal(name, "auto-20260105-0905");
	assert_true(keep_is_name(name));
	assert_false(keep_is_name("auto-20260105-090"));
	assert_false(keep_is_name("auto-20260105-09055"));
	assert_false(keep_is_name("auto-2026o105-0905"));
	assert_false(keep_is_name("before"));
}

static void test_due(void **arg)
{
	const struct conf_keep hourly = {.n = {[KEEP_HOURLY] = 2, [KEEP_DAILY] = 1}};
	const struct conf_keep daily = {.n = {[KEEP_DAILY] = 1}};
	const struct conf_keep none = {0};
	const int64_t made[] = {MONDAY + 10 * HOUR - 1};

	(void)arg;
	assert_true(keep_due(&hourly, NULL, 0, MONDAY));
	assert_false(keep_due(&hourly, made, 1, MONDAY + 10 * HOUR - 1));
	assert_true(keep_due(&hourly, made, 1, MONDAY + 10 * HOUR));
	assert_false(keep_due(&daily, made, 1, MONDAY + DAY - 1));
	assert_true(keep_due(&daily, made, 1, MONDAY + DAY));
	assert_false(keep_due(&none, NULL, 0, MONDAY));
}

static size_t count(const bool *stays, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		kept += stays[i];
	return kept;
}

/* One every hour for ten weeks. */
static void test_choose(void **arg)
{
	static int64_t made[70 * 24];
	static bool stays[ARRAY_SIZE(made)];
	const size_t n = ARRAY_SIZE(made);
	const struct conf_keep k = {
	    .n = {[KEEP_HOURLY] = 24, [KEEP_DAILY] = 7, [KEEP_WEEKLY] = 4, [KEEP_MONTHLY] = 2}};

	(void)arg;
	for (size_t i = 0; i < n; i++)
		made[i] = MONDAY + (int64_t)i * HOUR;
	keep_choose(&k, made, n, stays);
	for (size_t i = n - 24; i < n; i++)
		assert_true(stays[i]);
	/* The last of each day; the newest is of the hours too. */
	for (size_t d = 1; d < 7; d++)
		assert_true(stays[n - 1 - d * 24]);
	for (size_t w = 1; w < 4; w++)
		assert_true(stays[n - 1 - w * 7 * 24]);
	/* 2026-02-28T23: of the month before the newest one. */
	assert_true(stays[(26 + 28) * 24 + 23 + 0]);
	assert_int_equal(count(stays, n), 24 + 6 + 3 + 1);
	/* A second look changes nothing: what stays is what is kept of what stays. */
	size_t left = 0;
	for (size_t i = 0; i < n; i++)
		if (stays[i])
			made[left++] = made[i];
	keep_choose(&k, made, left, stays);
	assert_int_equal(count(stays, left), left);
}

/* Gaps do not use up what is kept. */
static void test_gaps(void **arg)
{
	const int64_t made[] = {MONDAY, MONDAY + 30 * DAY, MONDAY + 30 * DAY + HOUR};
	const struct conf_keep k = {.n = {[KEEP_DAILY] = 2}};
	bool stays[3];

	(void)arg;
	keep_choose(&k, made, 3, stays);
	assert_true(stays[0]);
	assert_false(stays[1]);
	assert_true(stays[2]);
	keep_choose(&k, made, 0, stays);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_due),
	    cmocka_unit_test(test_choose),
	    cmocka_unit_test(test_gaps),
	};

	return cmocka_run_group_tests(tests, in_utc, NULL);
}
