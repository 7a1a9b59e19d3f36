#include "base/lex.h"

#include <string.h>

void lex_init(struct lex *l, const char *file, const char *text, size_t len)
{
	*l = (struct lex){
	    .p = text,
	    .end = text + len,
	    .pos = {.file = file, .line = 1, .col = 1},
	};
}

int lex_peek(const struct lex *l)
{
	return l->p < l->end ? (unsigned char)*l->p : -1;
}

int lex_peek2(const struct lex *l)
{
	return l->end - l->p > 1 ? (unsigned char)l->p[1] : -1;
}

int lex_get(struct lex *l)
{
	if (l->p == l->end)
		return -1;
	int c = (unsigned char)*l->p++;
	if (c == '\n') {
		l->pos.line++;
		l->pos.col = 1;
	} else {
		l->pos.col++;
	}
	return c;
}

bool lex_accept(struct lex *l, const char *lit)
{
	size_t n = strlen(lit);
	if ((size_t)(l->end - l->p) < n || memcmp(l->p, lit, n) != 0)
		return false;
	while (n--)
		lex_get(l);
	return true;
}

size_t lex_while(struct lex *l, bool (*fn)(int c))
{
	const char *start = l->p;
	while (l->p < l->end && fn((unsigned char)*l->p))
		lex_get(l);
	return (size_t)(l->p - start);
}

void lex_skip_line(struct lex *l)
{
	while (l->p < l->end && *l->p != '\n')
		lex_get(l);
}
