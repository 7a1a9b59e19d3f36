/* Answers of name servers: whatever is read is text, and no more records than there is room for. */
#include <string.h>

#include "fuzz.h"
#include "host/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (enum lookup_type t = LOOKUP_A; t <= LOOKUP_CAA; t++) {
		autodone(strv_done) struct strv got = {0};

		/* A record takes eleven bytes at least. */
		if (lookup_read(data, size, t, &got) == 0)
			FUZZ_CHECK(got.n <= size / 11);
		for (size_t i = 0; i < got.n && (t == LOOKUP_A || t == LOOKUP_AAAA); i++) {
			struct ip ip;
			FUZZ_CHECK(ip_parse(got.v[i], &ip) == 0);
		}
	}
	return 0;
}
