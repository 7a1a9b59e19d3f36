#include <netinet/in.h>
#include <string.h>

#include "pf/match.h"

/* A rule that names no interface is about all of them, but for the jails' side where that leads
 * elsewhere (pf.h). */
bool match_iface(const struct pf_at *at, const char *ifname, bool neg)
{
	const struct pf_crossing *c = at->c;
	bool is;

	if (!ifname)
		return !c->jails || c->near;
	is = pf_iface_is(c->iface, ifname);
	if (c->jails && c->near)
		is = is || str_eq(ifname, "lo0") || str_eq(ifname, "lo");
	/* "on ! em0" does not name the jails' interface. */
	if (neg)
		return !is && (!c->jails || c->near);
	return is;
}

static struct ipnet whole(const struct ip *ip)
{
	return (struct ipnet){.addr = *ip, .len = ip_bits(ip)};
}

static bool same_net(const struct ipnet *net, const struct ip *ip)
{
	return net->addr.family == ip->family && ipnet_has(net, ip);
}

/* One interface's addresses as (if:mods) means them. */
static bool iface_has(const struct pf_iface *i, const struct pf_addr *a, const struct ip *ip)
{
	for (size_t k = 0; k < i->naddrs; k++) {
		const struct ip *addr = &i->addr[k].addr;
		struct ipnet net = whole(addr);
		bool is;

		if (addr->family != ip->family)
			continue;
		if (a->mods & PF_MOD_NETWORK)
			net = i->addr[k];
		else if (a->mods & PF_MOD_BROADCAST)
			net = whole(&i->broadcast[k]);
		else if (a->mods & PF_MOD_PEER)
			net = whole(&i->peer[k]);
		if (a->len >= 0)
			net.len = (uint8_t)a->len;
		is = net.addr.family && same_net(&net, ip);
		if (is || (a->mods & PF_MOD_NOALIAS))
			return is;
	}
	return false;
}

static bool dynamic_has(const struct pf_host *h, const struct pf_addr *a, const struct ip *ip)
{
	bool self = str_eq(a->name, "self");

	for (size_t i = 0; i < h->n; i++)
		if ((self || pf_iface_is(&h->iface[i], a->name)) && iface_has(&h->iface[i], a, ip))
			return true;
	return false;
}

/* The most specific entry decides, and may be an exception. */
static bool table_has(const struct pf_table *t, const struct ip *ip)
{
	int best = -1;
	bool in = false;

	for (size_t i = 0; t && i < t->n; i++) {
		const struct pf_entry *e = &t->entry[i];

		if (e->net.len > best && same_net(&e->net, ip)) {
			best = e->net.len;
			in = !e->neg;
		}
	}
	return in;
}

static bool has_route(const struct pf_at *at, const struct ip *ip, const struct pf_iface **by)
{
	*by = at->w->route ? at->w->route(at->w->arg, ip) : NULL;
	return *by != NULL;
}

bool match_addr(const struct pf_at *at, const struct pf_addr *a, const struct ip *ip, bool is_src)
{
	const struct pf_iface *by;
	bool is = false;

	switch (a->type) {
	case PF_ADDR_ANY:
		return true;
	case PF_ADDR_NET:
		is = same_net(&a->net, ip);
		break;
	case PF_ADDR_RANGE:
		is = ip->family == a->net.addr.family && ip_cmp(&a->net.addr, ip) <= 0 &&
		     ip_cmp(ip, &a->last) <= 0;
		break;
	case PF_ADDR_TABLE:
		is = table_has(pf_find_table(at->w->pf, at->anchor, a->name), ip);
		break;
	case PF_ADDR_DYNAMIC:
		is = dynamic_has(at->w->host, a, ip);
		break;
	case PF_ADDR_NO_ROUTE:
		is = !has_route(at, ip, &by);
		break;
	case PF_ADDR_URPF_FAILED:
		is = is_src && !(has_route(at, ip, &by) && by == at->c->iface);
		break;
	}
	return is != a->neg;
}

bool match_pool(const struct pf_at *at, const struct pf_pool *p, int af, struct ip *out)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct pf_addr *a = &p->addr[i];
		const struct pf_table *t;

		if ((a->type == PF_ADDR_NET || a->type == PF_ADDR_RANGE) &&
		    a->net.addr.family == af) {
			*out = a->net.addr;
			return true;
		}
		if (a->type == PF_ADDR_TABLE) {
			t = pf_find_table(at->w->pf, at->anchor, a->name);
			for (size_t k = 0; t && k < t->n; k++)
				if (t->entry[k].net.addr.family == af) {
					*out = t->entry[k].net.addr;
					return true;
				}
		}
		if (a->type != PF_ADDR_DYNAMIC)
			continue;
		for (size_t k = 0; k < at->w->host->n; k++) {
			const struct pf_iface *f = &at->w->host->iface[k];

			for (size_t m = 0; pf_iface_is(f, a->name) && m < f->naddrs; m++)
				if (f->addr[m].addr.family == af) {
					*out = f->addr[m].addr;
					return true;
				}
		}
	}
	return false;
}

static bool has_ports(const struct pf_packet *p)
{
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || p->proto == IPPROTO_SCTP;
}

static bool match_side(const struct pf_at *at, const struct pf_side *s, const struct pf_packet *p,
		       bool is_src)
{
	if (!match_addr(at, &s->addr, is_src ? &p->src : &p->dst, is_src))
		return false;
	if (s->port.op == PF_OP_ANY)
		return true;
	return has_ports(p) && pf_op_has(&s->port, is_src ? p->sport : p->dport);
}

static bool match_tag(const struct pf_rule *r, const struct pf_packet *p)
{
	if (!r->tagged)
		return true;
	return (p->tag && str_eq(p->tag, r->tagged)) != r->not_tagged;
}

bool match_nat(const struct pf_at *at, const struct pf_rule *r, const struct pf_packet *p)
{
	return (!r->af || r->af == p->af) && (!r->proto || r->proto == p->proto) &&
	       match_side(at, &r->src, p, true) && match_side(at, &r->dst, p, false) &&
	       match_tag(r, p);
}

/* Whose socket it is is known of TCP and UDP; an unknown owner equals only what is unknown. */
static bool match_owner(const struct pf_range *r, const struct pf_packet *p, uint32_t id)
{
	if (r->op == PF_OP_ANY)
		return true;
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return false;
	if (id == UINT32_MAX && r->op != PF_OP_EQ && r->op != PF_OP_NE)
		return false;
	return pf_op_has(r, id);
}

bool match_filter(const struct pf_at *at, const struct pf_rule *r, const struct pf_packet *p)
{
	if (!match_nat(at, r, p))
		return false;
	if (r->flags_set && p->proto == IPPROTO_TCP && (p->flags & r->flags_of) != r->flags)
		return false;
	if (r->icmp_type >= 0 && r->icmp_type != p->icmp_type)
		return false;
	if (r->icmp_code >= 0 && r->icmp_code != p->icmp_code)
		return false;
	if (r->tos >= 0 && r->tos != p->tos)
		return false;
	if (r->fragment && !p->fragment)
		return false;
	return match_owner(&r->user, p, p->uid) && match_owner(&r->group, p, p->gid);
}
