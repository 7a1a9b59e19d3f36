/* What is read of certificates, and what follows from it. */
#include "storebox.h"

#include <sys/wait.h>
#include "host/cert.h"

#define DAY (24 * 60 * 60)

static const char from_authority[] =
    "serial=04F00D\n"
    "issuer=\n"
    "    C=US\n"
    "    O=Let's Encrypt, Inc.\n"
    "    CN=R11\n"
    "subject=\n"
    "    CN=mail.example.org\n"
    "notBefore=2026-11-23 11:44:07Z\n"
    "notAfter=2027-02-21 11:44:06Z\n"
    "X509v3 Subject Alternative Name: \n"
    "    DNS:mail.example.org, DNS:*.example.net, IP Address:203.0.113.10, email:a@b.org\n";

static void test_parse(void **arg)
{
	struct cert c autodone(cert_done) = {0}, own autodone(cert_done) = {0};

	(void)arg;
	assert_true(cert_parse(from_authority, &c));
	assert_string_equal(c.serial, "04F00D");
	assert_string_equal(c.issuer, "Let's Encrypt, Inc., R11");
	assert_false(c.own);
	assert_int_equal(c.since, 1795434247);
	assert_int_equal(c.until, 1803210246);
	assert_int_equal(c.names.n, 2);
	assert_string_equal(c.names.v[0], "mail.example.org");
	assert_true(cert_parse("serial=1\nissuer=\n    CN=a.org\nsubject=\n    CN=a.org\n"
			       "notBefore=2026-11-23 11:44:07Z\nnotAfter=2027-02-21 11:44:06Z\n"
			       "No extensions matched\n",
			       &own));
	assert_true(own.own);
	assert_int_equal(own.names.n, 0);
}

static void test_parse_too_little(void **arg)
{
	static const char *const bad[] = {
	    "",
	    "Could not read certificate\n",
	    "serial=1\nnotBefore=2026-11-23 11:44:07Z\n",
	    "serial=1\nnotBefore=2026-11-23 11:44:07Z\nnotAfter=never\n",
	    "serial=1\nnotBefore=2026-11-23 11:44:07Z\nnotAfter=2027-02-21 11:44:06Z or so\n",
	    "notBefore=2026-11-23 11:44:07Z\nnotAfter=2027-02-21 11:44:06Z\n",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cert c autodone(cert_done) = {0};

		if (cert_parse(bad[i], &c))
			fail_msg("taken for a certificate: %s", bad[i]);
	}
}

static void test_covers(void **arg)
{
	struct cert c autodone(cert_done) = {0};

	(void)arg;
	assert_true(cert_parse(from_authority, &c));
	assert_true(cert_covers(&c, "mail.example.org"));
	assert_true(cert_covers(&c, "MAIL.Example.org"));
	assert_true(cert_covers(&c, "www.example.net"));
	assert_false(cert_covers(&c, "a.www.example.net"));
	assert_false(cert_covers(&c, "example.net"));
	assert_false(cert_covers(&c, "www.example.org"));
	assert_false(cert_covers(&c, "localhost"));
}

/* 30 days before the end, and of those that live shortly, the last third. */
static void test_due(void **arg)
{
	const struct cert ninety = {.since = 1000, .until = 1000 + 90 * DAY};
	const struct cert six = {.since = 1000, .until = 1000 + 6 * DAY};
	const struct cert long_lived = {.since = 1000, .until = 1000 + 3650L * DAY};

	(void)arg;
	assert_false(cert_due(&ninety, 1000));
	assert_false(cert_due(&ninety, 1000 + 60 * DAY));
	assert_true(cert_due(&ninety, 1001 + 60 * DAY));
	assert_true(cert_due(&ninety, 1000 + 100 * DAY));
	assert_false(cert_due(&six, 1000 + 4 * DAY));
	assert_true(cert_due(&six, 1001 + 4 * DAY));
	assert_false(cert_due(&long_lived, 1000 + 3620L * DAY));
	assert_true(cert_due(&long_lived, 1001 + 3620L * DAY));
}

static void make(const char *key, const char *cert)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("openssl", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
		       "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-subj",
		       "/O=A\\, b/CN=a.org", "-addext", "subjectAltName=DNS:a.org,DNS:b.a.org",
		       "-keyout", key, "-out", cert, (char *)NULL);
		_exit(127);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_read(void **arg)
{
	struct cert c autodone(cert_done) = {0}, none autodone(cert_done) = {0};
	struct ng_err err = {0};
	struct str cert autodone(str_done) = {0}, key autodone(str_done) = {0},
			other autodone(str_done) = {0};

	(void)arg;
	str_add(&cert, in_box("cert"));
	str_add(&key, in_box("key"));
	str_add(&other, in_box("other"));
	assert_int_equal(cert_read(cert.s, &none, &err), -ENOENT);
	make(other.s, cert.s);
	make(key.s, cert.s);
	assert_int_equal(cert_read(cert.s, &c, &err), 0);
	assert_string_equal(c.issuer, "A, b, a.org");
	assert_true(c.own);
	assert_int_equal(c.until - c.since, 10 * DAY);
	assert_true(c.until > time(NULL));
	assert_int_equal(c.names.n, 2);
	assert_true(cert_covers(&c, "b.a.org"));
	assert_int_equal(cert_of_key(cert.s, key.s, &err), 1);
	assert_int_equal(cert_of_key(cert.s, other.s, &err), 0);
	assert_true(cert_of_key(key.s, key.s, &err) < 0);
	put_file(cert.s, "no certificate\n");
	assert_true(cert_read(cert.s, &none, &err) < 0);
	assert_contains(err.text, cert.s);
}

#define IN_BOX(f) cmocka_unit_test_setup_teardown(f, box_make, box_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_too_little),
	    cmocka_unit_test(test_covers),
	    cmocka_unit_test(test_due),
	    IN_BOX(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
