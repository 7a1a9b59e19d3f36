#include "pf/token.h"

#include <ctype.h>
#include <string.h>

static struct macro *find_macro(const struct macros *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (str_eq(m->v[i].name, name))
			return &m->v[i];
	return NULL;
}

void pf_macros_set(struct macros *m, struct arena *arena, const char *name, const char *value,
		   bool fixed)
{
	struct macro *old = find_macro(m, name);

	value = arena_strndup(arena, value, strlen(value));
	if (old && old->fixed && !fixed)
		return;
	if (old) {
		old->value = value;
		old->fixed = fixed;
		return;
	}
	m->v = mem_grow(m->v, m->n, sizeof(*m->v));
	m->v[m->n++] = (struct macro){arena_strndup(arena, name, strlen(name)), value, fixed};
}

void pf_macros_done(struct macros *m)
{
	free(m->v);
	*m = (struct macros){0};
}

void pf_tokens_init(struct tokens *t, struct arena *arena, struct diags *d, const struct macros *m,
		    const char *file, const char *text, size_t len)
{
	*t = (struct tokens){.arena = arena, .diags = d, .macros = m};
	lex_init(&t->lex, file, text, len);
}

void pf_tokens_done(struct tokens *t)
{
	str_done(&t->scratch);
}

/* ---- bytes: of the macro that is being read, then of the file ---- */

/* Lines that end in a backslash go on in the next, also within words and comments. CR LF is LF. */
static void skip_joints(struct lex *l)
{
	while (lex_accept(l, "\\\n") || lex_accept(l, "\\\r\n"))
		;
	if (lex_peek(l) == '\r' && lex_peek2(l) == '\n')
		lex_get(l);
}

static int peek(struct tokens *t)
{
	if (t->rest && *t->rest)
		return (unsigned char)*t->rest;
	t->rest = t->macro = NULL;
	skip_joints(&t->lex);
	return lex_peek(&t->lex);
}

static int get(struct tokens *t)
{
	int c = peek(t);
	if (t->rest)
		t->rest++;
	else
		lex_get(&t->lex);
	return c;
}

static struct pos place(const struct tokens *t)
{
	return t->rest ? t->used : t->lex.pos;
}

/* ---- words ---- */

static bool starts_word(int c)
{
	return c >= 0 && c < 0x80 && (isalnum(c) || c == ':' || c == '_');
}

static bool in_word(int c)
{
	return c > ' ' && c < 0x7f && !strchr("(){}<>!=/#,", c);
}

static bool in_name(int c)
{
	return c >= 0 && c < 0x80 && (isalnum(c) || c == '_');
}

bool pf_token_is_reserved(const char *s)
{
	static const char *const words[] = {
	    "all",        "any",   "from",  "to",        "port",  "proto",   "on",    "in",
	    "out",        "log",   "quick", "inet",      "inet6", "flags",   "keep",  "modulate",
	    "synproxy",   "no",    "state", "label",     "tag",   "tagged",  "user",  "group",
	    "icmp-type",  "tos",   "pass",  "block",     "match", "anchor",  "table", "scrub",
	    "nat",        "rdr",   "binat", "antispoof", "load",  "include", "set",   "probability",
	    "icmp6-type", "queue", "os",
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(words[i], s))
			return true;
	return false;
}

bool pf_token_is_word(const char *s)
{
	if (!starts_word((unsigned char)*s) || pf_token_is_reserved(s))
		return false;
	for (; *s; s++)
		if (!in_word((unsigned char)*s) || *s == '\\' || *s == '"' || *s == '\'')
			return false;
	return true;
}

static const char *take_scratch(struct tokens *t)
{
	const char *s = arena_strndup(t->arena, str_text(&t->scratch), t->scratch.len);
	t->scratch.len = 0;
	return s;
}

static const char *run(struct tokens *t, bool (*fn)(int c))
{
	t->scratch.len = 0;
	while (fn(peek(t)))
		str_addc(&t->scratch, (char)get(t));
	return take_scratch(t);
}

/* Behind the quote that opens. A backslash quotes that quote and blanks; newlines vanish. */
static const char *quoted(struct tokens *t, int quote)
{
	struct pos opened = t->now.pos;
	bool in_macro = t->rest;

	t->scratch.len = 0;
	for (;;) {
		/* Joints mean nothing special here, so this reads past peek(). */
		int c = t->rest && *t->rest ? (unsigned char)*t->rest++
			: in_macro          ? -1
					    : lex_get(&t->lex);
		int next = t->rest ? (unsigned char)*t->rest : lex_peek(&t->lex);
		if (c < 0) {
			diag_error(t->diags, opened,
				   "reached end of file while parsing quoted string: the closing "
				   "%c is missing",
				   quote);
			t->cut = true;
			break;
		}
		if (c == quote)
			break;
		if (c == '\n' || (c == '\\' && next == '\n') || (c == '\r' && next == '\n'))
			continue;
		if (c == '\\' && (next == quote || next == ' ' || next == '\t')) {
			c = next;
			if (t->rest)
				t->rest++;
			else
				lex_get(&t->lex);
		}
		if (c)
			str_addc(&t->scratch, (char)c);
		else
			diag_error(t->diags, opened, "a string cannot hold a NUL byte: remove it");
	}
	return take_scratch(t);
}

/* Behind "$". False: it stands for nothing; reported. */
static bool expand(struct tokens *t, struct pos at)
{
	const char *name = run(t, in_name);
	const struct macro *m = find_macro(t->macros, name);

	if (!m && *name) {
		const char **names = mem_resize(NULL, t->macros->n + 1, sizeof(*names));
		for (size_t i = 0; i < t->macros->n; i++)
			names[i] = t->macros->v[i].name;
		const char *near = str_nearest(name, names, t->macros->n);
		diag_error(t->diags, at, "macro '%s' not defined%s%s%s", name,
			   near ? " (did you mean $" : "", near ? near : "", near ? "?)" : "");
		free(names);
	} else if (!m) {
		diag_error(t->diags, at, "syntax error: behind \"$\" stands the name of a macro");
	}
	if (!m)
		return false;
	t->macro = m->name;
	t->rest = m->value;
	t->used = at;
	return true;
}

/* Blanks and comments. True where anything was there. */
static bool skip(struct tokens *t)
{
	bool any = false;
	for (;; any = true) {
		int c = peek(t);
		if (c == ' ' || c == '\t') {
			get(t);
		} else if (c == '#') {
			while ((c = peek(t)) >= 0 && c != '\n')
				get(t);
		} else {
			return any;
		}
	}
}

static const char *operator(struct tokens *t)
{
	static const char *const pairs[] = {"<=", "<>", ">=", "><", "!=", "->"};
	char one[2] = {(char)get(t), '\0'};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (one[0] == pairs[i][0] && peek(t) == pairs[i][1]) {
			get(t);
			return pairs[i];
		}
	return arena_strndup(t->arena, one, 1);
}

void pf_tokens_next(struct tokens *t)
{
	bool apart;
	int c;

	t->end = t->lex.pos;
	apart = skip(t);
	while ((c = peek(t)) == '$' && !t->rest) {
		struct pos at = place(t);
		get(t);
		if (!expand(t, at)) {
			t->now = (struct token){TOK_BAD, !apart, at, "", NULL};
			return;
		}
		apart |= skip(t);
	}
	t->now = (struct token){.joined = !apart, .pos = place(t), .macro = t->macro};
	if (c < 0) {
		t->now.type = TOK_EOF;
		t->now.text = "";
	} else if (c == '\n') {
		get(t);
		t->now.type = TOK_NEWLINE;
		t->now.text = "";
	} else if (c == '"' || c == '\'') {
		get(t);
		t->now.type = TOK_STRING;
		t->now.text = quoted(t, c);
	} else if (starts_word(c)) {
		t->now.type = TOK_WORD;
		t->now.text = run(t, in_word);
	} else {
		t->now.type = TOK_OP;
		t->now.text = operator(t);
	}
}

bool pf_tokens_at_assignment(const struct tokens *t)
{
	struct lex ahead = t->lex;

	if (t->rest && *t->rest)
		return false;
	for (skip_joints(&ahead); lex_peek(&ahead) == ' ' || lex_peek(&ahead) == '\t';
	     skip_joints(&ahead))
		lex_get(&ahead);
	return lex_peek(&ahead) == '=';
}
