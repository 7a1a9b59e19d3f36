/* A fuzz target defines this one function, as libFuzzer calls it. It is built twice: with replay.c,
 * for `make check`, and by -Dfuzz=true with libFuzzer. A broken promise aborts by FUZZ_CHECK. */
#ifndef NG_TESTS_FUZZ_H
#define NG_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                            \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, \
				#condition);                                             \
			abort();                                                         \
		}                                                                        \
	} while (0)

#endif
