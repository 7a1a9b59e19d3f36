#include "conf/token.h"

#include <string.h>

#include "base/mem.h"

void tokens_init(struct tokens *t, struct arena *arena, struct diags *d, const char *file,
		 const char *text, size_t len)
{
	*t = (struct tokens){.arena = arena, .diags = d};
	lex_init(&t->lex, file, text, len);
}

void tokens_done(struct tokens *t)
{
	str_done(&t->scratch);
}

static bool is_word(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* What runs together into one piece outside of quotes. */
static bool is_run(int c)
{
	return is_word(c) || (c > 0 && strchr("!%&()-.:<>?@[]^`|~", c));
}

/* What is a piece by itself outside of quotes. */
static bool is_single(int c)
{
	return c > 0 && strchr("$*+/", c);
}

static bool is_variable(const struct lex *l)
{
	int c = lex_peek2(l);
	return lex_peek(l) == '$' && (c == '{' || (is_word(c) && !(c >= '0' && c <= '9')));
}

bool token_is_piece(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!is_run((unsigned char)*s))
			return false;
	return true;
}

/* "//" and "/ *" would open a comment; "+" and "$" are left to the quotes, it reads better. */
bool token_is_bare(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s == '/' && (s[1] == '/' || s[1] == '*'))
			return false;
		if (*s != '/' && *s != '*' && !is_run((unsigned char)*s))
			return false;
	}
	return true;
}

static void add_byte(struct tokens *t, int c, struct pos at)
{
	if (c)
		str_addc(&t->scratch, (char)c);
	else
		diag_error(t->diags, at, "a value cannot hold a NUL byte: remove it");
}

static int hex(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash at `at`; appends what it stands for. */
static void escape(struct tokens *t, struct pos at)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	int c = lex_get(&t->lex), v = 0;

	if (c < 0) {
		str_addc(&t->scratch, '\\');
	} else if (c == 'x') {
		int digits = 0;
		for (int h; digits < 2 && (h = hex(lex_peek(&t->lex))) >= 0; digits++) {
			v = v * 16 + h;
			lex_get(&t->lex);
		}
		if (digits)
			add_byte(t, v, at);
		else
			diag_error(t->diags, at,
				   "\"\\x\" needs one or two hexadecimal digits behind it "
				   "(a backslash itself is \"\\\\\")");
	} else if (c >= '0' && c <= '7') {
		v = c - '0';
		for (int n = 1; n < 3 && lex_peek(&t->lex) >= '0' && lex_peek(&t->lex) <= '7'; n++)
			v = v * 8 + lex_get(&t->lex) - '0';
		if (v <= 0377)
			add_byte(t, v, at);
		else
			diag_error(t->diags, at, "\"\\%o\" is not a byte: the highest is \"\\377\"",
				   (unsigned)v);
	} else if (c && c != '\n') {
		const char *known = strchr(from, c);
		str_addc(&t->scratch, known ? to[known - from] : (char)c);
	} else if (!c) {
		add_byte(t, c, at);
	}
}

static const char *take_scratch(struct tokens *t)
{
	const char *s = arena_strndup(t->arena, str_text(&t->scratch), t->scratch.len);
	t->scratch.len = 0;
	return s;
}

/* Behind "${": decodes up to the "}" into the scratch. False where the line ends first, or what
 * cannot be in a name comes. */
static bool braced_name(struct tokens *t)
{
	struct lex *l = &t->lex;
	t->scratch.len = 0;
	for (;;) {
		int c = lex_peek(l);
		struct pos at = l->pos;
		if (c < 0 || c == '\n' || c == '{' || (c == '"' && t->quote.line))
			return false;
		lex_get(l);
		if (c == '}')
			return true;
		if (c == '\\')
			escape(t, at);
		else
			add_byte(t, c, at);
	}
}

/* At "$" of a variable. */
static struct token variable(struct tokens *t)
{
	struct token tok = {.type = TOK_VARIABLE, .pos = t->lex.pos};
	struct lex *l = &t->lex;

	lex_get(l);
	if (lex_accept(l, "{")) {
		struct lex behind = *l;
		if (braced_name(t)) {
			tok.text = take_scratch(t);
			return tok;
		}
		/* Goes on behind the word, so that the ";" of the line is not lost. */
		*l = behind;
		diag_error(t->diags, tok.pos,
			   "unterminated variable: \"}\" is missing on this line");
	}
	const char *start = l->p;
	size_t n = lex_while(l, is_word);
	tok.text = arena_strndup(t->arena, start, n);
	return tok;
}

/* The next piece inside of double quotes. False: they end here, and had a piece before. */
static bool quoted_piece(struct tokens *t, struct token *tok)
{
	struct lex *l = &t->lex;
	struct pos opened = t->quote;
	bool first = t->first;
	int c = lex_peek(l);

	if (c < 0) {
		diag_error(t->diags, opened, "unterminated string: the closing \" is missing");
		t->cut = true;
		t->quote.line = 0;
		return false;
	}
	if (c == '"' && !first) {
		lex_get(l);
		t->quote.line = 0;
		return false;
	}
	if (is_variable(l)) {
		*tok = variable(t);
	} else {
		*tok = (struct token){.type = TOK_STRING, .pos = l->pos};
		t->scratch.len = 0;
		while ((c = lex_peek(l)) >= 0 && c != '"' && !is_variable(l)) {
			struct pos at = l->pos;
			lex_get(l);
			if (c == '\\')
				escape(t, at);
			else
				add_byte(t, c, at);
		}
		tok->text = take_scratch(t);
	}
	if (first)
		tok->pos = opened;
	tok->quoted = true;
	t->first = false;
	return true;
}

static struct token single_quoted(struct tokens *t)
{
	struct token tok = {.type = TOK_STRING, .quoted = true, .pos = t->lex.pos};
	int c;

	lex_get(&t->lex);
	t->scratch.len = 0;
	while ((c = lex_peek(&t->lex)) != '\'') {
		if (c < 0) {
			diag_error(t->diags, tok.pos,
				   "unterminated string: the closing ' is missing");
			t->cut = true;
			break;
		}
		struct pos at = t->lex.pos;
		lex_get(&t->lex);
		if (c == '\\')
			escape(t, at);
		else
			add_byte(t, c, at);
	}
	lex_get(&t->lex);
	tok.text = take_scratch(t);
	return tok;
}

static void block_comment(struct tokens *t)
{
	struct pos at = t->lex.pos;
	lex_accept(&t->lex, "/*");
	while (!lex_accept(&t->lex, "*/"))
		if (lex_get(&t->lex) < 0) {
			diag_error(t->diags, at, "unterminated comment: \"*/\" is missing");
			t->cut = true;
			return;
		}
}

/* Blanks and comments: what separates strings. */
static void skip(struct tokens *t)
{
	struct lex *l = &t->lex;
	for (;; t->joined = false) {
		int c = lex_peek(l), d = lex_peek2(l);
		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			lex_get(l);
		else if (c == '#' || (c == '/' && d == '/'))
			lex_skip_line(l);
		else if (c == '/' && d == '*')
			block_comment(t);
		else
			return;
	}
}

static struct token reserved(struct tokens *t, enum token_type type, const char *text)
{
	struct token tok = {.type = type, .pos = t->lex.pos, .text = text};
	lex_accept(&t->lex, text);
	return tok;
}

/* Bytes that mean nothing outside of quotes, as many as follow one another: one complaint. */
static struct token bad(struct tokens *t)
{
	struct token tok = {.type = TOK_BAD, .pos = t->lex.pos, .text = ""};
	int c = lex_peek(&t->lex);
	diag_error(t->diags, tok.pos,
		   "byte 0x%02x outside of quotes: syntax error (put the text in double quotes)",
		   (unsigned)c);
	while (c >= 0 && (c >= 0x7f || c < ' ') && !strchr("\t\n\r", c ? c : 1)) {
		lex_get(&t->lex);
		c = lex_peek(&t->lex);
	}
	return tok;
}

/* A token outside of quotes; where they open, their first piece. */
static struct token plain(struct tokens *t)
{
	struct lex *l = &t->lex;
	struct token tok = {.type = TOK_STRING, .pos = l->pos};
	const char *start = l->p;
	int c = lex_peek(l);

	if (is_variable(l))
		return variable(t);
	if (c == '\'')
		return single_quoted(t);
	if (c == '\\') {
		lex_get(l);
		t->scratch.len = 0;
		escape(t, tok.pos);
		tok.text = take_scratch(t);
		return tok;
	}
	switch (c) {
	case -1:
		return reserved(t, TOK_EOF, "");
	case '{':
		return reserved(t, TOK_OPEN, "{");
	case '}':
		return reserved(t, TOK_CLOSE, "}");
	case ',':
		return reserved(t, TOK_COMMA, ",");
	case ';':
		return reserved(t, TOK_SEMICOLON, ";");
	case '=':
		return reserved(t, TOK_ASSIGN, "=");
	case '+':
		if (lex_peek2(l) == '=')
			return reserved(t, TOK_APPEND, "+=");
		break;
	}
	if (is_single(c))
		lex_get(l);
	else if (!lex_while(l, is_run))
		return bad(t);
	tok.text = arena_strndup(t->arena, start, (size_t)(l->p - start));
	return tok;
}

void tokens_next(struct tokens *t)
{
	t->end = t->lex.pos;
	for (;;) {
		if (t->quote.line) {
			if (quoted_piece(t, &t->now))
				break;
			continue;
		}
		skip(t);
		if (lex_peek(&t->lex) != '"') {
			t->now = plain(t);
			break;
		}
		t->quote = t->lex.pos;
		t->first = true;
		lex_get(&t->lex);
	}
	bool piece = t->now.type == TOK_STRING || t->now.type == TOK_VARIABLE;
	t->now.joined = piece && t->joined;
	t->joined = piece;
}
