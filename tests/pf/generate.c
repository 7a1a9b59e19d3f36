#include "generate.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

void generate_seed(unsigned seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* xorshift64*, Marsaglia and Vigna. */
int generate_number(int n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (int)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}

static bool chance(int percent)
{
	return generate_number(100) < percent;
}

#define PICK(v) (v[generate_number((int)(sizeof(v) / sizeof(*(v))))])

static const char *const ports[] = {"22", "25", "80", "443", "8080"};

/* ---- rules ---- */

struct writing {
	struct str *out;
	int af;            /* of the rule: 0, 4, 6 */
	const char *proto; /* "tcp", "udp", "icmp", "icmp6", or NULL */
};

static void add_host(struct writing *w)
{
	static const char *const four[] = {"10.1.0.10",
					   "10.1.0.11",
					   "10.2.0.10",
					   "10.2.0.11",
					   "10.1.0.0/24",
					   "10.2.0.12/31",
					   "10.0.0.0/8",
					   "! 10.1.0.10",
					   "!10.2.0.0/24",
					   "em0:network",
					   "10.1.0.10 - 10.1.0.12",
					   "{ 10.1.0.10, 10.2.0.11 }",
					   "{ 10.1.0.11 10.1.0.12 10.2.0.13 }"};
	static const char *const six[] = {"fd01::10", "fd02::11", "fd01::/64", "! fd02::10",
					  "{ fd01::12, fd02::10 }"};
	static const char *const both[] = {"any",   "any",           "any",   "<t>", "! <t>",
					   "(em0)", "(em0:network)", "(em1)", "<u>"};

	if (chance(45))
		str_add(w->out, PICK(both));
	else
		str_add(w->out, w->af == 6   ? PICK(six)
				: w->af == 4 ? PICK(four)
				: chance(75) ? PICK(four)
					     : PICK(six));
}

static void add_ports(struct writing *w)
{
	static const char *const others[] = {
	    "22:80",     "!= 80",     "> 80",      "< 443",
	    "{ 22 80 }", "22 >< 443", "25 <> 443", "{ 80, 8080:9000 }",
	    ">= 443",    "<= 25"};

	str_addf(w->out, " port %s", chance(55) ? PICK(ports) : PICK(others));
}

static void add_hosts(struct writing *w)
{
	bool has_ports =
	    w->proto && (str_eq(w->proto, "tcp") || str_eq(w->proto, "udp") || *w->proto == '{');

	if (chance(20) && !has_ports) {
		str_add(w->out, " all");
		return;
	}
	str_add(w->out, " from ");
	add_host(w);
	if (has_ports && chance(15))
		add_ports(w);
	str_add(w->out, " to ");
	add_host(w);
	if (has_ports && chance(60))
		add_ports(w);
}

static void add_head(struct writing *w)
{
	static const char *const protos[] = {"tcp", "tcp",         "tcp",  "udp",
					     "udp", "{ tcp udp }", "icmp", "icmp6"};
	static const char *const on[] = {"em0",   "em1", "em0",    "em1",
					 "! em0", "em",  "egress", "{ em0 em1 }"};

	if (chance(60))
		str_addf(w->out, " on %s", PICK(on));
	w->proto = chance(70) ? PICK(protos) : NULL;
	w->af = chance(60) ? 4 : chance(40) ? 6 : 0;
	if (w->proto && str_eq(w->proto, "icmp"))
		w->af = 4;
	if (w->proto && str_eq(w->proto, "icmp6"))
		w->af = 6;
	if (w->af)
		str_add(w->out, w->af == 4 ? " inet" : " inet6");
	if (w->proto)
		str_addf(w->out, " proto %s", w->proto);
}

static void add_options(struct writing *w, bool pass)
{
	static const char *const flags[] = {"S/SA", "any", "A/A", "S/SAFR", "SA/SA", "/A"};
	static const char *const tags[] = {"RED", "BLUE"};

	if (w->proto && str_eq(w->proto, "tcp") && chance(20))
		str_addf(w->out, " flags %s", PICK(flags));
	if (w->proto && str_eq(w->proto, "icmp") && chance(60))
		str_add(w->out,
			chance(70) ? " icmp-type echoreq" : " icmp-type { echorep, unreach }");
	if (w->proto && str_eq(w->proto, "icmp6") && chance(60))
		str_add(w->out, " icmp6-type echoreq");
	if (pass && chance(25))
		str_add(w->out, chance(60) ? " no state" : " keep state");
	if (chance(12))
		str_addf(w->out, " tag %s", PICK(tags));
	if (chance(12))
		str_addf(w->out, " %stagged %s", chance(30) ? "! " : "", PICK(tags));
}

static void add_filter(struct str *out, int depth)
{
	static const char *const block[] = {"block", "block drop", "block return"};
	static const char *const dirs[] = {"", " in", " in", " out"};
	struct writing w = {.out = out};
	bool pass = chance(55), match = chance(6);

	str_add(out, match ? "match" : pass ? "pass" : PICK(block));
	str_add(out, PICK(dirs));
	if (!match && chance(depth ? 20 : 25))
		str_add(out, " quick");
	add_head(&w);
	add_hosts(&w);
	add_options(&w, pass && !match);
	str_addc(out, '\n');
}

static void add_anchor(struct str *out, int depth)
{
	struct writing w = {.out = out};
	int n = 1 + generate_number(4);

	str_addf(out, "anchor%s", chance(50) ? " \"inner\"" : "");
	if (chance(30))
		str_add(out, chance(50) ? " in" : " out");
	if (chance(20))
		str_add(out, " quick");
	add_head(&w);
	add_hosts(&w);
	str_add(out, " {\n");
	for (int i = 0; i < n; i++)
		add_filter(out, depth + 1);
	str_add(out, "}\n");
}

/* Source ports stay, so that answers can be made. */
static void add_nat(struct str *out)
{
	static const char *const rules[] = {
	    "nat on em1 inet from 10.1.0.0/24 to any -> 10.2.0.200 static-port",
	    "nat pass on em1 inet from 10.1.0.11 to any -> 10.2.0.77 static-port",
	    "nat on em1 inet proto udp from 10.1.0.0/30 to 10.2.0.10 -> 10.2.0.200 static-port",
	    "no nat on em1 inet from any to 10.2.0.11",
	    "nat on em0 inet proto tcp from 10.2.0.0/24 to any port 80 -> 10.1.0.200 static-port",
	    "nat on em1 inet6 from fd01::/64 to any -> fd02::200 static-port",
	    "nat on em1 inet from any to any tagged RED -> 10.2.0.77 static-port"};
	static const char *const rdr[] = {
	    "rdr on em0 inet proto tcp from any to 10.1.0.1 port 80 -> 10.2.0.10 port 8080",
	    "rdr on em0 inet proto { tcp udp } from any to 10.1.0.1 port 22 -> 10.2.0.11",
	    "rdr pass on em0 inet proto tcp from any to (em0) port 443 -> 10.2.0.12",
	    "no rdr on em0 inet proto tcp from 10.1.0.10 to any",
	    "rdr on em0 inet proto udp from any to any port 25:443 -> 10.2.0.13 port 8080:*",
	    "rdr on em1 inet proto tcp from any to 10.2.0.1 port 80 -> 10.1.0.10",
	    "rdr on em0 inet6 proto tcp from any to fd01::1 port 80 -> fd02::10 port 8080"};
	static const char *const binat[] = {
	    "binat on em1 inet from 10.1.0.12 to any -> 10.2.0.77",
	    "binat on em1 inet from 10.1.0.12 to 10.2.0.11 -> 10.2.0.77"};

	for (int i = generate_number(3); i > 0; i--)
		str_addf(out, "%s\n", PICK(rules));
	for (int i = generate_number(3); i > 0; i--)
		str_addf(out, "%s\n", PICK(rdr));
	if (chance(10))
		str_addf(out, "%s\n", PICK(binat));
}

void generate_rules(struct str *out)
{
	int n = 2 + generate_number(10);

	str_add(out, "table <t> { 10.1.0.0/28, !10.1.0.11, 10.2.0.12, fd01::10/124, !fd01::12 }\n"
		     "table <u> { 10.2.0.10, fd02::10 }\n");
	if (chance(8))
		str_add(out, chance(50) ? "set skip on em1\n" : "set skip on em0\n");
	if (chance(20))
		str_add(out, "set block-policy return\n");
	if (chance(10))
		str_add(out, "set state-policy if-bound\n");
	if (chance(50))
		add_nat(out);
	/* What tells that the router is done with the packet before. */
	str_add(out, "pass quick proto 253 no state\n");
	if (chance(60))
		str_add(out, chance(70) ? "block all\n" : "block in all\n");
	while (n-- > 0) {
		if (chance(10))
			add_anchor(out, 0);
		else
			add_filter(out, 0);
	}
}

/* ---- packets ---- */

static struct ip address(bool six, int net, int host)
{
	char text[IP_TEXT];
	struct ip ip;

	if (six)
		snprintf(text, sizeof(text), "fd0%d::%d", net, host);
	else
		snprintf(text, sizeof(text), "10.%d.0.%d", net, host);
	if (ip_parse(text, &ip) < 0)
		abort();
	return ip;
}

static void generate_transport(struct pf_packet *p, bool first)
{
	static const uint8_t flags[] = {0x02, 0x02, 0x02, 0x10, 0x12, 0x18};

	switch (generate_number(5)) {
	case 0:
	case 1:
		p->proto = IPPROTO_TCP;
		p->flags = first ? 0x02 : PICK(flags);
		break;
	case 2:
	case 3:
		p->proto = IPPROTO_UDP;
		break;
	default:
		p->proto = p->af == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		p->icmp_type = p->af == AF_INET ? 8 : 128;
		p->sport = p->dport = (uint16_t)(1 + generate_number(60000));
		return;
	}
	p->dport = (uint16_t)atoi(PICK(ports));
	/* Few enough that connections meet again. */
	p->sport =
	    (uint16_t)(!first && chance(15) ? atoi(PICK(ports)) : 40000 + generate_number(2000));
}

void generate_packet(int wire, bool first, struct pf_packet *p)
{
	bool six = chance(25);
	int to = chance(85) ? 2 - wire : 1 + wire;

	*p = (struct pf_packet){.af = six ? AF_INET6 : AF_INET,
				.icmp_type = -1,
				.icmp_code = -1,
				.uid = UINT32_MAX,
				.gid = UINT32_MAX};
	p->src = address(six, wire + 1, 10 + generate_number(4));
	/* Now and then the router, which may redirect it. */
	p->dst = chance(30) ? address(six, wire + 1, 1) : address(six, to, 10 + generate_number(4));
	generate_transport(p, first);
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		p->icmp_code = 0;
}
