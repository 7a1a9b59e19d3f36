/* Tables as sets, and what the user should know. */
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <stdlib.h>

#include "pf/lowering.h"

/* ---- names ---- */

/* Letters, digits and "_.-" stand for themselves, others for their numbers. */
static void add_name(struct str *out, const char *s)
{
	for (; *s; s++)
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || strchr("_.-/", *s))
			str_addc(out, *s);
		else
			str_addf(out, "//%02x", (unsigned)(uint8_t)*s);
}

void lower_set_name(struct str *out, const struct pf_table *t, char kind, int af)
{
	str_addf(out, "pf_%c%c_", kind, af == AF_INET ? '4' : '6');
	if (*t->anchor) {
		add_name(out, t->anchor);
		str_addc(out, '/');
	}
	add_name(out, t->name);
}

bool lower_is_overload(const struct pf *pf, const struct pf_table *t)
{
	for (size_t i = 0; i < pf->nrulesets; i++)
		for (size_t k = 0; k < pf->ruleset[i].filter.n; k++) {
			const char *name = pf->ruleset[i].filter.v[k].state.overload;

			if (name && str_eq(name, t->name) &&
			    pf_find_table(pf, pf->ruleset[i].path, name) == t)
				return true;
		}
	return false;
}

/* ---- spans ---- */

static struct ip ip_before(const struct ip *a)
{
	struct ip r = *a;

	for (unsigned i = ip_size(a); i-- > 0;)
		if (r.bytes[i]--)
			break;
	return r;
}

/* By their beginnings; a network that holds others stands before them. */
static int by_place(const void *a, const void *b)
{
	const struct pf_entry *x = a, *y = b;
	struct ip p = ipnet_first(&x->net), q = ipnet_first(&y->net);
	int order = ip_cmp(&p, &q);

	return order ? order : x->net.len - y->net.len;
}

struct sweep {
	struct arena *arena;
	struct lower_spans *out;
	struct ip first, last; /* the span that is growing */
	bool open;
	bool end; /* there is no address behind the last one */
};

static void span_end(struct sweep *s)
{
	char a[IP_TEXT], b[IP_TEXT];

	if (!s->open)
		return;
	s->open = false;
	s->out->v = mem_grow(s->out->v, s->out->n, sizeof(*s->out->v));
	s->out->v[s->out->n++] =
	    ip_eq(&s->first, &s->last)
		? arena_printf(s->arena, "%s", ip_text(&s->first, a))
		: arena_printf(s->arena, "%s-%s", ip_text(&s->first, a), ip_text(&s->last, b));
}

/* From *at to `to`, both included, all is in or all is out; *at goes behind it. */
static void span_add(struct sweep *s, struct ip *at, const struct ip *to, bool in)
{
	if (in && !s->open)
		s->first = *at;
	if (in) {
		s->last = *to;
		s->open = true;
	} else {
		span_end(s);
	}
	*at = ip_next(to);
	s->end = ip_cmp(at, to) < 0;
}

/* The networks that hold the place where we are, the innermost last. */
struct nest {
	const struct pf_entry *v[130];
	size_t n;
};

static void leave(struct sweep *s, struct nest *in, struct ip *at, const struct ip *until)
{
	while (in->n) {
		struct ip last = ipnet_last(&in->v[in->n - 1]->net);

		if (until && ip_cmp(until, &last) <= 0)
			return;
		if (!s->end && ip_cmp(at, &last) <= 0)
			span_add(s, at, &last, !in->v[in->n - 1]->neg);
		in->n--;
	}
}

static void sweep(struct sweep *s, const struct pf_entry *v, size_t n)
{
	struct nest in = {0};
	struct ip at = {0};

	for (size_t i = 0; i < n; i++) {
		struct ip first = ipnet_first(&v[i].net), before = ip_before(&first);

		leave(s, &in, &at, &first);
		if (in.n && ip_cmp(&at, &first) < 0)
			span_add(s, &at, &before, !in.v[in.n - 1]->neg);
		if (!in.n && s->open && !ip_eq(&s->last, &before))
			span_end(s);
		at = first;
		in.v[in.n++] = &v[i];
	}
	leave(s, &in, &at, NULL);
	span_end(s);
}

struct lower_spans lower_spans(struct arena *a, const struct pf_entry *entry, size_t n, int af)
{
	autofree struct pf_entry *v = NULL;
	struct lower_spans out = {0};
	struct sweep s = {.arena = a, .out = &out};
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (entry[i].net.addr.family == af) {
			v = mem_grow(v, count, sizeof(*v));
			v[count++] = entry[i];
		}
	if (count)
		qsort(v, count, sizeof(*v), by_place);
	sweep(&s, v, count);
	/* The list is the arena's, as its strings are. */
	const char **list = arena_alloc(a, (out.n + 1) * sizeof(*list));
	if (out.n)
		memcpy(list, out.v, out.n * sizeof(*list));
	free(out.v);
	out.v = list;
	return out;
}

void lower_table(struct lowering *w, const struct pf_table *t)
{
	bool overload = lower_is_overload(w->pf, t);

	for (int six = 0; six < 2; six++) {
		int af = six ? AF_INET6 : AF_INET;
		struct str name autodone(str_done) = {0}, more autodone(str_done) = {0};

		lower_set_name(&name, t, 't', af);
		struct lower_op *o = lowering_op(w, LOWER_SET, lowering_text(w, "%s", name.s));
		struct lower_spans spans = lower_spans(&w->out->arena, t->entry, t->n, af);
		o->type = six ? "ipv6_addr" : "ipv4_addr";
		o->elem = spans.v;
		o->nelems = spans.n;
		if (!overload)
			continue;
		lower_set_name(&more, t, 'd', af);
		o = lowering_op(w, LOWER_SET, lowering_text(w, "%s", more.s));
		o->type = six ? "ipv6_addr" : "ipv4_addr";
		o->dynamic = true;
		o->size = 65536;
		o->days = LOWER_OVERLOAD_DAYS;
	}
}

/* ---- advice ---- */

static bool uses_inet6(const struct pf_host *h)
{
	for (size_t i = 0; i < h->n; i++)
		for (size_t k = 0; k < h->iface[i].naddrs; k++)
			if (!h->iface[i].jails && !h->iface[i].loopback &&
			    h->iface[i].addr[k].addr.family == AF_INET6)
				return true;
	return false;
}

/* Neighbours find each other by ICMPv6: a filter that blocks all cuts IPv6 off within a minute. */
static void advise_neighbours(struct lowering *w)
{
	const struct pf_rule *blocks = NULL;

	if (!uses_inet6(w->host))
		return;
	for (size_t i = 0; i < w->pf->nrulesets; i++)
		for (size_t k = 0; k < w->pf->ruleset[i].filter.n; k++) {
			const struct pf_rule *r = &w->pf->ruleset[i].filter.v[k];
			bool six = r->af != AF_INET && (!r->proto || r->proto == IPPROTO_ICMPV6) &&
				   (r->icmp_type < 0 || r->icmp_type == ND_NEIGHBOR_SOLICIT);

			if (six && r->action == PF_PASS)
				return;
			if (six && r->action == PF_BLOCK && r->src.addr.type == PF_ADDR_ANY &&
			    r->dst.addr.type == PF_ADDR_ANY && !blocks)
				blocks = r;
		}
	if (blocks)
		diag_warn(w->d, blocks->pos,
			  "this blocks IPv6's neighbour discovery, so that no IPv6 packet will "
			  "find its way: add `pass inet6 proto icmp6 icmp6-type { neighbrsol "
			  "neighbradv routersol routeradv }`");
}

/* As on FreeBSD, what jails send each other is lo0's. */
static void advise_skip(struct lowering *w)
{
	for (const char **s = w->pf->options.skip; s && *s && w->out->newgate; s++) {
		bool near, far, every;

		match_meaning(w, *s, &near, &far, &every);
		if (near || every)
			diag_warn(w->d, (struct pos){0},
				  "set skip on %s lets jails reach each other and the host, "
				  "whatever allow.connect says",
				  *s);
	}
}

void lower_advice(struct lowering *w)
{
	advise_skip(w);
	for (size_t i = 0; i < w->pf->nrulesets; i++)
		for (size_t k = 0; k < w->pf->ruleset[i].filter.n; k++) {
			const struct pf_rule *r = &w->pf->ruleset[i].filter.v[k];

			if (r->fragment)
				diag_warn_once(
				    w->d, r->pos,
				    "this matches nothing: Linux puts fragments together "
				    "before it looks at rules");
		}
	if (w->pf->options.ntimeouts)
		diag_warn_once(w->d, (struct pos){0},
			       "set timeout has no effect: see sysctl net.netfilter");
	advise_neighbours(w);
}
