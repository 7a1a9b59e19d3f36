/* What pf keeps as text, and the sockets that it looks at. */
#include "unit.h"

#include <string.h>
#include "firewall/kept.h"
#include "firewall/lockout.h"

static struct ipnet net(const char *text)
{
	struct ipnet n;
	assert_int_equal(ipnet_parse(text, &n), 0);
	return n;
}

static void test_rules_come_back(void **state)
{
	(void)state;
	struct kept k = {0}, again = {0};
	struct str text autodone(str_done) = {0}, twice autodone(str_done) = {0};
	struct kept_ruleset *r = kept_add(&k, "");
	r->path = strdup("/etc/pf.conf");
	strv_add(&r->define, "if=em0");
	kept_file_add(r, "/etc/pf.conf", "pass\nend\n\0x", 11);
	kept_file_add(r, "odd name\n", "", 0);
	r = kept_add(&k, "f2b/sshd");
	r->path = strdup("-");
	kept_file_add(r, "-", "block", 5);
	kept_format(&text, &k);
	assert_int_equal(kept_parse(text.s, text.len, &again), 0);
	kept_format(&twice, &again);
	assert_int_equal(text.len, twice.len);
	assert_memory_equal(text.s, twice.s, text.len);
	assert_int_equal(kept_file(kept_find(&again, ""), "/etc/pf.conf")->len, 11);
	kept_remove(&again, "");
	assert_int_equal(again.n, 1);
	assert_null(kept_find(&again, ""));
	kept_done(&k);
	kept_done(&again);
}

static void test_damaged_rules(void **state)
{
	(void)state;
	struct kept k = {0};
	struct str text autodone(str_done) = {0};
	struct kept_ruleset *r = kept_add(&k, "");
	r->path = strdup("x");
	kept_file_add(r, "x", "pass\n", 5);
	kept_format(&text, &k);
	kept_done(&k);
	for (size_t len = 0; len < text.len; len++) {
		struct kept half = {0};
		assert_int_equal(kept_parse(text.s, len, &half), -EINVAL);
		assert_int_equal(half.n, 0);
	}
	static const char *const bad[] = {
	    "newgate pf 1\npath 1\nx\nend\n",
	    "newgate pf 1\nruleset 0\n\nend\n",
	    "newgate pf 1\nruleset 0\n\npath 1\nx\ntext 1\ny\nend\n",
	    "newgate pf 1\nruleset 99999999999999999999\nend\n",
	    "newgate pf 1\nruleset 5\nend\n",
	    "newgate pf 2\nend\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kept none = {0};
		assert_int_equal(kept_parse(bad[i], strlen(bad[i]), &none), -EINVAL);
	}
}

static void test_tables_come_back(void **state)
{
	(void)state;
	static const char *const entries[] = {"10.0.0.0/8", "10.0.0.1", "10.0.0.0/16",
					      "2001:db8::/32"};
	struct kept_tables t = {0}, again = {0};
	struct str text autodone(str_done) = {0};
	struct kept_table *k = kept_table_add(&t, "", "bad");
	k->constant = k->overload = true;
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		struct ipnet n = net(entries[i]);
		assert_true(kept_entry_add(k, &n, i == 1, 100 + (int64_t)i));
		assert_false(kept_entry_add(k, &n, i == 1, 0));
	}
	k = kept_table_add(&t, "a/b", "own");
	k->own = true;
	kept_tables_format(&text, &t);
	assert_string_equal(text.s,
			    "table / bad const overload\n100 10.0.0.0/8\n102 10.0.0.0/16\n"
			    "101 !10.0.0.1/32\n103 2001:db8::/32\ntable a/b own own\nend\n");
	assert_int_equal(kept_tables_parse(text.s, text.len, &again), 0);
	k = kept_table(&again, "", "bad");
	assert_true(k->constant && k->overload && !k->own);
	struct ipnet n = net("10.0.0.1");
	assert_int_equal(kept_entry_find(k, &n)->since, 101);
	assert_true(kept_entry_find(k, &n)->neg);
	assert_true(kept_entry_remove(k, &n));
	assert_false(kept_entry_remove(k, &n));
	assert_int_equal(k->n, 3);
	for (size_t len = 0; len + 1 < text.len; len++) {
		struct kept_tables half = {0};
		assert_int_equal(kept_tables_parse(text.s, len, &half), -EINVAL);
	}
	kept_tables_done(&t);
	kept_tables_done(&again);
}

static void test_sockets(void **state)
{
	(void)state;
	struct lockout_socket s;
	char ip[IP_TEXT];
	assert_true(lockout_parse(
	    "   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0"
	    "        0 4711 1 0000000000000000 100 0 0 10 0",
	    AF_INET, &s));
	assert_true(s.listens);
	assert_int_equal(s.port, 22);
	assert_int_equal(s.inode, 4711);
	assert_string_equal(ip_text(&s.local, ip), "127.0.0.1");
	/* An IPv4 peer of a socket at "::". */
	assert_true(lockout_parse(
	    "  12: 0000000000000000FFFF00000A7100CB:0016 0000000000000000FFFF0000017100CB:C001 01 "
	    "00000000:00000000 02:00000000 00000000     0        0 99 2 0000000000000000 20 4 0 10 "
	    "-1",
	    AF_INET6, &s));
	assert_false(s.listens);
	assert_string_equal(ip_text(&s.remote, ip), "203.0.113.1");
	assert_int_equal(s.remote_port, 0xc001);
	assert_false(lockout_parse("  sl  local_address rem_address   st", AF_INET, &s));
	assert_false(lockout_parse("", AF_INET, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules_come_back),
	    cmocka_unit_test(test_damaged_rules),
	    cmocka_unit_test(test_tables_come_back),
	    cmocka_unit_test(test_sockets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
