/* Strict numbers: the whole string, no sign, blank or leftover, within the bounds. Each returns 0,
 * -EINVAL (not a number) or -ERANGE (outside the bounds) and leaves *out alone on failure. */
#ifndef NG_BASE_NUM_H
#define NG_BASE_NUM_H

#include <stdint.h>
#include "base/macro.h"

int num_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;
int num_i64(const char *s, int64_t min, int64_t max,
	    int64_t *out) MUST_CHECK; /* may start with - */
int num_u32(const char *s, uint32_t min, uint32_t max, uint32_t *out) MUST_CHECK;
int num_size(const char *s, uint64_t *bytes) MUST_CHECK; /* 10, 512k, 1M, 2g, 1T: powers of 1024 */
int num_seconds(const char *s, uint32_t max,
		uint32_t *out) MUST_CHECK; /* 90, 90s, 10m, 1h, 2d, 1w */

#endif
