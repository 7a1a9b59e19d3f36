/* The jail's log: one line at a time on descriptor 2, composed without stdio. */
#ifndef NG_INIT_LOG_H
#define NG_INIT_LOG_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. What does not fit is cut off. */
struct line {
	size_t n;
	char text[400];
};
void line_add(struct line *l, const char *s);
void line_num(struct line *l, uint32_t v);
/* What went wrong, in words where it is one of the usual failures of a start; else "errno N". */
void line_error(struct line *l, int code);
/* Writes it with a newline, unless that would block: PID 1 waits for no reader. */
void line_write(struct line *l);

#endif
