/* From what is written to rules: one for each combination of the elements of its lists, in pfctl's
 * order (interface, protocol, ICMP type, source, its port, destination, its port, user, group). What
 * cannot be together, as addresses of two families, is left out without a word. */
#include <netinet/in.h>
#include <string.h>

#include "pf/parse.h"

/* One combination: where each list stands. */
enum axis { ON, PROTO, ICMP, SRC, SPORT, DST, DPORT, USER, GROUP, AXES };

static size_t at_least_one(size_t n)
{
	return n ? n : 1;
}

/* The family that all of them have, or 0. */
static int common_family(const struct hosts *h)
{
	int af = h->n ? h->v->af : 0;
	for (size_t i = 1; i < h->n; i++)
		if (h->v[i].af != af)
			return 0;
	return af;
}

static int either(const struct host *a, const struct host *b)
{
	return a && a->af ? a->af : b && b->af ? b->af : 0;
}

static bool families_agree(int af, const struct host *src, const struct host *dst)
{
	int s = src ? src->af : 0, d = dst ? dst->af : 0;
	return !(af && s && af != s) && !(af && d && af != d) && !(s && d && s != d);
}

/* A link-local address counts on its own interface alone; sets that where none is written. */
static bool zones_agree(struct pf_rule *r, const struct host *h)
{
	if (!h || !h->zone)
		return true;
	if (!r->ifname)
		r->ifname = h->zone;
	return r->ifnot || str_eq(r->ifname, h->zone);
}

static void set_side(struct pf_side *side, const struct host *h, const struct ranges *ports,
		     size_t port, int af)
{
	if (h)
		side->addr = h->addr;
	else
		side->addr = (struct pf_addr){.type = PF_ADDR_ANY, .len = -1};
	/* "(em0)/128" of IPv4 is "(em0)". */
	if (side->addr.type == PF_ADDR_DYNAMIC && side->addr.len >= (af == AF_INET ? 32 : 128))
		side->addr.len = -1;
	if (ports->n)
		side->port = ports->v[port];
}

static void limit_to_tcp(struct pf_rule *r, const struct written *w)
{
	if (!r->proto || r->proto == IPPROTO_TCP)
		return;
	r->flags = r->flags_of = 0;
	r->flags_set = r->flags_implied = false;
	if (w->r.state.keep == PF_STATE_MODULATE || w->r.state.keep == PF_STATE_SYNPROXY)
		r->state.keep = PF_STATE_KEEP;
}

/* False: no rule comes of this combination. */
static bool combine(const struct written *w, const size_t at[AXES], struct pf_rule *r)
{
	const struct host *src = w->src.n ? &w->src.v[at[SRC]] : NULL;
	const struct host *dst = w->dst.n ? &w->dst.v[at[DST]] : NULL;

	*r = w->r;
	if (!families_agree(r->af, src, dst))
		return false;
	if (!r->af)
		r->af = either(src, dst);
	if (w->on.n) {
		r->ifname = w->on.v[at[ON]].name;
		r->ifnot = w->on.v[at[ON]].neg;
	}
	if (!zones_agree(r, src) || !zones_agree(r, dst))
		return false;
	if (w->proto.n)
		r->proto = w->proto.v[at[PROTO]];
	if (w->icmp.n) {
		r->icmp_type = w->icmp.v[at[ICMP]].type;
		r->icmp_code = w->icmp.v[at[ICMP]].code;
	}
	set_side(&r->src, src, &w->sport, at[SPORT], r->af);
	set_side(&r->dst, dst, &w->dport, at[DPORT], r->af);
	if (w->user.n)
		r->user = w->user.v[at[USER]];
	if (w->group.n)
		r->group = w->group.v[at[GROUP]];
	limit_to_tcp(r, w);
	return true;
}

/* The next combination, the last list fastest. */
static bool advance(size_t at[AXES], const size_t n[AXES])
{
	for (int i = AXES; i-- > 0;) {
		if (++at[i] < n[i])
			return true;
		at[i] = 0;
	}
	return false;
}

static bool add_rule(struct parser *p, const struct written *w, const struct pf_rule *r)
{
	if (p->rules >= PF_RULES_MAX)
		return p_fault(p, p->start, "more than %u rules", PF_RULES_MAX);
	struct pf_rules *rules = pf_rules_of(pf_ruleset_at(p->pf, p->path), w->where);
	rules->v = pf_grow(&p->pf->arena, rules->v, rules->n, sizeof(*rules->v));
	rules->v[rules->n] = *r;
	rules->v[rules->n].nr = (unsigned)rules->n;
	rules->n++;
	p->rules++;
	return true;
}

/* ---- pools ---- */

/* Neither what is of another family, nor what an interface has for its link alone. */
static void drop_unusable(struct hosts *pool, int af)
{
	size_t n = 0;
	for (size_t i = 0; i < pool->n; i++)
		if ((!af || !pool->v[i].af || pool->v[i].af == af) && !pool->v[i].zone)
			pool->v[n++] = pool->v[i];
	pool->n = n;
}

/* The family of a translation, where it is not written, is that of its addresses. */
static int translation_family(const struct written *w)
{
	if (w->r.af)
		return w->r.af;
	if (w->src.n && w->src.v->af && !w->src.v->zone)
		return w->src.v->af;
	if (w->dst.n && w->dst.v->af && !w->dst.v->zone)
		return w->dst.v->af;
	return w->pool.n && !w->pool.v->zone ? w->pool.v->af : 0;
}

static bool set_pool(struct parser *p, struct written *w)
{
	w->r.af = translation_family(w);
	if (!w->arrow)
		return true;
	drop_unusable(&w->pool, w->r.af);
	if (!w->pool.n)
		return p_fault(p, p->start,
			       "no translation address with matching address family found.");
	w->r.pool.n = w->pool.n;
	w->r.pool.addr = arena_alloc(&p->pf->arena, w->pool.n * sizeof(*w->r.pool.addr));
	for (size_t i = 0; i < w->pool.n; i++)
		w->r.pool.addr[i] = w->pool.v[i].addr;
	return true;
}

/* rdr to "port c:*": as many ports from c on as the rule has. */
static bool set_ports(struct parser *p, const struct written *w, struct pf_rule *r)
{
	struct pf_pool *pool = &r->pool;
	const struct pf_range *port = &r->dst.port;
	uint32_t more = port->op == PF_OP_RANGE ? port->b - port->a : 0;

	if (r->action != PF_RDR || !pool->port_first)
		return true;
	if (w->r.pool.port_shift) {
		pool->port_shift = more;
		if (pool->port_first + more > UINT16_MAX)
			return p_fault(p, p->start,
				       "port %u:*: there are not %u ports from there on",
				       pool->port_first, more + 1);
		pool->port_last = (uint16_t)(pool->port_first + more);
		return true;
	}
	if (pool->port_last == pool->port_first)
		return true;
	if ((uint32_t)(pool->port_last - pool->port_first) < more)
		return p_fault(p, p->start,
			       "port %u:%u: fewer ports than the rule is for (\":*\" "
			       "takes as many)",
			       pool->port_first, pool->port_last);
	pool->port_shift = more;
	pool->port_last = (uint16_t)(pool->port_first + more);
	return true;
}

/* ---- all of it ---- */

static void count_axes(const struct written *w, size_t n[AXES])
{
	n[ON] = at_least_one(w->on.n);
	n[PROTO] = at_least_one(w->proto.n);
	n[ICMP] = at_least_one(w->icmp.n);
	n[SRC] = at_least_one(w->src.n);
	n[SPORT] = at_least_one(w->sport.n);
	n[DST] = at_least_one(w->dst.n);
	n[DPORT] = at_least_one(w->dport.n);
	n[USER] = at_least_one(w->user.n);
	n[GROUP] = at_least_one(w->group.n);
}

static bool too_many(const size_t n[AXES])
{
	size_t all = 1;
	for (int i = 0; i < AXES; i++)
		if (__builtin_mul_overflow(all, n[i], &all) || all > PF_RULES_MAX)
			return true;
	return false;
}

bool expand_written(struct parser *p, struct written *w)
{
	bool translation = w->where != IN_FILTER && w->where != IN_SCRUB;
	size_t n[AXES], at[AXES] = {0};
	bool added = false;

	if (!check_written(p, w))
		return false;
	if (translation && w->r.action != PF_ANCHOR) {
		if (!set_pool(p, w))
			return false;
	} else if (!w->r.af) {
		w->r.af = common_family(&w->src);
		if (!w->r.af)
			w->r.af = common_family(&w->dst);
	}
	if (!check_families(p, w))
		return false;
	w->r.pos = p->start;
	w->r.source = ++p->source;
	count_axes(w, n);
	if (too_many(n))
		return p_fault(p, p->start, "more than %u rules come of these lists", PF_RULES_MAX);
	do {
		struct pf_rule r;
		if (!combine(w, at, &r))
			continue;
		if (!check_rule(p, w, &r) || !set_ports(p, w, &r) || !add_rule(p, w, &r))
			return false;
		added = true;
	} while (advance(at, n));
	return added || p_fault(p, p->start, "rule expands to no valid combination");
}
