/* Memory. Exhaustion ends the process with a message: the one exception to "base never exits";
 * newgate has no state in memory that could be saved by going on. */
#ifndef NG_BASE_MEM_H
#define NG_BASE_MEM_H

#include <stddef.h>
#include "base/macro.h"

void *mem_alloc(size_t size) MUST_CHECK;                         /* zeroed; free() it */
void *mem_resize(void *p, size_t count, size_t size) MUST_CHECK; /* overflow-checked */
char *mem_strdup(const char *s) MUST_CHECK;
char *mem_strndup(const char *s, size_t n) MUST_CHECK;

/* Grows `v` (elements of `size` bytes, `n` in use; NULL while empty) so that one more fits and
 * returns where it is now: `v = mem_grow(v, n, sizeof(*v)); v[n++] = …`. The capacity follows from
 * n (the next power of two, at least 8) and needs no variable, so v must have come from here. New
 * space is not zeroed. */
void *mem_grow(void *v, size_t n, size_t size) MUST_CHECK;

/* A bump allocator: many small things with one life time. Zero-initialise; arena_done releases. */
struct arena {
	struct arena_block *block;
};
void *arena_alloc(struct arena *a, size_t size) MUST_CHECK; /* zeroed, max-aligned */
char *arena_strndup(struct arena *a, const char *s, size_t n) MUST_CHECK;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;
void arena_done(struct arena *a);

#endif
