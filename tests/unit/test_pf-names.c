/* Whatever number has a name is found by it again: what is printed is read back. */
#include "unit.h"

#include <netinet/in.h>

#include "base/str.h"
#include "pf/names.h"

static void protocols(void **state UNUSED)
{
	unsigned named = 0;
	for (unsigned n = 0; n <= UINT8_MAX; n++) {
		const char *name = proto_name((uint8_t)n);
		uint8_t again = 0;
		if (!name)
			continue;
		named++;
		assert_true(proto_number(name, &again));
		assert_int_equal(again, n);
	}
	assert_true(named > 40);
	assert_string_equal(proto_name(IPPROTO_ICMPV6), "ipv6-icmp");
	uint8_t n = 0;
	assert_true(proto_number("icmp6", &n));
	assert_int_equal(n, IPPROTO_ICMPV6);
	assert_false(proto_number("tpc", &n));
	assert_string_equal(proto_nearest("tpc"), "tcp");
}

static void services_of(uint8_t proto)
{
	unsigned named = 0;
	for (unsigned port = 0; port <= UINT16_MAX; port++) {
		const char *name = service_name((uint16_t)port, proto);
		uint16_t again = 0;
		if (!name)
			continue;
		named++;
		assert_true(service_port(name, proto, &again));
		assert_int_equal(again, port);
		/* A rule does not say of which protocol the name is. */
		assert_true(service_port(name, 0, &again));
		assert_int_equal(again, port);
	}
	assert_true(named > 100);
}

static void services(void **state UNUSED)
{
	uint16_t port = 0;
	services_of(IPPROTO_TCP);
	services_of(IPPROTO_UDP);
	assert_true(service_port("www", IPPROTO_TCP, &port));
	assert_int_equal(port, 80);
	assert_string_equal(service_name(80, IPPROTO_TCP), "http");
	assert_string_equal(service_name(514, IPPROTO_TCP), "shell");
	assert_string_equal(service_name(514, IPPROTO_UDP), "syslog");
	assert_false(service_port("syslog", IPPROTO_TCP, &port));
	assert_null(service_name(4, IPPROTO_TCP));
}

static void icmp(void **state UNUSED)
{
	static const int families[] = {AF_INET, AF_INET6};
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		int af = families[f];
		for (int type = 0; type <= UINT8_MAX; type++) {
			const char *name = icmp_type_name(type, af);
			if (name)
				assert_int_equal(icmp_type_number(name, af), type);
			for (int code = 0; code <= UINT8_MAX; code++) {
				const char *of = icmp_code_name(type, code, af);
				if (of)
					assert_int_equal(icmp_code_number(type, of, af), code);
			}
		}
	}
	assert_int_equal(icmp_type_number("neighbrsol", AF_INET6), 135);
	assert_int_equal(icmp_type_number("neighbrsol", AF_INET), -1);
	assert_int_equal(icmp_code_number(3, "transit", AF_INET), -1);
	assert_int_equal(icmp_code_number(11, "transit", AF_INET), 0);
}

static void timeouts(void **state UNUSED)
{
	size_t n = 0;
	for (const char *name; (name = timeout_at(n)); n++)
		assert_true(timeout_known(name));
	assert_true(n > 20);
	assert_false(timeout_known("tcp.close"));
	assert_string_equal(timeout_nearest("tcp.establishd"), "tcp.established");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(protocols),
	    cmocka_unit_test(services),
	    cmocka_unit_test(icmp),
	    cmocka_unit_test(timeouts),
	};
	return cmocka_run_group_tests_name("pf/names", tests, NULL, NULL);
}
