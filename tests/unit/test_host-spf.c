/* SPF records against addresses; a table stands for the name servers. */
#include "unit.h"

#include <strings.h>
#include "host/dns.h"
#include "host/spf.h"

static const struct {
	const char *name;
	enum lookup_type type;
	const char *data; /* NULL: nobody answers */
} zone[] = {
    {"mail.example.org", LOOKUP_A, "203.0.113.10"},
    {"mail.example.org", LOOKUP_AAAA, "2001:db8::10"},
    {"example.org", LOOKUP_MX, "20 other.example"},
    {"example.org", LOOKUP_MX, "10 mail.example.org"},
    {"example.org", LOOKUP_A, "203.0.113.80"},
    {"good.example", LOOKUP_TXT, "v=spf1 ip4:203.0.113.10 -all"},
    {"bad.example", LOOKUP_TXT, "v=spf1 -all"},
    {"none.example", LOOKUP_TXT, "verification=1"},
    {"none.example", LOOKUP_TXT, "v=spf10 +all"},
    {"two.example", LOOKUP_TXT, "v=spf1 +all"},
    {"two.example", LOOKUP_TXT, "V=SPF1 -all"},
    {"dead.example", LOOKUP_TXT, NULL},
    {"dead.example", LOOKUP_A, NULL},
    {"loop.example", LOOKUP_TXT, "v=spf1 include:loop.example -all"},
    {"circle.example", LOOKUP_TXT, "v=spf1 redirect=circle.example"},
};

static const char *record; /* of example.org */

static int ask(void *arg, enum lookup_type type, const char *name, struct strv *out,
	       struct ng_err *err)
{
	size_t before = out->n;

	(void)arg;
	if (type == LOOKUP_TXT && str_eq(name, "example.org")) {
		strv_add(out, record);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(zone); i++) {
		if (zone[i].type != type || strcasecmp(zone[i].name, name) != 0)
			continue;
		if (!zone[i].data)
			return err_set(err, EAGAIN, "nobody answers");
		strv_add(out, zone[i].data);
	}
	return out->n > before ? 0 : err_set(err, ENOENT, "there is none");
}

static enum spf of(const char *text, const char *from, struct ng_err *why)
{
	static const struct resolver dns = {ask, NULL};
	struct ip ip;

	record = text;
	assert_int_equal(ip_parse(from, &ip), 0);
	return spf_of(&dns, "example.org", &ip, why);
}

static void test_results(void **arg)
{
	static const struct {
		const char *text;
		enum spf four, six; /* for 203.0.113.10 and 2001:db8::10 */
	} t[] = {
	    {"v=spf1", SPF_NEUTRAL, SPF_NEUTRAL},
	    {"v=spf1 -all", SPF_FAIL, SPF_FAIL},
	    {"v=spf1 ~all", SPF_SOFTFAIL, SPF_SOFTFAIL},
	    {"v=spf1 ?all", SPF_NEUTRAL, SPF_NEUTRAL},
	    {"v=spf1 +all", SPF_PASS, SPF_PASS},
	    {"V=SPF1 ALL", SPF_PASS, SPF_PASS},
	    {"v=spf1 ip4:203.0.113.10 -all", SPF_PASS, SPF_FAIL},
	    {"v=spf1 ip4:203.0.113.0/24 ~all", SPF_PASS, SPF_SOFTFAIL},
	    {"v=spf1 ip4:203.0.113.11 ip6:2001:db8::/32 -all", SPF_FAIL, SPF_PASS},
	    {"v=spf1 -ip4:203.0.113.10 +all", SPF_FAIL, SPF_PASS},
	    {"v=spf1 ?ip4:203.0.113.10 -all", SPF_NEUTRAL, SPF_FAIL},
	    {"v=spf1 mx -all", SPF_PASS, SPF_PASS},
	    {"v=spf1  MX:example.org  -all", SPF_PASS, SPF_PASS},
	    {"v=spf1 mx:good.example -all", SPF_FAIL, SPF_FAIL},
	    {"v=spf1 a -all", SPF_FAIL, SPF_FAIL},
	    {"v=spf1 a/24 -all", SPF_PASS, SPF_FAIL},
	    {"v=spf1 a:mail.example.org -all", SPF_PASS, SPF_PASS},
	    {"v=spf1 a:mail.example.org/32//128 -all", SPF_PASS, SPF_PASS},
	    {"v=spf1 a//64 a:Mail.Example.org//64 -all", SPF_PASS, SPF_PASS},
	    {"v=spf1 include:good.example -all", SPF_PASS, SPF_FAIL},
	    {"v=spf1 include:bad.example ip6:2001:db8::10 ~all", SPF_SOFTFAIL, SPF_PASS},
	    {"v=spf1 exists:mail.example.org -all", SPF_PASS, SPF_PASS},
	    {"v=spf1 exists:%{i}.example.org ptr -all", SPF_FAIL, SPF_FAIL},
	    {"v=spf1 redirect=good.example", SPF_PASS, SPF_FAIL},
	    {"v=spf1 redirect=bad.example ip4:203.0.113.10", SPF_PASS, SPF_FAIL},
	    {"v=spf1 exp=why.example moo=x:y -all", SPF_FAIL, SPF_FAIL},
	    /* What comes behind the first that matches does not matter. */
	    {"v=spf1 ip4:203.0.113.10 include:two.example -all", SPF_PASS, SPF_BROKEN},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct ng_err why = {0};

		if (of(t[i].text, "203.0.113.10", &why) != t[i].four ||
		    of(t[i].text, "2001:db8::10", &why) != t[i].six)
			fail_msg("\"%s\": %d and %d", t[i].text,
				 (int)of(t[i].text, "203.0.113.10", &why),
				 (int)of(t[i].text, "2001:db8::10", &why));
	}
}

static void test_faults(void **arg)
{
	static const struct {
		const char *text;
		enum spf is;
		const char *why;
	} t[] = {
	    {"v=spf2 -all", SPF_NONE, "example.org has no SPF record"},
	    {"v=spf1 ipv4:203.0.113.10 -all", SPF_BROKEN,
	     "the SPF record of example.org is broken: \"ipv4:203.0.113.10\" is no mechanism"},
	    {"v=spf1 ip4:203.0.113 -all", SPF_BROKEN,
	     "the SPF record of example.org is broken: \"ip4:203.0.113\" has no such address"},
	    {"v=spf1 ip4 -all", SPF_BROKEN,
	     "the SPF record of example.org is broken: \"ip4\" has no such address"},
	    {"v=spf1 ip4:2001:db8::10 -all", SPF_BROKEN,
	     "the SPF record of example.org is broken: \"ip4:2001:db8::10\" has no such address"},
	    {"v=spf1 a/33 -all", SPF_BROKEN,
	     "the SPF record of example.org is broken: \"a/33\" has no such length"},
	    {"v=spf1 a//129 -all", SPF_BROKEN,
	     "the SPF record of example.org is broken: \"a//129\" has no such length"},
	    {"v=spf1 include:none.example -all", SPF_BROKEN,
	     "\"include:none.example\" in the SPF record of example.org: none.example has no SPF "
	     "record"},
	    {"v=spf1 redirect=none.example", SPF_BROKEN, "none.example has no SPF record"},
	    {"v=spf1 include:two.example -all", SPF_BROKEN,
	     "two.example has more than one SPF record: no receiver goes by either"},
	    {"v=spf1 include:loop.example -all", SPF_BROKEN,
	     "the SPF record of loop.example needs more than 10 further lookups: receivers give "
	     "up"},
	    {"v=spf1 redirect=circle.example", SPF_BROKEN,
	     "the SPF record of circle.example needs more than 10 further lookups: receivers give "
	     "up"},
	    {"v=spf1 include:dead.example -all", SPF_UNKNOWN, "nobody answers"},
	    {"v=spf1 a:dead.example -all", SPF_UNKNOWN, "nobody answers"},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct ng_err why = {0};

		if (of(t[i].text, "203.0.113.10", &why) != t[i].is)
			fail_msg("\"%s\"", t[i].text);
		assert_string_equal(why.text, t[i].why);
	}
}

/* ---- other records ---- */

static void assert_tag(const char *text, const char *tag, const char *value)
{
	autofree char *got = dns_tag(text, tag);

	if (value)
		assert_string_equal(got, value);
	else
		assert_null(got);
}

static void test_tags(void **arg)
{
	(void)arg;
	assert_tag("v=DMARC1; p=none", "p", "none");
	assert_tag("v=DMARC1;p = none ;sp=reject", "p", "none");
	assert_tag("v=DMARC1; sp=reject", "p", NULL);
	assert_tag("v=DKIM1; p=MI IB\t==; t=y", "p", "MIIB==");
	assert_tag("v=DKIM1; p=; P=x", "P", "");
	assert_tag("p", "p", NULL);
	assert_tag("", "p", NULL);
	assert_tag(";;=;p=x;", "p", "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_faults),
	    cmocka_unit_test(test_tags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
