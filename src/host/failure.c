#include "host/failure.h"

#include <ctype.h>
#include <string.h>
#include "base/num.h"

/* What of the line is left. */
struct rest {
	const char *p, *end;
};

static bool take(struct rest *r, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(r->end - r->p) < len || memcmp(r->p, text, len) != 0)
		return false;
	r->p += len;
	return true;
}

static bool take_end(struct rest *r, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(r->end - r->p) < len || memcmp(r->end - len, text, len) != 0)
		return false;
	r->end -= len;
	return true;
}

/* "Nov 23 12:02:43 ": letters as they are here, 0 for a digit, _ for a digit or a blank. */
static bool take_time(struct rest *r)
{
	static const char like[] = "Aaa _0 00:00:00 ";

	if ((size_t)(r->end - r->p) < sizeof(like) - 1)
		return false;
	for (const char *l = like; *l; l++, r->p++) {
		unsigned char c = (unsigned char)*r->p;
		bool good = *l == '0'   ? isdigit(c)
			    : *l == '_' ? isdigit(c) || c == ' '
			    : *l == 'A' ? isupper(c)
			    : *l == 'a' ? islower(c)
					: c == (unsigned char)*l;
		if (!good)
			return false;
	}
	return true;
}

/* As many bytes as are in `set`; at least one. */
static bool take_some(struct rest *r, const char *set)
{
	const char *from = r->p;

	while (r->p < r->end && *r->p && strchr(set, *r->p))
		r->p++;
	return r->p > from;
}

static bool read_address(const char *p, const char *end, struct ip *out)
{
	char text[IP_TEXT];

	if (end - p >= (ptrdiff_t)sizeof(text))
		return false;
	memcpy(text, p, (size_t)(end - p));
	text[end - p] = '\0';
	return strlen(text) == (size_t)(end - p) && ip_parse(text, out) == 0;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER DIGITS "+/="

static const char *before(const struct rest *r, char c)
{
	return memrchr(r->p, c, (size_t)(r->end - r->p));
}

/* "…,ADDRESS" or "…,ADDRESS,<SESSION>" at the end of what is left: the name may hold anything. */
static bool take_origin(struct rest *r, struct failure *out)
{
	const char *comma = before(r, ',');

	out->service = "submission";
	if (comma && r->end - comma > 3 && comma[1] == '<' && r->end[-1] == '>') {
		struct rest session = {comma + 2, r->end - 1};
		if (!take_some(&session, BASE64) || session.p != session.end)
			return false;
		r->end = comma;
		comma = before(r, ',');
		out->service = "imap";
	}
	return comma && read_address(comma + 1, r->end, &out->from);
}

static bool read_dovecot(struct rest r, struct failure *out)
{
	static const char *const told[] = {"): Password mismatch", "): unknown user"};

	out->times = 1;
	if (!take(&r, "auth: Info: "))
		return false;
	struct rest mechanism = r;
	if ((take(&mechanism, "plain(?") || take(&mechanism, "login(?"))) {
		const char *close = memchr(mechanism.p, ')', (size_t)(mechanism.end - mechanism.p));
		struct rest behind = {close, mechanism.end};
		if (!close || !take(&behind, "): Username character disallowed by "))
			return false;
		mechanism.end = close;
		return take_origin(&mechanism, out);
	}
	/* Whatever the passwords are kept in: "passwd-file(", "sql(". */
	if (!take_some(&r, LOWER "-") || !take(&r, "("))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (take_end(&r, told[i]))
			return take_origin(&r, out);
	return false;
}

static bool take_number(struct rest *r, uint32_t *out)
{
	char text[12];
	const char *from = r->p;

	if (!take_some(r, DIGITS) || r->p - from >= (ptrdiff_t)sizeof(text))
		return false;
	memcpy(text, from, (size_t)(r->p - from));
	text[r->p - from] = '\0';
	return num_u32(text, 0, UINT32_MAX, out) == 0;
}

/* "auth=0/2": none of two. All that went well has no "/". */
static bool take_failed(struct rest *r, unsigned *times)
{
	uint32_t well, all;

	if (!take(r, "auth=") || !take_number(r, &well) || !take(r, "/") || !take_number(r, &all) ||
	    all <= well)
		return false;
	*times = all - well;
	return true;
}

static bool read_postfix(struct rest r, struct failure *out)
{
	const char *host = memchr(r.p, ' ', (size_t)(r.end - r.p));

	if (!host)
		return false;
	r.p = host + 1; /* this host's name */
	if (!take(&r, "postfix/smtpd[") || !take_some(&r, DIGITS) ||
	    !take(&r, "]: disconnect from "))
		return false;
	const char *open = memchr(r.p, '[', (size_t)(r.end - r.p));
	const char *close = memchr(r.p, ']', (size_t)(r.end - r.p));
	if (!open || !close || close < open || memchr(r.p, ' ', (size_t)(open - r.p)) ||
	    !read_address(open + 1, close, &out->from))
		return false;
	out->service = "smtp";
	/* Words that Postfix counts. */
	for (r.p = close + 1; take(&r, " ");) {
		struct rest word = r;
		if (take_failed(&word, &out->times))
			return true;
		while (r.p < r.end && *r.p != ' ')
			r.p++;
	}
	return false;
}

bool failure_read(enum failure_log log, const char *line, size_t len, struct failure *out)
{
	struct rest r = {line, line + len};

	*out = (struct failure){0};
	if (len > FAILURE_LINE || !take_time(&r))
		return false;
	return log == LOG_DOVECOT ? read_dovecot(r, out) : read_postfix(r, out);
}
