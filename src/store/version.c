#include "store/version.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "store/backend.h"

unsigned version_of(const char *name, size_t *len)
{
	const char *at = strrchr(name, '@');
	uint32_t number;

	*len = strlen(name);
	if (!at || at == name || at[1] == '0' || num_u32(at + 1, 1, UINT32_MAX, &number) < 0)
		return 1;
	*len = (size_t)(at - name);
	return number;
}

bool version_same(const char *a, const char *b)
{
	size_t n, m;

	version_of(a, &n);
	version_of(b, &m);
	return n == m && memcmp(a, b, n) == 0;
}

char *version_folder(const char *name, unsigned number)
{
	autodone(str_done) struct str b = {0};
	size_t len;

	version_of(name, &len);
	str_addn(&b, name, len);
	if (number > 1)
		str_addf(&b, "@%u", number);
	return str_take(&b);
}

struct search {
	const struct store *s;
	const char *name;
	unsigned newest;
};

static void look(void *arg, const char *name, struct entry *e)
{
	struct search *f = arg;
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err ignored = {0};
	size_t len;
	unsigned number = version_of(name, &len);

	(void)e;
	if (number > f->newest && version_same(name, f->name) &&
	    thing_open(f->s, STORE_TEMPLATES, name, &t, &ignored) == 0)
		f->newest = number;
}

int version_newest(const struct store *s, const char *name, unsigned *out)
{
	struct search f = {.s = s, .name = name};
	int rc = store_each(s, STORE_TEMPLATES, look, &f);

	*out = f.newest;
	return rc;
}

int version_resolve(const struct store *s, const char *name, char **folder)
{
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err ignored = {0};
	size_t len;
	unsigned number = version_of(name, &len);
	bool newest = name[len] == '\0';

	if (newest) {
		int rc = version_newest(s, name, &number);
		if (rc < 0)
			return rc;
		if (number == 0)
			return -ENOENT;
	}
	*folder = version_folder(name, number);
	if (newest || thing_open(s, STORE_TEMPLATES, *folder, &t, &ignored) == 0)
		return 0;
	free(take_ptr(*folder));
	return -ENOENT;
}
