/* The book of bans: what is added, what grows, what gives way, and its text. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "net/ban.h"

#define HOUR 3600
#define NOW 1000000

static struct ipnet net(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ban_net(&ip);
}

static const struct ban *add(struct bans *b, const char *text, int64_t now, bool longer)
{
	struct ipnet n = net(text);

	return bans_add(b, &n, now, HOUR, longer, 5, "imap");
}

static bool holds(const struct bans *b, const char *text, int64_t now)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return bans_find(b, &ip, now) != NULL;
}

static void test_addresses(void **state UNUSED)
{
	struct bans b autodone(bans_done) = BANS_NONE;

	add(&b, "198.51.100.7", NOW, true);
	add(&b, "2001:db8:1:2:3::4", NOW, true);
	assert_true(holds(&b, "198.51.100.7", NOW) && !holds(&b, "198.51.100.6", NOW));
	assert_true(holds(&b, "2001:db8:1:2::", NOW));
	assert_true(holds(&b, "2001:db8:1:2:ffff:ffff:ffff:ffff", NOW));
	assert_true(!holds(&b, "2001:db8:1:3::", NOW) && !holds(&b, "2001:db8:1:1:ffff::", NOW));
	assert_int_equal(bans_count(&b, NOW + HOUR - 1), 2);
	assert_int_equal(bans_count(&b, NOW + HOUR), 0);
	assert_false(holds(&b, "198.51.100.7", NOW + HOUR));
}

static int64_t length(const struct ban *one)
{
	return one->until - one->since;
}

static void test_who_comes_back_is_banned_for_longer(void **state UNUSED)
{
	struct bans b autodone(bans_done) = BANS_NONE;
	const struct ban *one = add(&b, "198.51.100.7", NOW, true);
	int64_t now = NOW, last = HOUR;

	assert_int_equal(length(one), HOUR);
	for (unsigned times = 2; times < 20; times++) {
		now = one->until + 1;
		one = add(&b, "198.51.100.7", now, true);
		assert_int_equal(one->times, times);
		last = 2 * last < BAN_LONGEST ? 2 * last : BAN_LONGEST;
		assert_int_equal(length(one), last);
	}
	assert_int_equal(b.n, 1);
	/* By hand it is as long as is said, and who behaves for a week is as new. */
	one = add(&b, "198.51.100.7", now, false);
	assert_int_equal(length(one), HOUR);
	one = add(&b, "198.51.100.7", one->until + BAN_MEMORY + 1, true);
	assert_int_equal(one->times, 1);
	assert_int_equal(length(one), HOUR);
}

static void test_a_longer_standard_counts(void **state UNUSED)
{
	struct bans b autodone(bans_done) = BANS_NONE;
	struct ipnet n = net("198.51.100.7");

	bans_add(&b, &n, NOW, 60, true, 5, "imap");
	assert_int_equal(length(bans_add(&b, &n, NOW, 10 * BAN_LONGEST, true, 5, "imap")),
			 10 * BAN_LONGEST);
}

static void test_removed_is_forgotten(void **state UNUSED)
{
	struct bans b autodone(bans_done) = BANS_NONE;
	struct ipnet n = net("198.51.100.7"), other = net("198.51.100.8");

	add(&b, "198.51.100.7", NOW, true);
	assert_false(bans_remove(&b, &other.addr, NOW));
	assert_true(bans_remove(&b, &n.addr, NOW));
	assert_int_equal(b.n, 0);
	assert_int_equal(add(&b, "198.51.100.7", NOW, true)->times, 1);
	/* One that is over is no ban, but is forgotten all the same. */
	assert_false(bans_remove(&b, &n.addr, NOW + HOUR));
	assert_int_equal(b.n, 0);
}

static void test_many_addresses(void **state UNUSED)
{
	struct bans b autodone(bans_done) = BANS_NONE;
	char text[IP_TEXT];

	for (int i = 0; i < BAN_MAX + 100; i++) {
		snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 8, i & 255);
		add(&b, text, NOW + i, true);
	}
	assert_int_equal(b.n, BAN_MAX);
	assert_false(holds(&b, "2001:db8:0:0::1", NOW));
	assert_false(holds(&b, "2001:db8:0:63::1", NOW));
	assert_true(holds(&b, "2001:db8:0:64::1", NOW));
	/* All that ended long ago goes at once. */
	add(&b, "198.51.100.7", NOW + BAN_MAX + 100 + HOUR + BAN_MEMORY, true);
	assert_int_equal(b.n, 1);
}

static void test_text(void **state UNUSED)
{
	struct bans b autodone(bans_done) = BANS_NONE, again autodone(bans_done) = BANS_NONE;
	struct str text autodone(str_done) = {0}, second autodone(str_done) = {0};

	add(&b, "198.51.100.7", NOW, true);
	add(&b, "2001:db8:1:2:3::4", NOW, true);
	bans_format(&b, &text);
	assert_string_equal(text.s, "198.51.100.7 1000000 1003600 1 5 imap\n"
				    "2001:db8:1:2::/64 1000000 1003600 1 5 imap\n");
	autofree char *copy = mem_strdup(text.s);
	bans_parse(&again, copy);
	bans_format(&again, &second);
	assert_string_equal(second.s, text.s);
}

static void test_what_makes_no_sense(void **state UNUSED)
{
	static const char *const bad[] = {
	    "",
	    "198.51.100.7",
	    "198.51.100.7 1 2 1 5",
	    "198.51.100.7 2 1 1 5 imap",
	    "198.51.100.7 -1 2 1 5 imap",
	    "198.51.100.7 1 9223372036854775807 1 5 imap",
	    "198.51.100.7 9223372036854775807 9223372036854775807 1 5 imap",
	    "198.51.100.7 1 2 0 5 imap",
	    "198.51.100.0/24 1 2 1 5 imap",
	    "2001:db8::1 1 2 1 5 imap",
	    "2001:db8::1/64 1 2 1 5 imap",
	    "2001:db8::/48 1 2 1 5 imap",
	    "mail 1 2 1 5 imap",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bans b autodone(bans_done) = BANS_NONE;
		autofree char *text = mem_strdup(bad[i]);

		bans_parse(&b, text);
		if (b.n)
			fail_msg("\"%s\" is taken for a ban", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_who_comes_back_is_banned_for_longer),
	    cmocka_unit_test(test_a_longer_standard_counts),
	    cmocka_unit_test(test_removed_is_forgotten),
	    cmocka_unit_test(test_many_addresses),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_what_makes_no_sense),
	};
	return cmocka_run_group_tests_name("net/ban", tests, NULL, NULL);
}
