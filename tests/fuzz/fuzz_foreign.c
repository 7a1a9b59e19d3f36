/* The firewalls of others, in both forms: whatever is read can be judged. The first byte chooses. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "fuzz.h"
#include "net/foreign.h"

static void judge(const struct foreign *f)
{
	struct foreign_packet p = {.family = AF_INET,
				   .iif = "ng1",
				   .from_jail = true,
				   .saddr = {AF_INET, {10, 0, 0, 2}},
				   .proto = 6,
				   .dport = 443};
	struct foreign_answer a;
	for (size_t i = 0; i < f->n; i++) {
		foreign_judge(f, i, "forward", &p, &a);
		FUZZ_CHECK(a.verdict == FOREIGN_PASS || (a.base == f->chain[i] && a.in));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodone(foreign_done) struct foreign f = {0};
	struct json *j;

	if (!size)
		return 0;
	if (*data == '{') {
		size_t at = 0;
		if (json_parse(&f.arena, (const char *)data, size, &j, &at) == 0)
			foreign_read_nft(&f, j);
		else
			FUZZ_CHECK(at <= size);
	} else {
		autofree char *text = mem_strndup((const char *)data, size);
		foreign_read_save(&f, "ip", *data & 1, text);
	}
	judge(&f);
	return 0;
}
