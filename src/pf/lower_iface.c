/* What the name of an interface means: names, jails' pairs. */
#include <ctype.h>

#include "pf/lowering.h"

struct where {
	struct str names; /* quoted, with commas */
	const char *single;
	size_t n;
	bool every; /* all interfaces */
	bool near;  /* all near packets of pairs */
	const struct pf_iface **jails;
	size_t njails;
};

static void where_done(struct where *s)
{
	str_done(&s->names);
	free(s->jails);
}

static void where_name(struct where *s, struct lowering *w, const char *name)
{
	str_addf(&s->names, "%s\"%s\"", s->n++ ? ", " : "", name);
	s->single = lowering_text(w, "%s", name);
}

static bool is_listed_group(const struct pf_host *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		for (const char **g = h->iface[i].group; g && *g; g++)
			if (str_eq(*g, name))
				return true;
	return str_eq(name, "egress");
}

/* A driver's group holds what will come, too. */
static bool is_pattern(const struct pf_host *h, const char *name)
{
	size_t n = strlen(name);

	return n && !isdigit((unsigned char)name[n - 1]) && !is_listed_group(h, name) &&
	       (str_eq(name, "lo") || !pf_host_iface(h, name));
}

static void resolve(struct where *s, struct lowering *w, const char *name)
{
	bool pattern = is_pattern(w->host, name), listed = is_listed_group(w->host, name);

	*s = (struct where){.every = str_eq(name, "all"),
			    .near = str_eq(name, "lo0") || str_eq(name, "lo")};
	if (pattern)
		where_name(s, w, lowering_text(w, "%s*", name));
	for (size_t i = 0; i < w->host->n; i++) {
		const struct pf_iface *f = &w->host->iface[i];

		if (!pf_iface_is(f, name))
			continue;
		if (!pattern)
			where_name(s, w, f->name);
		if (f->jails) {
			s->jails = mem_grow(s->jails, s->njails, sizeof(*s->jails));
			s->jails[s->njails++] = f;
		}
	}
	if (!s->n && !listed)
		where_name(s, w, str_eq(name, "lo0") ? "lo" : name);
}

void match_meaning(const struct lowering *w, const char *ifname, bool *near, bool *far, bool *every)
{
	struct where s;

	resolve(&s, (struct lowering *)w, ifname);
	*near = s.near || s.every;
	*far = s.njails > 0 || (s.every && w->njails);
	*every = s.every || (s.njails > 0 && s.njails == w->njails);
	where_done(&s);
}

static struct lower_match of_ifaces(const struct where *s, struct lowering *w, bool neg)
{
	struct lower_match m = match_of(LF_IFACE, lowering_text(w, "{ %s }", str_text(&s->names)));

	if (s->n == 1)
		m.value = lowering_text(w, "\"%s\"", s->single);
	if (s->n == 1 && !neg && !str_suffix(s->single, "*") && strlen(s->single) < sizeof(m.lo))
		m = match_key(m, s->single, s->single, strlen(s->single));
	m.neg = neg;
	return m;
}

/* Networks, none twice, as a set's elements: they may overlap. */
char *match_nets(struct lowering *w, const struct pf_entry *v, size_t n, int af)
{
	struct lower_spans spans = lower_spans(&w->out->arena, v, n, af);
	struct str out autodone(str_done) = {0};

	for (size_t i = 0; i < spans.n; i++)
		str_addf(&out, "%s%s", i ? ", " : "", spans.v[i]);
	return spans.n ? lowering_text(w, "{ %s }", out.s) : NULL;
}

/* The pairs of these interfaces, told by the jail's address. */
static void of_pairs(const struct place *p, const struct where *s, bool neg, struct alts *out)
{
	autofree struct pf_entry *v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->njails; i++)
		for (size_t k = 0; k < s->jails[i]->naddrs; k++) {
			v = mem_grow(v, n, sizeof(*v));
			v[n++] = (struct pf_entry){.net = s->jails[i]->addr[k]};
		}
	for (int six = 0; six < 2; six++) {
		int af = six ? AF_INET6 : AF_INET;
		const char *nets = match_nets(p->w, v, n, af);
		struct alt one = {.af = af, .n = nets ? 2 : 1};

		if (!nets && !neg)
			continue;
		one.m[0] = match_of(LF_PAIR, NULL);
		one.m[1] = match_of(p->dir == PF_IN ? LF_SRC : LF_DST, nets);
		one.m[1].af = af;
		one.m[1].neg = neg;
		alts_add(out, &one);
	}
}

static bool on_far(const struct place *p, const struct where *s, bool neg, struct alts *out)
{
	struct alt nothing = {0};

	if (neg || (!s->njails && !s->every))
		return false;
	if (s->every || s->njails == p->w->njails)
		alts_add(out, &nothing);
	else
		of_pairs(p, s, false, out);
	return true;
}

static bool on_near(const struct place *p, struct where *s, bool neg, struct alts *out)
{
	struct alt nothing = {0};
	bool pairs = s->near || (s->njails && s->njails == p->w->njails);

	if (s->every) {
		if (!neg)
			alts_add(out, &nothing);
		return !neg;
	}
	if (pairs || (neg && s->njails))
		where_name(s, p->w, LOWER_PAIRS);
	if (s->n)
		alts_add_one(out, 0, of_ifaces(s, p->w, neg));
	else if (neg)
		alts_add(out, &nothing);
	if (s->njails && !pairs)
		of_pairs(p, s, neg, out);
	return out->n > 0;
}

void match_names(const struct place *p, const char *ifname, struct alts *out)
{
	struct alt nothing = {0};
	struct where s;

	resolve(&s, p->w, ifname);
	if (s.every)
		alts_add(out, &nothing);
	else if (s.n)
		alts_add_one(out, 0, of_ifaces(&s, p->w, false));
	where_done(&s);
}

bool match_on(const struct place *p, const char *ifname, bool neg, struct alts *out)
{
	struct alt nothing = {0};
	struct where s;
	bool can;

	if (!ifname) {
		if (p->far)
			return false;
		alts_add(out, &nothing);
		return true;
	}
	resolve(&s, p->w, ifname);
	can = p->far ? on_far(p, &s, neg, out) : on_near(p, &s, neg, out);
	where_done(&s);
	return can;
}
