#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"

/* The arguments may point into e->text, so everything is put together aside. */
PRINTF(4, 0)
static int vset(struct ng_err *e, int code, const char *behind, const char *fmt, va_list ap)
{
	struct str text = {0};
	str_vaddf(&text, fmt, ap);
	if (behind)
		str_addf(&text, ": %s", behind);
	str_cut(&text, sizeof(e->text) - 1);
	memcpy(e->text, str_text(&text), text.len + 1);
	str_done(&text);
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
	int positive = code < 0 ? -code : code;
	bool denied = (positive == EACCES || positive == EPERM) && geteuid() != 0;
	char text[128];
	snprintf(text, sizeof(text), "%s%s", strerror(positive), denied ? " (are you root?)" : "");
	int r = vset(e, code, text, fmt, ap);
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
