#include "base/str.h"

#include <stdint.h>
#include <stdio.h>

#include "base/mem.h"

/* Makes room for n more bytes and the NUL. */
static void reserve(struct str *b, size_t n)
{
	size_t need;
	if (__builtin_add_overflow(b->len, n, &need) || need == SIZE_MAX)
		need = SIZE_MAX - 1; /* mem_resize ends the process over it */
	need++;
	if (need <= b->cap)
		return;
	size_t cap = b->cap ? b->cap : 32;
	while (cap < need && cap <= SIZE_MAX / 2)
		cap *= 2;
	if (cap < need)
		cap = need;
	b->s = mem_resize(b->s, cap, 1);
	b->cap = cap;
}

void str_add(struct str *b, const char *s)
{
	str_addn(b, s, strlen(s));
}

void str_addn(struct str *b, const char *s, size_t n)
{
	reserve(b, n);
	if (n)
		memcpy(b->s + b->len, s, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void str_addc(struct str *b, char c)
{
	str_addn(b, &c, 1);
}

void str_addf(struct str *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(b, fmt, ap);
	va_end(ap);
}

void str_vaddf(struct str *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	size_t room = b->cap - b->len;
	int n = vsnprintf(room ? b->s + b->len : NULL, room, fmt, ap);
	if (n > 0 && (size_t)n >= room) {
		reserve(b, (size_t)n);
		vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	if (n > 0)
		b->len += (size_t)n;
	else
		str_addn(b, "", 0); /* adding nothing still leaves a NUL behind it */
}

static bool within_character(char c)
{
	return (c & 0xc0) == 0x80;
}

void str_cut(struct str *b, size_t max)
{
	static const char gap[] = " \xe2\x80\xa6 ";
	if (b->len <= max)
		return;
	size_t head = (max - (sizeof(gap) - 1)) / 2;
	size_t tail = b->len - (max - (sizeof(gap) - 1) - head);
	while (head && within_character(b->s[head]))
		head--;
	while (within_character(b->s[tail]))
		tail++;
	struct str out = {0};
	str_addn(&out, b->s, head);
	str_add(&out, gap);
	str_add(&out, b->s + tail);
	str_done(b);
	*b = out;
}

const char *str_text(const struct str *b)
{
	return b->s ? b->s : "";
}

char *str_take(struct str *b)
{
	char *s = b->s ? b->s : mem_strdup("");
	*b = (struct str){0};
	return s;
}

void str_done(struct str *b)
{
	free(b->s);
	*b = (struct str){0};
}

void strv_add(struct strv *l, const char *s)
{
	strv_take(l, mem_strdup(s));
}

void strv_take(struct strv *l, char *s)
{
	/* The terminating NULL counts as an element in use. */
	l->v = mem_grow(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

void strv_addf(struct strv *l, const char *fmt, ...)
{
	struct str b = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	strv_take(l, str_take(&b));
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *l)
{
	if (l->n > 0)
		qsort(l->v, l->n, sizeof(*l->v), by_bytes);
}

bool strv_has(const struct strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], s))
			return true;
	return false;
}

void strv_split(struct strv *l, const char *s, const char *separators)
{
	for (;;) {
		s += strspn(s, separators);
		size_t n = strcspn(s, separators);
		if (!n)
			return;
		strv_take(l, mem_strndup(s, n));
		s += n;
	}
}

void strv_done(struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strv){0};
}

bool str_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}
