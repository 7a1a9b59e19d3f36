/* What name servers answer, read; nobody is asked. */
#include "unit.h"

#include "host/lookup.h"
#include "base/mem.h"

/* ---- answers ---- */

struct answer {
	unsigned char b[512];
	size_t len;
};

static void put(struct answer *a, unsigned value, unsigned bytes)
{
	while (bytes--)
		a->b[a->len++] = (unsigned char)(value >> 8 * bytes);
}

static void put_bytes(struct answer *a, const char *bytes, size_t n)
{
	memcpy(a->b + a->len, bytes, n);
	a->len += n;
}

#define NAME "\7Example\3ORG" /* stands at 12; its end is the literal's own */

/* An answer to a question for NAME, to which `records` records follow. */
static struct answer begin(unsigned records)
{
	struct answer a = {0};

	put(&a, 0x1234, 2);
	put(&a, 0x8180, 2);
	put(&a, 1, 2);
	put(&a, records, 2);
	put(&a, 0, 4);
	put_bytes(&a, NAME, sizeof NAME);
	put(&a, 1, 2);
	put(&a, 1, 2);
	return a;
}

static void record(struct answer *a, unsigned type, const char *data, size_t n)
{
	put(a, 0xc00c, 2);
	put(a, type, 2);
	put(a, 1, 2);
	put(a, 3600, 4);
	put(a, (unsigned)n, 2);
	put_bytes(a, data, n);
}
#define RECORD(a, type, literal) record(a, type, literal, sizeof(literal) - 1)

static void assert_read(const struct answer *a, enum lookup_type type, const char *text)
{
	struct strv got autodone(strv_done) = {0};

	assert_int_equal(lookup_read(a->b, a->len, type, &got), 0);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.v[0], text);
	/* Whatever is cut off is told. */
	for (size_t n = 0; n < a->len; n++) {
		struct strv half autodone(strv_done) = {0};
		/* A copy, so that a sanitizer sees what is read behind it. */
		autofree unsigned char *copy = mem_alloc(n + 1);
		memcpy(copy, a->b, n);
		assert_int_equal(lookup_read(copy, n, type, &half), -EBADMSG);
	}
}

static void test_types(void **arg)
{
	static const struct {
		enum lookup_type type;
		unsigned number;
		const char *data;
		size_t n;
		const char *text;
	} t[] = {
#define CASE(type, number, data, text) {type, number, data, sizeof(data) - 1, text}
	    CASE(LOOKUP_A, 1, "\xcb\0\x71\x0a", "203.0.113.10"),
	    CASE(LOOKUP_AAAA, 28, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\x10", "2001:db8::10"),
	    CASE(LOOKUP_PTR, 12, "\4Mail\xc0\x0c", "mail.example.org"),
	    CASE(LOOKUP_MX, 15, "\0\x0a\4mail\xc0\x0c", "10 mail.example.org"),
	    CASE(LOOKUP_MX, 15, "\0\0\0", "0 ."),
	    CASE(LOOKUP_TXT, 16, "\7v=spf1 \4-all", "v=spf1 -all"),
	    CASE(LOOKUP_TXT, 16, "\0", ""),
	    CASE(LOOKUP_TXT, 16, "\3a\0b", "a?b"),
	    CASE(LOOKUP_SRV, 33, "\0\0\0\1\3\xe1\4mail\xc0\x0c", "0 1 993 mail.example.org"),
	    CASE(LOOKUP_CAA, 257, "\0\5issueletsencrypt.org", "0 issue letsencrypt.org"),
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct answer a = begin(1);
		record(&a, t[i].number, t[i].data, t[i].n);
		assert_read(&a, t[i].type, t[i].text);
	}
}

/* What an alias leads to is in the answer, beside the alias. */
static void test_others_are_skipped(void **arg)
{
	struct answer a = begin(3);
	struct strv got autodone(strv_done) = {0};

	(void)arg;
	RECORD(&a, 5, "\3www\xc0\x0c");
	RECORD(&a, 1, "\xcb\0\x71\x0a");
	RECORD(&a, 1, "\xcb\0\x71\x0b");
	assert_int_equal(lookup_read(a.b, a.len, LOOKUP_A, &got), 0);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.v[0], "203.0.113.10");
	assert_string_equal(got.v[1], "203.0.113.11");
	assert_int_equal(lookup_read(a.b, a.len, LOOKUP_MX, &got), 0);
	assert_int_equal(got.n, 2);
}

static void test_lies(void **arg)
{
	static const struct {
		enum lookup_type type;
		unsigned number;
		const char *data;
		size_t n;
	} t[] = {
#define LIE(type, number, data) {type, number, data, sizeof(data) - 1}
	    LIE(LOOKUP_A, 1, "\xcb\0\x71"),          /* three bytes */
	    LIE(LOOKUP_A, 1, "\xcb\0\x71\1\1"),      /* five */
	    LIE(LOOKUP_TXT, 16, "\4abc"),            /* a string longer than its record */
	    LIE(LOOKUP_PTR, 12, "\xc0\x29"),         /* a name that is itself */
	    LIE(LOOKUP_MX, 15, "\0\x0a\4mail\xc0"),  /* half a pointer */
	    LIE(LOOKUP_PTR, 12, "\4mail\xff\xff"),   /* one that leads outside */
	    LIE(LOOKUP_CAA, 257, "\0\x50issuenone"), /* a tag longer than all */
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct answer a = begin(1);
		struct strv got autodone(strv_done) = {0};
		record(&a, t[i].number, t[i].data, t[i].n);
		assert_int_equal(lookup_read(a.b, a.len, t[i].type, &got), -EBADMSG);
		assert_int_equal(got.n, 0);
	}
}

/* ---- backwards ---- */

static void test_reverse(void **arg)
{
	struct ip four, six;

	(void)arg;
	assert_int_equal(ip_parse("203.0.113.10", &four), 0);
	assert_int_equal(ip_parse("2001:db8::1f", &six), 0);
	autofree char *a = lookup_reverse(&four, NULL), *b = lookup_reverse(&four, "zen.example"),
		      *c = lookup_reverse(&six, NULL);
	assert_string_equal(a, "10.113.0.203.in-addr.arpa");
	assert_string_equal(b, "10.113.0.203.zen.example");
	assert_string_equal(
	    c, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_others_are_skipped),
	    cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_reverse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
