#include "unit.h"

#include "base/num.h"

static void u64(void **state UNUSED)
{
	uint64_t v = 7;
	static const char *const wrong[] = {"",    " 1", "1 ", "+1",  "-1",  "0x10",
					    "1e3", "1a", "a1", "1\n", "1.0", "\xd9\xa1"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(num_u64(wrong[i], 0, UINT64_MAX, &v), -EINVAL);
	assert_int_equal(num_u64("18446744073709551616", 0, UINT64_MAX, &v), -ERANGE);
	assert_int_equal(num_u64("99999999999999999999999999", 0, UINT64_MAX, &v), -ERANGE);
	/* Not a number goes before too large a number. */
	assert_int_equal(num_u64("99999999999999999999999999x", 0, UINT64_MAX, &v), -EINVAL);
	assert_int_equal(num_u64("4", 5, 9, &v), -ERANGE);
	assert_int_equal(num_u64("10", 5, 9, &v), -ERANGE);
	assert_int_equal(v, 7); /* untouched so far */

	assert_int_equal(num_u64("5", 5, 9, &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(num_u64("9", 5, 9, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(num_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(num_u64("000000000000000000000012", 0, UINT64_MAX, &v), 0);
	assert_int_equal(v, 12);
}

static void i64(void **state UNUSED)
{
	int64_t v = 7;
	assert_int_equal(num_i64("-", INT64_MIN, INT64_MAX, &v), -EINVAL);
	assert_int_equal(num_i64("--1", INT64_MIN, INT64_MAX, &v), -EINVAL);
	assert_int_equal(num_i64("+1", INT64_MIN, INT64_MAX, &v), -EINVAL);
	assert_int_equal(num_i64("9223372036854775808", INT64_MIN, INT64_MAX, &v), -ERANGE);
	assert_int_equal(num_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &v), -ERANGE);
	assert_int_equal(num_i64("-2", -1, 1, &v), -ERANGE);
	assert_int_equal(v, 7);

	assert_int_equal(num_i64("9223372036854775807", INT64_MIN, INT64_MAX, &v), 0);
	assert_true(v == INT64_MAX);
	assert_int_equal(num_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(num_i64("-0", INT64_MIN, INT64_MAX, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(num_i64("-1", -1, 1, &v), 0);
	assert_int_equal(v, -1);
}

static void u32(void **state UNUSED)
{
	uint32_t v = 7;
	assert_int_equal(num_u32("4294967296", 0, UINT32_MAX, &v), -ERANGE);
	assert_int_equal(num_u32("-1", 0, UINT32_MAX, &v), -EINVAL);
	assert_int_equal(v, 7);
	assert_int_equal(num_u32("4294967295", 0, UINT32_MAX, &v), 0);
	assert_true(v == UINT32_MAX);
}

static void size(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
	    {"0", 0},
	    {"10", 10},
	    {"512k", 512 << 10},
	    {"1M", 1 << 20},
	    {"2g", (uint64_t)2 << 30},
	    {"1T", (uint64_t)1 << 40},
	    {"3P", (uint64_t)3 << 50},
	    {"15e", (uint64_t)15 << 60},
	    {"18014398509481983K", UINT64_MAX - 1023},
	};
	uint64_t v = 7;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(num_size(good[i].text, &v), 0);
		assert_true(v == good[i].bytes);
	}
	v = 7;
	static const char *const wrong[] = {"", "k", "1kb", "1 k", "-1k", "1.5g", "k1", "1z"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(num_size(wrong[i], &v), -EINVAL);
	assert_int_equal(num_size("16E", &v), -ERANGE);
	assert_int_equal(num_size("18014398509481984k", &v), -ERANGE);
	assert_int_equal(num_size("18446744073709551616", &v), -ERANGE);
	assert_int_equal(v, 7);
}

static void seconds(void **state UNUSED)
{
	static const struct {
		const char *text;
		uint32_t seconds;
	} good[] = {{"0", 0},     {"90", 90},     {"90s", 90},   {"10m", 600},
		    {"1h", 3600}, {"2d", 172800}, {"1w", 604800}};
	static const char *const wrong[] = {"", "m", "1M", "1 h", "-1h", "1.5h", "1hm", "h1"};
	uint32_t v = 7;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(num_seconds(good[i].text, 604800, &v), 0);
		assert_int_equal(v, good[i].seconds);
	}
	v = 7;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(num_seconds(wrong[i], UINT32_MAX, &v), -EINVAL);
	assert_int_equal(num_seconds("604801", 604800, &v), -ERANGE);
	assert_int_equal(num_seconds("2w", 604800, &v), -ERANGE);
	assert_int_equal(num_seconds("8000000000000000000w", UINT32_MAX, &v), -ERANGE);
	assert_int_equal(v, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(u64),  cmocka_unit_test(i64),     cmocka_unit_test(u32),
	    cmocka_unit_test(size), cmocka_unit_test(seconds),
	};
	return cmocka_run_group_tests_name("base/num", tests, NULL, NULL);
}
