/* Lines of logs that a jail's root can write: what is read of them is whole. */
#include <string.h>

#include "fuzz.h"
#include "host/failure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (enum failure_log log = LOG_DOVECOT; log <= LOG_POSTFIX; log++) {
		struct failure f;

		if (!failure_read(log, (const char *)data, size, &f))
			continue;
		FUZZ_CHECK(size <= FAILURE_LINE && f.service && f.times > 0);
		FUZZ_CHECK(f.from.family == AF_INET || f.from.family == AF_INET6);
	}
	return 0;
}
