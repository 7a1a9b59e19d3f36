#include "base/num.h"

#include <stdbool.h>
#include <string.h>

/* Digits only, to the end. *out is the value; -ERANGE where 64 bits do not hold it. */
static int digits(const char *s, const char *end, uint64_t *out)
{
	uint64_t v = 0;
	bool over = false;

	if (s == end)
		return -EINVAL;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		over |= __builtin_mul_overflow(v, 10, &v);
		over |= __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v);
	}
	if (over)
		return -ERANGE;
	*out = v;
	return 0;
}

int num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v;
	int r = digits(s, s + strlen(s), &v);
	if (r < 0)
		return r;
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int num_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
	uint64_t v, limit = (uint64_t)INT64_MAX;
	bool negative = *s == '-';
	s += negative;
	int r = digits(s, s + strlen(s), &v);
	if (r < 0)
		return r;
	if (v > limit + negative)
		return -ERANGE;
	/* -v in unsigned arithmetic: INT64_MIN has no positive counterpart. */
	int64_t value = negative ? (int64_t)(0 - v) : (int64_t)v;
	if (value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int num_u32(const char *s, uint32_t min, uint32_t max, uint32_t *out)
{
	uint64_t v;
	int r = num_u64(s, min, max, &v);
	if (r < 0)
		return r;
	*out = (uint32_t)v;
	return 0;
}

int num_size(const char *s, uint64_t *bytes)
{
	static const char units[] = "kmgtpe"; /* each 1024 times the one before */
	size_t len = strlen(s);
	unsigned shift = 0;

	if (len) {
		char last = s[len - 1];
		if (last >= 'A' && last <= 'Z')
			last = (char)(last - 'A' + 'a');
		const char *unit = memchr(units, last, sizeof(units) - 1);
		if (unit) {
			shift = 10 * ((unsigned)(unit - units) + 1);
			len--;
		}
	}
	uint64_t v;
	int r = digits(s, s + len, &v);
	if (r < 0)
		return r;
	if (v > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = v << shift;
	return 0;
}

int num_seconds(const char *s, uint32_t max, uint32_t *out)
{
	static const char units[] = "smhdw";
	static const uint32_t each[] = {1, 60, 3600, 86400, 604800};
	size_t len = strlen(s);
	const char *unit = len ? memchr(units, s[len - 1], sizeof(units) - 1) : NULL;
	uint64_t v;

	int r = digits(s, s + len - (unit != NULL), &v);
	if (r < 0)
		return r;
	if (v > max || v * (unit ? each[unit - units] : 1) > max)
		return -ERANGE;
	*out = (uint32_t)(v * (unit ? each[unit - units] : 1));
	return 0;
}
