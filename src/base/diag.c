#include "base/diag.h"

#include <stdarg.h>

#include "base/mem.h"
#include "base/str.h"

PRINTF(4, 0)
static void add(struct diags *d, enum diag_level level, struct pos p, const char *fmt, va_list ap)
{
	if (level == DIAG_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (d->n == DIAG_MAX)
		return;
	struct str text = {0};
	str_vaddf(&text, fmt, ap);
	d->v = mem_grow(d->v, d->n, sizeof(*d->v));
	d->v[d->n++] = (struct diag){
	    .level = level,
	    .file = mem_strdup(p.file ? p.file : ""),
	    .line = p.line,
	    .col = p.col,
	    .text = str_take(&text),
	};
}

void diag_error(struct diags *d, struct pos p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, DIAG_ERROR, p, fmt, ap);
	va_end(ap);
}

void diag_warn(struct diags *d, struct pos p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, DIAG_WARNING, p, fmt, ap);
	va_end(ap);
}

char *diag_format(const struct diag *d)
{
	struct str b = {0};
	if (*d->file) {
		str_add(&b, d->file);
		if (d->line)
			str_addf(&b, ":%u", d->line);
		if (d->line && d->col)
			str_addf(&b, ":%u", d->col);
		str_add(&b, ": ");
	}
	if (d->level == DIAG_WARNING)
		str_add(&b, "warning: ");
	str_add(&b, d->text);
	return str_take(&b);
}

void diags_done(struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].file);
		free(d->v[i].text);
	}
	free(d->v);
	*d = (struct diags){0};
}
