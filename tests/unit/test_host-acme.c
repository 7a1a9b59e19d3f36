/* What is asked of the certificate authority, and when. */
#include "storebox.h"

#include "host/acme.h"
#include "host/tls.h"

#define DAY (24 * 60 * 60)

static struct host fixture(void)
{
	return (struct host){.root = box,
			     .domain = (char *)"example.org",
			     .hostname = (char *)"mail.example.org",
			     .address4 = (char *)"203.0.113.10",
			     .acme = (char *)"https://ca.example/directory"};
}

static void test_names(void **arg)
{
	static const char *const wanted[] = {
	    "mail.example.org",         "www.example.org",         "mta-sts.example.org",
	    "mta-sts.example.net",      "autoconfig.example.org",  "autoconfig.example.net",
	    "autodiscover.example.org", "autodiscover.example.net"};
	struct host h = fixture();
	struct host_lists l autodone(host_lists_done) = {0};
	struct strv names autodone(strv_done) = {0};

	(void)arg;
	host_set(&l, LIST_DOMAINS, "example.org", "example.org");
	host_set(&l, LIST_DOMAINS, "example.net", "example.net");
	host_set(&l, LIST_SITES, "www.example.org", "www.example.org static");
	/* Each once, and not what has a certificate of its own. */
	host_set(&l, LIST_SITES, "Mail.Example.org", "Mail.Example.org static");
	host_set(&l, LIST_SITES, "shop.example.org", "shop.example.org proxy shop 80");
	put_dir(in_box(HOST_TLS "/shop.example.org"));
	put_file(in_box(HOST_TLS "/shop.example.org/fullchain.pem"), "");
	acme_names(&h, &l, &names);
	assert_int_equal(names.n, ARRAY_SIZE(wanted));
	for (size_t i = 0; i < names.n; i++)
		assert_string_equal(names.v[i], wanted[i]);
}

static void test_needed(void **arg)
{
	const time_t begin = 1795434247, end = begin + 90 * DAY;
	struct cert c autodone(cert_done) = {.since = begin, .until = end};
	struct strv names autodone(strv_done) = {0};
	struct str why autodone(str_done) = {0};

	(void)arg;
	strv_add(&names, "a.org");
	strv_add(&c.names, "a.org");
	strv_add(&c.names, "b.org");
	assert_false(acme_needed(&c, &names, begin, &why));
	assert_false(acme_needed(&c, &names, end - 30 * DAY, &why));
	assert_string_equal(str_text(&why), "");
	assert_true(acme_needed(&c, &names, end - 30 * DAY + 1, &why));
	assert_string_equal(why.s, "the one in place ends soon");
	str_done(&why);
	assert_true(acme_needed(&c, &names, end, &why));
	assert_string_equal(why.s, "the one in place is no longer valid");
	str_done(&why);
	strv_add(&names, "c.org");
	assert_true(acme_needed(&c, &names, begin, &why));
	assert_string_equal(why.s, "the one in place is not for c.org");
	str_done(&why);
	c.own = true;
	assert_true(acme_needed(&c, &names, begin, &why));
	assert_string_equal(why.s, "nobody vouches for the one in place");
	str_done(&why);
	assert_true(acme_needed(NULL, &names, begin, &why));
	assert_string_equal(why.s, "there is none");
}

static void test_ports(void **arg)
{
	static const struct {
		const char *url, *ports;
	} v[] = {
	    {"https://ca.example/directory", "443"},
	    {"https://ca.example", "443"},
	    {"https://ca.example:443/dir", "443"},
	    {"https://ca.example:14000/dir:5", "443 14000"},
	    {"https://ca.example:8443", "443 8443"},
	    {"https://ca.example/a:14000", "443"},
	    {"https://ca.example?a:14000", "443"},
	    {"https://[2001:db8::1]/dir", "443"},
	    {"https://[2001:db8::1]:9000/dir", "443 9000"},
	    {"https://ca.example:70000/", "443"},
	    {"https://ca.example:1; allow/", "443"},
	    {"https://ca.example:/", "443"},
	    {"https://[", "443"},
	    {"none", "443"},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		const struct host h = {.acme = (char *)v[i].url};
		struct str ports autodone(str_done) = {0};

		acme_ports(&h, &ports);
		assert_string_equal(str_text(&ports), v[i].ports);
	}
}

static void test_remedies(void **arg)
{
	(void)arg;
	assert_contains(acme_remedy("uacme: curl_get: GET https://ca/dir failed: SSL peer "
				    "certificate or SSH remote key was not OK\n"
				    "uacme: failed to fetch directory at https://ca/dir\n"),
			"acme.ca");
	assert_contains(acme_remedy("uacme: failed to fetch directory at https://ca/dir\n"),
			"can it be reached");
	assert_contains(acme_remedy("\"type\": \"urn:ietf:params:acme:error:connection\""),
			"port 80");
	assert_contains(acme_remedy("no answer in five minutes\n"), "tries again");
	assert_contains(acme_remedy(""), "newgate-host(8)");
}

#define IN_BOX(f) cmocka_unit_test_setup_teardown(f, box_make, box_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_BOX(test_names),
	    cmocka_unit_test(test_needed),
	    cmocka_unit_test(test_ports),
	    cmocka_unit_test(test_remedies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
