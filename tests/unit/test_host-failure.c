/* Lines of Dovecot 2.3.19 and Postfix 3.7.11, as they wrote them; and what clients would like them to
 * write. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "host/failure.h"
#include "host/tally.h"
#include "net/ban.h"

#define D "Nov 23 12:02:43 auth: Info: "
#define P "Nov 23 12:04:07 mail postfix/smtpd[153]: "

static const char *read_line(enum failure_log log, const char *line)
{
	static char out[IP_TEXT + 64];
	char text[IP_TEXT];
	struct failure f;

	if (!failure_read(log, line, strlen(line), &f))
		return "";
	snprintf(out, sizeof out, "%s %s %u", ip_text(&f.from, text), f.service, f.times);
	return out;
}

struct line {
	const char *line, *told;
};

static void check(enum failure_log log, const struct line *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = read_line(log, v[i].line);
		if (strcmp(got, v[i].told) != 0)
			fail_msg("\"%s\": \"%s\", not \"%s\"", v[i].line, got, v[i].told);
	}
}

static void test_dovecot(void **state UNUSED)
{
	static const struct line v[] = {
	    {D "passwd-file(alice@example.org,198.51.100.66,<9acUX/Bg+cPGM2RC>): Password mismatch",
	     "198.51.100.66 imap 1"},
	    {D "passwd-file(nobody@example.org,198.51.100.66,<8IstX/BgN+nGM2RC>): unknown user",
	     "198.51.100.66 imap 1"},
	    {D "passwd-file(alice@example.org,2001:db8:51::7,<9acUX/Bg+cPGM2RC>): Password "
	       "mismatch",
	     "2001:db8:51::7 imap 1"},
	    {D "passwd-file(alice@example.org,198.51.100.66): Password mismatch",
	     "198.51.100.66 submission 1"},
	    {D "passwd-file(lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll...,"
	       "198.51.100.66): unknown user",
	     "198.51.100.66 submission 1"},
	    {D "sql(alice,198.51.100.66): Password mismatch", "198.51.100.66 submission 1"},
	    {D "plain(?,198.51.100.66,<xreBX/Bg+ejGM2RC>): Username character disallowed by "
	       "auth_username_chars: 0x20 (username: x rip=1.2.3.4)",
	     "198.51.100.66 imap 1"},
	    {D "login(?,198.51.100.66): Username character disallowed by auth_username_chars: 0x20 "
	       "(username: x rip=1.2.3.4)",
	     "198.51.100.66 submission 1"},
	    {"Nov  3 12:02:43 auth: Info: passwd-file(a,198.51.100.66): unknown user",
	     "198.51.100.66 submission 1"},
	    /* Nobody tried a password. */
	    {D "plain(?,198.51.100.66,<xNnrYvBgs5DGM2RC>): Invalid base64 data in initial response",
	     ""},
	    {"Nov 23 12:02:45 imap-login: Info: Disconnected: Aborted login by logging out (auth "
	     "failed, 1 attempts in 2 secs): user=<alice@example.org>, method=PLAIN, "
	     "rip=198.51.100.66, lip=10.100.0.5, TLS, session=<9acUX/Bg+cPGM2RC>",
	     ""},
	    {"Nov 23 12:02:45 imap-login: Info: Login: user=<alice@example.org>, method=PLAIN, "
	     "rip=198.51.100.66, lip=10.100.0.5, mpid=93, TLS, session=<9acUX/Bg+cPGM2RC>",
	     ""},
	    {"Nov 23 12:02:41 master: Info: Dovecot v2.3.19.1 (9b53102964) starting up for imap, "
	     "lmtp, sieve (core dumps disabled)",
	     ""},
	};

	check(LOG_DOVECOT, v, ARRAY_SIZE(v));
}

/* The client chooses the name, and would have 1.2.3.4 banned. */
static void test_names_in_dovecot(void **state UNUSED)
{
	static const struct line v[] = {
	    {D "plain(?,198.51.100.66,<6W85YPBgu4HGM2RC>): Username character disallowed by "
	       "auth_username_chars: 0x2c (username: x,1.2.3.4,<abc>): Password mismatch)",
	     "198.51.100.66 imap 1"},
	    {D "plain(?,198.51.100.66): Username character disallowed by auth_username_chars: 0x2c "
	       "(username: x,1.2.3.4): Password mismatch",
	     "198.51.100.66 submission 1"},
	    /* As it would be where auth_username_chars permits everything. */
	    {D "passwd-file(x,1.2.3.4,<abc>): Password mismatch,198.51.100.66,<8IstX/BgN+nGM2RC>): "
	       "unknown user",
	     "198.51.100.66 imap 1"},
	    {D "passwd-file(x,1.2.3.4): unknown user,198.51.100.66): unknown user",
	     "198.51.100.66 submission 1"},
	    {D "passwd-file(x,1.2.3.4,198.51.100.66): unknown user", "198.51.100.66 submission 1"},
	    {D "passwd-file(x,<a>,198.51.100.66): unknown user", "198.51.100.66 submission 1"},
	    {D "passwd-file(plain(?,1.2.3.4): Username character disallowed by ,198.51.100.66): "
	       "unknown user",
	     "198.51.100.66 submission 1"},
	    {"Nov 23 12:03:32 imap-login: Info: Disconnected: Aborted login by logging out (auth "
	     "failed, 1 attempts in 17 secs): user=<a?auth: Info: passwd-file(x,1.2.3.4): unknown "
	     "user>, method=PLAIN, rip=198.51.100.66, lip=10.100.0.5, TLS: Connection closed, "
	     "session=<aRfxYPBgw4zGM2RC>",
	     ""},
	    {"Nov 23 12:03:07 imap-login: Info: Disconnected: Aborted login by logging out (auth "
	     "failed, 1 attempts in 10 secs): user=<" D "passwd-file(x,1.2.3.4): unknown user",
	     ""},
	};

	check(LOG_DOVECOT, v, ARRAY_SIZE(v));
}

static void test_postfix(void **state UNUSED)
{
	static const struct line v[] = {
	    {P "disconnect from unknown[198.51.100.66] ehlo=1 auth=0/2 quit=1 commands=2/4",
	     "198.51.100.66 smtp 2"},
	    {P "disconnect from mx.remote.example[198.51.100.66] ehlo=2 starttls=1 auth=0/1 "
	       "unknown=0/3 commands=3/7",
	     "198.51.100.66 smtp 1"},
	    {P "disconnect from unknown[2001:db8:51::7] auth=0/1 commands=0/1",
	     "2001:db8:51::7 smtp 1"},
	    {P "disconnect from unknown[198.51.100.66] ehlo=1 auth=1/3 quit=1 commands=3/5",
	     "198.51.100.66 smtp 2"},
	    {P "disconnect from unknown[198.51.100.66] ehlo=1 auth=1 quit=1 commands=3", ""},
	    {P "disconnect from unknown[198.51.100.66] ehlo=1 mail=1 rcpt=1 data=1 quit=1 "
	       "commands=5",
	     ""},
	    {P "connect from unknown[198.51.100.66]", ""},
	    {P "warning: unknown[198.51.100.66]: request longer than 2048: AUTH PLAIN "
	       "AExMTExMTExMTExMTEx...",
	     ""},
	    /* Dovecot tells of these. */
	    {"Nov 23 12:04:23 mail postfix/submissions/smtpd[153]: warning: "
	     "unknown[198.51.100.66]: SASL PLAIN authentication failed: (reason unavailable), "
	     "sasl_username=x rip=1.2.3.4",
	     ""},
	    {"Nov 23 12:04:23 mail postfix/submissions/smtpd[153]: disconnect from "
	     "unknown[198.51.100.66] ehlo=1 auth=0/1 quit=1 commands=2/3",
	     ""},
	    /* And nobody failed here. */
	    {"Nov 23 12:04:07 mail postfix/submissions/smtpd[153]: warning: "
	     "unknown[198.51.100.66]: SASL PLAIN authentication failed: Connection lost to "
	     "authentication server, sasl_username=(unavailable)",
	     ""},
	};

	check(LOG_POSTFIX, v, ARRAY_SIZE(v));
}

static void test_names_in_postfix(void **state UNUSED)
{
	static const struct line v[] = {
	    {P "warning: non-SMTP command from unknown[198.51.100.66]: disconnect from "
	       "unknown[1.2.3.4] auth=0/9",
	     ""},
	    {P "NOQUEUE: reject: RCPT from unknown[198.51.100.66]: 550 5.1.1 <disconnect from "
	       "x[1.2.3.4] auth=0/9>: Recipient address rejected; helo=<disconnect from>",
	     ""},
	    {P "disconnect from a b[1.2.3.4] auth=0/9", ""},
	    {P "disconnect from unknown[198.51.100.66] xauth=0/9 commands=0/9", ""},
	    {P "disconnect from unknown]1.2.3.4[ auth=0/9", ""},
	    {P "disconnect from unknown[1.2.3.4", ""},
	    {"Nov 23 12:04:07 mail x/smtpd[153]: disconnect from unknown[1.2.3.4] auth=0/9", ""},
	};

	check(LOG_POSTFIX, v, ARRAY_SIZE(v));
}

static void test_what_is_cut(void **state UNUSED)
{
	static const char whole[] =
	    D "passwd-file(alice@example.org,198.51.100.66,<9acUX/Bg+cPGM2RC>): Password mismatch";
	static const char smtp[] =
	    P "disconnect from unknown[198.51.100.66] auth=0/12 commands=2/4";
	struct failure f;

	for (size_t i = 0; i < sizeof(whole) - 1; i++)
		assert_false(failure_read(LOG_DOVECOT, whole, i, &f));
	for (size_t i = 0; i < sizeof(smtp) - 1; i++)
		if (failure_read(LOG_POSTFIX, smtp, i, &f))
			assert_true(f.times == 12 || f.times == 1);
	for (size_t i = 1; i < sizeof(whole) - 1; i++)
		assert_false(failure_read(LOG_DOVECOT, whole + i, sizeof(whole) - 1 - i, &f));
}

static void test_odd_bytes(void **state UNUSED)
{
	static const char nul[] = D "passwd-file(a,198.51.100.66\0): unknown user";
	static const char before[] = D "passwd-file(\0\xff\x1b,198.51.100.66): unknown user";
	autofree char *giant = mem_alloc(FAILURE_LINE + 2);
	struct failure f;

	assert_false(failure_read(LOG_DOVECOT, nul, sizeof(nul) - 1, &f));
	assert_true(failure_read(LOG_DOVECOT, before, sizeof(before) - 1, &f));
	memset(giant, 'x', FAILURE_LINE + 1);
	memcpy(giant, D "passwd-file(", strlen(D "passwd-file("));
	static const char tail[] = ",198.51.100.66): unknown user";
	memcpy(giant + FAILURE_LINE + 1 - strlen(tail), tail, strlen(tail));
	assert_false(failure_read(LOG_DOVECOT, giant, FAILURE_LINE + 1, &f));
	memcpy(giant + FAILURE_LINE - strlen(tail), tail, strlen(tail));
	assert_true(failure_read(LOG_DOVECOT, giant, FAILURE_LINE, &f));
}

/* ---- counting ---- */

static const struct host_ban terms = {.failures = 5, .within = 600, .seconds = 3600};

static struct ipnet net(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ban_net(&ip);
}

static void test_so_many_within_a_time(void **state UNUSED)
{
	autofree struct tally *t = tally_new();
	struct ipnet a = net("198.51.100.7"), b = net("2001:db8::1"), c = net("2001:db8::2");

	for (int i = 0; i < 4; i++) {
		assert_false(tally_add(t, &a, 1000 + i, &terms));
		assert_false(tally_add(t, i % 2 ? &b : &c, 1000 + i, &terms));
	}
	assert_true(tally_add(t, &a, 1599, &terms));
	assert_true(tally_add(t, &c, 1599, &terms));
	/* And anew. */
	for (int i = 0; i < 4; i++)
		assert_false(tally_add(t, &a, 1599, &terms));
	assert_true(tally_add(t, &a, 1599, &terms));
	/* One each two and a half minutes is not too many. */
	for (int i = 0; i < 100; i++)
		assert_false(tally_add(t, &a, 10000 + i * 150, &terms));
}

static void test_terms_that_change(void **state UNUSED)
{
	autofree struct tally *t = tally_new();
	struct host_ban many = {.failures = HOST_BAN_FAILURES, .within = 600};
	struct host_ban one = {.failures = 1, .within = 1};
	struct ipnet a = net("198.51.100.7");

	for (int i = 0; i < HOST_BAN_FAILURES - 1; i++)
		assert_false(tally_add(t, &a, 1000, &many));
	assert_true(tally_add(t, &a, 1000, &terms));
	for (int i = 0; i < 10; i++)
		assert_true(tally_add(t, &a, 1000, &one));
}

/* Whoever comes from a million addresses does not make us forget all that we know of another. */
static void test_many_addresses(void **state UNUSED)
{
	autofree struct tally *t = tally_new();
	struct ipnet a = net("198.51.100.7");
	char text[IP_TEXT];
	bool told = false;

	for (int i = 0; i < 1000000; i++) {
		snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		struct ipnet other = net(text);
		assert_false(tally_add(t, &other, 1000, &terms));
		if (i % 1000 == 0)
			told |= tally_add(t, &a, 1000, &terms);
	}
	assert_true(told);
}

static void test_words(void **state UNUSED)
{
	static const char *const bad[] = {
	    "",       "5",       "5 10m",   "5 10m 1h 1",   "0 10m 1h",    "21 10m 1h",
	    "5 0 1h", "5 10m 0", "5 2w 1h", "5 10m 11000w", "five 10m 1h", "on"};
	struct host_ban t;
	struct ng_err err;

	assert_int_equal(host_ban_terms(NULL, &t, &err), 0);
	assert_true(t.failures == 5 && t.within == 600 && t.seconds == 3600);
	assert_int_equal(host_ban_terms("3  90s	1w", &t, &err), 0);
	assert_true(t.failures == 3 && t.within == 90 && t.seconds == 604800);
	assert_int_equal(host_ban_terms("off", &t, &err), 0);
	assert_int_equal(t.failures, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct ng_err){0};
		if (host_ban_terms(bad[i], &t, &err) == 0)
			fail_msg("\"%s\" is taken", bad[i]);
		assert_int_equal(t.failures, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dovecot),
	    cmocka_unit_test(test_names_in_dovecot),
	    cmocka_unit_test(test_postfix),
	    cmocka_unit_test(test_names_in_postfix),
	    cmocka_unit_test(test_what_is_cut),
	    cmocka_unit_test(test_odd_bytes),
	    cmocka_unit_test(test_so_many_within_a_time),
	    cmocka_unit_test(test_terms_that_change),
	    cmocka_unit_test(test_many_addresses),
	    cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests_name("host/failure", tests, NULL, NULL);
}
