/* Recursive descent over the tokens:
 *
 *   config   := { jail | param ";" | ";" }
 *   jail     := NAME "{" config "}"
 *   param    := name | name "=" value | name "+=" value | name value
 *   value    := string { "," string }
 *   string   := piece { joined piece }
 *
 * A fault is reported where it is seen, then everything up to the next ";" is skipped; blocks on
 * the way are parsed as blocks, so that one fault does not hide or invent others. */
#include "conf/parse.h"

#include <glob.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/file.h"
#include "conf/token.h"

#define INCLUDE_DEPTH 32
#define BLOCK_DEPTH 32
#define GLOBAL SIZE_MAX /* instead of a record's index: outside of blocks */

struct parser {
	struct conf *conf;
	struct diags *diags;
	struct tokens tok;
	const char *dir;
	unsigned includes; /* files around this one */
	unsigned blocks;   /* blocks around this place, of all files */
	/* the statement that is being read */
	struct conf_part *part;
	struct conf_string *string;
	size_t nparts, nstrings;
	const char *literal; /* pieces not yet in part[]: the first, and all of them joined */
	struct str join;
};

static void config(struct parser *p, size_t record, const struct pos *opened);
static void parse(struct parser *p, size_t record, const char *name, const char *text, size_t len);

static bool at(const struct parser *p, enum token_type type)
{
	return p->tok.now.type == type;
}

static bool at_piece(const struct parser *p)
{
	return at(p, TOK_STRING) || at(p, TOK_VARIABLE);
}

static void next(struct parser *p)
{
	tokens_next(&p->tok);
}

/* "WORD: syntax error (what would be right)" at the current token. */
PRINTF(2, 3)
static void syntax_error(struct parser *p, const char *fmt, ...)
{
	if (at(p, TOK_BAD) || (at(p, TOK_EOF) && p->tok.cut))
		return;
	struct str remedy = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&remedy, fmt, ap);
	va_end(ap);
	const struct token *t = &p->tok.now;
	if (t->type == TOK_EOF)
		diag_error(p->diags, t->pos, "unexpected EOF (%s)", str_text(&remedy));
	else
		diag_error(p->diags, t->pos, "%s%s: syntax error (%s)",
			   t->type == TOK_VARIABLE ? "$" : "", t->text, str_text(&remedy));
	str_done(&remedy);
}

/* What most often is wrong behind a word. */
static void error_behind(struct parser *p)
{
	unsigned line = p->tok.end.line;
	if (at(p, TOK_EOF) || at(p, TOK_CLOSE) || p->tok.now.pos.line != line)
		syntax_error(p, "is \";\" missing at the end of line %u?", line);
	else if (at_piece(p))
		syntax_error(p, "text with blanks needs quotes, values are separated by \",\"");
	else if (at(p, TOK_OPEN))
		syntax_error(p, "the name of a block is one word, or in quotes");
	else if (at(p, TOK_ASSIGN) || at(p, TOK_APPEND))
		syntax_error(p, "between a name and its value stands one \"=\" or \"+=\"");
	else
		syntax_error(p, "\";\" was expected");
}

/* On to behind the next ";", or to the "}" of the block we are in. */
static void resync(struct parser *p, size_t record)
{
	while (!at(p, TOK_EOF) && !at(p, TOK_CLOSE)) {
		enum token_type type = p->tok.now.type;
		struct pos pos = p->tok.now.pos;
		next(p);
		if (type == TOK_SEMICOLON)
			return;
		if (type == TOK_OPEN) {
			config(p, record == GLOBAL ? conf_add_record(p->conf, "*", pos) : record,
			       &pos);
			return;
		}
	}
}

static void add_part(struct parser *p, bool variable, const char *text)
{
	p->part = mem_grow(p->part, p->nparts, sizeof(*p->part));
	p->part[p->nparts++] = (struct conf_part){variable, text};
}

static void flush_literal(struct parser *p)
{
	if (p->literal && p->join.len)
		add_part(p, false, arena_strndup(&p->conf->arena, p->join.s, p->join.len));
	else if (p->literal && *p->literal)
		add_part(p, false, p->literal);
	p->literal = NULL;
	p->join.len = 0;
}

static void add_literal(struct parser *p, const char *text)
{
	if (!p->literal || !*p->literal) {
		p->literal = text;
		return;
	}
	if (!p->join.len)
		str_add(&p->join, p->literal);
	str_add(&p->join, text);
}

/* At its first piece. */
static void string(struct parser *p)
{
	struct conf_string s = {.pos = p->tok.now.pos};
	p->nparts = 0;
	do {
		s.quoted |= p->tok.now.quoted;
		if (at(p, TOK_VARIABLE)) {
			flush_literal(p);
			add_part(p, true, p->tok.now.text);
		} else {
			add_literal(p, p->tok.now.text);
		}
		next(p);
	} while (p->tok.now.joined);
	flush_literal(p);
	if (!p->nparts)
		add_part(p, false, "");
	s.nparts = p->nparts;
	s.part = arena_alloc(&p->conf->arena, s.nparts * sizeof(*s.part));
	memcpy(s.part, p->part, s.nparts * sizeof(*s.part));
	p->string = mem_grow(p->string, p->nstrings, sizeof(*p->string));
	p->string[p->nstrings++] = s;
}

/* At the first string. `name`: the word before it where no operator stands between. False: a fault
 * was reported. */
static bool value(struct parser *p, const struct token *name)
{
	struct token first = p->tok.now;
	p->nstrings = 0;
	for (;;) {
		if (!at_piece(p)) {
			syntax_error(p, p->nstrings ? "a value is missing behind \",\""
						    : "a value is missing; an empty one is \"\"");
			return false;
		}
		string(p);
		if (!at(p, TOK_COMMA))
			break;
		next(p);
	}
	if (at(p, TOK_SEMICOLON))
		return true;
	/* "persist NEWLINE path = /x;" reads like a value of persist up to the "=". */
	if (name && name->pos.line != first.pos.line) {
		p->tok.now = first;
		p->tok.end = name->pos;
	}
	error_behind(p);
	return false;
}

static void include_file(struct parser *p, size_t record, const char *path, struct pos pos)
{
	autofree char *text = NULL;
	size_t len;

	int r = file_read(path, &text, &len);
	if (r < 0) {
		diag_error(p->diags, pos, "%s: %s%s", path, strerror(-r),
			   r == -ENOENT   ? " (a pattern may match nothing, a name must exist)"
			   : r == -EISDIR ? " (what is in it: \"…/*.conf\")"
					  : "");
		return;
	}
	conf_note_file(p->conf, path);
	struct parser inner = {
	    .conf = p->conf,
	    .diags = p->diags,
	    .includes = p->includes + 1,
	    .blocks = p->blocks,
	};
	const char *slash = strrchr(path, '/');
	if (slash)
		inner.dir = arena_strndup(&p->conf->arena, path, (size_t)(slash + 1 - path));
	parse(&inner, record, path, text, len);
}

/* One name of an .include: a pattern that may match nothing, or a file that must be there. */
static void include(struct parser *p, size_t record, const struct conf_string *s)
{
	if (s->nparts != 1 || s->part->variable) {
		diag_error(p->diags, s->pos,
			   "variables not permitted in '.include' filename (they belong to jails; "
			   "write the name out, or a pattern)");
		return;
	}
	if (p->includes >= INCLUDE_DEPTH) {
		diag_error(p->diags, s->pos,
			   "maximum include depth exceeded (%d; does a file include itself?)",
			   INCLUDE_DEPTH);
		return;
	}
	const char *name = s->part->text;
	const char *dir = *name == '/' ? p->conf->root : p->dir;
	const char *path = arena_printf(&p->conf->arena, "%s%s", dir ? dir : "", name);
	glob_t found = {0};
	int r = glob(path, GLOB_NOCHECK, NULL, &found);
	if (r)
		diag_error(p->diags, s->pos, "%s: %s", path,
			   r == GLOB_NOSPACE ? "too many files" : "the folder cannot be read");
	for (size_t i = 0; !r && i < found.gl_pathc; i++) {
		const char *file = found.gl_pathv[i];
		/* GLOB_NOCHECK gave the pattern back: nothing matched. */
		if (strpbrk(path, "*?[") && found.gl_pathc == 1 && strcmp(file, path) == 0 &&
		    access(file, F_OK) < 0)
			break;
		include_file(p, record, arena_strndup(&p->conf->arena, file, strlen(file)), s->pos);
	}
	globfree(&found);
}

/* The record that a parameter outside of blocks belongs to: a new one behind each block, since what
 * is written later wins. */
static size_t global_record(struct parser *p, struct pos pos)
{
	struct conf *c = p->conf;
	const struct conf_record *last = c->nrecords ? &c->record[c->nrecords - 1] : NULL;
	if (last && last->global && last->unit == c->unit)
		return c->nrecords - 1;
	size_t i = conf_add_record(c, "*", pos);
	c->record[i].global = true;
	return i;
}

static void add_param(struct parser *p, size_t record, const struct token *name, bool append)
{
	struct conf_param param = {
	    .name = name->text,
	    .variable = name->type == TOK_VARIABLE,
	    .append = append,
	    .nvalues = p->nstrings,
	    .pos = name->pos,
	};
	if (!param.variable)
		param.id = param_find(param.name, &param.negated);
	param.value = arena_alloc(&p->conf->arena, p->nstrings * sizeof(*param.value));
	if (p->nstrings)
		memcpy(param.value, p->string, p->nstrings * sizeof(*param.value));
	if (record == GLOBAL)
		record = global_record(p, param.pos);
	conf_add_param(p->conf, record, &param);
}

/* Behind the name, at the ";": puts the statement where it belongs. */
static void finish_param(struct parser *p, size_t record, const struct token *name,
			 enum token_type op)
{
	if (name->type != TOK_STRING || strcmp(name->text, ".include") != 0) {
		add_param(p, record, name, op == TOK_APPEND);
		next(p);
		return;
	}
	if ((op != TOK_STRING && op != TOK_VARIABLE) || !p->nstrings) {
		diag_error(p->diags, name->pos,
			   ".include takes file names alone: .include \"FILE\";");
		next(p);
		return;
	}
	size_t n = p->nstrings;
	struct conf_string *s = take_ptr(p->string);
	p->nstrings = 0;
	for (size_t i = 0; i < n; i++)
		include(p, record, &s[i]);
	free(s);
	next(p);
}

/* At the "{" behind a jail's name. */
static void block(struct parser *p, size_t record, const struct token *name)
{
	struct conf *c = p->conf;
	const char *full = name->text;

	if (name->type == TOK_VARIABLE)
		diag_error(p->diags, name->pos,
			   "$%s: syntax error (a jail's name cannot be a variable)", name->text);
	if (!*full)
		diag_error(p->diags, name->pos,
			   "a jail's name cannot be empty: write one before \"{\"");
	if (record != GLOBAL)
		full = arena_printf(&c->arena, "%s.%s", c->record[record].name, full);
	size_t mine = conf_add_record(c, full, name->pos);
	next(p);
	if (p->blocks < BLOCK_DEPTH) {
		p->blocks++;
		config(p, mine, &name->pos);
		p->blocks--;
		return;
	}
	diag_error(p->diags, name->pos, "more than %d blocks inside one another", BLOCK_DEPTH);
	p->tok.cut = true;
	while (!at(p, TOK_EOF))
		next(p);
}

/* Several pieces where one name was expected: "foo.*" without quotes, or "a$b". */
static void long_name(struct parser *p, size_t record, struct token *name)
{
	struct str all = {0};
	struct token second = p->tok.now;
	str_addf(&all, "%s%s", name->type == TOK_VARIABLE ? "$" : "", name->text);
	for (; p->tok.now.joined; next(p))
		str_addf(&all, "%s%s", at(p, TOK_VARIABLE) ? "$" : "", p->tok.now.text);
	diag_error(p->diags, second.pos, "%s: syntax error (%s \"%s\"%s)", second.text,
		   at(p, TOK_OPEN) ? "such a name needs quotes:" : "no parameter is called",
		   str_text(&all), at(p, TOK_OPEN) ? " {" : "");
	name->type = TOK_STRING;
	name->text = arena_strndup(&p->conf->arena, str_text(&all), all.len);
	str_done(&all);
	if (at(p, TOK_OPEN))
		block(p, record, name);
	else
		resync(p, record);
}

/* At a name. */
static void statement(struct parser *p, size_t record)
{
	struct token name = p->tok.now;
	bool ok = true;

	next(p);
	if (p->tok.now.joined) {
		long_name(p, record, &name);
		return;
	}
	enum token_type op = p->tok.now.type;
	p->nstrings = 0;
	switch (op) {
	case TOK_OPEN:
		block(p, record, &name);
		return;
	case TOK_SEMICOLON:
		break;
	case TOK_ASSIGN:
	case TOK_APPEND:
		next(p);
		ok = value(p, NULL);
		break;
	case TOK_STRING:
	case TOK_VARIABLE:
		ok = value(p, &name);
		break;
	default:
		error_behind(p);
		ok = false;
	}
	if (ok)
		finish_param(p, record, &name, op);
	else
		resync(p, record);
}

/* Statements up to the end: of the block that was opened there, else of the file. */
static void config(struct parser *p, size_t record, const struct pos *opened)
{
	for (;;) {
		switch (p->tok.now.type) {
		case TOK_EOF:
			if (opened && !p->tok.cut)
				diag_error(p->diags, p->tok.now.pos,
					   "unexpected EOF (the block that line %u opens lacks its "
					   "\"}\")",
					   opened->line);
			return;
		case TOK_CLOSE:
			if (!opened)
				syntax_error(p, "no block is open here");
			next(p);
			if (opened)
				return;
			break;
		case TOK_SEMICOLON:
			next(p);
			break;
		case TOK_STRING:
		case TOK_VARIABLE:
			statement(p, record);
			break;
		default:
			syntax_error(p, "a parameter or a block was expected");
			resync(p, record);
		}
	}
}

static void parse(struct parser *p, size_t record, const char *name, const char *text, size_t len)
{
	tokens_init(&p->tok, &p->conf->arena, p->diags, name, text, len);
	next(p);
	config(p, record, NULL);
	tokens_done(&p->tok);
	free(p->part);
	free(p->string);
	str_done(&p->join);
}

void parse_text(struct conf *c, const char *name, const char *dir, const char *text, size_t len,
		struct diags *d)
{
	struct parser p = {.conf = c, .diags = d, .dir = dir};
	parse(&p, GLOBAL, name, text, len);
}
