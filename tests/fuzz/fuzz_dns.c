/* Answers of name servers: whatever is read is text, and no more records than there is room for; and
 * an SPF record, whatever it says, comes to an end. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "host/dns.h"
#include "host/spf.h"

#define MOST_QUESTIONS 200 /* ten lookups, of which each may be an MX of ten names */

struct servers {
	char *text; /* what they say of every name */
	unsigned asked;
};

static int ask(void *arg, enum lookup_type type, const char *name, struct strv *out,
	       struct ng_err *err)
{
	struct servers *s = arg;

	(void)name;
	s->asked++;
	if (type == LOOKUP_TXT)
		strv_add(out, s->text);
	else if (type == LOOKUP_MX)
		strv_add(out, "10 mail.example.org");
	else
		return err_set(err, ENOENT, "there is none");
	return 0;
}

static void read_text(const uint8_t *data, size_t size)
{
	autofree char *text = mem_strndup((const char *)data, size), *tag = dns_tag(text, "p");
	struct servers s = {.text = text};
	struct resolver dns = {ask, &s};
	struct ip from = {AF_INET, {203, 0, 113, 10}};
	struct ng_err why = {0};

	FUZZ_CHECK(!tag || strlen(tag) < size);
	enum spf of = spf_of(&dns, "example.org", &from, &why);
	FUZZ_CHECK(s.asked <= MOST_QUESTIONS);
	FUZZ_CHECK(of < SPF_NONE || why.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (enum lookup_type t = LOOKUP_A; t <= LOOKUP_CAA; t++) {
		autodone(strv_done) struct strv got = {0};

		/* A record takes eleven bytes at least. */
		if (lookup_read(data, size, t, &got) == 0)
			FUZZ_CHECK(got.n <= size / 11);
		for (size_t i = 0; i < got.n && (t == LOOKUP_A || t == LOOKUP_AAAA); i++) {
			struct ip ip;
			FUZZ_CHECK(ip_parse(got.v[i], &ip) == 0);
		}
	}
	read_text(data, size);
	return 0;
}
