#include "base/json.h"

#include <string.h>
#include "base/str.h"

struct reader {
	struct arena *arena;
	const char *start, *p, *end;
	struct str scratch;
	unsigned depth;
};

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
}

static bool accept(struct reader *r, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

/* ---- strings ---- */

static bool hex4(struct reader *r, unsigned *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++) {
		char c = r->p < r->end ? *r->p++ : '\0';
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a') + 10;
		else
			return false;
		*out = *out << 4 | digit;
	}
	return true;
}

static void add_utf8(struct str *b, unsigned c)
{
	if (c < 0x80) {
		str_addc(b, (char)c);
	} else if (c < 0x800) {
		str_addc(b, (char)(0xc0 | c >> 6));
		str_addc(b, (char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		str_addc(b, (char)(0xe0 | c >> 12));
		str_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		str_addc(b, (char)(0x80 | (c & 0x3f)));
	} else {
		str_addc(b, (char)(0xf0 | c >> 18));
		str_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		str_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		str_addc(b, (char)(0x80 | (c & 0x3f)));
	}
}

/* Behind "\u". What stands for no character, or for NUL, becomes U+FFFD. */
static bool unicode(struct reader *r)
{
	unsigned c, low;
	if (!hex4(r, &c))
		return false;
	if (c >= 0xd800 && c < 0xdc00 && accept(r, "\\u")) {
		if (!hex4(r, &low))
			return false;
		c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)
						  : 0xfffd;
	}
	add_utf8(&r->scratch, c == 0 || (c >= 0xd800 && c < 0xe000) ? 0xfffd : c);
	return true;
}

static bool escape(struct reader *r)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = r->p < r->end ? *r->p++ : '\0';
	if (c == 'u')
		return unicode(r);
	const char *at = c ? strchr(from, c) : NULL;
	if (!at)
		return false;
	str_addc(&r->scratch, to[at - from]);
	return true;
}

/* At the opening quote. NULL where the string is none. */
static const char *string(struct reader *r)
{
	r->scratch.len = 0;
	str_add(&r->scratch, "");
	for (r->p++; r->p < r->end && *r->p != '"';) {
		if ((unsigned char)*r->p < ' ')
			return NULL;
		if (*r->p != '\\') {
			str_addc(&r->scratch, *r->p++);
			continue;
		}
		r->p++;
		if (!escape(r))
			return NULL;
	}
	if (r->p == r->end)
		return NULL;
	r->p++;
	return arena_strndup(r->arena, str_text(&r->scratch), r->scratch.len);
}

/* ---- values ---- */

static struct json *value(struct reader *r);

static struct json *node(struct reader *r, enum json_type type, const char *text)
{
	struct json *j = arena_alloc(r->arena, sizeof(*j));
	j->type = type;
	j->text = text;
	return j;
}

static bool digits(struct reader *r)
{
	const char *from = r->p;
	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return r->p > from;
}

static struct json *number(struct reader *r)
{
	const char *from = r->p;
	accept(r, "-");
	if (!accept(r, "0") && !digits(r))
		return NULL;
	if (accept(r, ".") && !digits(r))
		return NULL;
	if (accept(r, "e") || accept(r, "E")) {
		if (!accept(r, "+"))
			accept(r, "-");
		if (!digits(r))
			return NULL;
	}
	return node(r, JSON_NUMBER, arena_strndup(r->arena, from, (size_t)(r->p - from)));
}

/* Up to the closing bracket: values, in objects each behind its name. */
static struct json *container(struct reader *r, enum json_type type, const char *close)
{
	struct json *all = node(r, type, ""), **tail = &all->first;
	r->p++;
	skip_blanks(r);
	if (accept(r, close))
		return all;
	do {
		const char *name = NULL;
		skip_blanks(r);
		if (type == JSON_OBJECT) {
			name = r->p < r->end && *r->p == '"' ? string(r) : NULL;
			skip_blanks(r);
			if (!name || !accept(r, ":"))
				return NULL;
		}
		struct json *v = value(r);
		if (!v)
			return NULL;
		v->name = name;
		*tail = v;
		tail = &v->next;
		skip_blanks(r);
	} while (accept(r, ","));
	return accept(r, close) ? all : NULL;
}

static struct json *nested(struct reader *r, enum json_type type, const char *close)
{
	if (r->depth == JSON_DEPTH)
		return NULL;
	r->depth++;
	struct json *j = container(r, type, close);
	r->depth--;
	return j;
}

static struct json *value(struct reader *r)
{
	const char *text;
	skip_blanks(r);
	switch (r->p < r->end ? *r->p : '\0') {
	case '{':
		return nested(r, JSON_OBJECT, "}");
	case '[':
		return nested(r, JSON_ARRAY, "]");
	case '"':
		text = string(r);
		return text ? node(r, JSON_STRING, text) : NULL;
	case 't':
		return accept(r, "true") ? node(r, JSON_TRUE, "") : NULL;
	case 'f':
		return accept(r, "false") ? node(r, JSON_FALSE, "") : NULL;
	case 'n':
		return accept(r, "null") ? node(r, JSON_NULL, "") : NULL;
	default:
		return number(r);
	}
}

int json_parse(struct arena *a, const char *text, size_t len, struct json **out, size_t *at)
{
	struct reader r = {.arena = a, .start = text, .p = text, .end = text + len};
	*out = value(&r);
	skip_blanks(&r);
	if (r.p != r.end)
		*out = NULL;
	if (!*out && at)
		*at = (size_t)(r.p - r.start);
	str_done(&r.scratch);
	return *out ? 0 : -EINVAL;
}

const struct json *json_get(const struct json *o, const char *name)
{
	if (!o || o->type != JSON_OBJECT)
		return NULL;
	for (const struct json *j = o->first; j; j = j->next)
		if (str_eq(j->name, name))
			return j;
	return NULL;
}

const char *json_text(const struct json *j)
{
	return j ? j->text : "";
}

const char *json_get_text(const struct json *o, const char *name)
{
	return json_text(json_get(o, name));
}
