#include "base/diag.h"

#include <stdarg.h>

#include "base/mem.h"
#include "base/str.h"

PRINTF(1, 0)
static char *visible(const char *fmt, va_list ap)
{
	struct str text = {0}, out = {0};
	str_vaddf(&text, fmt, ap);
	str_add_visible(&out, str_text(&text));
	str_done(&text);
	str_cut(&out, DIAG_TEXT);
	return str_take(&out);
}

static bool same_place(const struct diag *a, const struct pos *p)
{
	return a->line == p->line && a->col == p->col && str_eq(a->file, p->file ? p->file : "");
}

/* The same said of somebody else. */
static struct diag *find_same(struct diags *d, const struct pos *p, const char *text)
{
	for (size_t i = d->n; i-- > 0;)
		if (d->v[i].subject && same_place(&d->v[i], p) && str_eq(d->v[i].text, text))
			return &d->v[i];
	return NULL;
}

/* Takes the text. */
static void add(struct diags *d, enum diag_level level, const char *subject, struct pos p,
		char *text)
{
	autofree char *owned = text;
	struct diag *same = subject ? find_same(d, &p, text) : NULL;

	if (level == DIAG_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (same) {
		/* One that has it twice is one all the same. */
		if (!str_eq(same->last, subject)) {
			same->others++;
			free(same->last);
			same->last = mem_strdup(subject);
		}
		d->repeated++;
		return;
	}
	if (d->n == DIAG_MAX)
		return;
	d->v = mem_grow(d->v, d->n, sizeof(*d->v));
	d->v[d->n++] = (struct diag){
	    .level = level,
	    .file = mem_strdup(p.file ? p.file : ""),
	    .line = p.line,
	    .col = p.col,
	    .subject = subject ? mem_strdup(subject) : NULL,
	    .last = subject ? mem_strdup(subject) : NULL,
	    .text = take_ptr(owned),
	};
}

void diag_error(struct diags *d, struct pos p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, DIAG_ERROR, NULL, p, visible(fmt, ap));
	va_end(ap);
}

void diag_error_of(struct diags *d, const char *subject, struct pos p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, DIAG_ERROR, subject, p, visible(fmt, ap));
	va_end(ap);
}

void diag_warn(struct diags *d, struct pos p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	add(d, DIAG_WARNING, NULL, p, visible(fmt, ap));
	va_end(ap);
}

void diag_warn_once(struct diags *d, struct pos p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	autofree char *text = visible(fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].level == DIAG_WARNING && str_eq(d->v[i].text, text))
			return;
	if (d->n < DIAG_MAX / 2)
		add(d, DIAG_WARNING, NULL, p, take_ptr(text));
	else
		d->warnings++;
}

char *diag_format(const struct diag *d)
{
	struct str b = {0};
	if (*d->file) {
		str_add_visible(&b, d->file);
		if (d->line)
			str_addf(&b, ":%u", d->line);
		if (d->line && d->col)
			str_addf(&b, ":%u", d->col);
		str_add(&b, ": ");
	}
	if (d->level == DIAG_WARNING)
		str_add(&b, "warning: ");
	if (d->subject && *d->subject) {
		struct str who = {0};
		str_add_visible(&who, d->subject);
		str_cut(&who, DIAG_TEXT / 4);
		str_add(&b, str_text(&who));
		str_done(&who);
	}
	if (d->others)
		str_addf(&b, " and %u more", d->others);
	if (d->subject && *d->subject)
		str_add(&b, ": ");
	str_add(&b, d->text);
	return str_take(&b);
}

size_t diags_dropped(const struct diags *d)
{
	return (size_t)d->errors + d->warnings - d->repeated - d->n;
}

void diags_done(struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].file);
		free(d->v[i].subject);
		free(d->v[i].last);
		free(d->v[i].text);
	}
	free(d->v);
	*d = (struct diags){0};
}
