#include "cmd/output.h"

#include <inttypes.h>
#include <sys/ioctl.h>
#include "base/mem.h"
#include "base/str.h"

/* Text is printed when all of it is known, since columns are as wide as their widest cell; JSON is
 * put together as it comes, and printed at the end as well: a verb that fails half-way prints
 * nothing that a reader could take for whole. */

struct column {
	const char *field, *header; /* not owned: literals of the verb */
	bool right;
	int width;
};

struct row {
	char **cell; /* owned, by column; a row may lack some */
	size_t n;
};

struct output {
	FILE *f;
	bool json;
	bool fixed; /* output_width was called: */
	int columns;
	struct str text; /* JSON so far */
	bool first;      /* no field of this row yet */
	struct column *col;
	size_t ncols;
	struct row *row;
	size_t nrows;
};

#define GAP 2          /* blanks between columns */
#define LEAST_WIDTH 12 /* a column is not cut below this */

struct output *output_open(FILE *f, bool json, const char *rows)
{
	struct output *o = mem_alloc(sizeof(*o));

	o->f = f;
	o->json = json;
	if (json) {
		str_addc(&o->text, '{');
		str_add_json(&o->text, rows);
		str_add(&o->text, ": [");
	}
	return o;
}

void output_row(struct output *o)
{
	if (o->json)
		str_add(&o->text, o->nrows ? "},\n  {" : "\n  {");
	else {
		o->row = mem_grow(o->row, o->nrows, sizeof(*o->row));
		o->row[o->nrows] = (struct row){0};
	}
	o->nrows++;
	o->first = true;
}

/* Opens a field of the current row: JSON's name, or where its cell is to go. */
static char **field_begin(struct output *o, const char *field, const char *header, bool right)
{
	struct row *r = NULL;
	size_t i = 0;

	if (o->json) {
		if (!o->first)
			str_add(&o->text, ", ");
		o->first = false;
		str_add_json(&o->text, field);
		str_add(&o->text, ": ");
		return NULL;
	}
	while (i < o->ncols && !str_eq(o->col[i].field, field))
		i++;
	if (i == o->ncols) {
		o->col = mem_grow(o->col, o->ncols, sizeof(*o->col));
		o->col[o->ncols++] = (struct column){field, header, right, 0};
	}
	r = &o->row[o->nrows - 1];
	while (r->n <= i) {
		r->cell = mem_grow(r->cell, r->n, sizeof(*r->cell));
		r->cell[r->n++] = NULL;
	}
	return &r->cell[i];
}

void output_str(struct output *o, const char *field, const char *header, const char *value)
{
	char **cell = field_begin(o, field, header, false);

	if (cell)
		*cell = value ? mem_strdup(value) : NULL;
	else if (value)
		str_add_json(&o->text, value);
	else
		str_add(&o->text, "null");
}

static void put_number(struct output *o, char **cell, const char *text)
{
	if (cell)
		*cell = mem_strdup(text);
	else
		str_add(&o->text, text);
}

void output_num(struct output *o, const char *field, const char *header, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	put_number(o, field_begin(o, field, header, true), text);
}

void output_bytes(struct output *o, const char *field, const char *header, uint64_t value)
{
	static const char units[] = "BKMGTPE";
	char **cell = field_begin(o, field, header, true);
	char text[24];
	double v = (double)value;
	size_t unit = 0;

	/* 1023.95 would print as 1024.0 of the smaller unit. */
	for (; v >= 1023.95 && units[unit + 1]; unit++)
		v /= 1024;
	if (!cell || unit == 0)
		snprintf(text, sizeof(text), "%" PRIu64 "%s", value, cell ? "B" : "");
	else
		snprintf(text, sizeof(text), "%.1f%c", v, units[unit]);
	put_number(o, cell, text);
}

/* Two units are as much as anyone reads. */
const char *span_text(int64_t s, char buf[static SPAN_TEXT])
{
	if (s >= 86400)
		snprintf(buf, SPAN_TEXT, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(buf, SPAN_TEXT, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(buf, SPAN_TEXT, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
	else
		snprintf(buf, SPAN_TEXT, "%" PRId64 "s", s);
	return buf;
}

void output_span(struct output *o, const char *field, const char *header, int64_t seconds)
{
	char **cell = field_begin(o, field, header, false);
	char text[SPAN_TEXT];

	if (cell)
		*cell = mem_strdup(span_text(seconds, text));
	else
		str_addf(&o->text, "%" PRId64, seconds);
}

void output_real(struct output *o, const char *field, const char *header, double value)
{
	char text[48];

	snprintf(text, sizeof(text), "%.1f", value);
	put_number(o, field_begin(o, field, header, true), text);
}

void output_bool(struct output *o, const char *field, const char *header, bool value)
{
	char **cell = field_begin(o, field, header, false);

	if (cell)
		*cell = mem_strdup(value ? "yes" : "no");
	else
		str_add(&o->text, value ? "true" : "false");
}

void output_list(struct output *o, const char *field, const char *header, const char *const *v,
		 size_t n)
{
	char **cell = field_begin(o, field, header, false);
	autodone(str_done) struct str line = {0};

	if (!cell)
		str_addc(&o->text, '[');
	for (size_t i = 0; i < n; i++) {
		if (i)
			str_add(cell ? &line : &o->text, cell ? " " : ", ");
		if (cell)
			str_add(&line, v[i]);
		else
			str_add_json(&o->text, v[i]);
	}
	if (!cell)
		str_addc(&o->text, ']');
	else if (n)
		*cell = str_take(&line);
}

/* --- the table -------------------------------------------------------------------------------- */

/* Letters, not bytes: what continues a UTF-8 sequence takes no room. */
static int text_width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static const char *cell_text(const struct row *r, size_t i)
{
	return i < r->n && r->cell[i] && *r->cell[i] ? r->cell[i] : "-";
}

static int terminal_width(FILE *f)
{
	struct winsize w;

	if (!isatty(fileno(f)) || ioctl(fileno(f), TIOCGWINSZ, &w) < 0)
		return 0;
	return w.ws_col;
}

/* Makes the table fit by taking from its widest column of text, again and again. */
static void fit(struct output *o, int room)
{
	for (;;) {
		struct column *widest = NULL;
		int total = -GAP;

		for (size_t i = 0; i < o->ncols; i++) {
			total += o->col[i].width + GAP;
			if (!o->col[i].right && (!widest || o->col[i].width > widest->width))
				widest = &o->col[i];
		}
		if (total <= room || !widest || widest->width <= LEAST_WIDTH)
			return;
		widest->width--;
	}
}

/* Appends s in `width` columns. What a terminal would act upon is shown as "?": some values come
 * from inside of jails. */
static void add_cell(struct str *line, const char *s, const struct column *c, bool last)
{
	int have = text_width(s), room = c->width;
	bool cut = have > room;

	for (int i = have; c->right && i < c->width; i++)
		str_addc(line, ' ');
	for (const char *p = s; *p; p++) {
		bool start = ((unsigned char)*p & 0xc0) != 0x80;

		if (start && room-- == (cut ? 1 : 0))
			break;
		str_addc(line, (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p);
	}
	if (cut)
		str_add(line, "…");
	for (int i = have; !c->right && !last && i < c->width; i++)
		str_addc(line, ' ');
}

static void print_table(struct output *o)
{
	autodone(str_done) struct str out = {0};
	const char *no_color = getenv("NO_COLOR");
	bool color = isatty(fileno(o->f)) && !(no_color && *no_color);
	int room = o->fixed ? o->columns : terminal_width(o->f);

	for (size_t i = 0; i < o->ncols; i++) {
		o->col[i].width = text_width(o->col[i].header);
		for (size_t r = 0; r < o->nrows; r++) {
			int w = text_width(cell_text(&o->row[r], i));

			if (w > o->col[i].width)
				o->col[i].width = w;
		}
	}
	if (room > 0)
		fit(o, room);
	for (size_t r = 0; r < o->nrows + 1 && o->ncols; r++) {
		if (r == 0 && color)
			str_add(&out, "\033[1m");
		for (size_t i = 0; i < o->ncols; i++) {
			const char *s = r ? cell_text(&o->row[r - 1], i) : o->col[i].header;

			add_cell(&out, s, &o->col[i], i == o->ncols - 1);
			if (i < o->ncols - 1)
				str_addf(&out, "%*s", GAP, "");
		}
		if (r == 0 && color)
			str_add(&out, "\033[0m");
		str_addc(&out, '\n');
	}
	fputs(str_text(&out), o->f);
}

static void end_rows(struct output *o)
{
	if (o->json)
		str_add(&o->text, o->nrows ? "}\n]" : "]");
	else
		print_table(o);
	for (size_t i = 0; !o->json && i < o->nrows; i++) {
		for (size_t k = 0; k < o->row[i].n; k++)
			free(o->row[i].cell[k]);
		free(o->row[i].cell);
	}
	free(o->row);
	free(o->col);
	o->row = NULL;
	o->col = NULL;
	o->nrows = o->ncols = 0;
}

void output_width(struct output *o, int columns)
{
	o->fixed = true;
	o->columns = columns;
}

void output_next(struct output *o, const char *rows)
{
	end_rows(o);
	if (!o->json)
		return;
	str_add(&o->text, ", ");
	str_add_json(&o->text, rows);
	str_add(&o->text, ": [");
}

int output_close(struct output *o)
{
	int r = 0;

	end_rows(o);
	if (o->json) {
		str_add(&o->text, "}\n");
		fputs(str_text(&o->text), o->f);
	}
	if (fflush(o->f) != 0 || ferror(o->f))
		r = errno ? -errno : -EIO;
	str_done(&o->text);
	free(o);
	return r;
}
