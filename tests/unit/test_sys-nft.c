#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include "base/str.h"
#include "netns.h"
#include "sys/nft.h"
#include "sys/rtnl.h"

static struct nl nl;
static struct nl_batch batch;
static struct ng_err err;

static const char ruleset[] =
    "table inet newgate\n"
    "delete table inet newgate\n"
    "table inet newgate {\n"
    "  comment \"rules 0123456789abcdef\"\n"
    "  set plain4 { type ipv4_addr; }\n"
    "  set plain6 { type ipv6_addr; }\n"
    "  set tree4 { type ipv4_addr; flags interval; }\n"
    "  set tree6 { type ipv6_addr; flags interval; }\n"
    "  map rdr4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }\n"
    "  map rdr6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }\n"
    "  set pair4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }\n"
    "  set pair6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags interval; }\n"
    "}\n";

/* Runs a program and returns what it wrote, owned by the caller. */
static char *output(char *const argv[])
{
	int out = memfd_create("out", MFD_CLOEXEC);
	assert_true(out >= 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	struct stat st;
	assert_int_equal(fstat(out, &st), 0);
	char *text = calloc(1, (size_t)st.st_size + 1);
	assert_int_equal(pread(out, text, (size_t)st.st_size, 0), st.st_size);
	close(out);
	return text;
}

static bool set_lists(const char *kind, const char *set, const char *element)
{
	char *argv[] = {"/usr/sbin/nft",        "list", (char *)(uintptr_t)kind, "inet", "newgate",
			(char *)(uintptr_t)set, NULL};
	autofree char *text = output(argv);
	bool found = strstr(text, element) != NULL;
	return found;
}

static struct ip addr(const char *s)
{
	struct ip ip;
	assert_int_equal(ip_parse(s, &ip), 0);
	return ip;
}

static struct nft_elem elem(const char *set)
{
	return (struct nft_elem){.set = set};
}

static void key_ip(struct nft_elem *e, const char *first, const char *last)
{
	struct ip a = addr(first), b = addr(last ? last : first);
	nft_key(e, a.bytes, ip_size(&a));
	if (last)
		nft_key_end(e, b.bytes, ip_size(&b));
}

static void key_proto(struct nft_elem *e, uint8_t proto, bool interval)
{
	nft_key(e, &proto, 1);
	if (interval)
		nft_key_end(e, &proto, 1);
}

static void key_port(struct nft_elem *e, uint16_t first, uint16_t last, bool interval)
{
	first = htons(first);
	last = htons(last);
	nft_key(e, &first, 2);
	if (interval)
		nft_key_end(e, &last, 2);
}

static int add(const struct nft_elem *e)
{
	nft_begin(&batch);
	nft_add(&batch, e);
	return nft_commit(&nl, &batch, &err);
}

static int del(const struct nft_elem *e)
{
	nft_begin(&batch);
	nft_delete(&batch, e);
	return nft_commit(&nl, &batch, &err);
}

/* Added it is listed, added again it is no error, deleted it is gone, deleted again it is one. */
static void round_trip(const char *kind, const struct nft_elem *e, const char *text)
{
	assert_false(set_lists(kind, e->set, text));
	assert_int_equal(add(e), 0);
	assert_true(set_lists(kind, e->set, text));
	assert_int_equal(add(e), 0);
	assert_int_equal(del(e), 0);
	assert_false(set_lists(kind, e->set, text));
	assert_int_equal(del(e), -ENOENT);
	assert_true(strlen(err.text) > 0);
}

static int load_rules(void **state)
{
	(void)state;
	assert_int_equal(nft_load(ruleset, &err), 0);
	return 0;
}

static void test_fingerprint(void **state)
{
	(void)state;
	char text[64], small[6];
	nl_begin(&batch);
	assert_int_equal(nft_load("add table inet newgate; delete table inet newgate", &err), 0);
	assert_int_equal(nft_fingerprint(&nl, text, sizeof text, &err), -ENOENT);
	assert_int_equal(nft_load("table inet newgate { }", &err), 0);
	assert_int_equal(nft_fingerprint(&nl, text, sizeof text, &err), 0);
	assert_string_equal(text, "");
	assert_int_equal(nft_load(ruleset, &err), 0);
	assert_int_equal(nft_fingerprint(&nl, text, sizeof text, &err), 0);
	assert_string_equal(text, "rules 0123456789abcdef");
	assert_int_equal(nft_fingerprint(&nl, small, sizeof small, &err), 0);
	assert_string_equal(small, "rules");
}

static void test_comment_parsing(void **state)
{
	(void)state;
	char text[16];
	static const uint8_t behind[] = {7, 2, 'x', 'y', 0, 3, 'a', 'b', 0},
			     cut[] = {0, 9, 'a', 'b'}, unended[] = {0, 2, 'a', 'b'},
			     other[] = {1, 2, 'a', 0}, one[] = {0};
	nft_parse_comment(behind, sizeof behind, text, sizeof text);
	assert_string_equal(text, "ab");
	nft_parse_comment(cut, sizeof cut, text, sizeof text);
	assert_string_equal(text, "");
	nft_parse_comment(unended, sizeof unended, text, sizeof text);
	assert_string_equal(text, "ab");
	nft_parse_comment(other, sizeof other, text, sizeof text);
	assert_string_equal(text, "");
	nft_parse_comment(one, sizeof one, text, sizeof text);
	assert_string_equal(text, "");
	nft_parse_comment("", 0, text, sizeof text);
	assert_string_equal(text, "");
}

static void test_load_tells_the_complaint(void **state)
{
	(void)state;
	char text[64];
	/* The first half is fine; it is one transaction all the same. */
	assert_int_equal(nft_load("delete table inet newgate\n"
				  "table inet other { chain c { iifname \"x\" acept; } }\n",
				  &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "acept"));
	assert_non_null(strstr(err.text, ":2:"));
	assert_int_equal(nft_fingerprint(&nl, text, sizeof text, &err), 0);
	/* Larger than a pipe would hold. */
	struct str s = {0};
	str_add(&s, "table inet newgate { set plain4 { type ipv4_addr; }\n}\n");
	for (unsigned i = 0; i < 10000; i++)
		str_addf(&s, "add element inet newgate plain4 { 10.1.%u.%u }\n", i / 250, i % 250);
	assert_int_equal(nft_load(str_text(&s), &err), 0);
	assert_true(set_lists("set", "plain4", "10.1.39.249"));
	str_done(&s);
}

static void test_plain_sets(void **state)
{
	(void)state;
	struct nft_elem e4 = elem("plain4"), e6 = elem("plain6");
	key_ip(&e4, "10.0.0.7", NULL);
	key_ip(&e6, "fd00:100::7", NULL);
	round_trip("set", &e4, "10.0.0.7");
	round_trip("set", &e6, "fd00:100::7");
}

static void test_tree_intervals(void **state)
{
	(void)state;
	struct nft_elem e4 = elem("tree4"), e6 = elem("tree6"), all = elem("tree4"),
			top = elem("tree6");
	key_ip(&e4, "10.0.0.3", "10.0.255.255");
	round_trip("set", &e4, "10.0.0.3-10.0.255.255");
	key_ip(&e6, "fd00:100::", "fd00:100::ffff:ffff:ffff:ffff");
	round_trip("set", &e6, "fd00:100::/64");
	key_ip(&all, "0.0.0.0", "255.255.255.255");
	round_trip("set", &all, "0.0.0.0/0");
	key_ip(&top, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	round_trip("set", &top, "ff00::/8");
	/* Neighbours stay apart and go one by one. */
	struct nft_elem next = elem("tree4");
	key_ip(&next, "10.1.0.0", "10.1.0.255");
	assert_int_equal(add(&e4), 0);
	assert_int_equal(add(&next), 0);
	assert_int_equal(del(&e4), 0);
	assert_true(set_lists("set", "tree4", "10.1.0.0/24"));
	assert_int_equal(del(&next), 0);
}

static void test_redirect_maps(void **state)
{
	(void)state;
	struct nft_elem e4 = elem("rdr4"), e6 = elem("rdr6");
	struct ip to4 = addr("10.100.0.2"), to6 = addr("fd00:100::2");
	uint16_t port = htons(8443);
	key_proto(&e4, IPPROTO_TCP, false);
	key_ip(&e4, "203.0.113.5", NULL);
	key_port(&e4, 443, 0, false);
	nft_data(&e4, to4.bytes, 4);
	nft_data(&e4, &port, 2);
	round_trip("map", &e4, "tcp . 203.0.113.5 . 443 : 10.100.0.2 . 8443");
	key_proto(&e6, IPPROTO_UDP, false);
	key_ip(&e6, "2001:db8::5", NULL);
	key_port(&e6, 53, 0, false);
	nft_data(&e6, to6.bytes, 16);
	nft_data(&e6, &port, 2);
	round_trip("map", &e6, "udp . 2001:db8::5 . 53 : fd00:100::2 . 8443");
	/* The same key with other data is a conflict, not silently the old value. */
	assert_int_equal(add(&e4), 0);
	e4.datalen = 0;
	nft_data(&e4, addr("10.100.0.3").bytes, 4);
	nft_data(&e4, &port, 2);
	assert_int_equal(add(&e4), -EEXIST);
	assert_int_equal(load_rules(NULL), 0);
}

static void test_concatenated_intervals(void **state)
{
	(void)state;
	struct nft_elem e4 = elem("pair4"), e6 = elem("pair6");
	key_ip(&e4, "10.100.0.2", "10.100.0.2");
	key_ip(&e4, "10.100.0.8", "10.100.0.15");
	key_proto(&e4, IPPROTO_TCP, true);
	key_port(&e4, 8000, 8099, true);
	round_trip("set", &e4, "10.100.0.2 . 10.100.0.8/29 . tcp . 8000-8099");
	key_ip(&e6, "fd00:100::2", "fd00:100::2");
	key_ip(&e6, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	key_proto(&e6, IPPROTO_UDP, true);
	key_port(&e6, 0, 65535, true);
	round_trip("set", &e6, "fd00:100::2 . ::/0 . udp . 0-65535");
}

static void test_a_batch_is_all_or_nothing(void **state)
{
	(void)state;
	struct nft_elem a = elem("plain4"), b = elem("plain4");
	key_ip(&a, "10.0.0.1", NULL);
	key_ip(&b, "10.0.0.2", NULL);
	nft_begin(&batch);
	assert_int_equal(nft_commit(&nl, &batch, &err), 0); /* nothing to do */
	nft_begin(&batch);
	nft_add(&batch, &a);
	nft_delete(&batch, &b);
	assert_int_equal(nft_commit(&nl, &batch, &err), -ENOENT);
	assert_false(set_lists("set", "plain4", "10.0.0.1"));
	nft_begin(&batch);
	nft_add(&batch, &a);
	nft_add(&batch, &b);
	assert_int_equal(nft_commit(&nl, &batch, &err), 0);
	assert_true(set_lists("set", "plain4", "10.0.0.1, 10.0.0.2"));
	struct nft_elem lost = elem("no-such-set");
	key_ip(&lost, "10.0.0.1", NULL);
	assert_int_equal(add(&lost), -ENOENT);
}

static void test_many_elements_in_one_batch(void **state)
{
	(void)state;
	nft_begin(&batch);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t ip[4] = {10, 7, (uint8_t)(i >> 8), (uint8_t)i};
		struct nft_elem e = elem("plain4");
		nft_key(&e, ip, 4);
		nft_add(&batch, &e);
	}
	assert_int_equal(nft_commit(&nl, &batch, &err), 0);
	assert_true(set_lists("set", "plain4", "10.7.78.31"));
	nft_begin(&batch);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t ip[4] = {10, 7, (uint8_t)(i >> 8), (uint8_t)i};
		struct nft_elem e = elem("plain4");
		nft_key(&e, ip, 4);
		nft_delete(&batch, &e);
	}
	assert_int_equal(nft_commit(&nl, &batch, &err), 0);
	assert_false(set_lists("set", "plain4", "10.7."));
}

/* A process that nobody waits for is not to be seen: no child is left, nobody keeps our pipe. */
static void test_close_later(void **state)
{
	(void)state;
	struct nl other;
	struct nft_elem e = elem("plain4");
	int ends[2];
	assert_int_equal(nl_open(&other, NETLINK_NETFILTER), 0);
	key_ip(&e, "10.0.0.9", NULL);
	nft_begin(&batch);
	nft_add(&batch, &e);
	assert_int_equal(nft_commit(&other, &batch, &err), 0);
	nft_begin(&batch);
	nft_delete(&batch, &e);
	assert_int_equal(nft_commit(&other, &batch, &err), 0);
	/* As standard output is: not close-on-exec. */
	assert_int_equal(pipe(ends), 0);
	nl_close_later(&other);
	assert_int_equal(other.fd, -1);
	assert_int_equal(waitpid(-1, NULL, 0), -1);
	assert_int_equal(errno, ECHILD);
	close(ends[1]);
	char c;
	struct pollfd p = {.fd = ends[0]};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(read(ends[0], &c, 1), 0);
	close(ends[0]);
	nl_close_later(&other); /* closed already: nothing */
	assert_int_equal(nl_open(&other, NETLINK_NETFILTER), 0);
	char text[64];
	assert_int_equal(nft_fingerprint(&other, text, sizeof text, &err), 0);
	nl_close(&other);
	nl_close(&other);
	struct nl never = {0};
	nl_close(&never);
	assert_true(fcntl(0, F_GETFD) >= 0);
}

static void test_too_large_an_attribute(void **state)
{
	(void)state;
	static char big[70000];
	nl_begin(&batch);
	nl_message(&batch, NLMSG_NOOP, 0, NULL, 0);
	nl_attr(&batch, 1, big, sizeof big);
	assert_int_equal(nl_send(&nl, &batch, NULL, &err), -EMSGSIZE);
	nl_begin(&batch);
	nl_message(&batch, NLMSG_NOOP, 0, NULL, 0);
	size_t nest = nl_nest(&batch, 1);
	nl_attr(&batch, 1, big, 40000);
	nl_attr(&batch, 1, big, 40000);
	nl_nest_end(&batch, nest);
	assert_int_equal(nl_send(&nl, &batch, NULL, &err), -EMSGSIZE);
	nl_begin(&batch);
}

int main(void)
{
	ENTER_NAMESPACES(CLONE_NEWNET);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fingerprint),
	    cmocka_unit_test(test_comment_parsing),
	    cmocka_unit_test_setup(test_load_tells_the_complaint, load_rules),
	    cmocka_unit_test_setup(test_plain_sets, load_rules),
	    cmocka_unit_test_setup(test_tree_intervals, load_rules),
	    cmocka_unit_test_setup(test_redirect_maps, load_rules),
	    cmocka_unit_test_setup(test_concatenated_intervals, load_rules),
	    cmocka_unit_test_setup(test_a_batch_is_all_or_nothing, load_rules),
	    cmocka_unit_test_setup(test_many_elements_in_one_batch, load_rules),
	    cmocka_unit_test_setup(test_close_later, load_rules),
	    cmocka_unit_test(test_too_large_an_attribute),
	};
	if (nl_open(&nl, NETLINK_NETFILTER) < 0)
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	nl_batch_done(&batch);
	nl_close(&nl);
	return r;
}
