#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS "\xe2\x80\xa6"

/* Puts `text` (`len` bytes wanted, as much as fits present) into e, shortened where it must be at a
 * boundary between characters. */
static void store(struct ng_err *e, const char *text, size_t len)
{
	size_t n = strnlen(text, sizeof(e->text) - 1);
	memcpy(e->text, text, n);
	if (len > n) {
		n = sizeof(e->text) - sizeof(ELLIPSIS);
		while (n && ((unsigned char)e->text[n] & 0xc0) == 0x80)
			n--;
		memcpy(e->text + n, ELLIPSIS, sizeof(ELLIPSIS));
		return;
	}
	e->text[n] = '\0';
}

/* The arguments may point into e->text, so everything is put together aside. */
PRINTF(4, 0)
static int vset(struct ng_err *e, int code, const char *behind, const char *fmt, va_list ap)
{
	char text[sizeof(e->text)];
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	if (n < 0)
		n = 0;
	size_t len = (size_t)n;
	if (behind) {
		size_t at = len < sizeof(text) ? len : sizeof(text) - 1;
		int m = snprintf(text + at, sizeof(text) - at, ": %s", behind);
		len += m > 0 ? (size_t)m : 0;
	}
	store(e, text, len);
	e->code = code < 0 ? -code : code;
	return -e->code;
}

int err_set(struct ng_err *e, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = vset(e, code, NULL, fmt, ap);
	va_end(ap);
	return r;
}

int err_sys(struct ng_err *e, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = vset(e, code, strerror(code < 0 ? -code : code), fmt, ap);
	va_end(ap);
	return r;
}

int err_prefix(struct ng_err *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char old[sizeof(e->text)];
	memcpy(old, e->text, sizeof(old));
	int r = vset(e, e->code, old, fmt, ap);
	va_end(ap);
	return r;
}
