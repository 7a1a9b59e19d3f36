/* The built-in policy as a ruleset: read as any pf.conf, it gives the answers that newgate explain gives
 * of jail.conf. */
#include "unit.h"

#include <string.h>
#include "base/mem.h"
#include "explain/pf.h"
#include "explain/policy.h"

#define JAILS 4

struct fixture {
	struct conf conf;
	struct conf_jail jail[JAILS];
	struct explain_world w;
	struct str text;
	struct pf pf;
};

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

static const struct pf_host *the_host(void)
{
	static struct ipnet lo[2], eth0[2], lo100[2];
	static struct ip none[2];
	static struct pf_iface ifaces[] = {
	    {.name = "lo", .index = 1, .loopback = true, .addr = lo, .naddrs = 2},
	    {.name = "eth0",
	     .index = 2,
	     .outside4 = true,
	     .outside6 = true,
	     .addr = eth0,
	     .broadcast = none,
	     .peer = none,
	     .naddrs = 2},
	    {.name = "lo100", .jails = true, .addr = lo100, .naddrs = 2}};
	static const struct pf_host host = {.iface = ifaces, .n = ARRAY_SIZE(ifaces)};

	lo[0] = net("127.0.0.1/8");
	lo[1] = net("::1/128");
	eth0[0] = net("203.0.113.1/24");
	eth0[1] = net("2001:db8:9::1/64");
	lo100[0] = net("10.0.0.1/24");
	lo100[1] = net("fd00::1/64");
	return &host;
}

static void add_addresses(struct fixture *f, struct explain_jail *j, enum param_id id, int family)
{
	size_t n;
	const struct conf_value *v = conf_list(j->conf, id, &n);
	struct conf_addr a;
	const char *why;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(value_addr(&f->w.arena, family, v[i].text, &a, &why), 0);
		j->addr[j->naddrs++] =
		    (struct explain_addr){.ip = a.addr,
					  .gateway = ip(family == AF_INET ? "10.0.0.1" : "fd00::1"),
					  .proxy = a.ifname != NULL};
	}
}

static void add_jails(struct fixture *f)
{
	struct diags d autodone(diags_done) = {0};
	size_t n;
	autofree const char **names = conf_names(&f->conf, &n);

	assert_int_equal(n, JAILS);
	f->w.jail = arena_alloc(&f->w.arena, n * sizeof(*f->w.jail));
	f->w.n = n;
	for (size_t i = 0; i < n; i++) {
		struct explain_jail *j = &f->w.jail[i];

		if (conf_resolve(&f->conf, names[i], CONF_FOR_START, &f->jail[i], &d))
			fail_msg("%s", d.v[0].text);
		*j =
		    (struct explain_jail){.name = names[i], .block = names[i], .conf = &f->jail[i]};
		j->addr = arena_alloc(&f->w.arena, 4 * sizeof(*j->addr));
		add_addresses(f, j, P_IP4_ADDR, AF_INET);
		add_addresses(f, j, P_IP6_ADDR, AF_INET6);
	}
	for (size_t i = 0; i < n; i++)
		explain_read_jail(&f->w, i);
}

/* What is printed is read again: that is what is looked at. */
static void read_policy(struct fixture *f)
{
	const struct pf_reader r = {.host = the_host()};
	struct diags d autodone(diags_done) = {0};
	struct str first autodone(str_done) = {0};
	struct pf once = {0};

	explain_policy(&f->text, &f->w, the_host());
	pf_read(&once, &r, "policy", f->text.s, f->text.len, &d);
	pf_finish(&once, &r, &d);
	pf_print(&first, &once, "", PF_PRINT_ALL);
	pf_read(&f->pf, &r, "printed", first.s, first.len, &d);
	pf_finish(&f->pf, &r, &d);
	if (d.n) {
		autofree char *said = diag_format(&d.v[0]);
		fail_msg("%s\n%s", said, f->text.s);
	}
	pf_done(&once);
}

static void make(struct fixture *f, const char *text)
{
	struct diags d autodone(diags_done) = {0};

	*f = (struct fixture){0};
	conf_read_text(&f->conf, "jail.conf", "/", text, strlen(text), &d);
	assert_false(d.errors);
	add_jails(f);
	f->w.range = arena_alloc(&f->w.arena, 2 * sizeof(*f->w.range));
	f->w.range[f->w.nranges++] = net("10.0.0.1/24");
	f->w.range[f->w.nranges++] = net("fd00::1/64");
	f->w.host = arena_alloc(&f->w.arena, 4 * sizeof(*f->w.host));
	f->w.host[f->w.nhosts++] = ip("10.0.0.1");
	f->w.host[f->w.nhosts++] = ip("fd00::1");
	f->w.host[f->w.nhosts++] = f->w.outside[0] = ip("203.0.113.1");
	f->w.host[f->w.nhosts++] = f->w.outside[1] = ip("2001:db8:9::1");
	read_policy(f);
}

static void done(struct fixture *f)
{
	for (size_t i = 0; i < f->w.n; i++)
		conf_jail_done(&f->jail[i]);
	explain_world_done(&f->w);
	conf_done(&f->conf);
	str_done(&f->text);
	pf_done(&f->pf);
}

/* ---- by chance ---- */

static unsigned chance(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

static const unsigned ports[] = {25, 26, 53, 80, 443};

static void some_connect(struct str *s, unsigned *seed)
{
	static const char *const peers[] = {"j0",          "j1",        "j2",
					    "internet",    "internet",  "host",
					    "10.0.0.0/24", "0.0.0.0/0", "169.254.169.254"};
	unsigned port = ports[chance(seed, ARRAY_SIZE(ports))];

	str_addf(s, " allow.connect += \"%s", peers[chance(seed, ARRAY_SIZE(peers))]);
	switch (chance(seed, 4)) {
	case 0:
		break;
	case 1:
		str_addf(s, " tcp %u-%u", port, port + chance(seed, 400));
		break;
	case 2:
		str_addf(s, " tcp %u 7 udp %u", port, port);
		break;
	default:
		str_addf(s, " %s %u", chance(seed, 2) ? "tcp" : "udp", port);
	}
	str_add(s, "\";");
}

static void some_world(struct str *s, unsigned *seed)
{
	static const char *const rdrs[] = {"tcp 25", "tcp 20-30 -> 120", "tcp 443 -> 80",
					   "udp 53 from 198.51.100.0/24",
					   "tcp 80 from 198.51.100.0/24, fd00::/64"};
	unsigned rdr = chance(seed, ARRAY_SIZE(rdrs));

	for (unsigned i = 0; i < JAILS; i++) {
		/* The last one has an address of the host's own network. */
		if (i == JAILS - 1)
			str_addf(s, "j%u { ip4.addr = \"eth0|203.0.113.9\";", i);
		else
			str_addf(s, "j%u { ip4.addr = 10.0.0.1%u; ip6.addr = \"fd00::1%u\";", i, i,
				 i);
		if (chance(seed, 3))
			str_add(s, " allow.connect;");
		for (unsigned k = chance(seed, 4); k > 0; k--)
			some_connect(s, seed);
		if (chance(seed, 2))
			str_addf(s, " rdr = \"%s\";", rdrs[rdr++ % ARRAY_SIZE(rdrs)]);
		if (i == 0 && chance(seed, 2))
			str_add(s, " nat.source = 203.0.113.7;");
		str_add(s, " }\n");
	}
}

/* "pass to 10.0.0.2 port 80, seen as 203.0.113.1" */
static void tell(struct str *out, bool pass, const struct explain_answer *a)
{
	char to[IP_TEXT], seen[IP_TEXT];

	str_add(out, pass ? "pass" : "block");
	if (pass)
		str_addf(out, " to %s port %u, seen as %s", ip_text(&a->to, to), a->to_port,
			 ip_text(&a->seen, seen));
}

/* The same answer of both, with the same translation. 1 where both were asked. */
static unsigned compare(struct fixture *f, const struct explain_question *q, const char *from,
			const char *to, const char *conf)
{
	struct str a autodone(str_done) = {0}, b autodone(str_done) = {0};
	struct explain_answer walk;
	struct explain_pf pf;

	explain_walk(&f->w, q, &walk);
	explain_pf(&f->w, &f->pf, the_host(), q, &pf);
	/* Within the host no packet crosses an interface that explain_pf looks at. */
	if (!pf.reached || q->from.who == WHO_HOST)
		return 0;
	/* Of somebody on the internet one knows no address, the other takes an example. */
	if (walk.at == WHO_INTERNET && q->to.who == WHO_INTERNET && !q->to.ip.family)
		walk.to = pf.a.to;
	if (q->from.who == WHO_INTERNET && !q->from.ip.family)
		walk.seen = pf.a.seen;
	tell(&a, walk.pass, &walk);
	tell(&b, pf.pass, &pf.a);
	if (!str_eq(a.s, b.s))
		fail_msg("%s to %s, %s %u: %s (%s) by explain, %s by the ruleset, of\n%s\n%s", from,
			 to, q->proto == PROTO_TCP ? "tcp" : "udp", q->port, a.s,
			 explain_rule_name(walk.rule), b.s, conf, f->text.s);
	return 1;
}

static unsigned all_pairs(struct fixture *f, const char *conf)
{
	static const char *const ends[] = {
	    "10.0.0.10",   "fd00::10", "10.0.0.11",       "fd00::11",      "10.0.0.12",
	    "203.0.113.9", "internet", "198.51.100.9",    "203.0.113.1",   "10.0.0.1",
	    "fd00::1",     "host",     "169.254.169.254", "2001:db8:9::1", "fd00:ec2::254"};
	static const unsigned asked[] = {7, 22, 25, 26, 53, 80, 120, 125, 443};
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		for (size_t k = 0; k < ARRAY_SIZE(ends) * 2; k++)
			for (size_t m = 0; m < ARRAY_SIZE(asked) * 2; m++) {
				const char *to = ends[k / 2];
				struct explain_question q = {.proto = m % 2 ? PROTO_TCP : PROTO_UDP,
							     .port = (uint16_t)asked[m / 2],
							     .family = k % 2 ? AF_INET6 : AF_INET};

				assert_int_equal(explain_end_parse(&f->w, ends[i], &q.from), 0);
				assert_int_equal(explain_end_parse(&f->w, to, &q.to), 0);
				n += compare(f, &q, ends[i], to, conf);
			}
	return n;
}

static void the_ruleset_says_what_explain_says(void **state)
{
	unsigned seed = 7, n = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct str conf autodone(str_done) = {0};
		struct fixture f;

		some_world(&conf, &seed);
		make(&f, conf.s);
		n += all_pairs(&f, conf.s);
		done(&f);
	}
	assert_true(n > 50000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_ruleset_says_what_explain_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
