#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_SIZE 8192
#define GROW_FIRST 8 /* the smallest capacity mem_grow gives */

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	max_align_t data[];
};

static NORETURN void exhausted(void)
{
	static const char text[] = "newgate: out of memory\n";
	/* Nothing is left to be done where even this fails. */
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(n < 0 ? 2 : 1);
}

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	if (!p)
		exhausted();
	return p;
}

void *mem_resize(void *p, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		exhausted();
	p = realloc(p, bytes ? bytes : 1);
	if (!p)
		exhausted();
	return p;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n)
{
	n = strnlen(s, n);
	char *copy = mem_alloc(n + 1);
	memcpy(copy, s, n);
	return copy;
}

void *mem_grow(void *v, size_t n, size_t size)
{
	if (v && (n < GROW_FIRST || (n & (n - 1))))
		return v;
	size_t cap = GROW_FIRST;
	while (cap <= n)
		if (__builtin_mul_overflow(cap, 2, &cap))
			exhausted();
	return mem_resize(v, cap, size);
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t align = _Alignof(max_align_t);
	if (size > SIZE_MAX - sizeof(struct arena_block) - align)
		exhausted();
	size = (size + align - 1) / align * align;
	struct arena_block *b = a->block;
	if (!b || b->size - b->used < size) {
		size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
		struct arena_block *fresh = mem_alloc(sizeof(*fresh) + room);
		fresh->size = room;
		/* What fills a block of its own goes behind the current one, whose rest stays
		 * usable. */
		if (b && size > BLOCK_SIZE) {
			fresh->next = b->next;
			b->next = fresh;
		} else {
			fresh->next = b;
			a->block = fresh;
		}
		b = fresh;
	}
	void *p = (char *)b->data + b->used;
	b->used += size;
	return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	n = strnlen(s, n);
	char *copy = arena_alloc(a, n + 1);
	memcpy(copy, s, n);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	autofree char *text = NULL;
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		exhausted();
	return arena_strndup(a, text, (size_t)n);
}

void arena_done(struct arena *a)
{
	for (struct arena_block *b = a->block, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	a->block = NULL;
}
