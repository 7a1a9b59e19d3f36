/* nat, binat, rdr: the first that matches. */
#include <netinet/in.h>

#include "pf/lower_steps.h"

enum { POOL_MAX = 256 }; /* addresses that are counted out one by one */

/* ---- pools ---- */

/* The addresses of one family that a pool stands for, in order. */
struct pool {
	struct span {
		struct ip first, last;
	} * v;
	size_t n;
	uint64_t total;
};

static void pool_add(struct pool *out, int af, const struct ip *first, const struct ip *last)
{
	uint64_t count = 1;

	if (first->family != af)
		return;
	for (struct ip ip = *first; count <= POOL_MAX && !ip_eq(&ip, last); ip = ip_next(&ip))
		count++;
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = (struct span){*first, *last};
	out->total += count;
}

static void pool_dynamic(const struct place *p, const struct pf_addr *a, int af, struct pool *out)
{
	for (size_t i = 0; i < p->w->host->n; i++) {
		const struct pf_iface *f = &p->w->host->iface[i];

		for (size_t k = 0; k < f->naddrs && pf_iface_is(f, a->name); k++) {
			if (f->addr[k].addr.family != af)
				continue;
			pool_add(out, af, &f->addr[k].addr, &f->addr[k].addr);
			if (a->mods & PF_MOD_NOALIAS)
				break;
		}
	}
}

static void pool_of(const struct place *p, const struct pf_pool *pool, int af, struct pool *out)
{
	const char *anchor = p->w->pf->ruleset[p->ruleset].path;

	for (size_t i = 0; i < pool->n; i++) {
		const struct pf_addr *a = &pool->addr[i];
		struct ip first = ipnet_first(&a->net), last = ipnet_last(&a->net);
		const struct pf_table *t = NULL;

		if (a->type == PF_ADDR_NET)
			pool_add(out, af, &first, &last);
		else if (a->type == PF_ADDR_RANGE)
			pool_add(out, af, &a->net.addr, &a->last);
		else if (a->type == PF_ADDR_DYNAMIC)
			pool_dynamic(p, a, af, out);
		else if (a->type == PF_ADDR_TABLE)
			t = pf_find_table(p->w->pf, anchor, a->name);
		for (size_t k = 0; t && k < t->n; k++) {
			first = ipnet_first(&t->entry[k].net);
			last = ipnet_last(&t->entry[k].net);
			if (!t->entry[k].neg)
				pool_add(out, af, &first, &last);
		}
	}
}

static void add_ip(struct str *out, const struct ip *ip, bool brackets)
{
	char text[IP_TEXT];

	str_addf(out, brackets && ip->family == AF_INET6 ? "[%s]" : "%s", ip_text(ip, text));
}

static void add_ports(struct str *out, const struct pf_pool *pool)
{
	if (pool->port_first)
		str_addf(out, "%u", pool->port_first);
	if (pool->port_last > pool->port_first)
		str_addf(out, "-%u", pool->port_last);
}

/* Which of n comes next. */
static void add_choice(struct str *out, const struct pf_pool *pool, int af, uint64_t n)
{
	const char *ip = af == AF_INET ? "ip" : "ip6";
	uint32_t seed = 0;

	for (const char *k = pool->key; k && *k; k++)
		seed = seed * 31 + (uint8_t)*k;
	if (pool->type == PF_POOL_RANDOM && !pool->sticky)
		str_addf(out, "numgen random mod %u", (unsigned)n);
	else if (pool->type == PF_POOL_ROUND_ROBIN && !pool->sticky)
		str_addf(out, "numgen inc mod %u", (unsigned)n);
	else if (seed)
		str_addf(out, "jhash %s saddr mod %u seed 0x%x", ip, (unsigned)n, seed);
	else
		str_addf(out, "jhash %s saddr mod %u", ip, (unsigned)n);
}

static void add_map(struct str *out, const struct pf_pool *pool, const struct pool *of, int af,
		    bool port)
{
	unsigned i = 0;

	add_choice(out, pool, af, of->total);
	str_add(out, " map { ");
	for (size_t k = 0; k < of->n; k++)
		for (struct ip ip = of->v[k].first;; ip = ip_next(&ip)) {
			str_addf(out, "%s%u : ", i ? ", " : "", i);
			add_ip(out, &ip, false);
			if (port)
				str_addf(out, " . %u", pool->port_first);
			i++;
			if (ip_eq(&ip, &of->v[k].last))
				break;
		}
	str_add(out, " }");
}

/* The host bits stay. */
static void add_prefix(struct str *out, bool nat, const struct ipnet *from, const struct ipnet *to)
{
	struct ipnet a = *from, b = *to;
	char x[IPNET_TEXT], y[IPNET_TEXT];

	a.addr = ipnet_first(from);
	b.addr = ipnet_first(to);
	str_addf(out, "prefix to %s %saddr map { %s : %s }",
		 a.addr.family == AF_INET ? "ip" : "ip6", nat ? "s" : "d", ipnet_text(&a, x),
		 ipnet_text(&b, y));
}

/* ---- what a rule does ---- */

struct nat {
	const struct place *p;
	const struct pf_rule *r; /* the conditions are of this one */
	const struct pf_rule *of;
	char section;
	struct items *items;
};

static const char *nat_id(const struct nat *n)
{
	return lowering_text(n->p->w, "%zu.%c.%u", n->p->ruleset, n->section, n->of->nr);
}

static struct steps before(const struct nat *n)
{
	const struct pf_rule *r = n->of;
	struct lowering *w = n->p->w;
	struct steps s = {0};

	if (r->log)
		step(&s, (struct lower_step){
			     .what = LD_LOG,
			     .arg = lowering_text(w, "rule %s %s ", nat_id(n), side(n->p))});
	if (r->tag)
		step(&s, (struct lower_step){.what = LD_MARK,
					     .a = lowering_tag(w, r->tag) << LOWER_MARK_SHIFT,
					     .b = ((1u << lowering_tag_bits(w)) - 1)
						  << LOWER_MARK_SHIFT});
	if (r->pass)
		step(&s, (struct lower_step){.what = LD_STATE,
					     .a = n->p->dir == PF_IN || n->p->local ? LOWER_IN
										    : LOWER_OUT});
	return s;
}

/* ports: only for what has any. */
static void add_item(const struct nat *n, int af, bool ports, struct lower_step to)
{
	struct pf_rule r = *n->r;
	struct steps s = before(n);
	struct item *it;

	r.af = af ? af : r.af;
	/* Of ports the kernel wants to know what they are of, wherever the step ends up. */
	to.b = ports || r.pool.port_first ? (r.proto ? r.proto : IPPROTO_MAX) : 0;
	if (!ports && n->section == 'n')
		to.b = 0;
	step(&s, to);
	it = item_add(n->items, n->p->w, &s, n->p->returns ? NULL : nat_id(n));
	match_rule(n->p, &r, &it->alts);
	if (ports && !r.proto)
		alts_all(&it->alts, match_of(LF_PROTO, "{ 6, 17 }"));
}

/* "-> (em0)" on em0 is what the kernel finds by itself. */
static bool is_own(const struct pf_rule *r)
{
	const struct pf_addr *a = r->pool.n == 1 ? &r->pool.addr[0] : NULL;

	return a && a->type == PF_ADDR_DYNAMIC && !(a->mods & ~(unsigned)PF_MOD_NOALIAS) &&
	       a->len < 0 && r->ifname && !r->ifnot && str_eq(r->ifname, a->name);
}

static void masquerade(const struct nat *n)
{
	const struct pf_pool *pool = &n->of->pool;
	const struct pf_iface *f = pf_host_iface(n->p->w->host, n->of->ifname);
	struct str ports autodone(str_done) = {0};
	unsigned v4 = 0, v6 = 0;

	for (size_t i = 0; f && i < f->naddrs; i++)
		f->addr[i].addr.family == AF_INET ? v4++ : v6++;
	if ((v4 > 1 || v6 > 1) && !(pool->addr[0].mods & PF_MOD_NOALIAS))
		diag_warn_once(n->p->w->d, n->of->pos,
			       "(%s) has several addresses: connections leave with the one that "
			       "the route prefers, not with each in turn",
			       n->of->ifname);
	/* A family that the interface has no address of stays as it is. */
	int af = v4 && !v6 ? AF_INET : v6 && !v4 ? AF_INET6 : 0;
	if (af && n->r->af && af != n->r->af)
		return;
	add_ports(&ports, pool);
	if (ports.len)
		add_item(n, af, true,
			 (struct lower_step){.what = LD_MASQUERADE,
					     .arg = lowering_text(n->p->w, "%s", ports.s)});
	add_item(n, af, false, (struct lower_step){.what = LD_MASQUERADE});
}

/* Of a pool that is too large to count out. */
static bool is_large(const struct nat *n, const struct pool *of)
{
	if (of->total <= POOL_MAX)
		return false;
	if (of->n == 1)
		return true;
	diag_error(n->p->w->d, n->of->pos,
		   "a pool of several networks may have %d addresses at most", POOL_MAX);
	return true;
}

static void bitmask(const struct nat *n, int af, bool nat)
{
	const struct pf_addr *from = nat ? &n->r->src.addr : &n->r->dst.addr;
	const struct pf_addr *to = &n->of->pool.addr[0];
	struct str text autodone(str_done) = {0};

	if (from->type != PF_ADDR_NET || from->neg || to->type != PF_ADDR_NET ||
	    from->net.len != to->net.len || n->of->pool.n != 1) {
		diag_error(n->p->w->d, n->of->pos,
			   "bitmask needs one network on each side, of the same size");
		return;
	}
	add_prefix(&text, nat, &from->net, &to->net);
	add_item(n, af, false,
		 (struct lower_step){.what = nat ? LD_SNAT : LD_DNAT,
				     .af = af,
				     .arg = lowering_text(n->p->w, "%s", text.s)});
}

/* "to A", "to A:P", "to … map {…}". */
static void add_target(const struct nat *n, const struct pool *of, int af, bool port,
		       struct str *out)
{
	const struct pf_pool *pool = &n->of->pool;

	str_add(out, "to ");
	if (of->total > 1 && !is_large(n, of)) {
		bool joined = port && n->section == 'r' && pool->port_last <= pool->port_first;

		add_map(out, pool, of, af, joined);
		port = port && !joined;
	} else {
		add_ip(out, &of->v[0].first, port);
		if (of->total > 1) {
			str_addc(out, '-');
			add_ip(out, &of->v[0].last, port);
		}
	}
	if (port) {
		str_addc(out, ':');
		add_ports(out, pool);
	}
}

static void nat_to(const struct nat *n, int af, const struct pool *of)
{
	for (int port = n->of->pool.port_first != 0; port >= 0; port--) {
		struct str text autodone(str_done) = {0};

		add_target(n, of, af, port, &text);
		add_item(n, af, port,
			 (struct lower_step){.what = LD_SNAT,
					     .af = af,
					     .arg = lowering_text(n->p->w, "%s", text.s)});
	}
}

/* rdr … port a:b -> x port c:* */
static void add_shift(const struct pf_rule *r, struct str *out)
{
	uint32_t first = r->dst.port.a,
		 last = r->dst.port.op == PF_OP_RANGE ? r->dst.port.b : first;

	str_addf(out, " : %s dport map { ", r->proto == IPPROTO_UDP ? "udp" : "tcp");
	for (uint32_t p = first; p <= last && r->pool.port_first + (p - first) <= UINT16_MAX; p++)
		str_addf(out, "%s%u : %u", p == first ? "" : ", ", p,
			 r->pool.port_first + (p - first));
	str_add(out, " }");
}

static bool is_shift(const struct pf_rule *r)
{
	return r->pool.port_shift && r->dst.port.op == PF_OP_RANGE;
}

/* The kernel takes packets for 127.0.0.1 from outside only where it is told to. */
static void allow_loopback(const struct nat *n, const struct pool *of)
{
	struct strv *all = &n->p->w->out->localnet;
	bool near = false, far = false, every = true;
	const char *name = n->of->ifname;

	for (size_t i = 0; i < of->n; i++) {
		if (!ip_is_loopback(&of->v[i].first))
			continue;
		if (of->v[i].first.family == AF_INET6) {
			diag_error(n->p->w->d, n->of->pos,
				   "Linux cannot redirect to ::1 what comes from outside: let the "
				   "service listen on another address of this host");
			return;
		}
		if (name && !n->of->ifnot)
			match_meaning(n->p->w, name, &near, &far, &every);
		if (every || far || (near && n->p->w->njails))
			name = "all";
		else if (near)
			return;
		if (!strv_has(all, name))
			strv_add(all, name);
		return;
	}
}

static void rdr_to(const struct nat *n, int af, const struct pool *of)
{
	struct str text autodone(str_done) = {0};
	bool shift = is_shift(n->of);

	if (shift && of->total > 1)
		diag_error(n->p->w->d, n->of->pos,
			   "ports can be moved to one address only, not to a pool");
	allow_loopback(n, of);
	add_target(n, of, af, n->of->pool.port_first && !shift, &text);
	if (shift && n->of->dst.port.a != n->of->pool.port_first)
		add_shift(n->of, &text);
	add_item(n, af, false,
		 (struct lower_step){
		     .what = LD_DNAT, .af = af, .arg = lowering_text(n->p->w, "%s", text.s)});
}

static void translate(const struct nat *n)
{
	bool nat = n->section == 'n';

	if (nat && is_own(n->of)) {
		masquerade(n);
		return;
	}
	for (int six = 0; six < 2; six++) {
		int af = six ? AF_INET6 : AF_INET;
		struct pool of = {0};

		if (n->r->af && n->r->af != af)
			continue;
		pool_of(n->p, &n->of->pool, af, &of);
		if (of.n && n->of->pool.type == PF_POOL_BITMASK)
			bitmask(n, af, nat);
		else if (of.n && nat)
			nat_to(n, af, &of);
		else if (of.n)
			rdr_to(n, af, &of);
		free(of.v);
	}
}

/* ---- binat ---- */

static void binat(const struct nat *n)
{
	const struct pf_rule *r = n->of;
	bool out = n->p->dir == PF_OUT;
	struct pf_rule here = *r;
	struct pool of = {0};
	int af = r->src.addr.net.addr.family;
	struct str text autodone(str_done) = {0};

	pool_of(n->p, &r->pool, af, &of);
	if (!of.n || r->src.addr.type != PF_ADDR_NET)
		return;
	struct ipnet outer = {.addr = of.v[0].first,
			      .len = r->pool.addr[0].type == PF_ADDR_NET
					 ? r->pool.addr[0].net.len
					 : (uint8_t)ip_bits(&of.v[0].first)};
	free(of.v);
	if (!out) {
		here.src = r->dst;
		here.dst = (struct pf_side){.addr = {.type = PF_ADDR_NET, .net = outer}};
	}
	const struct ipnet *to = out ? &outer : &r->src.addr.net;
	if (to->len == ip_bits(&to->addr)) {
		str_add(&text, "to ");
		add_ip(&text, &to->addr, false);
	} else {
		add_prefix(&text, out, out ? &r->src.addr.net : &outer, to);
	}
	struct nat back = *n;
	back.r = &here;
	add_item(&back, af, false,
		 (struct lower_step){.what = out ? LD_SNAT : LD_DNAT,
				     .af = af,
				     .arg = lowering_text(n->p->w, "%s", text.s)});
}

/* ---- rulesets and anchors ---- */

static void no_translation(const struct nat *n, enum lower_do what)
{
	struct pf_rule r = *n->r;

	if (n->section == 'b' && n->p->dir == PF_IN) {
		r.src = n->r->dst;
		r.dst = n->r->src;
	}
	struct nat here = *n;
	here.r = &r;
	add_item(&here, 0, false, (struct lower_step){.what = what});
}

static void newgate_rdr(const struct nat *n)
{
	struct steps s = {0};
	struct item *it;

	/* What is redirected there is told by the mark, see the filter. */
	step(&s, (struct lower_step){.what = LD_MARK, .a = LOWER_NEWGATE, .b = LOWER_NEWGATE});
	to_chain(&s, LD_JUMP, "target");
	step(&s, (struct lower_step){.what = LD_MARK, .a = 0, .b = LOWER_NEWGATE});
	it = item_add(n->items, n->p->w, &s, NULL);
	match_rule(n->p, n->r, &it->alts);
	alts_all(&it->alts, match_of(LF_DST_LOCAL, NULL));
	alts_all(&it->alts, match_of(LF_PROTO, "{ 6, 17 }"));
}

static void newgate_nat(const struct nat *n)
{
	struct steps s = {0};
	struct item *it;

	if (n->p->returns)
		step(&s, (struct lower_step){.what = LD_ACCEPT});
	else
		to_chain(&s, LD_JUMP, "srcnat_jail");
	it = item_add(n->items, n->p->w, &s, NULL);
	match_rule(n->p, n->r, &it->alts);
	alts_all(&it->alts, match_of(LF_FROM_PAIR, NULL));
}

static void collect(const struct place *p, const struct pf_ruleset *rs, char section,
		    struct items *v);

static void enter(const struct nat *n)
{
	struct lowering *w = n->p->w;

	if (pf_is_newgate(n->r->anchor) && n->section == 'r' && !n->p->far)
		newgate_rdr(n);
	if (pf_is_newgate(n->r->anchor) && n->section == 'n' && !n->p->far)
		newgate_nat(n);
	for (size_t k = 0; k < w->pf->nrulesets; k++) {
		const struct pf_ruleset *rs = &w->pf->ruleset[k];
		struct items v autodone(items_done) = {0};
		struct place in = *n->p;

		if (!pf_anchor_matches(n->r->anchor, rs->path))
			continue;
		in.ruleset = k;
		collect(&in, rs, n->section, &v);
		const char *name = lowering_text(w, "%s_%c%zu", in.prefix, n->section, k);
		if (!v.n)
			continue;
		if (lowering_chain(w, name, NULL))
			emit_items(w, name, in.dir, &v);
		struct steps s = {0};
		to_chain(&s, LD_JUMP, name);
		match_rule(n->p, n->r, &item_add(n->items, w, &s, NULL)->alts);
	}
}

/* Can the rule be about lo0? */
static bool is_about_lo(const struct place *p, const struct pf_rule *r)
{
	bool near, far, every;

	if (!r->ifname || r->ifnot)
		return true;
	match_meaning(p->w, r->ifname, &near, &far, &every);
	return near;
}

static bool is_no(enum pf_action a)
{
	return a == PF_NO_NAT || a == PF_NO_BINAT || a == PF_NO_RDR;
}

static void collect(const struct place *p, const struct pf_ruleset *rs, char section,
		    struct items *v)
{
	const struct pf_rules *rules = section == 'b'   ? &rs->binat
				       : section == 'n' ? &rs->nat
							: &rs->rdr;

	for (size_t k = 0; k < rules->n; k++) {
		const struct pf_rule *r = &rules->v[k];
		struct nat n = {p, r, r, section, v};

		if (p->local && !is_about_lo(p, r))
			continue;
		if (r->action == PF_ANCHOR)
			enter(&n);
		else if (p->returns) /* nothing is translated: only, would it be? */
			no_translation(&n, is_no(r->action) ? LD_RETURN : LD_ACCEPT);
		else if (is_no(r->action))
			no_translation(&n, LD_ACCEPT);
		else if (section == 'b')
			binat(&n);
		else
			translate(&n);
	}
}

static bool lower_sections(struct place *p, const char *chain, char section)
{
	struct items v autodone(items_done) = {0};

	if (!p->local)
		collect(p, &p->w->pf->ruleset[0], 'b', &v);
	collect(p, &p->w->pf->ruleset[0], section, &v);
	for (size_t i = 0; i < v.n; i++)
		if (v.v[i].alts.n) {
			lowering_chain(p->w, chain, NULL);
			emit_items(p->w, chain, p->dir, &v);
			return true;
		}
	return false;
}

bool lower_nat(struct place *p, const char *chain)
{
	return lower_sections(p, chain, 'n');
}

bool lower_rdr(struct place *p, const char *chain)
{
	return lower_sections(p, chain, 'r');
}
