/* jail.conf(5), cut into tokens. Private to parse.c.
 *
 * A string of the language is a run of pieces without anything between them: `10.0.0.${id}` is a
 * literal and a variable. Each piece is a token; `joined` tells that it continues the one before.
 */
#ifndef NG_CONF_TOKEN_H
#define NG_CONF_TOKEN_H

#include "base/lex.h"
#include "base/str.h"

enum token_type {
	TOK_EOF,
	TOK_STRING,
	TOK_VARIABLE,
	TOK_OPEN,
	TOK_CLOSE,
	TOK_COMMA,
	TOK_SEMICOLON,
	TOK_ASSIGN,
	TOK_APPEND,
	TOK_BAD /* a byte that belongs nowhere; was reported */
};

struct token {
	enum token_type type;
	bool joined; /* belongs to the same string as the token before */
	bool quoted;
	struct pos pos;
	const char *text; /* decoded; for messages too */
};

struct tokens {
	struct lex lex;
	struct arena *arena; /* holds what the tokens say */
	struct diags *diags;
	struct str scratch;
	struct pos
	    quote;   /* where the double quotes that we are in were opened; line 0: we are not */
	bool joined; /* the next piece continues the last one */
	bool first;  /* in quotes: no piece was given yet */
	bool cut;    /* what was not closed swallowed the rest of the text; reported */
	struct token now; /* the current token */
	struct pos end;   /* where the token before it ended */
};

void tokens_init(struct tokens *t, struct arena *arena, struct diags *d, const char *file,
		 const char *text, size_t len);
void tokens_next(struct tokens *t); /* reads the next one into t->now */
void tokens_done(struct tokens *t);

/* Can the text stand without quotes as one token (a name), or as a string of several (a value)? */
bool token_is_piece(const char *s);
bool token_is_bare(const char *s);

#endif
