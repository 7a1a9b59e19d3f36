/* A byte scanner that knows where it is: what jail.conf, pf.conf, rc.conf and fstab share. It holds
 * no grammar. The text may contain NUL; it is not modified and must outlive the scanner. */
#ifndef NG_BASE_LEX_H
#define NG_BASE_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include "base/diag.h"

struct lex {
	const char *p, *end; /* the next byte; one past the last */
	struct pos pos;      /* of *p */
};

void lex_init(struct lex *l, const char *file, const char *text, size_t len);
int lex_peek(const struct lex *l);               /* the next byte 0..255, or -1 at the end */
int lex_peek2(const struct lex *l);              /* the one after it */
int lex_get(struct lex *l);                      /* consumes it; counts lines and columns */
bool lex_accept(struct lex *l, const char *lit); /* consumes lit if it comes next */
/* Consumes while fn(byte) holds; returns how many. */
size_t lex_while(struct lex *l, bool (*fn)(int c));
void lex_skip_line(struct lex *l); /* up to, not over, the newline */

#endif
