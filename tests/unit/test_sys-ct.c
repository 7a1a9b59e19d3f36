#include "unit.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "netns.h"
#include "sys/ct.h"
#include "sys/nft.h"
#include "sys/rtnl.h"

static struct nl nl;
static struct ng_err err;

/* Something that asks about connections, so that they are tracked, and a redirect. */
static const char ruleset[] = "table inet newgate {\n"
			      "  chain out { type filter hook output priority 0;\n"
			      "    udp dport 5353 ct mark set 0x42\n"
			      "  }\n"
			      "  chain nat { type nat hook output priority -100;\n"
			      "    ip daddr 127.0.0.9 udp dport 53 dnat ip to 127.0.0.1:5300\n"
			      "  }\n"
			      "}\n";

static int bound(int type, int family, uint16_t port)
{
	struct sockaddr_in6 sa6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in sa4 = {.sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(family == AF_INET ? bind(fd, (struct sockaddr *)&sa4, sizeof sa4)
					   : bind(fd, (struct sockaddr *)&sa6, sizeof sa6),
			 0);
	return fd;
}

/* One packet from port `from` to host:port, which need not be there. */
static void send_udp(int family, uint16_t from, const char *host, uint16_t port)
{
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	autoclose int fd = bound(SOCK_DGRAM, family, from);
	assert_int_equal(
	    inet_pton(family, host,
		      family == AF_INET ? (void *)&sa4.sin_addr : (void *)&sa6.sin6_addr),
	    1);
	assert_int_equal(family == AF_INET
			     ? sendto(fd, "x", 1, 0, (struct sockaddr *)&sa4, sizeof sa4)
			     : sendto(fd, "x", 1, 0, (struct sockaddr *)&sa6, sizeof sa6),
			 1);
}

static struct ct_flow seen[64];
static int nseen;

static bool look(const struct ct_flow *f, void *arg)
{
	(void)arg;
	if (nseen < (int)ARRAY_SIZE(seen))
		seen[nseen++] = *f;
	return false;
}

static const struct ct_flow *find(uint8_t proto, int family, uint16_t sport, uint16_t dport)
{
	nseen = 0;
	assert_int_equal(ct_flush(&nl, look, NULL, &err), 0);
	for (int i = 0; i < nseen; i++)
		if (seen[i].proto == proto && seen[i].src.family == family &&
		    seen[i].sport == sport && seen[i].dport == dport)
			return &seen[i];
	return NULL;
}

static bool by_dport(const struct ct_flow *f, void *arg)
{
	return f->dport == *(const uint16_t *)arg;
}

static void test_udp_flow(void **state)
{
	(void)state;
	autoclose int sink = bound(SOCK_DGRAM, AF_INET, 5353);
	assert_true(sink >= 0);
	send_udp(AF_INET, 4001, "127.0.0.1", 5353);
	send_udp(AF_INET, 4002, "127.0.0.1", 5353);
	send_udp(AF_INET, 4001, "127.0.0.1", 5354);
	const struct ct_flow *f = find(IPPROTO_UDP, AF_INET, 4001, 5353);
	assert_non_null(f);
	char text[IP_TEXT];
	assert_string_equal(ip_text(&f->src, text), "127.0.0.1");
	assert_string_equal(ip_text(&f->reply_src, text), "127.0.0.1");
	assert_int_equal(f->reply_sport, 5353);
	assert_int_equal(f->reply_dport, 4001);
	assert_int_equal(f->mark, 0x42);
	assert_int_not_equal(f->id, 0);
	uint16_t port = 5353;
	assert_int_equal(ct_flush(&nl, by_dport, &port, &err), 2);
	assert_null(find(IPPROTO_UDP, AF_INET, 4001, 5353));
	assert_null(find(IPPROTO_UDP, AF_INET, 4002, 5353));
	assert_non_null(find(IPPROTO_UDP, AF_INET, 4001, 5354));
	assert_int_equal(ct_flush(&nl, by_dport, &port, &err), 0);
}

static void test_ipv6_flow(void **state)
{
	(void)state;
	send_udp(AF_INET6, 4006, "::1", 5353);
	const struct ct_flow *f = find(IPPROTO_UDP, AF_INET6, 4006, 5353);
	char text[IP_TEXT];
	assert_non_null(f);
	assert_string_equal(ip_text(&f->dst, text), "::1");
	uint16_t port = 5353;
	assert_int_equal(ct_flush(&nl, by_dport, &port, &err), 1);
	assert_null(find(IPPROTO_UDP, AF_INET6, 4006, 5353));
}

/* After its entry is gone a connection made under a redirect is none any more. */
static void test_redirected_flow_shows_its_target(void **state)
{
	(void)state;
	autoclose int sink = bound(SOCK_DGRAM, AF_INET, 5300);
	send_udp(AF_INET, 4003, "127.0.0.9", 53);
	char buf[4];
	assert_int_equal(recv(sink, buf, sizeof buf, 0), 1);
	const struct ct_flow *f = find(IPPROTO_UDP, AF_INET, 4003, 53);
	char text[IP_TEXT];
	assert_non_null(f);
	assert_string_equal(ip_text(&f->dst, text), "127.0.0.9");
	assert_string_equal(ip_text(&f->reply_src, text), "127.0.0.1");
	assert_int_equal(f->reply_sport, 5300);
}

static void test_tcp_flow(void **state)
{
	(void)state;
	autoclose int server = bound(SOCK_STREAM, AF_INET, 8080);
	assert_int_equal(listen(server, 1), 0);
	autoclose int client = bound(SOCK_STREAM, AF_INET, 4004);
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(8080),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof sa), 0);
	autoclose int conn = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(conn >= 0);
	assert_non_null(find(IPPROTO_TCP, AF_INET, 4004, 8080));
	uint16_t port = 8080;
	assert_int_equal(ct_flush(&nl, by_dport, &port, &err), 1);
	assert_null(find(IPPROTO_TCP, AF_INET, 4004, 8080));
}

static void test_more_flows_than_one_answer_holds(void **state)
{
	(void)state;
	for (int i = 0; i < 2000; i++) {
		autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in sa = {.sin_family = AF_INET,
					 .sin_port = htons(5355),
					 .sin_addr.s_addr = htonl(0x7f010000U + (uint32_t)i)};
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof sa), 1);
	}
	uint16_t port = 5355;
	assert_int_equal(ct_flush(&nl, by_dport, &port, &err), 2000);
	assert_int_equal(ct_flush(&nl, by_dport, &port, &err), 0);
}

static void test_flush_by_address(void **state)
{
	(void)state;
	struct ip target, host6;
	autoclose int sink = bound(SOCK_DGRAM, AF_INET, 5300);
	assert_int_equal(ip_parse("127.0.0.8", &target), 0);
	assert_int_equal(ip_parse("::1", &host6), 0);
	send_udp(AF_INET, 4010, "127.0.0.8", 5356);
	send_udp(AF_INET, 4011, "127.0.0.7", 5356);
	send_udp(AF_INET, 4012, "127.0.0.9", 53);
	send_udp(AF_INET6, 4013, "::1", 5356);
	assert_int_equal(ct_flush_address(&nl, &target, &err), 0);
	assert_null(find(IPPROTO_UDP, AF_INET, 4010, 5356));
	assert_non_null(find(IPPROTO_UDP, AF_INET, 4011, 5356));
	assert_non_null(find(IPPROTO_UDP, AF_INET, 4012, 53));
	assert_int_equal(ct_flush_address(&nl, &host6, &err), 0);
	assert_null(find(IPPROTO_UDP, AF_INET6, 4013, 5356));
	assert_non_null(find(IPPROTO_UDP, AF_INET, 4011, 5356));
	/* What it began goes, and what was redirected to it. */
	assert_int_equal(ip_parse("127.0.0.1", &target), 0);
	assert_int_equal(ct_flush_address(&nl, &target, &err), 0);
	assert_null(find(IPPROTO_UDP, AF_INET, 4011, 5356));
	assert_null(find(IPPROTO_UDP, AF_INET, 4012, 53));
}

int main(void)
{
	ENTER_NAMESPACES(CLONE_NEWNET);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_udp_flow),
	    cmocka_unit_test(test_ipv6_flow),
	    cmocka_unit_test(test_redirected_flow_shows_its_target),
	    cmocka_unit_test(test_tcp_flow),
	    cmocka_unit_test(test_flush_by_address),
	    cmocka_unit_test(test_more_flows_than_one_answer_holds),
	};
	struct nl route;
	struct nl_batch b = {0};
	if (nl_open(&nl, NETLINK_NETFILTER) < 0 || nl_open(&route, NETLINK_ROUTE) < 0)
		return 1;
	rtnl_set_up(&b, 1);
	if (nl_send(&route, &b, NULL, &err) < 0 || nft_load(ruleset, &err) < 0) {
		puts(err.text);
		return 1;
	}
	nl_batch_done(&b);
	nl_close(&route);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	nl_close(&nl);
	return r;
}
