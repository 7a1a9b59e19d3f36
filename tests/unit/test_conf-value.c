/* What the small languages of values yield; what they refuse is in tests/golden/jail.conf. */
#include "unit.h"

#include <sys/socket.h>

#include "base/str.h"
#include "conf/value.h"

static struct arena arena;

static int release(void **state UNUSED)
{
	arena_done(&arena);
	return 0;
}

static void address(void **state UNUSED)
{
	struct conf_addr a;
	const char *why;
	char text[IP_TEXT];

	assert_int_equal(value_addr(&arena, AF_INET, "10.0.0.1", &a, &why), 0);
	assert_null(a.ifname);
	assert_null(a.extra);
	assert_int_equal(a.len, -1);
	assert_string_equal(ip_text(&a.addr, text), "10.0.0.1");

	assert_int_equal(
	    value_addr(&arena, AF_INET, "lo1|10.0.0.1/255.255.0.0 netmask x y", &a, &why), 0);
	assert_string_equal(a.ifname, "lo1");
	assert_string_equal(a.extra, "netmask x y");
	assert_int_equal(a.len, 16);

	assert_int_equal(value_addr(&arena, AF_INET6, "lo1|auto", &a, &why), 0);
	assert_string_equal(a.ifname, "lo1");
	assert_int_equal(a.addr.family, 0);

	assert_int_equal(value_addr(&arena, AF_INET, "10.0.0.256", &a, &why), -EINVAL);
	assert_string_equal(why, "\"10.0.0.256\" is not an IPv4 address");
}

static void assert_ports(const struct ports *p, unsigned first, unsigned last)
{
	assert_int_equal(p->first, first);
	assert_int_equal(p->last, last);
}

static void redirect(void **state UNUSED)
{
	struct conf_rdr r;
	const char *why;
	char net[IPNET_TEXT];

	assert_int_equal(value_rdr(&arena, "tcp 25", &r, &why), 0);
	assert_int_equal(r.proto, PROTO_TCP);
	assert_ports(&r.port, 25, 25);
	assert_ports(&r.to, 25, 25);
	assert_int_equal(r.nfrom, 0);

	assert_int_equal(value_rdr(&arena, "udp 8000-8010->9000", &r, &why), 0);
	assert_int_equal(r.proto, PROTO_UDP);
	assert_ports(&r.port, 8000, 8010);
	assert_ports(&r.to, 9000, 9010);

	assert_int_equal(
	    value_rdr(&arena, "tcp ssh -> 2222 from 198.51.100.0/24, 2001:db8::/32", &r, &why), 0);
	assert_ports(&r.port, 22, 22);
	assert_ports(&r.to, 2222, 2222);
	assert_int_equal(r.nfrom, 2);
	assert_string_equal(ipnet_text(&r.from[0], net), "198.51.100.0/24");
	assert_string_equal(ipnet_text(&r.from[1], net), "2001:db8::/32");

	assert_int_equal(value_rdr(&arena, "tcp 65000-65535 -> 65001", &r, &why), -EINVAL);
}

static void permission(void **state UNUSED)
{
	struct conf_connect c;
	const char *why;

	assert_int_equal(value_connect(&arena, "dovecot tcp 24 143 udp 53-54", &c, &why), 0);
	assert_int_equal(c.peer, CONNECT_JAIL);
	assert_string_equal(c.jail, "dovecot");
	assert_int_equal(c.nports, 3);
	assert_int_equal(c.port[0].proto, PROTO_TCP);
	assert_ports(&c.port[1].port, 143, 143);
	assert_int_equal(c.port[2].proto, PROTO_UDP);
	assert_ports(&c.port[2].port, 53, 54);

	assert_int_equal(value_connect(&arena, "internet", &c, &why), 0);
	assert_int_equal(c.peer, CONNECT_INTERNET);
	assert_int_equal(c.nports, 0);

	assert_int_equal(value_connect(&arena, "host udp", &c, &why), 0);
	assert_int_equal(c.peer, CONNECT_HOST);
	assert_int_equal(c.nports, 1);
	assert_ports(&c.port[0].port, 1, 65535);

	assert_int_equal(value_connect(&arena, "10.8.0.1/24 tcp 1 2 3 4 5 6 7 8 9", &c, &why), 0);
	assert_int_equal(c.peer, CONNECT_NET);
	assert_int_equal(c.net.len, 24);
	assert_int_equal(c.nports, 9);
}

static void limit(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum rctl_resource resource;
		uint64_t amount;
	} t[] = {
	    {"memoryuse:deny=512m", RCTL_MEMORYUSE, 512 << 20},
	    {"swapuse:deny=1g", RCTL_SWAPUSE, 1 << 30},
	    {"maxproc:deny=200", RCTL_MAXPROC, 200},
	    {"pcpu:deny=150/jail", RCTL_PCPU, 150},
	    {"readbps:throttle=10k", RCTL_READBPS, 10 << 10},
	    {"writebps:deny=1", RCTL_WRITEBPS, 1},
	    {"readiops:throttle=5", RCTL_READIOPS, 5},
	    {"writeiops:deny=5", RCTL_WRITEIOPS, 5},
	    {"openfiles:deny=1024", RCTL_OPENFILES, 1024},
	    {"disk:deny=1t", RCTL_DISK, UINT64_C(1) << 40},
	};
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct conf_rctl r;
		const char *why;
		assert_int_equal(value_rctl(t[i].text, &r, &why), 0);
		assert_int_equal(r.resource, t[i].resource);
		assert_true(r.amount == t[i].amount);
	}
}

static void mount_line(void **state UNUSED)
{
	struct conf_mount m;
	const char *why;

	assert_int_equal(value_mount(&arena, "/a\\040b\t/c  nullfs\n", &m, &why), 0);
	assert_string_equal(m.device, "/a b");
	assert_string_equal(m.dir, "/c");
	assert_string_equal(m.type, "nullfs");
	assert_string_equal(m.options, "rw");

	assert_int_equal(value_mount(&arena, "tmpfs /t tmpfs size=1g 0 0 # x", &m, &why), 0);
	assert_string_equal(m.options, "size=1g");

	assert_int_equal(value_mount(&arena, " \t\n", &m, &why), 1);
	assert_int_equal(value_mount(&arena, "  # a /b c", &m, &why), 1);
	assert_int_equal(value_mount(&arena, "a /b #c", &m, &why), -EINVAL);
	assert_true(str_prefix(why, "missing information"));
}

static void test_keep(void **state)
{
	(void)state;
	static const char *const bad[] = {"",         "daily",    "daily 0",          "daily 7x",
					  "yearly 1", "daily 7,", "daily 1, daily 2", "daily 10001",
					  "7 daily",  "daily -1"};
	struct conf_keep k;
	const char *why;
	assert_int_equal(value_keep("hourly 24, daily 7,weekly 4 , monthly\t12", &k, &why), 0);
	assert_int_equal(k.n[KEEP_HOURLY], 24);
	assert_int_equal(k.n[KEEP_DAILY], 7);
	assert_int_equal(k.n[KEEP_WEEKLY], 4);
	assert_int_equal(k.n[KEEP_MONTHLY], 12);
	assert_int_equal(value_keep("daily 7", &k, &why), 0);
	assert_int_equal(k.n[KEEP_HOURLY], 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		assert_int_equal(value_keep(bad[i], &k, &why), -EINVAL);
		assert_non_null(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keep),
	    cmocka_unit_test_teardown(address, release),
	    cmocka_unit_test_teardown(redirect, release),
	    cmocka_unit_test_teardown(permission, release),
	    cmocka_unit_test(limit),
	    cmocka_unit_test_teardown(mount_line, release),
	};
	return cmocka_run_group_tests_name("conf/value", tests, NULL, NULL);
}
