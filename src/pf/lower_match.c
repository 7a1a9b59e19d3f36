/* What a rule asks of a packet, as conditions that nftables can ask. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>

#include "pf/lowering.h"

void alts_done(struct alts *a)
{
	free(a->v);
	*a = (struct alts){0};
}

void alts_add(struct alts *a, const struct alt *one)
{
	a->v = mem_grow(a->v, a->n, sizeof(*a->v));
	a->v[a->n++] = *one;
}

void alts_all(struct alts *a, struct lower_match m)
{
	for (size_t i = 0; i < a->n; i++)
		a->v[i].m[a->v[i].n++] = m;
}

static bool alt_set_af(struct alt *a, int af)
{
	if (a->af && af && a->af != af)
		return false;
	a->af = a->af ? a->af : af;
	return true;
}

/* Every alternative there is with every one of `more`. */
static void alts_product(struct alts *a, const struct alts *more)
{
	struct alts out = {0};

	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < more->n; k++) {
			struct alt one = a->v[i];

			if (!alt_set_af(&one, more->v[k].af))
				continue;
			for (size_t m = 0; m < more->v[k].n; m++)
				one.m[one.n++] = more->v[k].m[m];
			alts_add(&out, &one);
		}
	alts_done(a);
	*a = out;
}

struct lower_match match_of(enum lower_field field, const char *value)
{
	return (struct lower_match){.field = field, .value = value};
}

static struct lower_match negated(struct lower_match m, bool neg)
{
	m.neg = neg;
	return m;
}

struct lower_match match_key(struct lower_match m, const void *lo, const void *hi, size_t size)
{
	m.key = true;
	memcpy(m.lo, lo, size);
	memcpy(m.hi, hi, size);
	return m;
}

static struct lower_match match_span(struct lowering *w, enum lower_field field, uint32_t lo,
				     uint32_t hi)
{
	uint32_t a = htonl(lo), b = htonl(hi);
	char *text = lo == hi ? lowering_text(w, "%u", lo) : lowering_text(w, "%u-%u", lo, hi);

	return match_key(match_of(field, text), &a, &b, sizeof(a));
}

void alts_add_one(struct alts *out, int af, struct lower_match m)
{
	struct alt one = {.af = af, .n = 1};

	m.af = af;
	one.m[0] = m;
	alts_add(out, &one);
}

/* ---- addresses ---- */

static void of_net(struct lowering *w, struct alts *out, enum lower_field field,
		   const struct pf_addr *a)
{
	struct ipnet net = a->net;
	struct ip first = ipnet_first(&net), last = ipnet_last(&net);
	char text[IPNET_TEXT];
	struct alt any = {.af = net.addr.family};

	net.addr = first;
	if (net.len == 0) {
		if (!a->neg)
			alts_add(out, &any);
		return;
	}
	struct lower_match m =
	    match_of(field, lowering_text(w, "%s",
					  net.len == ip_bits(&first) ? ip_text(&first, text)
								     : ipnet_text(&net, text)));
	alts_add_one(out, first.family,
		     a->neg ? negated(m, true) : match_key(m, first.bytes, last.bytes, 16));
}

static void of_range(struct lowering *w, struct alts *out, enum lower_field field,
		     const struct pf_addr *a)
{
	char first[IP_TEXT], last[IP_TEXT];
	struct lower_match m =
	    match_of(field, lowering_text(w, "%s-%s", ip_text(&a->net.addr, first),
					  ip_text(&a->last, last)));

	alts_add_one(out, a->net.addr.family,
		     a->neg ? negated(m, true)
			    : match_key(m, a->net.addr.bytes, a->last.bytes, 16));
}

static const char *set_of(struct lowering *w, const struct pf_table *t, char kind, int af)
{
	struct str name autodone(str_done) = {0};

	lower_set_name(&name, t, kind, af);
	return lowering_text(w, "@%s", name.s);
}

static void of_table(const struct place *p, struct alts *out, enum lower_field field,
		     const struct pf_addr *a)
{
	struct lowering *w = p->w;
	const struct pf_table *t = pf_find_table(w->pf, w->pf->ruleset[p->ruleset].path, a->name);
	bool two = t && lower_is_overload(w->pf, t);
	struct alt any = {0};

	if (!t && a->neg)
		alts_add(out, &any);
	for (int six = 0; six < 2 && t; six++) {
		int af = six ? AF_INET6 : AF_INET;
		struct alt one = {.af = af};

		one.m[one.n++] = negated(match_of(field, set_of(w, t, 't', af)), a->neg);
		if (two && a->neg)
			one.m[one.n++] = negated(match_of(field, set_of(w, t, 'd', af)), true);
		for (size_t i = 0; i < one.n; i++)
			one.m[i].af = af;
		alts_add(out, &one);
		if (two && !a->neg)
			alts_add_one(out, af, match_of(field, set_of(w, t, 'd', af)));
	}
}

/* The addresses that (if:mods) means now; NULL: none. */
static char *dynamic_now(struct lowering *w, const struct pf_addr *a, int af)
{
	const struct pf_host *h = w->host;
	bool self = str_eq(a->name, "self");
	autofree struct pf_entry *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct pf_iface *f = &h->iface[i];
		bool first = true;

		for (size_t k = 0; k < f->naddrs && (self || pf_iface_is(f, a->name)); k++) {
			struct ipnet net = f->addr[k];

			if (net.addr.family != af || (!first && (a->mods & PF_MOD_NOALIAS)))
				continue;
			first = false;
			if (a->mods & PF_MOD_BROADCAST)
				net.addr = f->broadcast ? f->broadcast[k] : (struct ip){0};
			else if (a->mods & PF_MOD_PEER)
				net.addr = f->peer ? f->peer[k] : (struct ip){0};
			if (!net.addr.family)
				continue;
			if (!(a->mods & PF_MOD_NETWORK))
				net.len = (uint8_t)ip_bits(&net.addr);
			if (a->len >= 0)
				net.len = (uint8_t)a->len;
			v = mem_grow(v, n, sizeof(*v));
			v[n++] = (struct pf_entry){.net = net};
		}
	}
	return match_nets(w, v, n, af);
}

/* Where the kernel itself can say so, nothing needs to be kept current. */
static bool of_local(const struct place *p, const struct pf_rule *r, struct alts *out, bool src,
		     const struct pf_addr *a)
{
	bool self = str_eq(a->name, "self");
	bool here =
	    r->ifname && !r->ifnot && str_eq(r->ifname, a->name) && src == (p->dir == PF_OUT);
	const struct pf_iface *f = pf_host_iface(p->w->host, a->name);

	if (a->mods || a->len >= 0 || (!self && !(here && f && !f->jails && !f->loopback)))
		return false;
	enum lower_field field = self ? (src ? LF_SRC_LOCAL : LF_DST_LOCAL)
				      : (src ? LF_SRC_LOCAL_HERE : LF_DST_LOCAL_HERE);
	alts_add_one(out, 0, negated(match_of(field, NULL), a->neg));
	return true;
}

static void of_dynamic(const struct place *p, const struct pf_rule *r, struct alts *out, bool src,
		       const struct pf_addr *a)
{
	if (of_local(p, r, out, src, a))
		return;
	for (int six = 0; six < 2; six++) {
		int af = six ? AF_INET6 : AF_INET;
		const char *nets = dynamic_now(p->w, a, af);
		struct alt any = {.af = af};

		if (nets)
			alts_add_one(out, af,
				     negated(match_of(src ? LF_SRC : LF_DST, nets), a->neg));
		else if (a->neg)
			alts_add(out, &any);
	}
}

/* Behind routing nobody can be asked any more; of what is forwarded, the rule was asked before. */
static void of_route(const struct place *p, const struct pf_rule *r, struct alts *out, bool src,
		     const struct pf_addr *a)
{
	bool urpf = a->type == PF_ADDR_URPF_FAILED;

	if (p->dir == PF_OUT && r->dir == PF_OUT)
		diag_error(p->w->d, r->pos,
			   "%s is known of what comes in only: write `in`, or leave the rule out",
			   urpf ? "urpf-failed" : "no-route");
	else if (p->dir == PF_IN)
		alts_add_one(out, 0,
			     negated(match_of(urpf  ? LF_URPF_FAILED
					      : src ? LF_SRC_NO_ROUTE
						    : LF_DST_NO_ROUTE,
					      NULL),
				     a->neg));
}

static void match_side(const struct place *p, const struct pf_rule *r, const struct pf_side *s,
		       bool src, struct alts *out)
{
	struct alts more autodone(alts_done) = {0};
	const struct pf_addr *a = &s->addr;
	enum lower_field field = src ? LF_SRC : LF_DST;

	switch (a->type) {
	case PF_ADDR_ANY:
		return;
	case PF_ADDR_NET:
		of_net(p->w, &more, field, a);
		break;
	case PF_ADDR_RANGE:
		of_range(p->w, &more, field, a);
		break;
	case PF_ADDR_TABLE:
		of_table(p, &more, field, a);
		break;
	case PF_ADDR_DYNAMIC:
		of_dynamic(p, r, &more, src, a);
		break;
	case PF_ADDR_NO_ROUTE:
	case PF_ADDR_URPF_FAILED:
		of_route(p, r, &more, src, a);
		break;
	}
	alts_product(out, &more);
}

/* ---- numbers ---- */

/* false: no number does. */
static bool match_number(const struct place *p, const struct pf_range *r, enum lower_field field,
			 uint32_t max, struct alts *out)
{
	uint32_t lo = r->a, hi = r->a;
	bool neg = r->op == PF_OP_NE || r->op == PF_OP_OUTSIDE;

	switch (r->op) {
	case PF_OP_ANY:
		return true;
	case PF_OP_EQ:
	case PF_OP_NE:
		break;
	case PF_OP_RANGE:
	case PF_OP_OUTSIDE:
		hi = r->b;
		break;
	case PF_OP_LT:
		if (r->a == 0)
			return false;
		hi = r->a - 1;
		lo = 0;
		break;
	case PF_OP_LE:
		lo = 0;
		break;
	case PF_OP_GT:
		if (r->a >= max)
			return false;
		lo = r->a + 1;
		hi = max;
		break;
	case PF_OP_GE:
		hi = max;
		break;
	case PF_OP_INSIDE:
		if (r->b < 2 || r->a > r->b - 2)
			return false;
		lo = r->a + 1;
		hi = r->b - 1;
		break;
	}
	if (lo > hi)
		return neg;
	struct lower_match m = match_span(p->w, field, lo, hi);
	if (neg)
		m.key = false;
	alts_all(out, negated(m, neg));
	return true;
}

static const char *flags_text(struct lowering *w, const struct pf_rule *r)
{
	return lowering_text(w, "0x%x/0x%x", r->flags, r->flags_of);
}

/* pf asks only TCP for its flags. */
static void match_flags(const struct place *p, const struct pf_rule *r, struct alts *out)
{
	struct lower_match flags = match_of(LF_FLAGS, flags_text(p->w, r));
	struct alts more autodone(alts_done) = {0};
	struct alt tcp = {.n = 2};

	if (!r->flags_set || !r->flags_of)
		return;
	if (r->proto == IPPROTO_TCP) {
		alts_all(out, flags);
	} else if (!r->proto && (p->split || !r->flags_implied)) {
		tcp.m[0] = match_span(p->w, LF_PROTO, IPPROTO_TCP, IPPROTO_TCP);
		tcp.m[1] = flags;
		alts_add(&more, &tcp);
		alts_add_one(&more, 0, negated(match_of(LF_PROTO, "6"), true));
		alts_product(out, &more);
	}
}

static void match_icmp(const struct place *p, const struct pf_rule *r, struct alts *out)
{
	int af = r->proto == IPPROTO_ICMPV6 ? AF_INET6 : AF_INET;

	if (r->icmp_type >= 0) {
		struct lower_match m =
		    match_span(p->w, LF_ICMP_TYPE, (uint32_t)r->icmp_type, (uint32_t)r->icmp_type);
		m.af = af;
		alts_all(out, m);
	}
	if (r->icmp_code >= 0) {
		struct lower_match m =
		    match_span(p->w, LF_ICMP_CODE, (uint32_t)r->icmp_code, (uint32_t)r->icmp_code);
		m.af = af;
		alts_all(out, m);
	}
}

static void match_tos(const struct place *p, const struct pf_rule *r, struct alts *out)
{
	struct alts more autodone(alts_done) = {0};

	if (r->tos < 0)
		return;
	alts_add_one(&more, AF_INET, match_of(LF_TOS, lowering_text(p->w, "%d", r->tos)));
	alts_add_one(&more, AF_INET6, match_of(LF_TOS, lowering_text(p->w, "%d", r->tos)));
	alts_product(out, &more);
}

static void match_owner(const struct place *p, const struct pf_rule *r, struct alts *out)
{
	const struct pf_range *of[] = {&r->user, &r->group};

	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		if (of[i]->op == PF_OP_ANY)
			continue;
		if (r->dir != PF_OUT) {
			diag_error(p->w->d, r->pos,
				   "%s is known of what the host's own sockets send only: write "
				   "`out`",
				   i ? "group" : "user");
			return;
		}
		if (!match_number(p, of[i], i ? LF_GID : LF_UID, UINT32_MAX - 1, out))
			alts_done(out);
	}
}

/* ---- marks ---- */

unsigned lowering_tag(struct lowering *w, const char *tag)
{
	for (size_t i = 0; i < w->tags.n; i++)
		if (str_eq(w->tags.v[i], tag))
			return (unsigned)i + 1;
	strv_add(&w->tags, tag);
	return (unsigned)w->tags.n;
}

unsigned lowering_tag_bits(const struct lowering *w)
{
	unsigned bits = 0;

	while (w->tags.n >> bits)
		bits++;
	return bits;
}

const char *match_mark(struct lowering *w, uint32_t value, uint32_t last, uint32_t mask)
{
	return value == last ? lowering_text(w, "0x%08x/0x%08x", value, mask)
			     : lowering_text(w, "0x%08x-0x%08x/0x%08x", value, last, mask);
}

static void match_tagged(const struct place *p, const struct pf_rule *r, struct alts *out)
{
	if (!r->tagged)
		return;
	uint32_t mask = ((1u << lowering_tag_bits(p->w)) - 1) << LOWER_MARK_SHIFT;
	uint32_t value = lowering_tag(p->w, r->tagged) << LOWER_MARK_SHIFT;
	alts_all(out,
		 negated(match_of(LF_MARK, match_mark(p->w, value, value, mask)), r->not_tagged));
}

/* ---- the whole ---- */

/* Conditions that tell no family by themselves. */
static void settle_family(struct alts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct alt *one = &a->v[i];
		bool told = !one->af;

		for (size_t k = 0; k < one->n && !told; k++)
			told = one->m[k].field == LF_SRC || one->m[k].field == LF_DST ||
			       one->m[k].field == LF_ICMP_TYPE;
		if (!told)
			one->m[one->n++] =
			    match_of(LF_FAMILY, one->af == AF_INET ? "ipv4" : "ipv6");
		for (size_t k = 0; k < one->n; k++)
			if (one->m[k].field == LF_TOS)
				one->m[k].af = one->af;
	}
}

void match_rule(const struct place *p, const struct pf_rule *r, struct alts *out)
{
	bool newgate = r->action == PF_ANCHOR && pf_is_newgate(r->anchor);
	struct alt first = {.af = r->af};

	*out = (struct alts){0};
	/* jail.conf's own rules are about the jails' side, and so need not be said to be. */
	if (newgate && p->far && !r->ifname)
		alts_add(out, &first);
	else if (!match_on(p, r->ifname, r->ifnot, out))
		return;
	for (size_t i = 0; i < out->n; i++)
		if (!alt_set_af(&out->v[i], r->af)) {
			out->v[i] = out->v[--out->n];
			i--;
		}
	if (r->fragment) { /* put together before anybody sees them */
		alts_done(out);
		return;
	}
	if (r->proto)
		alts_all(out, match_span(p->w, LF_PROTO, r->proto, r->proto));
	match_side(p, r, &r->src, true, out);
	match_side(p, r, &r->dst, false, out);
	if (!match_number(p, &r->src.port, LF_SPORT, UINT16_MAX, out) ||
	    !match_number(p, &r->dst.port, LF_DPORT, UINT16_MAX, out)) {
		alts_done(out);
		return;
	}
	match_flags(p, r, out);
	match_icmp(p, r, out);
	match_tos(p, r, out);
	match_owner(p, r, out);
	match_tagged(p, r, out);
	if (r->prob && r->prob != UINT32_MAX)
		alts_all(out, match_of(LF_CHANCE, lowering_text(p->w, "%u", r->prob)));
	settle_family(out);
}
