/* Bytes that claim to be UTF-8 (RFC 3629), as JSON strings (RFC 8259) or to be looked at. */
#include "base/str.h"

/* Length of the UTF-8 sequence at s, 0 where there is none. Reads no byte behind a NUL. */
static size_t sequence(const unsigned char *s)
{
	/* The second byte's range excludes overlong forms, surrogates, what is above U+10FFFF. */
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

static void add_control(struct str *b, unsigned char c)
{
	switch (c) {
	case '\b':
		str_add(b, "\\b");
		break;
	case '\f':
		str_add(b, "\\f");
		break;
	case '\n':
		str_add(b, "\\n");
		break;
	case '\r':
		str_add(b, "\\r");
		break;
	case '\t':
		str_add(b, "\\t");
		break;
	default:
		str_addf(b, "\\u%04x", (unsigned)c);
	}
}

void str_add_visible(struct str *b, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t n = sequence(s);
		/* U+0080 to U+009F: the second set of control characters. */
		if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)
			str_addf(b, "\\x%02x\\x%02x", s[0], s[1]);
		else if (!n || *s < 0x20 || *s == 0x7f)
			str_addf(b, "\\x%02x", *s);
		else
			str_addn(b, (const char *)s, n);
		s += n ? n : 1;
	}
}

void str_add_json(struct str *b, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	str_addc(b, '"');
	while (*s) {
		size_t n = sequence(s);
		if (!n) {
			str_add(b, "\xef\xbf\xbd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			str_addc(b, '\\');
			str_addc(b, (char)*s);
		} else if (*s < 0x20) {
			add_control(b, *s);
		} else {
			str_addn(b, (const char *)s, n);
		}
		s += n;
	}
	str_addc(b, '"');
}
