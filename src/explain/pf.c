#include "explain/pf.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define SYN 0x02
#define ACK 0x10

struct way {
	struct explain_world *w;
	const struct explain_question *q;
	const struct pf_host *host;
	struct explain_pf *out;
	struct pf_world world;
};

/* ---- what is where ---- */

static bool is_host(const struct explain_world *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->nhosts; i++)
		if (ip_eq(&w->host[i], ip))
			return true;
	return ip_is_loopback(ip);
}

/* The jail that has the address, or -1. */
static long jail_at(const struct explain_world *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->jail[i].naddrs; k++)
			if (ip_eq(&w->jail[i].addr[k].ip, ip))
				return (long)i;
	return -1;
}

static const struct pf_iface *outside(const struct pf_host *h, int family)
{
	for (size_t i = 0; i < h->n; i++)
		if (family == AF_INET ? h->iface[i].outside4 : h->iface[i].outside6)
			return &h->iface[i];
	return NULL;
}

/* The jails' interface whose network the address belongs to. */
static const struct pf_iface *pair_of(const struct pf_host *h, const struct ip *ip)
{
	const struct pf_iface *any = NULL;

	for (size_t i = 0; i < h->n; i++) {
		if (!h->iface[i].jails)
			continue;
		any = any ? any : &h->iface[i];
		for (size_t k = 0; k < h->iface[i].naddrs; k++)
			if (ipnet_has(&h->iface[i].addr[k], ip))
				return &h->iface[i];
	}
	return any;
}

/* The interface by which it is reached: of the host's networks, else the outer one. */
static const struct pf_iface *towards(const struct pf_host *h, const struct ip *ip)
{
	for (size_t i = 0; i < h->n; i++)
		for (size_t k = 0; k < h->iface[i].naddrs && !h->iface[i].jails; k++)
			if (ipnet_has(&h->iface[i].addr[k], ip))
				return &h->iface[i];
	return outside(h, ip->family);
}

static const struct pf_iface *route(void *arg, const struct ip *to)
{
	const struct way *y = arg;

	return jail_at(y->w, to) >= 0 ? pair_of(y->host, to) : towards(y->host, to);
}

/* ---- what jail.conf asks for ---- */

static int newgate(void *arg, const struct pf_crossing *c, const struct pf_packet *p)
{
	const struct way *y = arg;

	(void)p;
	if (c->jails && c->dir == PF_IN)
		return y->out->a.pass;
	/* What is the host's own jail.conf says nothing of. */
	if (y->out->a.rule == RULE_HOST_SENDS || y->out->a.rule == RULE_HOST_TAKES)
		return -1;
	return y->out->a.pass ? 1 : -1;
}

static bool newgate_rdr(void *arg, const struct pf_crossing *c, const struct pf_packet *p,
			struct ip *to, uint16_t *port)
{
	const struct way *y = arg;

	(void)c;
	(void)p;
	if (!y->out->a.rdr)
		return false;
	*to = y->out->a.to;
	*port = y->out->a.to_port;
	return true;
}

static bool newgate_nat(void *arg, const struct pf_crossing *c, const struct pf_packet *p,
			struct ip *from)
{
	const struct way *y = arg;
	const struct ip *seen = &y->out->a.seen;

	(void)c;
	if (seen->family != p->src.family || ip_eq(seen, &p->src))
		return false;
	*from = *seen;
	return true;
}

/* ---- the way ---- */

static struct ip somebody(int family)
{
	struct ip ip = {0};

	if (ip_parse(family == AF_INET6 ? EXPLAIN_SOMEBODY6 : EXPLAIN_SOMEBODY4, &ip) < 0)
		ip.family = 0;
	return ip;
}

static bool is_some(const struct ip *ip)
{
	return ip_eq(ip, &(struct ip){.family = ip->family});
}

/* true: it goes on. */
static bool cross(struct way *y, const struct pf_crossing *c, struct pf_packet *p)
{
	struct explain_hop *h = &y->out->hop[y->out->nhops++];

	h->crossing = *c;
	h->before = *p;
	pf_eval(&y->world, c, p, &h->v);
	*p = h->v.packet;
	return h->v.verdict == PF_VERDICT_PASS;
}

static bool enter(struct way *y, struct pf_packet *p)
{
	const struct explain_answer *a = &y->out->a;
	/* The target of jail.conf's own redirect tells the side before it is applied. */
	const struct ip *to = a->rdr ? &a->to : &p->dst;
	bool jail = jail_at(y->w, &p->src) >= 0;
	const struct pf_crossing c = {
	    .dir = PF_IN,
	    .iface = jail ? pair_of(y->host, &p->src) : towards(y->host, &p->src),
	    .jails = jail,
	    .near = jail && (is_host(y->w, to) || jail_at(y->w, to) >= 0)};

	return !c.iface || cross(y, &c, p);
}

static bool leave(struct way *y, struct pf_packet *p, bool from_host)
{
	bool jail = jail_at(y->w, &p->dst) >= 0;
	const struct pf_crossing c = {.dir = PF_OUT,
				      .iface = jail ? pair_of(y->host, &p->dst)
						    : towards(y->host, &p->dst),
				      .jails = jail,
				      .near = jail && (from_host || jail_at(y->w, &p->src) >= 0)};

	return !c.iface || cross(y, &c, p);
}

/* The answer crosses the same points the other way round. What passed by default has no state, so
 * that its answer is judged anew. */
static bool comes_back(struct way *y, const struct pf_packet *last)
{
	struct pf_packet p = *last;
	struct explain_pf *out = y->out;

	p.src = last->dst;
	p.dst = last->src;
	p.sport = last->dport;
	p.dport = last->sport;
	p.flags = p.flags ? SYN | ACK : 0;
	for (size_t i = out->nhops; i-- > 0;) {
		out->back.crossing = out->hop[i].crossing;
		out->back.crossing.dir = out->hop[i].crossing.dir == PF_IN ? PF_OUT : PF_IN;
		out->back.before = p;
		pf_eval(&y->world, &out->back.crossing, &p, &out->back.v);
		p = out->back.v.packet;
		if (out->back.v.verdict == PF_VERDICT_BLOCK)
			return false;
	}
	return true;
}

static void arrive(struct way *y, const struct pf_packet *p)
{
	struct explain_answer *a = &y->out->a;
	long jail = jail_at(y->w, &p->dst);

	a->to = p->dst;
	a->to_port = p->dport;
	a->at = jail >= 0 ? WHO_JAIL : is_host(y->w, &p->dst) ? WHO_HOST : WHO_INTERNET;
	a->at_jail = jail >= 0 ? (size_t)jail : 0;
	a->seen = p->src;
}

/* What does not come to pf: within a jail, or to nobody. */
static bool stays(const struct explain_answer *a)
{
	return a->rule == RULE_INSIDE || a->rule == RULE_NOBODY || a->rule == RULE_NO_ADDRESS ||
	       a->rule == RULE_INHERITS || a->rule == RULE_PRIVATE;
}

void explain_pf(struct explain_world *w, const struct pf *pf, const struct pf_host *host,
		const struct explain_question *q, struct explain_pf *out)
{
	struct way y = {.w = w, .q = q, .host = host, .out = out};

	*out = (struct explain_pf){0};
	explain_walk(w, q, &out->a);
	out->pass = out->a.pass;
	if (stays(&out->a) || !out->a.dst.family || !out->a.src.family)
		return;
	int family = out->a.dst.family;
	struct pf_packet p = {.af = family,
			      .proto = q->proto == PROTO_UDP ? IPPROTO_UDP : IPPROTO_TCP,
			      .src = is_some(&out->a.src) ? somebody(family) : out->a.src,
			      .dst = is_some(&out->a.dst) ? somebody(family) : out->a.dst,
			      .sport = 50000,
			      .dport = q->port,
			      .flags = q->proto == PROTO_UDP ? 0 : SYN,
			      .icmp_type = -1,
			      .icmp_code = -1,
			      .uid = UINT32_MAX,
			      .gid = UINT32_MAX};
	bool from_host = is_host(w, &p.src);

	y.world = (struct pf_world){.pf = pf,
				    .host = host,
				    .newgate = newgate,
				    .newgate_rdr = newgate_rdr,
				    .newgate_nat = newgate_nat,
				    .route = route,
				    .arg = &y};
	out->reached = true;
	out->pass = from_host || enter(&y, &p);
	if (out->pass && !is_host(w, &p.dst))
		out->pass = leave(&y, &p, from_host);
	arrive(&y, &p);
	if (out->pass && !comes_back(&y, &p)) {
		out->unanswered = true;
		out->pass = false;
	}
	pf_world_done(&y.world);
}

/* ---- in words ---- */

const struct explain_hop *explain_pf_last(const struct explain_pf *p)
{
	return p->unanswered ? &p->back : p->nhops ? &p->hop[p->nhops - 1] : NULL;
}

bool explain_pf_newgate(const struct explain_hop *h)
{
	return h->v.rule && h->v.rule->action == PF_ANCHOR;
}

static void add_rule(struct str *out, const struct pf *pf, const struct pf_rule *r)
{
	str_addf(out, "%s:%u: ", r->pos.file, r->pos.line);
	pf_print_rule(out, pf, r);
}

void explain_pf_hop(struct str *out, const struct pf *pf, const struct explain_hop *h)
{
	str_addf(out, "%s on %s: %s", h->crossing.dir == PF_IN ? "in" : "out",
		 h->crossing.iface->name, h->v.verdict == PF_VERDICT_PASS ? "pass" : "block");
	if (h->v.skipped) {
		str_add(out, ", since set skip leaves it out");
	} else if (h->v.rule) {
		str_add(out, ", by ");
		add_rule(out, pf, h->v.rule);
	} else if (h->v.translation && h->v.translation->pass) {
		str_add(out, ", since what it is translated by passes");
	} else {
		str_add(out, ", since no rule is about it");
	}
}

void explain_pf_translation(struct str *out, const struct pf *pf, const struct explain_hop *h)
{
	const struct pf_packet *p = &h->v.packet;
	char text[IP_TEXT];

	if (!h->v.translation)
		return;
	if (!ip_eq(&p->dst, &h->before.dst) || p->dport != h->before.dport)
		str_addf(out, "redirected to %s port %u by ", ip_text(&p->dst, text), p->dport);
	else
		str_addf(out, "leaves with %s by ", ip_text(&p->src, text));
	add_rule(out, pf, h->v.translation);
}

/* One rule for this very connection. As the last one it wins, unless a quick rule came before. */
void explain_pf_change(struct str *out, const struct explain_pf *p)
{
	const struct explain_hop *h = explain_pf_last(p);
	const struct pf_rule *r = h ? h->v.rule : NULL;
	char dst[IP_TEXT], src[IP_TEXT];

	if (p->pass || !r || explain_pf_newgate(h))
		return;
	if (p->unanswered) {
		str_addf(
		    out,
		    "let a rule with `keep state` pass it %s on %s, so that its answers pass, too",
		    h->crossing.dir == PF_IN ? "out" : "in", h->crossing.iface->name);
		return;
	}
	ip_text(&h->v.packet.dst, dst);
	ip_text(&h->v.packet.src, src);
	str_addf(out, "put %s %s:%u: pass %s%s on %s %s proto %s from %s to %s port %u",
		 r->quick ? "before" : "behind", r->pos.file, r->pos.line,
		 h->crossing.dir == PF_IN ? "in" : "out", r->quick ? " quick" : "",
		 h->crossing.iface->name, h->before.af == AF_INET ? "inet" : "inet6",
		 h->before.proto == IPPROTO_UDP ? "udp" : "tcp",
		 str_eq(src, EXPLAIN_SOMEBODY4) || str_eq(src, EXPLAIN_SOMEBODY6) ? "any" : src,
		 dst, h->v.packet.dport);
}
