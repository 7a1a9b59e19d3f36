/* JSON (RFC 8259), read: what other programs print. (str.h writes it.) */
#ifndef NG_BASE_JSON_H
#define NG_BASE_JSON_H

#include <stdbool.h>
#include "base/mem.h"

enum json_type {
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json {
	enum json_type type;
	const char *name;          /* of a member of an object, else NULL */
	const char *text;          /* of a string; of a number as written; else "" */
	struct json *first, *next; /* the first inside; the next beside this one */
};

#define JSON_DEPTH 64

/* The whole text must be one value. Everything is the arena's. 0, or -EINVAL with *at, if not NULL,
 * set to the offset of what is wrong. */
int json_parse(struct arena *a, const char *text, size_t len, struct json **out,
	       size_t *at) MUST_CHECK;
/* The member of an object; NULL where there is none, or no object. */
const struct json *json_get(const struct json *o, const char *name);
/* Of a string or number, "" for anything else and for NULL; and of the member of that name. */
const char *json_text(const struct json *j);
const char *json_get_text(const struct json *o, const char *name);

#endif
