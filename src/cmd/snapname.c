#include "cmd/snapname.h"

#include <string.h>
#include "base/mem.h"

struct snapname snapname_parse(const char *text)
{
	/* The last one: a jail's name may have one too. */
	const char *at = strrchr(text, '@');

	if (!at)
		return (struct snapname){.jail = mem_strdup(text)};
	return (struct snapname){mem_strndup(text, (size_t)(at - text)), mem_strdup(at + 1)};
}

void snapname_done(struct snapname *n)
{
	free(n->jail);
	free(n->snap);
	*n = (struct snapname){0};
}
