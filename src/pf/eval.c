#include <netinet/in.h>
#include <string.h>

#include "pf/match.h"

/* ---- states ---- */

struct tuple {
	struct ip src, dst;
	uint16_t sport, dport;
};
/* What crosses `dir` as `in` goes on as `out`; what comes back as the reverse of `out` goes on as
 * the reverse of `in`. */
struct pf_states {
	struct pf_states *next;
	struct tuple in, out;
	enum pf_dir dir;
	int af, icmp_type;
	uint8_t proto;
	const struct pf_iface *bound; /* if-bound; NULL: floating */
	const char *tag;
	const struct pf_rule *rule;
	const char *anchor;
};

void pf_world_done(struct pf_world *w)
{
	while (w->states) {
		struct pf_states *s = w->states;

		w->states = s->next;
		free(s);
	}
}

static struct tuple tuple_of(const struct pf_packet *p)
{
	return (struct tuple){.src = p->src, .dst = p->dst, .sport = p->sport, .dport = p->dport};
}

static struct tuple reverse(const struct tuple *t)
{
	return (struct tuple){.src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport};
}

static bool tuple_eq(const struct tuple *a, const struct tuple *b)
{
	return ip_eq(&a->src, &b->src) && ip_eq(&a->dst, &b->dst) && a->sport == b->sport &&
	       a->dport == b->dport;
}

static void tuple_set(struct pf_packet *p, const struct tuple *t)
{
	p->src = t->src;
	p->dst = t->dst;
	p->sport = t->sport;
	p->dport = t->dport;
}

/* The type of the message that answers one of this type, or -1. */
static int icmp_answer(const struct pf_packet *p, int type)
{
	static const struct {
		int family, ask, answer;
	} pair[] = {{AF_INET, 8, 0},
		    {AF_INET, 13, 14},
		    {AF_INET, 15, 16},
		    {AF_INET, 17, 18},
		    {AF_INET6, 128, 129}};

	for (size_t i = 0; i < ARRAY_SIZE(pair); i++)
		if (pair[i].family == p->af && pair[i].ask == type)
			return pair[i].answer;
	return -1;
}

static bool is_icmp(const struct pf_packet *p)
{
	return p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6;
}

static const struct pf_states *find_state(const struct pf_world *w, const struct pf_crossing *c,
					  const struct pf_packet *p, struct tuple *on)
{
	struct tuple now = tuple_of(p);

	for (const struct pf_states *s = w->states; s; s = s->next) {
		struct tuple back = reverse(&s->out);
		bool same = s->dir == c->dir;

		if (s->proto != p->proto || s->af != p->af || (s->bound && s->bound != c->iface))
			continue;
		if (is_icmp(p) &&
		    p->icmp_type != (same ? s->icmp_type : icmp_answer(p, s->icmp_type)))
			continue;
		if (!tuple_eq(&now, same ? &s->in : &back))
			continue;
		*on = same ? s->out : reverse(&s->in);
		return s;
	}
	return NULL;
}

static void make_state(struct pf_world *w, const struct pf_crossing *c,
		       const struct pf_packet *before, const struct pf_verdict *v)
{
	struct pf_states *s = mem_alloc(sizeof(*s));
	bool bound = w->pf->options.if_bound;

	if (v->rule && (v->rule->state.if_bound || v->rule->state.floating))
		bound = v->rule->state.if_bound;
	*s = (struct pf_states){.next = w->states,
				.in = tuple_of(before),
				.out = tuple_of(&v->packet),
				.dir = c->dir,
				.af = before->af,
				.proto = before->proto,
				.icmp_type = before->icmp_type,
				.bound = bound ? c->iface : NULL,
				.tag = v->packet.tag,
				.rule = v->rule,
				.anchor = v->anchor};
	w->states = s;
}

/* ---- rulesets and anchors ---- */

/* Calls fn for the ruleset, or all rulesets, that an anchor rule means, in the order of their paths,
 * until it returns true. */
static bool each_ruleset(struct pf_world *w, const char *pattern,
			 bool (*fn)(void *arg, const struct pf_ruleset *rs), void *arg)
{
	for (size_t i = 0; i < w->pf->nrulesets; i++)
		if (pf_anchor_matches(pattern, w->pf->ruleset[i].path) &&
		    fn(arg, &w->pf->ruleset[i]))
			return true;
	return false;
}

static bool applies(const struct pf_at *at, const struct pf_rule *r)
{
	return match_iface(at, r->ifname, r->ifnot) && (r->dir == PF_INOUT || r->dir == at->c->dir);
}

/* ---- translation ---- */

struct translation {
	struct pf_at at;
	enum pf_action kind; /* PF_NAT, PF_BINAT, PF_RDR */
	struct pf_packet *p;
	const struct pf_rule *rule; /* that was found; of kind "no": no translation */
};

static const struct pf_rules *section(const struct pf_ruleset *rs, enum pf_action kind)
{
	return kind == PF_NAT ? &rs->nat : kind == PF_BINAT ? &rs->binat : &rs->rdr;
}

static bool is_no(enum pf_action a)
{
	return a == PF_NO_NAT || a == PF_NO_BINAT || a == PF_NO_RDR;
}

/* binat inwards: who asks for the outer address gets the inner one. */
static bool binat_in(struct translation *t, const struct pf_rule *r)
{
	struct pf_rule back = *r;
	struct ip outer;

	if (r->action == PF_BINAT) {
		if (!match_pool(&t->at, &r->pool, t->p->af, &outer))
			return false;
		back.dst.addr = (struct pf_addr){.type = PF_ADDR_NET,
						 .net = {.addr = outer,
							 .len = r->pool.addr[0].type == PF_ADDR_NET
								    ? r->pool.addr[0].net.len
								    : ip_bits(&outer)}};
	} else {
		back.dst = r->src;
	}
	back.src = r->dst;
	return match_nat(&t->at, &back, t->p);
}

/* The host bits of an address put into another network: bitmask pools and binat. */
static struct ip moved(const struct ip *ip, const struct ipnet *to)
{
	struct ip out = to->addr;

	for (unsigned bit = to->len; bit < ip_bits(ip); bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		out.bytes[bit / 8] =
		    (uint8_t)((out.bytes[bit / 8] & ~mask) | (ip->bytes[bit / 8] & mask));
	}
	return out;
}

static void apply_rdr(const struct pf_pool *pool, const struct pf_rule *r, struct pf_packet *p)
{
	if (!pool->port_first)
		return;
	if (pool->port_shift && r->dst.port.op == PF_OP_RANGE)
		p->dport = (uint16_t)(pool->port_first + (p->dport - r->dst.port.a));
	else
		p->dport = pool->port_first;
}

/* false: the pool has no address of this family, so that the rule does not apply. */
static bool apply(struct translation *t, const struct pf_rule *r)
{
	const struct pf_addr *first = r->pool.n ? &r->pool.addr[0] : NULL;
	struct pf_packet *p = t->p;
	struct ip ip;

	if (is_no(r->action))
		return true;
	if (!match_pool(&t->at, &r->pool, p->af, &ip))
		return false;
	if (r->action == PF_BINAT && t->at.c->dir == PF_IN)
		p->dst = moved(&p->dst, &r->src.addr.net);
	else if (r->action == PF_BINAT)
		p->src = first->type == PF_ADDR_NET ? moved(&p->src, &first->net) : ip;
	else if (r->pool.type == PF_POOL_BITMASK && first->type == PF_ADDR_NET)
		*(r->action == PF_NAT ? &p->src : &p->dst) =
		    moved(r->action == PF_NAT ? &p->src : &p->dst, &first->net);
	else
		*(r->action == PF_NAT ? &p->src : &p->dst) = ip;
	if (r->action == PF_RDR)
		apply_rdr(&r->pool, r, p);
	return true;
}

static bool newgate_translates(struct translation *t)
{
	const struct pf_world *w = t->at.w;

	if (t->kind == PF_RDR && w->newgate_rdr)
		return w->newgate_rdr(w->arg, t->at.c, t->p, &t->p->dst, &t->p->dport);
	if (t->kind == PF_NAT && w->newgate_nat)
		return w->newgate_nat(w->arg, t->at.c, t->p, &t->p->src);
	return false;
}

/* The first rule that matches ends the search: true. */
static bool translate_in(void *arg, const struct pf_ruleset *rs)
{
	struct translation *t = arg;
	const struct pf_rules *rules = section(rs, t->kind);

	for (size_t i = 0; i < rules->n; i++) {
		const struct pf_rule *r = &rules->v[i];
		bool inwards =
		    t->kind == PF_BINAT && t->at.c->dir == PF_IN && r->action != PF_ANCHOR;

		t->at.anchor = rs->path;
		if (!applies(&t->at, r) || !(inwards ? binat_in(t, r) : match_nat(&t->at, r, t->p)))
			continue;
		if (r->action != PF_ANCHOR && apply(t, r)) {
			t->rule = r;
			if (r->tag)
				t->p->tag = r->tag;
			return true;
		}
		if (r->action != PF_ANCHOR)
			continue;
		if (pf_is_newgate(r->anchor) && newgate_translates(t)) {
			t->rule = r;
			return true;
		}
		if (each_ruleset((struct pf_world *)t->at.w, r->anchor, translate_in, t))
			return true;
	}
	return false;
}

/* The rule that was applied to *p, or NULL. */
static const struct pf_rule *translate(struct pf_world *w, const struct pf_crossing *c,
				       struct pf_packet *p)
{
	enum pf_action kinds[] = {PF_BINAT, c->dir == PF_IN ? PF_RDR : PF_NAT};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct translation t = {.at = {.w = w, .c = c}, .kind = kinds[i], .p = p};

		if (w->pf->nrulesets && translate_in(&t, &w->pf->ruleset[0]))
			return is_no(t.rule->action) ? NULL : t.rule;
	}
	return NULL;
}

/* ---- the filter ---- */

struct filter {
	struct pf_at at;
	struct pf_verdict *v;
	bool matched; /* since the innermost anchor was entered */
};

static bool filter_in(void *arg, const struct pf_ruleset *rs);

static void decide(struct filter *f, const struct pf_rule *r, const char *anchor, bool pass)
{
	f->v->verdict = pass ? PF_VERDICT_PASS : PF_VERDICT_BLOCK;
	f->v->rule = r;
	f->v->anchor = anchor;
	f->v->ret = r->ret;
	f->v->keeps_state = pass && (r->action == PF_ANCHOR || r->state.keep != PF_STATE_NONE);
	f->matched = true;
}

/* What a jail sends elsewhere meets newgate/… where it enters, though its line names no interface. */
static bool meets_newgate(const struct pf_at *at, const struct pf_rule *r)
{
	return r->action == PF_ANCHOR && !r->ifname && pf_is_newgate(r->anchor) && at->c->jails &&
	       at->c->dir == PF_IN && r->dir != PF_OUT;
}

/* true: evaluation ends. */
static bool enter_anchor(struct filter *f, const struct pf_rule *r, const char *from)
{
	struct pf_world *w = (struct pf_world *)f->at.w;
	bool outer = f->matched, ended;

	f->matched = false;
	if (pf_is_newgate(r->anchor) && w->newgate) {
		int says = w->newgate(w->arg, f->at.c, &f->v->packet);

		if (says >= 0)
			decide(f, r, from, says > 0);
	}
	ended = each_ruleset(w, r->anchor, filter_in, f) || (r->quick && f->matched);
	f->matched = f->matched || outer;
	return ended;
}

static bool filter_in(void *arg, const struct pf_ruleset *rs)
{
	struct filter *f = arg;

	for (size_t i = 0; i < rs->filter.n; i++) {
		const struct pf_rule *r = &rs->filter.v[i];

		f->at.anchor = rs->path;
		if (!(applies(&f->at, r) || meets_newgate(&f->at, r)) ||
		    !match_filter(&f->at, r, &f->v->packet))
			continue;
		if (r->tag)
			f->v->packet.tag = r->tag;
		if (r->action == PF_MATCH)
			continue;
		if (r->action == PF_ANCHOR) {
			if (enter_anchor(f, r, rs->path))
				return true;
			continue;
		}
		decide(f, r, rs->path, r->action == PF_PASS);
		if (r->quick)
			return true;
	}
	return false;
}

/* ---- one crossing ---- */

static bool skipped(const struct pf_world *w, const struct pf_crossing *c)
{
	struct pf_at at = {.w = w, .c = c};

	for (const char **s = w->pf->options.skip; s && *s; s++)
		if (match_iface(&at, *s, false))
			return true;
	return false;
}

void pf_eval(struct pf_world *w, const struct pf_crossing *c, const struct pf_packet *p,
	     struct pf_verdict *out)
{
	struct filter f = {.at = {.w = w, .c = c}, .v = out};
	const struct pf_states *s;
	struct tuple on;

	*out = (struct pf_verdict){.verdict = PF_VERDICT_PASS, .packet = *p};
	if (skipped(w, c)) {
		out->skipped = true;
		return;
	}
	s = find_state(w, c, p, &on);
	if (s) {
		tuple_set(&out->packet, &on);
		if (s->tag)
			out->packet.tag = s->tag;
		out->by_state = true;
		out->rule = s->rule;
		out->anchor = s->anchor;
		return;
	}
	out->translation = translate(w, c, &out->packet);
	if (!(out->translation && out->translation->pass) && w->pf->nrulesets)
		filter_in(&f, &w->pf->ruleset[0]);
	/* What was translated is kept, whatever the rule says: else the answer would not come back. */
	if (out->verdict == PF_VERDICT_PASS && out->translation)
		out->keeps_state = true;
	if (out->keeps_state)
		make_state(w, c, p, out);
}
