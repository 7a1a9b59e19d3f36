/* The body of a CTL_RUN or CTL_SERVICE: what PID 1 accepts lies within the message, whole. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "init/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly that size, aligned as a mapping is. */
	autofree char *body = mem_alloc(size ? size : 1);
	struct command c;

	memcpy(body, data, size);
	if (command_parse(body, size, &c) < 0)
		return 0;
	const char *end = body + size;
	FUZZ_CHECK((const char *)c.exec == body && c.exec->argc > 0);
	FUZZ_CHECK((const char *)(c.groups + c.exec->ngroups) == c.cwd);
	FUZZ_CHECK(c.tag == c.cwd + strlen(c.cwd) + 1 && c.strings == c.tag + strlen(c.tag) + 1);
	const char *p = c.strings;
	for (uint64_t n = (uint64_t)c.exec->argc + c.exec->envc; n > 0; n--) {
		FUZZ_CHECK(p < end);
		p += strlen(p) + 1;
	}
	FUZZ_CHECK(p == end);
	return 0;
}
