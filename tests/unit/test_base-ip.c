#include "unit.h"

#include <string.h>

#include "base/ip.h"

static struct ip ip(const char *s)
{
	struct ip a;
	assert_int_equal(ip_parse(s, &a), 0);
	return a;
}

static struct ipnet net(const char *s)
{
	struct ipnet n;
	assert_int_equal(ipnet_parse(s, &n), 0);
	return n;
}

static void check_ip(struct ip a, const char *want)
{
	char buf[IP_TEXT];
	assert_string_equal(ip_text(&a, buf), want);
}

static void addresses(void **state UNUSED)
{
	check_ip(ip("10.100.0.2"), "10.100.0.2");
	check_ip(ip("255.255.255.255"), "255.255.255.255");
	check_ip(ip("2001:DB8:0:0:0:0:0:1"), "2001:db8::1");
	check_ip(ip("::"), "::");
	check_ip(ip("::ffff:192.0.2.1"), "::ffff:192.0.2.1");
	check_ip((struct ip){0}, "none");
	/* the longest of all fits */
	check_ip(ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	struct ip v4 = ip("192.0.2.1");
	static const uint8_t zero[12];
	assert_memory_equal(v4.bytes + 4, zero, 12);
}

static void not_addresses(void **state UNUSED)
{
	static const char *const wrong[] = {
	    "",          "10.100.0.300", "10.100.0",      "1.2.3.4.5",  " 1.2.3.4",
	    "1.2.3.4 ",  "01.2.3.4",     "0x1.2.3.4",     "1.2.3.-4",   "1.2.3.4/24",
	    "1::2::3",   ":1",           "1:2:3:4:5:6:7", "fe80::1%lo", "2001:db8::10000",
	    "localhost", "1..2.3",       "[::1]",
	};
	struct ip a = {.family = 77};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(ip_parse(wrong[i], &a), -EINVAL);
	assert_int_equal(a.family, 77);
}

static void check_net(const char *text, const char *want)
{
	char buf[IPNET_TEXT];
	struct ipnet n = net(text);
	assert_string_equal(ipnet_text(&n, buf), want);
}

static void networks(void **state UNUSED)
{
	check_net("10.100.0.1/24", "10.100.0.1/24"); /* host bits stay */
	check_net("10.100.0.1", "10.100.0.1/32");
	check_net("10.0.0.0/255.255.255.0", "10.0.0.0/24");
	check_net("10.0.0.0/0.0.0.0", "10.0.0.0/0");
	check_net("10.0.0.0/255.255.255.255", "10.0.0.0/32");
	check_net("0.0.0.0/0", "0.0.0.0/0");
	check_net("2001:db8::/32", "2001:db8::/32");
	check_net("::1", "::1/128");
	check_net("::/0", "::/0");
	check_net("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
}

static void not_networks(void **state UNUSED)
{
	static const char *const wrong[] = {
	    "",
	    "/",
	    "/24",
	    "10.0.0.0/",
	    "10.0.0.0/33",
	    "10.0.0.0/-1",
	    "10.0.0.0/ 8",
	    "10.0.0.0/24/24",
	    "10.0.0.0/255.0.255.0",
	    "10.0.0.0/255.255.255.1",
	    "10.0.0.0/0.0.0.255",
	    "10.0.0.0/::",
	    "::/129",
	    "::/255.255.255.0",
	    "::1/x",
	    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/64",
	};
	struct ipnet n = {.len = 99};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(ipnet_parse(wrong[i], &n), -EINVAL);
	assert_int_equal(n.len, 99);
}

static void order(void **state UNUSED)
{
	static const char *const sorted[] = {
	    "0.0.0.0", "9.255.255.255", "10.0.0.0",   "10.0.1.0", "200.0.0.1",
	    "::",      "::1",           "2001:db8::", "ff02::1"};
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++) {
			struct ip a = ip(sorted[i]), b = ip(sorted[j]);
			int c = ip_cmp(&a, &b);
			assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
			assert_int_equal(ip_eq(&a, &b), i == j);
		}
	}
	/* the same bytes in another family are another address */
	struct ip v4 = ip("0.0.0.0"), v6 = ip("::");
	assert_false(ip_eq(&v4, &v6));
}

static bool has(const char *n, const char *a)
{
	struct ipnet network = net(n);
	struct ip address = ip(a);
	return ipnet_has(&network, &address);
}

static void membership(void **state UNUSED)
{
	assert_true(has("10.100.0.1/24", "10.100.0.255"));
	assert_false(has("10.100.0.1/24", "10.100.1.0"));
	assert_true(has("10.0.0.128/25", "10.0.0.129"));
	assert_false(has("10.0.0.128/25", "10.0.0.127"));
	assert_true(has("10.0.0.4/30", "10.0.0.7"));
	assert_false(has("10.0.0.4/30", "10.0.0.8"));
	assert_true(has("10.0.0.4/32", "10.0.0.4"));
	assert_false(has("10.0.0.4/32", "10.0.0.5"));
	assert_true(has("0.0.0.0/0", "203.0.113.9"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_false(has("::/0", "10.0.0.1"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(has("fd00::1/128", "fd00::1"));
	assert_false(has("fd00::1/128", "fd00::2"));
}

static bool overlap(const char *a, const char *b)
{
	struct ipnet x = net(a), y = net(b);
	assert_int_equal(ipnet_overlap(&x, &y), ipnet_overlap(&y, &x));
	return ipnet_overlap(&x, &y);
}

static void overlaps(void **state UNUSED)
{
	assert_true(overlap("10.0.0.0/8", "10.9.9.9/24"));
	assert_false(overlap("10.0.0.0/25", "10.0.0.128/25"));
	assert_true(overlap("0.0.0.0/0", "203.0.113.0/24"));
	assert_false(overlap("0.0.0.0/0", "::/0"));
	assert_true(overlap("2001:db8::/32", "2001:db8:1::/48"));
	assert_false(overlap("2001:db8::/64", "2001:db8:0:1::/64"));
}

static void check_range(const char *n, const char *first, const char *last)
{
	struct ipnet network = net(n);
	check_ip(ipnet_first(&network), first);
	check_ip(ipnet_last(&network), last);
}

static void ranges(void **state UNUSED)
{
	check_range("10.100.0.77/24", "10.100.0.0", "10.100.0.255");
	check_range("10.100.0.77/27", "10.100.0.64", "10.100.0.95");
	check_range("10.100.0.77/32", "10.100.0.77", "10.100.0.77");
	check_range("1.2.3.4/0", "0.0.0.0", "255.255.255.255");
	check_range("2001:db8::1:2/61", "2001:db8::", "2001:db8:0:7:ffff:ffff:ffff:ffff");
	check_range("::1/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	check_range("::1/128", "::1", "::1");
}

static void check_next(const char *a, const char *want)
{
	struct ip before = ip(a);
	check_ip(ip_next(&before), want);
}

static void next(void **state UNUSED)
{
	check_next("10.0.0.1", "10.0.0.2");
	check_next("10.0.255.255", "10.1.0.0");
	check_next("255.255.255.255", "0.0.0.0");
	check_next("2001:db8::ffff", "2001:db8::1:0");
	check_next("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::");
}

static void kinds(void **state UNUSED)
{
	static const struct {
		const char *text;
		bool loopback, private;
	} cases[] = {
	    {"127.0.0.1", true, true},     {"127.255.255.255", true, true},
	    {"128.0.0.0", false, false},   {"::1", true, true},
	    {"::2", false, false},         {"10.0.0.1", false, true},
	    {"11.0.0.0", false, false},    {"172.15.255.255", false, false},
	    {"172.16.0.0", false, true},   {"172.31.255.255", false, true},
	    {"172.32.0.0", false, false},  {"192.168.1.1", false, true},
	    {"192.169.0.0", false, false}, {"100.63.255.255", false, false},
	    {"100.64.0.0", false, true},   {"100.127.255.255", false, true},
	    {"100.128.0.0", false, false}, {"169.254.169.254", false, true},
	    {"203.0.113.7", false, false}, {"fbff::1", false, false},
	    {"fc00::1", false, true},      {"fdff::1", false, true},
	    {"fe00::1", false, false},     {"fe80::1", false, true},
	    {"febf::1", false, true},      {"fec0::1", false, false},
	    {"2001:db8::1", false, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip a = ip(cases[i].text);
		assert_int_equal(ip_is_loopback(&a), cases[i].loopback);
		assert_int_equal(ip_is_private(&a), cases[i].private);
	}
	struct ip none = {0};
	assert_false(ip_is_loopback(&none));
	assert_false(ip_is_private(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses), cmocka_unit_test(not_addresses),
	    cmocka_unit_test(networks),  cmocka_unit_test(not_networks),
	    cmocka_unit_test(order),     cmocka_unit_test(membership),
	    cmocka_unit_test(overlaps),  cmocka_unit_test(ranges),
	    cmocka_unit_test(next),      cmocka_unit_test(kinds),
	};
	return cmocka_run_group_tests_name("base/ip", tests, NULL, NULL);
}
