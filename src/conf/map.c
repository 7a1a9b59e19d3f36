#include "conf/map.h"

#include <string.h>

#include "base/mem.h"

#define CAP_FIRST 16

struct map_slot {
	const void *key; /* NULL: free */
	size_t len, value;
	uint32_t hash;
};

/* FNV-1a, then a final mix so that the low bits depend on all of it. */
uint32_t map_hash(const void *key, size_t len)
{
	const unsigned char *p = key;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 16777619u;
	return h ^ h >> 15;
}

/* The slot that holds the key, or the free one where it would go. */
static struct map_slot *seek(const struct map *m, const void *key, size_t len, uint32_t hash)
{
	size_t i = hash & (m->cap - 1);
	for (;; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slot[i];
		if (!s->key || (s->hash == hash && s->len == len && memcmp(s->key, key, len) == 0))
			return s;
	}
}

static void grow(struct map *m)
{
	struct map old = *m;
	m->cap = old.cap ? old.cap * 2 : CAP_FIRST;
	m->slot = mem_alloc(m->cap * sizeof(*m->slot));
	for (size_t i = 0; i < old.cap; i++) {
		const struct map_slot *s = &old.slot[i];
		if (s->key)
			*seek(m, s->key, s->len, s->hash) = *s;
	}
	free(old.slot);
}

size_t *map_get(const struct map *m, const void *key, size_t len)
{
	if (!m->cap)
		return NULL;
	struct map_slot *s = seek(m, key, len, map_hash(key, len));
	return s->key ? &s->value : NULL;
}

size_t *map_put(struct map *m, const void *key, size_t len, size_t value)
{
	if (m->n * 2 >= m->cap)
		grow(m);
	uint32_t hash = map_hash(key, len);
	struct map_slot *s = seek(m, key, len, hash);
	if (s->key)
		return &s->value;
	*s = (struct map_slot){.key = key, .len = len, .value = value, .hash = hash};
	m->n++;
	return NULL;
}

void map_done(struct map *m)
{
	free(m->slot);
	*m = (struct map){0};
}
