/* newgate explain's second opinion: single cases, and by chance that what it suggests turns the
 * answer. tests/system/test_explain.py holds the answers against packets. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "explain/explain.h"
#include "explain/listen.h"

#define JAILS 8

struct fixture {
	struct conf conf;
	struct conf_jail jail[JAILS];
	struct explain_world w;
};

static struct ip ip(const char *s)
{
	struct ip a;
	assert_int_equal(ip_parse(s, &a), 0);
	return a;
}

static void add_address(struct fixture *f, struct explain_jail *j, const char *text)
{
	struct conf_addr a;
	const char *why;
	struct explain_addr *to = &j->addr[j->naddrs++];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(value_addr(&f->w.arena, family, text, &a, &why), 0);
	to->ip = a.addr;
	to->gateway = ip(family == AF_INET ? "10.0.0.1" : "fd00::1");
	to->proxy = a.ifname && str_eq(a.ifname, "eth0");
}

/* 10.0.0.0/24 and fd00::/64 are the jails'; the host is 192.0.2.1 and has no IPv6 outside. */
static void make(struct fixture *f, const char *text)
{
	struct diags d = {0};
	size_t n;
	*f = (struct fixture){0};
	conf_read_text(&f->conf, "jail.conf", "/", text, strlen(text), &d);
	autofree const char **names = conf_names(&f->conf, &n);
	assert_true(n <= JAILS);
	f->w.n = n;
	f->w.jail = arena_alloc(&f->w.arena, n * sizeof(*f->w.jail));
	for (size_t i = 0; i < n; i++) {
		static const enum param_id ids[] = {P_IP4_ADDR, P_IP6_ADDR};
		struct explain_jail *j = &f->w.jail[i];
		if (d.errors || conf_resolve(&f->conf, names[i], CONF_FOR_START, &f->jail[i], &d))
			fail_msg("%s", d.v[0].text);
		j->name = j->block = names[i];
		j->conf = &f->jail[i];
		j->addr = arena_alloc(&f->w.arena, 8 * sizeof(*j->addr));
		for (size_t k = 0; k < ARRAY_SIZE(ids); k++) {
			size_t count;
			const struct conf_value *v = conf_list(j->conf, ids[k], &count);
			for (size_t a = 0; a < count; a++)
				if (!str_eq(v[a].text, "auto"))
					add_address(f, j, v[a].text);
		}
	}
	f->w.range = arena_alloc(&f->w.arena, 2 * sizeof(*f->w.range));
	f->w.range[f->w.nranges++] = (struct ipnet){ip("10.0.0.1"), 24};
	f->w.range[f->w.nranges++] = (struct ipnet){ip("fd00::1"), 64};
	f->w.host = arena_alloc(&f->w.arena, 3 * sizeof(*f->w.host));
	f->w.host[f->w.nhosts++] = ip("10.0.0.1");
	f->w.host[f->w.nhosts++] = ip("fd00::1");
	f->w.host[f->w.nhosts++] = f->w.outside[0] = ip("192.0.2.1");
	for (size_t i = 0; i < n; i++)
		explain_read_jail(&f->w, i);
	diags_done(&d);
}

static void done(struct fixture *f)
{
	for (size_t i = 0; i < f->w.n; i++)
		conf_jail_done(&f->jail[i]);
	explain_world_done(&f->w);
	conf_done(&f->conf);
}

static struct explain_question question(struct fixture *f, const char *from, const char *to,
					enum proto proto, uint16_t port)
{
	struct explain_question q = {.proto = proto, .port = port};
	if (explain_end_parse(&f->w, from, &q.from) < 0 || explain_end_parse(&f->w, to, &q.to) < 0)
		fail_msg("%s to %s", from, to);
	return q;
}

/* The answer as "VERDICT RULE: CHANGE; CHANGE". */
static void expect(struct fixture *f, const char *from, const char *to, enum proto proto,
		   uint16_t port, const char *answer)
{
	struct explain_question q = question(f, from, to, proto, port);
	struct explain_answer a;
	struct str s = {0};
	explain(&f->w, &q, &a);
	str_addf(&s, "%s %s", a.pass ? "pass" : "block", explain_rule_name(a.rule));
	for (size_t i = 0; i < a.nchanges; i++) {
		str_add(&s, i ? "; " : ": ");
		explain_change_text(&s, &f->w, &a.change[i]);
	}
	if (!str_eq(s.s, answer))
		fail_msg("%s to %s %u: %s, not %s", from, to, port, s.s, answer);
	str_done(&s);
}

static const char hosting[] =
    "postfix { ip4.addr = 10.0.0.2; ip6.addr = \"fd00::2\"; rdr = \"tcp 25\", \"tcp 587 -> "
    "1587\";\n"
    "  allow.connect = internet, \"internet tcp 25\", \"dovecot tcp 24 143\"; }\n"
    "dovecot { ip4.addr = 10.0.0.3; allow.connect; }\n"
    "web { ip4.addr = 10.0.0.4; rdr = \"tcp 443 from 198.51.100.0/24\"; }\n"
    "own { ip4.addr = \"eth0|192.0.2.9\"; rdr = \"tcp 80\"; allow.connect = \"10.0.0.0/24 tcp\"; "
    "}\n"
    "new { ip4.addr = auto; rdr = \"tcp 8000\"; }\n"; /* before its first start */

static void single_cases(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		enum proto proto;
		uint16_t port;
		const char *answer;
	} cases[] = {
	    {"postfix", "dovecot", PROTO_TCP, 24,
	     "pass connect: make \"dovecot tcp 143\" of \"dovecot tcp 24 143\" in allow.connect of "
	     "postfix (jail.conf:2)"},
	    {"postfix", "dovecot", PROTO_UDP, 24,
	     "block unlisted: add \"dovecot udp 24\" to allow.connect of postfix (jail.conf:2)"},
	    {"postfix", "internet", PROTO_TCP, 25,
	     "pass connect: remove \"internet tcp 25\" from allow.connect of postfix "
	     "(jail.conf:2)"},
	    {"postfix", "internet", PROTO_TCP, 26,
	     "pass connect: remove \"internet\" from allow.connect of postfix (jail.conf:2)"},
	    {"postfix", "postfix", PROTO_TCP, 25, "pass inside"},
	    {"postfix", "192.0.2.1", PROTO_TCP, 25,
	     "pass rdr: remove \"tcp 25\" from rdr of postfix (jail.conf:1)"},
	    {"dovecot", "192.0.2.1", PROTO_TCP, 25,
	     "block unlisted: add \"internet tcp 25\" to allow.connect of dovecot (jail.conf:3)"},
	    {"dovecot", "host", PROTO_TCP, 25,
	     "block unlisted: add \"host tcp 25\" to allow.connect of dovecot (jail.conf:3)"},
	    {"dovecot", "10.0.0.1", PROTO_TCP, 25,
	     "block unlisted: add \"host tcp 25\" to allow.connect of dovecot (jail.conf:3)"},
	    {"web", "internet", PROTO_TCP, 443,
	     "pass default: add allow.connect; to web (jail.conf:4)"},
	    {"web", "internet", PROTO_TCP, 25,
	     "block mail: add allow.connect = internet, \"internet tcp 25\"; to web (jail.conf:4)"},
	    {"web", "169.254.169.254", PROTO_TCP, 80,
	     "block metadata: add allow.connect = internet, \"169.254.169.254 tcp 80\"; to web "
	     "(jail.conf:4)"},
	    {"web", "169.254.169.254", PROTO_UDP, 53,
	     "pass default: add allow.connect; to web (jail.conf:4)"},
	    {"web", "dovecot", PROTO_TCP, 24,
	     "block unlisted: add allow.connect = internet, \"dovecot tcp 24\"; to web "
	     "(jail.conf:4)"},
	    {"web", "own", PROTO_TCP, 80, "pass default: add allow.connect; to web (jail.conf:4)"},
	    {"web", "own", PROTO_TCP, 81,
	     "block unlisted: add allow.connect = internet, \"own tcp 81\"; to web (jail.conf:4)"},
	    {"own", "web", PROTO_TCP, 9,
	     "pass connect: make \"10.0.0.0/24 tcp 1-8 tcp 10-65535\" of "
	     "\"10.0.0.0/24 tcp\" in allow.connect of own (jail.conf:5)"},
	    {"internet", "postfix", PROTO_TCP, 587,
	     "pass rdr: remove \"tcp 587 -> 1587\" from rdr of postfix (jail.conf:1)"},
	    {"internet", "postfix", PROTO_TCP, 1587,
	     "block no-rdr: add \"tcp 1587\" to rdr of postfix (jail.conf:1)"},
	    {"internet", "dovecot", PROTO_TCP, 25, "block other-rdr"},
	    {"internet", "new", PROTO_TCP, 8000, "block no-address"},
	    {"internet", "dovecot", PROTO_TCP, 993,
	     "block no-rdr: add rdr = \"tcp 993\"; to dovecot (jail.conf:3)"},
	    {"internet", "web", PROTO_TCP, 443,
	     "block no-rdr: make \"tcp 443\" of \"tcp 443 from 198.51.100.0/24\" in rdr of web "
	     "(jail.conf:4)"},
	    {"198.51.100.9", "web", PROTO_TCP, 443,
	     "pass rdr: remove \"tcp 443 from 198.51.100.0/24\" from rdr of web (jail.conf:4)"},
	    {"198.51.100.9", "10.0.0.3", PROTO_TCP, 443, "block private"},
	    {"internet", "own", PROTO_TCP, 80,
	     "pass rdr: remove \"tcp 80\" from rdr of own (jail.conf:5)"},
	    {"internet", "host", PROTO_TCP, 22, "pass host-takes"},
	    {"internet", "host", PROTO_TCP, 25, "pass rdr"},
	    {"host", "dovecot", PROTO_TCP, 1, "pass host-sends"},
	    {"host", "192.0.2.1", PROTO_TCP, 25, "pass rdr"},
	    {"host", "127.0.0.1", PROTO_TCP, 25, "pass inside"},
	    {"web", "10.0.0.77", PROTO_TCP, 25, "block nobody"},
	    {"10.0.0.77", "web", PROTO_TCP, 25, "block nobody"},
	    {"10.0.0.4", "internet", PROTO_TCP, 80,
	     "pass default: add allow.connect; to web (jail.conf:4)"},
	    {"fd00::2", "dovecot", PROTO_TCP, 24, "block no-address"},
	};
	struct fixture f;
	make(&f, hosting);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect(&f, cases[i].from, cases[i].to, cases[i].proto, cases[i].port,
		       cases[i].answer);
	done(&f);
}

static void the_way(void **state)
{
	(void)state;
	struct fixture f;
	struct explain_answer a;
	make(&f,
	     "a { ip4.addr = 10.0.0.2; rdr = \"tcp 8000-8010 -> 9000\"; nat.source = 192.0.2.7; }\n"
	     "b { ip4.addr = 10.0.0.3; }\n");
	struct explain_question q = question(&f, "internet", "host", PROTO_TCP, 8003);
	explain_walk(&f.w, &q, &a);
	assert_true(a.pass && a.rdr && ip_eq(&a.to, &(struct ip){AF_INET, {10, 0, 0, 2}}));
	assert_int_equal(a.to_port, 9003);
	q = question(&f, "a", "internet", PROTO_UDP, 1);
	explain_walk(&f.w, &q, &a);
	assert_true(a.source && ip_eq(&a.seen, &(struct ip){AF_INET, {192, 0, 2, 7}}));
	q = question(&f, "b", "internet", PROTO_UDP, 1);
	explain_walk(&f.w, &q, &a);
	assert_true(!a.source && ip_eq(&a.seen, &f.w.outside[0]));
	/* Its own redirect comes back from its gateway. */
	q = question(&f, "a", "192.0.2.1", PROTO_TCP, 8000);
	explain_walk(&f.w, &q, &a);
	assert_true(a.pass && ip_eq(&a.seen, &f.w.host[0]));
	q = question(&f, "b", "192.0.2.1", PROTO_TCP, 8000);
	explain_walk(&f.w, &q, &a);
	assert_true(a.pass && ip_eq(&a.seen, &f.w.jail[1].addr[0].ip));
	done(&f);
}

static void all_ports(void **state)
{
	(void)state;
	struct fixture f;
	size_t n;
	struct str s = {0};
	make(&f, hosting);
	struct explain_question q = question(&f, "postfix", "dovecot", PROTO_TCP, 0);
	struct explain_span *v = explain_ports(&f.w, &q, &n);
	for (size_t i = 0; i < n; i++)
		str_addf(&s, "%s %u-%u %d\n", v[i].proto == PROTO_TCP ? "tcp" : "udp",
			 v[i].ports.first, v[i].ports.last, v[i].answer.pass);
	assert_string_equal(s.s, "tcp 1-23 0\ntcp 24-24 1\ntcp 25-142 0\ntcp 143-143 1\n"
				 "tcp 144-65535 0\nudp 1-65535 0\n");
	free(v);
	str_done(&s);
	done(&f);
}

/* ---- by chance ---- */

static unsigned chance(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

static const unsigned ports[] = {25, 53, 80, 443};

static void some_ports(struct str *s, unsigned *seed)
{
	unsigned i = chance(seed, ARRAY_SIZE(ports));
	switch (chance(seed, 4)) {
	case 0:
		return;
	case 1:
		str_addf(s, " tcp %u-%u", ports[i], ports[i] + chance(seed, 400));
		return;
	case 2:
		str_addf(s, " tcp %u 7 udp %u", ports[i], ports[i]);
		return;
	default:
		str_addf(s, " %s %u", chance(seed, 2) ? "tcp" : "udp", ports[i]);
	}
}

static void some_world(struct str *s, unsigned *seed)
{
	static const char *const peers[] = {"j0",   "j1",          "j2",        "internet",
					    "host", "10.0.0.0/24", "0.0.0.0/0", "192.0.2.1"};
	unsigned free_port = 0;
	for (unsigned i = 0; i < 4; i++) {
		str_addf(s, "j%u { ip4.addr = \"%s%u\";", i, i == 3 ? "eth0|192.0.2.1" : "10.0.0.1",
			 i);
		if (chance(seed, 3))
			str_add(s, " allow.connect;");
		for (unsigned k = chance(seed, 4); k > 0; k--) {
			str_addf(s, " allow.connect += \"%s",
				 peers[chance(seed, ARRAY_SIZE(peers))]);
			some_ports(s, seed);
			str_add(s, "\";");
		}
		if (chance(seed, 2) && free_port < ARRAY_SIZE(ports))
			str_addf(s, " rdr = \"tcp %u%s%s\";", ports[free_port++],
				 chance(seed, 2) ? " -> 80" : "",
				 chance(seed, 4) ? "" : " from 198.51.100.0/24");
		str_add(s, " }\n");
	}
}

/* Something in jail.conf always helps against these. */
static bool can_be_turned(const struct explain_answer *a)
{
	return a->rule == RULE_UNLISTED || a->rule == RULE_MAIL || a->rule == RULE_METADATA ||
	       a->rule == RULE_CONNECT || a->rule == RULE_DEFAULT;
}

static void check_change(struct fixture *f, const struct explain_question *q, const char *text)
{
	struct explain_answer a, then;
	struct str s = {0};
	explain(&f->w, q, &a);
	explain_walk(&f->w, q, &then);
	assert_int_equal(a.pass, then.pass); /* the world is as it was */
	explain_reason(&s, &f->w, q, &a);
	if (can_be_turned(&a) && !a.nchanges)
		fail_msg("nothing turns \"%s\", port %u, in\n%s", s.s, q->port, text);
	if (!a.nchanges) {
		str_done(&s);
		return;
	}
	struct explain_jail *kept = arena_alloc(&f->w.arena, f->w.n * sizeof(*kept));
	memcpy(kept, f->w.jail, f->w.n * sizeof(*kept));
	for (size_t i = 0; i < a.nchanges; i++) {
		explain_change_text(&s, &f->w, &a.change[i]);
		explain_apply(&f->w, &a.change[i]);
	}
	explain_walk(&f->w, q, &then);
	if (a.pass == then.pass)
		fail_msg("\"%s\", port %u, does not turn it in\n%s", s.s, q->port, text);
	memcpy(f->w.jail, kept, f->w.n * sizeof(*kept));
	str_done(&s);
}

static void what_is_suggested_turns_the_answer(void **state)
{
	(void)state;
	static const char *const ends[] = {
	    "j0", "j1", "j2", "j3", "internet", "host", "192.0.2.1", "10.0.0.1", "169.254.169.254"};
	unsigned seed = 20261123;
	for (unsigned round = 0; round < 200; round++) {
		struct fixture f;
		struct str text = {0};
		some_world(&text, &seed);
		make(&f, text.s);
		for (size_t from = 0; from < ARRAY_SIZE(ends); from++)
			for (size_t to = 0; to < ARRAY_SIZE(ends); to++)
				for (size_t p = 0; p < ARRAY_SIZE(ports); p++) {
					struct explain_question q = question(
					    &f, ends[from], ends[to],
					    p == 1 ? PROTO_UDP : PROTO_TCP, (uint16_t)ports[p]);
					check_change(&f, &q, text.s);
				}
		done(&f);
		str_done(&text);
	}
}

/* ---- who listens ---- */

static void lines_of_proc(void **state)
{
	(void)state;
	struct ip a;
	uint16_t port;
	static const char listening[] = "   0: 0200640A:0050 00000000:0000 0A 00000000:00000000 "
					"00:00000000 00000000     0        0 1 1 0 100 0 0 10 0";
	static const char six[] =
	    "   1: B80D0120000000000000000007000000:0035 00000000000000000000000000000000:0000 07 "
	    "00000000:00000000 00:00000000 00000000     0        0 1 2 0";
	assert_true(listen_parse(listening, AF_INET, PROTO_TCP, &a, &port));
	assert_int_equal(port, 80);
	assert_true(ip_eq(&a, &(struct ip){AF_INET, {10, 100, 0, 2}}));
	assert_false(listen_parse(listening, AF_INET, PROTO_UDP, &a, &port));
	assert_false(listen_parse(listening, AF_INET6, PROTO_TCP, &a, &port));
	assert_true(listen_parse(six, AF_INET6, PROTO_UDP, &a, &port));
	assert_int_equal(port, 53);
	assert_true(ip_eq(&a, &(struct ip){AF_INET6, {0x20, 0x01, 0x0d, 0xb8, [15] = 7}}));
	static const char *const bad[] = {"",
					  "  sl  local_address rem_address   st",
					  "0:",
					  "   0: 0200640A:0050",
					  "   0: 0200640A:0050 0200640A:1234 01 x",
					  "   0: 0200640:0050 00000000:0000 0A",
					  "   0: 0200640A:10050 00000000:0000 0A"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (listen_parse(bad[i], AF_INET, PROTO_TCP, &a, &port))
			fail_msg("taken for a listener: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(single_cases),  cmocka_unit_test(the_way),
	    cmocka_unit_test(all_ports),     cmocka_unit_test(what_is_suggested_turns_the_answer),
	    cmocka_unit_test(lines_of_proc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
