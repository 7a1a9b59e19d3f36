#include "explain/view.h"

#include <net/if.h>
#include "base/mem.h"
#include "net/range.h"
#include "sys/rtnl.h"

/* ---- the world ---- */

static void view_jail(struct explain_world *w, size_t i, const struct gather_jail *a)
{
	struct explain_jail *j = &w->jail[i];
	j->name = a->name;
	j->block = a->block;
	j->conf = &a->conf;
	j->addr = arena_alloc(&w->arena, (a->net.naddrs + 1) * sizeof(*j->addr));
	for (size_t k = 0; k < a->net.naddrs && a->planned; k++)
		j->addr[j->naddrs++] = (struct explain_addr){.ip = a->net.addr[k].ip,
							     .gateway = a->net.addr[k].gateway,
							     .proxy = a->net.addr[k].proxy};
}

static void view_ranges(struct explain_world *w, const struct net *n)
{
	size_t count = 0;
	for (size_t i = 0; i < n->nranges; i++)
		count += n->range[i]->ngws;
	w->range = arena_alloc(&w->arena, (count + 1) * sizeof(*w->range));
	w->host = arena_alloc(&w->arena, (count + n->host->naddrs + 1) * sizeof(*w->host));
	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; k < n->range[i]->ngws && n->range[i]->ours; k++) {
			w->range[w->nranges++] = n->range[i]->gw[k];
			w->host[w->nhosts++] = n->range[i]->gw[k].addr;
		}
	for (size_t i = 0; i < n->host->naddrs; i++)
		w->host[w->nhosts++] = n->host->addr[i].net.addr;
}

/* The interface by which the host leaves, and its first address there. */
static int outside_index(struct gather *g, int family)
{
	struct rtnl_route route;
	struct ng_err none = {0};
	struct ip somewhere;
	if (ip_parse(family == AF_INET ? "192.0.2.1" : "2001:db8::1", &somewhere) < 0 ||
	    rtnl_lookup(&g->net.route, &somewhere, &route, &none) < 0)
		return 0;
	return route.index;
}

static bool is_link_local(const struct ip *ip)
{
	return ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

static void view_outside(struct explain_world *w, struct gather *g, int family)
{
	const struct net_host *h = g->net.host;
	int index = outside_index(g, family);
	for (size_t i = h->naddrs; i-- > 0 && index;)
		if (h->addr[i].index == index && h->addr[i].net.addr.family == family &&
		    !is_link_local(&h->addr[i].net.addr))
			w->outside[family == AF_INET6] = h->addr[i].net.addr;
}

void explain_view(struct explain_world *w, struct gather *g)
{
	*w = (struct explain_world){.n = g->n};
	w->jail = arena_alloc(&w->arena, (g->n + 1) * sizeof(*w->jail));
	for (size_t i = 0; i < g->n; i++)
		view_jail(w, i, &g->jail[i]);
	view_ranges(w, &g->net);
	view_outside(w, g, AF_INET);
	view_outside(w, g, AF_INET6);
	for (size_t i = 0; i < g->n; i++)
		if (w->jail[i].conf->name)
			explain_read_jail(w, i);
}

/* ---- the others' firewalls ---- */

/* The link at which the host meets that end. */
static const char *link_of(struct gather *g, enum explain_who who, size_t jail, int family,
			   char buf[static IFNAMSIZ])
{
	int index = who == WHO_INTERNET ? outside_index(g, family) : 0;
	if (who == WHO_JAIL)
		return g->jail[jail].rec ? g->jail[jail].rec->link : NULL;
	return index && if_indextoname((unsigned)index, buf) ? buf : NULL;
}

/* The hooks that it meets, in order. */
static size_t hooks_of(const struct explain_question *q, const struct explain_answer *a,
		       const char *hook[static 3])
{
	size_t n = 0;
	if (a->rule == RULE_INSIDE)
		return 0;
	hook[n++] = q->from.who == WHO_HOST ? "output" : "prerouting";
	if (a->at == WHO_HOST)
		hook[n++] = "input";
	else if (q->from.who != WHO_HOST)
		hook[n++] = "forward";
	if (a->at != WHO_HOST)
		hook[n++] = "postrouting";
	return n;
}

enum foreign_verdict explain_foreign(struct gather *g, const struct foreign *f,
				     const struct explain_question *q,
				     const struct explain_answer *a, struct foreign_answer *out)
{
	const char *hook[3];
	char in[IFNAMSIZ], to[IFNAMSIZ];
	int family = a->src.family ? a->src.family : a->dst.family;
	struct foreign_packet p = {.family = family,
				   .from_jail = q->from.who == WHO_JAIL,
				   .to_jail = a->at == WHO_JAIL,
				   .saddr = a->src,
				   .proto = (uint8_t)q->proto};
	const char *iif = link_of(g, q->from.who, q->from.jail, family, in);
	const char *oif = link_of(g, a->at, a->at_jail, family, to);
	size_t n = hooks_of(q, a, hook);
	if (!p.saddr.bytes[0] && q->from.who == WHO_INTERNET && !q->from.ip.family)
		p.saddr.family = 0;
	for (size_t h = 0; h < n; h++) {
		bool before = str_eq(hook[h], "prerouting") || str_eq(hook[h], "output");
		p.iif = str_eq(hook[h], "output") || str_eq(hook[h], "postrouting") ? NULL : iif;
		p.oif = str_eq(hook[h], "prerouting") || str_eq(hook[h], "input") ? NULL : oif;
		p.daddr = before ? a->dst : a->to;
		p.dport = before ? q->port : a->to_port;
		p.dnat = !before && a->rdr;
		for (size_t i = 0; i < f->n; i++) {
			foreign_judge(f, i, hook[h], &p, out);
			if (out->verdict != FOREIGN_PASS)
				return out->verdict;
		}
	}
	return FOREIGN_PASS;
}

void explain_foreign_text(struct str *out, const struct foreign_answer *f)
{
	str_addf(out, "table %s %s, chain %s: %s", f->in->family, f->in->table, f->in->name,
		 f->rule ? f->rule : "policy drop");
}

void explain_foreign_fix(struct str *out, const struct explain_question *q,
			 const struct explain_answer *a, const struct foreign_answer *f)
{
	struct strv lines autodone(strv_done) = {0};
	bool from_jail = q->from.who == WHO_JAIL, to_jail = a->at == WHO_JAIL;
	foreign_fix(f->base, from_jail, to_jail && !from_jail, &lines);
	for (size_t i = 0; i < lines.n; i++)
		str_addf(out, "%s%s", i ? "\n" : "", lines.v[i]);
}
