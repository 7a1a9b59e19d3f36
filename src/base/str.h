/* Growable strings, string lists, and the nearest name to a misspelt one. */
#ifndef NG_BASE_STR_H
#define NG_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "base/macro.h"

/* A growable buffer, always NUL-terminated once something was added. Zero-initialise. */
struct str {
	char *s; /* owned; NULL while empty */
	size_t len, cap;
};
void str_add(struct str *b, const char *s);
void str_addn(struct str *b, const char *s, size_t n);
void str_addc(struct str *b, char c);
void str_addf(struct str *b, const char *fmt, ...) PRINTF(2, 3);
void str_vaddf(struct str *b, const char *fmt, va_list ap) PRINTF(2, 0);
/* Takes so much out of the middle that at most `max` bytes (at least 16) are left: of a message
 * that quotes a value of many kilobytes, what is wrong with it stands behind it. */
void str_cut(struct str *b, size_t max);
const char *str_text(const struct str *b); /* never NULL */
char *str_take(struct str *b) MUST_CHECK;  /* never NULL; the caller frees; b is empty after */
void str_done(struct str *b);

/* A NULL-terminated list of owned strings. Zero-initialise. */
struct strv {
	char **v; /* NULL while empty */
	size_t n;
};
void strv_add(struct strv *l, const char *s);
void strv_take(struct strv *l, char *s); /* takes ownership of s */
void strv_addf(struct strv *l, const char *fmt, ...) PRINTF(2, 3);
void strv_sort(struct strv *l); /* by their bytes */
bool strv_has(const struct strv *l, const char *s);
void strv_split(struct strv *l, const char *s, const char *separators); /* skips empty pieces */
void strv_done(struct strv *l);

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}
bool str_prefix(const char *s, const char *prefix);
bool str_suffix(const char *s, const char *suffix);

/* The candidate nearest to `word` by edits (Damerau-Levenshtein), or NULL where none is near
 * enough to be what was meant (at most a third of its letters differ). */
const char *str_nearest(const char *word, const char *const *candidates, size_t n);

/* Appends `s` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void str_add_json(struct str *b, const char *s);
/* Appends `s` for somebody to read: what is not UTF-8, and what a terminal would act upon, as \xNN.
 */
void str_add_visible(struct str *b, const char *s);

#endif
