/* Records of running jails: what is read may be anything, and what was read is written the same. */
#include "fuzz.h"

#include "state/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record r = {0}, again = {0};
	struct ng_err err = {0};
	struct str first = {0}, second = {0};
	if (record_parse((const char *)data, size, &r, &err) == 0) {
		record_format(&first, &r);
		FUZZ_CHECK(record_parse(first.s, first.len, &again, &err) == 0);
		record_format(&second, &again);
		FUZZ_CHECK(str_eq(first.s, second.s));
	}
	record_done(&r);
	record_done(&again);
	str_done(&first);
	str_done(&second);
	return 0;
}
