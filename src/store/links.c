#include "store/links.h"

#include <string.h>

struct link_seen {
	uint64_t dev, ino; /* ino 0: an empty place of the table */
	const char *name;
};

static struct link_seen *place(struct link_seen *v, size_t cap, uint64_t dev, uint64_t ino)
{
	size_t i = (size_t)((ino * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (cap - 1);

	while (v[i].ino != 0 && (v[i].ino != ino || v[i].dev != dev))
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static void grow(struct links *l)
{
	size_t cap = l->cap > 0 ? 2 * l->cap : 256;
	struct link_seen *v = mem_alloc(cap * sizeof(*v));

	for (size_t i = 0; i < l->cap; i++)
		if (l->seen[i].ino != 0)
			*place(v, cap, l->seen[i].dev, l->seen[i].ino) = l->seen[i];
	free(l->seen);
	l->seen = v;
	l->cap = cap;
}

const char *links_first(struct links *l, uint64_t dev, uint64_t ino, const char *name)
{
	if (2 * (l->n + 1) > l->cap)
		grow(l);
	struct link_seen *s = place(l->seen, l->cap, dev, ino);
	if (s->ino != 0)
		return s->name;
	l->n++;
	*s = (struct link_seen){dev, ino, arena_strndup(&l->arena, name, strlen(name))};
	return NULL;
}

void links_done(struct links *l)
{
	arena_done(&l->arena);
	free(l->seen);
	*l = (struct links){0};
}
