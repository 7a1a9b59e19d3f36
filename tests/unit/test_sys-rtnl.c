#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/rtnetlink.h>
#include "netns.h"
#include "sys/fd.h"
#include "sys/ns.h"
#include "sys/rtnl.h"

#define MAC                             \
	{                               \
		0x02, 'n', 'g', 0, 0, 1 \
	}

static struct nl nl;
static struct nl_batch batch;
static struct ng_err err;

static struct ip addr(const char *s)
{
	struct ip ip;
	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static struct ipnet network(const char *s)
{
	struct ipnet n;
	assert_int_equal(ipnet_parse(s, &n), 0);
	return n;
}

static void commit(void)
{
	int r = nl_send(&nl, &batch, NULL, &err);
	nl_begin(&batch);
	if (r < 0)
		print_error("%s\n", err.text);
	assert_int_equal(r, 0);
}

static void refused(int code)
{
	int r = nl_send(&nl, &batch, NULL, &err);
	nl_begin(&batch);
	assert_int_equal(r, code);
	assert_true(strlen(err.text) > 0);
}

static int link_index(const char *name)
{
	struct rtnl_link l;
	assert_int_equal(rtnl_get_link(&nl, name, &l, &err), 0);
	return l.index;
}

static void ask_once(int domain, const char *to, const char *text, char *reply, size_t size)
{
	struct ip ip;
	CHECK(ip_parse(to, &ip) == 0);
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(7)};
	memcpy(&sa6.sin6_addr, ip.bytes, 16);
	memcpy(&sa4.sin_addr, ip.bytes, 4);
	autoclose int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	struct timeval limit = {.tv_sec = 5};
	CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
	CHECK(domain == AF_INET ? connect(fd, (struct sockaddr *)&sa4, sizeof sa4) == 0
				: connect(fd, (struct sockaddr *)&sa6, sizeof sa6) == 0);
	CHECK(send(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
	ssize_t n = recv(fd, reply, size - 1, 0);
	CHECK(n > 0);
	reply[n] = '\0';
}

/* Answers `count` packets with the address they came from. */
static void serve(int fd, int count)
{
	while (count-- > 0) {
		char buf[256], text[INET6_ADDRSTRLEN];
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		CHECK(recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len) > 0);
		const void *a = from.ss_family == AF_INET
				    ? (const void *)&((struct sockaddr_in *)&from)->sin_addr
				    : (const void *)&((struct sockaddr_in6 *)&from)->sin6_addr;
		CHECK(inet_ntop(from.ss_family, a, text, sizeof text));
		CHECK(sendto(fd, text, strlen(text), 0, (struct sockaddr *)&from, len) > 0);
	}
}

static int listener(int domain)
{
	struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(7)};
	int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	CHECK(domain == AF_INET ||
	      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) == 0);
	CHECK(domain == AF_INET ? bind(fd, (struct sockaddr *)&sa4, sizeof sa4) == 0
				: bind(fd, (struct sockaddr *)&sa6, sizeof sa6) == 0);
	return fd;
}

struct jail {
	pid_t pid;
	int pidfd, wake;
};

/* A process with a network of its own, which does fn once woken and tells by its exit status. */
static struct jail jail(void (*fn)(void))
{
	int ends[2];
	struct jail j;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	j.pid = ns_fork(CLONE_NEWNET, -1, &j.pidfd);
	assert_true(j.pid >= 0);
	if (j.pid == 0) {
		char c;
		close(ends[1]);
		CHECK(read(ends[0], &c, 1) == 1);
		fn();
		_exit(0);
	}
	close(ends[0]);
	j.wake = ends[1];
	return j;
}

static void jail_wake(const struct jail *j)
{
	assert_int_equal(write(j->wake, "x", 1), 1);
}

static void jail_wait(struct jail *j)
{
	siginfo_t info;
	assert_int_equal(waitid(P_PIDFD, (id_t)j->pidfd, &info, WEXITED), 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, 0);
	close(j->pidfd);
	close(j->wake);
}

/* What net_inside does in a jail: addresses as /32 and /128, a gateway on no network of its own. */
static void inside(const char *a4, const char *a6)
{
	struct nl in, watch;
	struct nl_batch b = {0};
	struct ng_err e;
	struct ipnet n4, n6, all4, all6;
	struct ip gw4, gw6;
	CHECK(nl_open(&in, NETLINK_ROUTE) == 0 && rtnl_watch(&watch) == 0);
	CHECK(ipnet_parse(a4, &n4) == 0 && ipnet_parse(a6, &n6) == 0);
	CHECK(ipnet_parse("0.0.0.0/0", &all4) == 0 && ipnet_parse("::/0", &all6) == 0);
	CHECK(ip_parse("10.100.0.1", &gw4) == 0 && ip_parse("fd00:100::1", &gw6) == 0);
	nl_begin(&b);
	rtnl_set_up(&b, 1);
	rtnl_set_up(&b, 2);
	rtnl_add_address(&b, 2, &n4);
	rtnl_add_address(&b, 2, &n6);
	rtnl_add_route(&b, &all4, &gw4, 2);
	rtnl_add_route(&b, &all6, &gw6, 2);
	unsigned failed;
	if (nl_send(&in, &b, &failed, &e) < 0) {
		fprintf(stderr, "message %u: %s\n", failed, e.text);
		_exit(1);
	}
	CHECK(rtnl_wait_local(&watch, &in, &n6.addr, 1, &e) == 0);
	nl_batch_done(&b);
	nl_close(&watch);
	nl_close(&in);
}

static int ready[2], go[2];

static void client(void)
{
	char c, reply[64];
	inside("10.100.0.2/32", "fd00:100::2/128");
	CHECK(if_nametoindex("eth0") == 2);
	CHECK(write(ready[1], "x", 1) == 1 && read(go[0], &c, 1) == 1);
	/* The gateway, which is on another link of the host, and the neighbour behind it. */
	ask_once(AF_INET, "10.100.0.1", "hello", reply, sizeof reply);
	CHECK(strcmp(reply, "10.100.0.2") == 0);
	ask_once(AF_INET6, "fd00:100::1", "hello", reply, sizeof reply);
	CHECK(strcmp(reply, "fd00:100::2") == 0);
	ask_once(AF_INET, "10.100.0.3", "hello", reply, sizeof reply);
	CHECK(strcmp(reply, "10.100.0.2") == 0);
	ask_once(AF_INET6, "fd00:100::3", "hello", reply, sizeof reply);
	CHECK(strcmp(reply, "fd00:100::2") == 0);
}

static void server(void)
{
	inside("10.100.0.3/32", "fd00:100::3/128");
	int fd4 = listener(AF_INET), fd6 = listener(AF_INET6);
	CHECK(write(ready[1], "x", 1) == 1);
	serve(fd4, 1);
	serve(fd6, 1);
}

static int no_link_local(const struct rtnl_address *a, void *arg)
{
	(void)arg;
	return a->addr.addr.family == AF_INET6 && a->addr.addr.bytes[0] == 0xfe;
}

static void attach(const char *name, int index, const struct jail *j, const char *a4,
		   const char *a6)
{
	struct rtnl_veth v = {.name = name,
			      .index = index,
			      .alias = "web.example",
			      .peer = "eth0",
			      .peer_netns = -1,
			      .peer_pid = j->pid,
			      .peer_index = 2,
			      .mtu = 1400,
			      .mac = MAC};
	struct ipnet n4 = network(a4), n6 = network(a6);
	rtnl_add_veth(&batch, &v);
	rtnl_set_up(&batch, index);
	rtnl_add_route(&batch, &n4, NULL, index);
	rtnl_add_route(&batch, &n6, NULL, index);
	commit();
}

static void bridge_with_addresses(void)
{
	struct ipnet n4 = network("10.100.0.1/24"), n6 = network("fd00:100::1/64");
	rtnl_add_bridge(&batch, "lo100");
	rtnl_set_up_name(&batch, "lo100");
	rtnl_set_up(&batch, 1);
	commit();
	int index = link_index("lo100");
	struct nl watch;
	assert_int_equal(rtnl_watch(&watch), 0);
	rtnl_add_address(&batch, index, &n4);
	rtnl_add_address(&batch, index, &n6);
	commit();
	assert_int_equal(rtnl_wait_local(&watch, &nl, &n6.addr, 1, &err), 0);
	nl_close(&watch);
}

static void test_routed_pairs_carry_both_families(void **state)
{
	(void)state;
	assert_int_equal(fd_put(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", "1"), 0);
	assert_int_equal(fd_put(AT_FDCWD, "/proc/sys/net/ipv6/conf/all/forwarding", "1"), 0);
	bridge_with_addresses();
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	struct jail a = jail(client), b = jail(server);
	attach("ng1", 1001, &a, "10.100.0.2/32", "fd00:100::2/128");
	attach("ng2", 1002, &b, "10.100.0.3/32", "fd00:100::3/128");

	char c;
	jail_wake(&b);
	assert_int_equal(read(ready[0], &c, 1), 1);
	jail_wake(&a);
	assert_int_equal(read(ready[0], &c, 1), 1);

	/* The question also makes the kernel let the host's end send, now that the other is up. */
	struct rtnl_link l;
	assert_int_equal(rtnl_get_link(&nl, "ng2", &l, &err), 0);
	assert_int_equal(rtnl_get_link(&nl, "ng1", &l, &err), 0);
	assert_int_equal(l.index, 1001);
	assert_int_equal(l.group, RTNL_GROUP);
	assert_int_equal(l.mtu, 1400);
	assert_string_equal(l.kind, "veth");
	assert_string_equal(l.alias, "web.example");
	assert_true(l.flags & IFF_NOARP && l.flags & IFF_UP);

	int fd4 = listener(AF_INET), fd6 = listener(AF_INET6);
	assert_int_equal(write(go[1], "x", 1), 1);
	serve(fd4, 1);
	serve(fd6, 1);
	jail_wait(&a);
	jail_wait(&b);
	close(fd4);
	close(fd6);
	assert_int_equal(rtnl_each_address(&nl, no_link_local, NULL, &err), 0);
}

static void test_errors_are_the_kernels(void **state)
{
	(void)state;
	unsigned failed = 99;
	rtnl_set_up(&batch, 1);
	rtnl_add_bridge(&batch, "lo100");
	rtnl_add_bridge(&batch, "lo101");
	assert_int_equal(nl_send(&nl, &batch, &failed, &err), -EEXIST);
	assert_int_equal(failed, 2); /* setting up is two messages */
	assert_int_equal(err.code, EEXIST);
	assert_true(strlen(err.text) > 0);
	nl_begin(&batch);
	/* The message behind the failed one was carried out. */
	rtnl_delete(&batch, link_index("lo101"));
	commit();
	struct rtnl_link l;
	assert_int_equal(rtnl_get_link(&nl, "lo101", &l, &err), -ENODEV);
	assert_non_null(strstr(err.text, "\"lo101\""));
	assert_int_equal(rtnl_get_link(&nl, "a-name-that-is-too-long-for-a-link", &l, &err),
			 -ENODEV);
	/* An extended ack: the kernel's own sentence, not that of the code. */
	struct ipnet to = network("192.0.2.0/24");
	struct ip via = addr("198.51.100.1");
	rtnl_add_route(&batch, &to, &via, 99999);
	refused(-ENODEV);
}

struct seen {
	const char *name;
	int count, index;
	struct ipnet net;
};

static int count_links(const struct rtnl_link *l, void *arg)
{
	struct seen *s = arg;
	s->count += strcmp(l->name, s->name) == 0;
	return 0;
}

static int count_addresses(const struct rtnl_address *a, void *arg)
{
	struct seen *s = arg;
	s->count += a->index == s->index && ip_eq(&a->addr.addr, &s->net.addr) &&
		    a->addr.len == s->net.len && !a->dynamic;
	return 0;
}

static int count_routes(const struct rtnl_route *r, void *arg)
{
	struct seen *s = arg;
	s->count += r->table == RT_TABLE_MAIN && r->type == RTN_UNICAST && r->index == s->index &&
		    ip_eq(&r->to.addr, &s->net.addr) && r->to.len == s->net.len;
	return 0;
}

static int stop(const struct rtnl_link *l, void *arg)
{
	(void)l;
	++*(int *)arg;
	return 7;
}

static void test_dumps(void **state)
{
	(void)state;
	struct seen s = {.name = "lo100", .index = link_index("lo100")};
	assert_int_equal(rtnl_each_link(&nl, count_links, &s, &err), 0);
	assert_int_equal(s.count, 1);
	s.count = 0;
	s.net = network("10.100.0.1/24");
	assert_int_equal(rtnl_each_address(&nl, count_addresses, &s, &err), 0);
	assert_int_equal(s.count, 1);
	s.count = 0;
	s.net = network("fd00:100::1/64");
	assert_int_equal(rtnl_each_address(&nl, count_addresses, &s, &err), 0);
	assert_int_equal(s.count, 1);
	s.count = 0;
	s.net = network("10.100.0.0/24");
	assert_int_equal(rtnl_each_route(&nl, AF_INET, count_routes, &s, &err), 0);
	assert_int_equal(s.count, 1);
	int calls = 0;
	assert_int_equal(rtnl_each_link(&nl, stop, &calls, &err), 7);
	assert_int_equal(calls, 1);
}

/* More failures than the socket's queue holds: the first is told, and the socket stays usable. */
static void test_more_answers_than_fit(void **state)
{
	(void)state;
	unsigned failed = 99;
	for (int i = 0; i < 5000; i++)
		rtnl_add_bridge(&batch, "lo100");
	assert_int_equal(nl_send(&nl, &batch, &failed, &err), -EEXIST);
	assert_int_equal(failed, 0);
	nl_begin(&batch);
	assert_true(link_index("lo100") > 0);
}

static void test_many_links_in_one_dump(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		char name[16];
		snprintf(name, sizeof name, "many%d", i);
		rtnl_add_bridge(&batch, name);
	}
	commit();
	struct seen s = {.name = "many99"};
	assert_int_equal(rtnl_each_link(&nl, count_links, &s, &err), 0);
	assert_int_equal(s.count, 1);
}

static void test_lookup(void **state)
{
	(void)state;
	struct rtnl_route r;
	struct ip own = addr("10.100.0.1"), near = addr("10.100.0.77"), far = addr("198.51.100.1"),
		  far6 = addr("2001:db8::1"), own6 = addr("fd00:100::1");
	assert_int_equal(rtnl_lookup(&nl, &own, &r, &err), 0);
	assert_int_equal(r.type, RTN_LOCAL);
	assert_int_equal(rtnl_lookup(&nl, &own6, &r, &err), 0);
	assert_int_equal(r.type, RTN_LOCAL);
	assert_int_equal(rtnl_lookup(&nl, &near, &r, &err), 0);
	assert_int_equal(r.type, RTN_UNICAST);
	assert_int_equal(r.index, link_index("lo100"));
	assert_int_equal(r.table, RT_TABLE_MAIN);
	assert_int_equal(rtnl_lookup(&nl, &far, &r, &err), -ENETUNREACH);
	assert_non_null(strstr(err.text, "198.51.100.1"));
	assert_int_equal(rtnl_lookup(&nl, &far6, &r, &err), -ENETUNREACH);
	struct ipnet to = network("198.51.100.0/24");
	rtnl_add_route(&batch, &to, &near, link_index("lo100"));
	commit();
	assert_int_equal(rtnl_lookup(&nl, &far, &r, &err), 0);
	assert_true(ip_eq(&r.via, &near));
	rtnl_add_route(&batch, &to, &near, link_index("lo100"));
	refused(-EEXIST);
}

static void test_proxy(void **state)
{
	(void)state;
	int index = link_index("lo100");
	struct ip a4 = addr("10.100.0.50"), a6 = addr("fd00:100::50");
	rtnl_add_proxy(&batch, &a4, index);
	rtnl_add_proxy(&batch, &a6, index);
	rtnl_add_proxy(&batch, &a4, index); /* again: no error */
	commit();
	rtnl_delete_proxy(&batch, &a4, index);
	rtnl_delete_proxy(&batch, &a6, index);
	commit();
	rtnl_delete_proxy(&batch, &a4, index);
	refused(-ENOENT);
}

static void has_em0(void)
{
	CHECK(if_nametoindex("em0") > 0);
	CHECK(if_nametoindex("epair0b") > 0);
}

static void test_move(void **state)
{
	(void)state;
	struct jail j = jail(has_em0);
	autoclose int netns = ns_open(j.pid, "net");
	assert_true(netns >= 0);
	struct rtnl_veth v = {
	    .name = "epair0a", .peer = "epair0b", .peer_netns = netns, .mac = MAC};
	rtnl_add_veth(&batch, &v);
	commit();
	rtnl_move(&batch, link_index("epair0a"), netns, "em0");
	commit();
	struct rtnl_link l;
	assert_int_equal(rtnl_get_link(&nl, "epair0a", &l, &err), -ENODEV);
	/* A bridge cannot be moved, and the kernel says so in a sentence. */
	rtnl_move(&batch, link_index("lo100"), netns, NULL);
	refused(-EINVAL);
	assert_string_not_equal(err.text, strerror(EINVAL));
	jail_wake(&j);
	jail_wait(&j);
}

static void test_delete_address(void **state)
{
	(void)state;
	struct ipnet n = network("10.100.0.1/24");
	int index = link_index("lo100");
	rtnl_add_address(&batch, index, &n);
	refused(-EEXIST);
	rtnl_delete_address(&batch, index, &n);
	commit();
	rtnl_delete_address(&batch, index, &n);
	refused(-EADDRNOTAVAIL);
}

int main(void)
{
	ENTER_NAMESPACES(CLONE_NEWNET);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_routed_pairs_carry_both_families),
	    cmocka_unit_test(test_errors_are_the_kernels),
	    cmocka_unit_test(test_dumps),
	    cmocka_unit_test(test_more_answers_than_fit),
	    cmocka_unit_test(test_many_links_in_one_dump),
	    cmocka_unit_test(test_lookup),
	    cmocka_unit_test(test_proxy),
	    cmocka_unit_test(test_move),
	    cmocka_unit_test(test_delete_address),
	};
	if (nl_open(&nl, NETLINK_ROUTE) < 0)
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	nl_batch_done(&batch);
	nl_close(&nl);
	return r;
}
