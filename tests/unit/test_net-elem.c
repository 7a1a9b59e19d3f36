/* Elements as text, leases on disk, and the two files that jails share. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/file.h"
#include "net/elem.h"
#include "net/lease.h"
#include "net/net.h"
#include "sys/path.h"

static struct ip ip(const char *s)
{
	struct ip a;
	assert_int_equal(ip_parse(s, &a), 0);
	return a;
}

/* --- elements --- */

static void test_redirect(void **state)
{
	(void)state;
	struct nft_elem e;
	static const uint8_t key[] = {6, 0, 0, 0, 0x01, 0xbb, 0, 0};
	static const uint8_t data[] = {10, 100, 0, 2, 0x20, 0xfb, 0, 0};
	assert_int_equal(elem_parse("rdr4 tcp . 443 : 10.100.0.2 . 8443", &e), 0);
	assert_string_equal(e.set, "rdr4");
	assert_int_equal(e.keylen, sizeof key);
	assert_memory_equal(e.key, key, sizeof key);
	assert_int_equal(e.key_endlen, 0);
	assert_int_equal(e.datalen, sizeof data);
	assert_memory_equal(e.data, data, sizeof data);
}

static void test_interval(void **state)
{
	(void)state;
	struct nft_elem e;
	static const uint8_t low[] = {10, 0, 0, 2, 10, 8, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0};
	static const uint8_t high[] = {10, 0, 0, 2, 10, 8, 0, 255, 255, 0, 0, 0, 0, 30, 0, 0};
	assert_int_equal(elem_parse("spans4 10.0.0.2 . 10.8.0.0-10.8.0.255 . 0-255 . 22-30", &e),
			 0);
	assert_int_equal(e.keylen, sizeof low);
	assert_memory_equal(e.key, low, sizeof low);
	assert_int_equal(e.key_endlen, sizeof high);
	assert_memory_equal(e.key_end, high, sizeof high);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "rdr4",
	    "rdr4 ",
	    "rdr tcp . 25 : 10.0.0.2 . 25",
	    "rdr5 tcp . 25 : 10.0.0.2 . 25",
	    "rdr4 tcp . 25",
	    "rdr4 tcp . 25 : 10.0.0.2",
	    "rdr4 tcp . 25 : 10.0.0.2 . 25 . 26",
	    "rdr4 tcp . 65536 : 10.0.0.2 . 25",
	    "rdr4 tcp . 25-30 : 10.0.0.2 . 25",
	    "rdr4 tcp . 25 : fd00::2 . 25",
	    "rdr6 tcp . 25 : 10.0.0.2 . 25",
	    "rdr4 sctp . 25 : 10.0.0.2 . 25",
	    "listed4 10.0.0.2 trailing",
	    "nothing4 10.0.0.2",
	};
	struct nft_elem e;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (elem_parse(bad[i], &e) != -EINVAL)
			fail_msg("accepted: \"%s\"", bad[i]);
}

static void test_statement(void **state)
{
	(void)state;
	struct str s = {0};
	elem_statement(&s, "rdr6 udp . 53 : fd00::2 . 53");
	assert_string_equal(s.s, "add element inet newgate rdr6 { udp . 53 : fd00::2 . 53 }\n");
	str_done(&s);
}

static bool covers(const char *elem, const struct ct_flow *f)
{
	struct nft_elem e;
	assert_int_equal(elem_parse(elem, &e), 0);
	return elem_covers(&e, f);
}

static void test_covers(void **state)
{
	(void)state;
	/* 198.51.100.7 to our 203.0.113.10:443, redirected */
	struct ct_flow in = {.src = ip("198.51.100.7"),
			     .dst = ip("203.0.113.10"),
			     .reply_src = ip("10.0.0.2"),
			     .proto = 6,
			     .dport = 443};
	assert_true(covers("rdr4 tcp . 443 : 10.0.0.2 . 8443", &in));
	assert_false(covers("rdr4 tcp . 443 : 10.0.0.3 . 8443", &in));
	assert_false(covers("rdr4 tcp . 80 : 10.0.0.2 . 80", &in));
	assert_false(covers("rdr4 udp . 443 : 10.0.0.2 . 8443", &in));
	assert_true(covers("rdrfrom4 198.51.100.0-198.51.100.255 . tcp . 443 : 10.0.0.2 . 1", &in));
	assert_false(
	    covers("rdrfrom4 198.51.101.0-198.51.101.255 . tcp . 443 : 10.0.0.2 . 1", &in));

	/* one jail to another */
	struct ct_flow between = {.src = ip("fd00::2"),
				  .dst = ip("fd00::3"),
				  .reply_src = ip("fd00::3"),
				  .proto = 17,
				  .dport = 53};
	assert_true(covers("pairs6 fd00::2 . fd00::3", &between));
	assert_false(covers("pairs6 fd00::3 . fd00::2", &between));
	assert_true(covers("ports6 fd00::2 . fd00::3 . udp . 53", &between));
	assert_true(covers("spans6 fd00::2 . fd00::-fd00::f . 0-255 . 0-65535", &between));
	assert_false(covers("spans6 fd00::2 . fd00::-fd00::f . tcp . 1-1024", &between));
	assert_true(covers("listed6 fd00::2", &between));
	assert_false(covers("open6 fd00::2 . udp . 53", &between));
	assert_true(covers("open6 fd00::3 . udp . 53", &between));
	assert_false(covers("pairs4 10.0.0.2 . 10.0.0.3", &between));
}

/* What is written is what was read. */
static void test_format(void **state)
{
	(void)state;
	static const char *const lines[] = {
	    "rdr4 tcp . 25 : 10.0.0.2 . 8025",
	    "rdrfrom6 fd00::-fd00::ff . udp . 53 : fd00::2 . 5353",
	    "spans4 10.0.0.2 . 10.8.0.0-10.8.0.255 . 0-255 . 0-65535",
	    "spans6 fd00::2 . fd00::3 . 7-16 . 22",
	    "outports4 10.0.0.2 . tcp . 25",
	    "listed6 fd00::2",
	    "source4 10.0.0.2 : 192.0.2.1",
	};
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct nft_elem e;
		struct str s = {0};
		assert_int_equal(elem_parse(lines[i], &e), 0);
		elem_format(&s, &e);
		assert_string_equal(s.s, lines[i]);
		str_done(&s);
	}
}

static bool any_covers(const struct strv *lines, const struct ct_flow *f, unsigned *times)
{
	*times = 0;
	for (size_t i = 0; i < lines->n; i++)
		if (str_prefix(lines->v[i], ELEM_UNDO))
			*times += covers(lines->v[i] + strlen(ELEM_UNDO), f);
	return *times > 0;
}

/* Boxes by chance, in a world of 8 addresses, 2 protocols and 16 ports: every point is covered as
 * before, and once. */
static void test_overlaps(void **state)
{
	(void)state;
	unsigned seed = 1;
	for (unsigned round = 0; round < 200; round++) {
		struct strv before = {0}, after = {0};
		for (unsigned i = 0; i < 2 + round % 6; i++) {
			unsigned r[6];
			for (unsigned k = 0; k < ARRAY_SIZE(r); k++)
				r[k] = (seed = seed * 1103515245 + 12345) >> 16;
			unsigned a = r[0] % 8, b = a + r[1] % (8 - a), p = r[2] % 16,
				 q = p + r[3] % (16 - p);
			const char *proto = r[4] % 3 == 0 ? "0-255" : r[4] % 3 == 1 ? "tcp" : "udp";
			strv_addf(&before,
				  ELEM_UNDO "spans4 10.0.0.2 . 10.0.1.%u-10.0.1.%u . %s . %u-%u", a,
				  b, proto, p, q);
		}
		strv_add(&before, "proxy eth0 10.0.0.2");
		for (size_t i = 0; i < before.n; i++)
			strv_add(&after, before.v[i]);
		elem_part(&after);
		assert_true(strv_has(&after, "proxy eth0 10.0.0.2"));
		for (unsigned point = 0; point < 8 * 2 * 16; point++) {
			char text[32];
			unsigned now, then;
			snprintf(text, sizeof(text), "10.0.1.%u", point % 8);
			struct ct_flow f = {.src = ip("10.0.0.2"),
					    .dst = ip(text),
					    .proto = point / 8 % 2 ? 6 : 17,
					    .dport = (uint16_t)(point / 16)};
			assert_int_equal(any_covers(&after, &f, &now),
					 any_covers(&before, &f, &then));
			assert_in_range(now, 0, 1);
		}
		strv_done(&before);
		strv_done(&after);
	}
}

static void test_no_overlap_is_left_alone(void **state)
{
	(void)state;
	struct strv lines = {0};
	static const char *const kept[] = {
	    ELEM_UNDO "spans4 10.0.0.2 . 10.8.0.0-10.8.0.255 . tcp . 80",
	    "proxy eth0 10.0.0.2",
	    ELEM_UNDO "spans4 10.0.0.2 . 10.8.0.0-10.8.0.255 . tcp . 81-90",
	    ELEM_UNDO "spans6 fd00::2 . fd00::3 . 0-255 . 0-65535",
	};
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		strv_add(&lines, kept[i]);
	elem_part(&lines);
	assert_int_equal(lines.n, ARRAY_SIZE(kept));
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		assert_string_equal(lines.v[i], kept[i]);
	strv_done(&lines);
}

/* --- leases --- */

static char root[] = "/tmp/newgate-unit.XXXXXX";

static void add(struct leases *l, const char *jail, const char *net)
{
	struct ng_err err = {0};
	struct ipnet n;
	assert_int_equal(ipnet_parse(net, &n), 0);
	assert_int_equal(leases_lock(l, &err), 0);
	assert_int_equal(leases_add(l, jail, "lo100", &n, &err), 0);
	leases_unlock(l);
}

static void test_leases_last(void **state)
{
	(void)state;
	struct ng_err err = {0};
	struct leases a, b;
	assert_int_equal(leases_open(&a, root, &err), 0);
	assert_int_equal(a.n, 0);
	add(&a, NULL, "10.100.0.1/24");
	add(&a, "web site", "10.100.0.2");
	assert_int_equal(leases_open(&b, root, &err), 0);
	assert_int_equal(b.n, 2);
	assert_null(b.v[0].jail);
	assert_int_equal(b.v[0].net.len, 24);
	assert_string_equal(b.v[1].jail, "web site");
	assert_string_equal(b.v[1].ifname, "lo100");

	/* each sees what the other adds, under the lock */
	add(&a, "mail", "10.100.0.3");
	assert_int_equal(leases_lock(&b, &err), 0);
	assert_int_equal(b.n, 3);
	assert_int_equal(leases_free(&b, "web site", &err), 0);
	leases_unlock(&b);
	assert_int_equal(leases_lock(&a, &err), 0);
	leases_unlock(&a);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.v[1].jail, "mail");
	leases_done(&a);
	leases_done(&b);
}

static void test_leases_half_line(void **state)
{
	(void)state;
	struct ng_err err = {0};
	struct leases l;
	char path[64];
	snprintf(path, sizeof path, "%s/var/lib/newgate/leases", root);
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "jail lo100 10.100.0.9 hal", 25), 25);
	close(fd);
	assert_int_equal(leases_open(&l, root, &err), 0);
	assert_int_equal(l.n, 2);
	add(&l, "dns", "10.100.0.4");
	leases_done(&l);
	assert_int_equal(leases_open(&l, root, &err), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[2].jail, "dns");
	leases_done(&l);
}

static void test_leases_rewritten(void **state)
{
	(void)state;
	struct ng_err err = {0};
	struct leases l, other;
	struct stat before, after;
	char path[64], name[32];
	snprintf(path, sizeof path, "%s/var/lib/newgate/leases", root);
	assert_int_equal(leases_open(&other, root, &err), 0);
	assert_int_equal(leases_open(&l, root, &err), 0);
	for (int i = 0; i < 1200; i++) {
		snprintf(name, sizeof name, "short%d", i);
		add(&l, name, "10.100.0.77");
		assert_int_equal(leases_lock(&l, &err), 0);
		assert_int_equal(leases_free(&l, name, &err), 0);
		leases_unlock(&l);
	}
	assert_int_equal(stat(path, &before), 0);
	assert_true(before.st_size < 60000);
	/* one that had the old file open follows to the new one */
	add(&other, "late", "10.100.0.5");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true(after.st_size > before.st_size);
	assert_int_equal(leases_lock(&l, &err), 0);
	leases_unlock(&l);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[3].jail, "late");
	leases_done(&l);
	leases_done(&other);
}

/* --- names --- */

static char *shared(const char *name)
{
	char path[80], *text;
	size_t len;
	snprintf(path, sizeof path, "%s/run/newgate/%s", root, name);
	assert_int_equal(file_read(path, &text, &len), 0);
	return text;
}

static void put(const char *path, const char *text)
{
	char full[120];
	snprintf(full, sizeof full, "%s%s", root, path);
	char *slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(file_mkdirs(full, 0755), 0);
	*slash = '/';
	assert_int_equal(file_replace(full, text, strlen(text), 0644), 0);
}

static void test_hosts(void **state)
{
	struct state *s = *state;
	struct ng_err err = {0};
	struct ip two[] = {ip("10.100.0.2"), ip("fd00::2")}, three = ip("10.100.0.3");
	struct net_name names[] = {
	    {"web", "www.example.org", two, 2},
	    {"evil", "x\n1.2.3.4 bank.example", &three, 1},
	    {"mail", "mail", &three, 1},
	};
	assert_int_equal(net_write_hosts(s, names, 3, &err), 0);
	autofree char *text = shared(NET_HOSTS);
	assert_string_equal(text,
			    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
			    "10.100.0.2\twww.example.org web\nfd00::2\twww.example.org web\n"
			    "10.100.0.3\tevil\n10.100.0.3\tmail\n");

	/* rewritten in place: who has it open, or mounted, sees the new text, and all of it is new
	 */
	struct stat before, after;
	assert_int_equal(fstatat(s->dir, NET_HOSTS, &before, 0), 0);
	assert_int_equal(net_write_hosts(s, names, 1, &err), 0);
	assert_int_equal(fstatat(s->dir, NET_HOSTS, &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	autofree char *less = shared(NET_HOSTS);
	assert_null(strstr(less, "mail"));
	/* and not touched where nothing changed */
	before = after;
	assert_int_equal(net_write_hosts(s, names, 1, &err), 0);
	assert_int_equal(fstatat(s->dir, NET_HOSTS, &after, 0), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
}

static void test_resolv(void **state)
{
	struct state *s = *state;
	struct ng_err err = {0};

	put("/etc/resolv.conf", "# ours\nsearch example.org\nnameserver 192.0.2.53\n"
				"nameserver 127.0.0.1\nnameserver fe80::1%eth0\noptions edns0\n");
	assert_int_equal(net_write_resolv(s, &err), 0);
	autofree char *plain = shared(NET_RESOLV);
	assert_string_equal(plain, "search example.org\nnameserver 192.0.2.53\noptions edns0\n");

	put("/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0 trust-ad\n");
	put("/run/systemd/resolve/resolv.conf", "nameserver 2001:db8::53\n");
	assert_int_equal(net_write_resolv(s, &err), 0);
	autofree char *stub = shared(NET_RESOLV);
	assert_string_equal(stub, "nameserver 2001:db8::53\n");

	static const char *const elsewhere[] = {
	    "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/resolv.conf",
	    "/run/dnsmasq/resolv.conf", "/run/resolvconf/resolv.conf"};
	for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
		put(elsewhere[i], "nameserver ::1\n");
	assert_int_equal(net_write_resolv(s, &err), 1);
	assert_non_null(strstr(err.text, "nameserver ADDRESS"));
	autofree char *none = shared(NET_RESOLV);
	assert_null(strstr(none, "\nnameserver"));
}

static int set_up(void **state)
{
	static struct state s;
	struct ng_err err = {0};
	if (!mkdtemp(root))
		return -1;
	*state = &s;
	return state_open(&s, root, &err);
}

static int tear_down(void **state)
{
	state_done(*state);
	autoclose int tmp = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return path_remove_tree(tmp, root + strlen("/tmp/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_redirect),
	    cmocka_unit_test(test_interval),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_statement),
	    cmocka_unit_test(test_covers),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_overlaps),
	    cmocka_unit_test(test_no_overlap_is_left_alone),
	    cmocka_unit_test(test_leases_last),
	    cmocka_unit_test(test_leases_half_line),
	    cmocka_unit_test(test_leases_rewritten),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_resolv),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
