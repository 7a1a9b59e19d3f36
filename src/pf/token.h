/* pf.conf(5), cut into tokens, macros expanded. Private to the reader.
 *
 * A macro's value is text that is read in the place of its name, so it may hold any tokens, and what
 * follows the name without a blank continues the last word: `$if:network`. */
#ifndef NG_PF_TOKEN_H
#define NG_PF_TOKEN_H

#include "base/lex.h"
#include "base/mem.h"
#include "base/str.h"

enum token_type {
	TOK_EOF,
	TOK_NEWLINE,
	TOK_WORD,
	TOK_STRING, /* in quotes: never a word of the grammar */
	TOK_OP,     /* ( ) { } < <= <> > >= >< ! != = / , - -> and every byte that means nothing */
	TOK_BAD     /* a macro that is not defined; reported */
};

struct token {
	enum token_type type;
	bool joined; /* nothing stands between it and the token before */
	struct pos pos;
	const char *text;  /* for messages too */
	const char *macro; /* whose value it comes from, or NULL */
};

/* `name = value`. One namespace for a file and all that it includes. */
struct macros {
	struct macro {
		const char *name, *value;
		bool fixed; /* given by -D: the file's own definition is passed over */
	} * v;
	size_t n;
};
void pf_macros_set(struct macros *m, struct arena *arena, const char *name, const char *value,
		   bool fixed);
void pf_macros_done(struct macros *m);

struct tokens {
	struct lex lex;
	struct arena *arena; /* holds what the tokens say */
	struct diags *diags;
	const struct macros *macros;
	struct str scratch;
	const char *macro, *rest; /* the macro that is being read, what is left of it; or NULL */
	struct pos used;          /* where */
	struct token now;         /* the current token */
	struct pos end;           /* where the token before it ended */
	bool cut;                 /* an unterminated string swallowed the text; reported */
};

void pf_tokens_init(struct tokens *t, struct arena *arena, struct diags *d, const struct macros *m,
		    const char *file, const char *text, size_t len);
void pf_tokens_next(struct tokens *t); /* reads the next one into t->now */
/* Is "=" what follows the current token? */
bool pf_tokens_at_assignment(const struct tokens *t);
void pf_tokens_done(struct tokens *t);

/* A word of the grammar that is no name, unless it stands in quotes. */
bool pf_token_is_reserved(const char *s);
/* Can the text stand as a name without quotes? */
bool pf_token_is_word(const char *s);

#endif
