/* What a stream says of itself: anything may be read; what was taken is written the same. The second
 * half, behind a byte 1, is a list of names to remove. */
#include "fuzz.h"

#include <string.h>
#include "store/stream.h"

static void describe(const char *text, size_t len)
{
	struct stream_info i = {0}, again = {0};
	struct str first = {0}, second = {0};
	struct ng_err err = {0};

	if (stream_info_parse(text, len, &i, &err) == 0) {
		FUZZ_CHECK(i.jail && !strchr(i.jail, '/') && i.jail[0] != '.');
		stream_info_format(&first, &i);
		FUZZ_CHECK(stream_info_parse(first.s, first.len, &again, &err) == 0);
		stream_info_format(&second, &again);
		FUZZ_CHECK(str_eq(first.s, second.s));
	} else {
		FUZZ_CHECK(err.code != 0 && !i.jail);
	}
	stream_info_done(&i);
	stream_info_done(&again);
	str_done(&first);
	str_done(&second);
}

static void removed(const char *text, size_t len)
{
	struct strv names = {0};
	struct ng_err err = {0};

	if (stream_removed_parse(text, len, &names, &err) == 0)
		for (size_t i = 0; i < names.n; i++) {
			const char *name = names.v[i];
			FUZZ_CHECK(name[0] != '/' && !strstr(name, "//") &&
				   !str_prefix(name, "../") && !strstr(name, "/../") &&
				   !str_suffix(name, "/..") && !str_eq(name, ".."));
		}
	strv_done(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *half = size > 0 ? memchr(text, 1, size) : NULL;
	size_t n = half ? (size_t)(half - text) : size;

	describe(text, n);
	if (half)
		removed(half + 1, size - n - 1);
	return 0;
}
