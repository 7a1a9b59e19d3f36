/* The whole of the lowering: what all parts use, tables, and the hooks. */
#include <stdio.h>

#include "pf/lower_steps.h"

/* ---- names ---- */

/* A hash table of strings, each with a number from 1. */
struct names {
	struct {
		const char *key;
		size_t value;
	} * slot;
	size_t n, cap;
};

static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

static size_t names_slot(const struct names *t, const char *key)
{
	size_t i = hash(key) & (t->cap - 1);

	while (t->slot[i].key && !str_eq(t->slot[i].key, key))
		i = (i + 1) & (t->cap - 1);
	return i;
}

/* 0: it is not there. */
static size_t names_get(const struct names *t, const char *key)
{
	return t->cap ? t->slot[names_slot(t, key)].value : 0;
}

static void names_put(struct names *t, const char *key, size_t value)
{
	if (2 * (t->n + 1) > t->cap) {
		struct names old = *t;

		t->cap = old.cap ? 2 * old.cap : 64;
		t->slot = mem_alloc(t->cap * sizeof(*t->slot));
		for (size_t i = 0; i < old.cap; i++)
			if (old.slot[i].key)
				t->slot[names_slot(t, old.slot[i].key)] = old.slot[i];
		free(old.slot);
	}
	size_t i = names_slot(t, key);
	t->slot[i].key = key;
	t->slot[i].value = value;
	t->n++;
}

/* ---- operations ---- */

void *lowering_copy(struct lowering *w, const void *p, size_t size)
{
	void *copy = arena_alloc(&w->out->arena, size ? size : 1);

	if (size)
		memcpy(copy, p, size);
	return copy;
}

char *lowering_text(struct lowering *w, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		return arena_strndup(&w->out->arena, text, (size_t)n);
	struct str long_text autodone(str_done) = {0};
	va_start(ap, fmt);
	str_vaddf(&long_text, fmt, ap);
	va_end(ap);
	return arena_strndup(&w->out->arena, long_text.s, long_text.len);
}

struct lower_op *lowering_op(struct lowering *w, enum lower_kind kind, const char *name)
{
	struct lower *l = w->out;

	l->op = mem_grow(l->op, l->n, sizeof(*l->op));
	l->op[l->n] = (struct lower_op){.kind = kind, .name = name};
	return &l->op[l->n++];
}

struct lower_op *lowering_rule_op(struct lowering *w, const char *chain, enum pf_dir dir)
{
	size_t at = names_get(w->chains, chain);
	struct lower_op *o = lowering_op(w, LOWER_RULE, w->out->op[at - 1].name);

	o->chain = at - 1;
	o->dir = dir;
	return o;
}

void lowering_rule(struct lowering *w, const char *chain, enum pf_dir dir,
		   const struct lower_match *m, size_t nm, const struct lower_step *s, size_t ns)
{
	struct lower_op *o = lowering_rule_op(w, chain, dir);

	o->match = lowering_copy(w, m, nm * sizeof(*m));
	o->nmatches = nm;
	o->step = lowering_copy(w, s, ns * sizeof(*s));
	o->nsteps = ns;
}

bool lowering_once(struct lowering *w, const char *name)
{
	if (names_get(w->once, name))
		return false;
	names_put(w->once, name, 1);
	return true;
}

bool lowering_has(const struct lowering *w, const char *chain)
{
	return names_get(w->chains, chain) != 0;
}

bool lowering_chain(struct lowering *w, const char *name, const char *hook)
{
	if (names_get(w->chains, name))
		return false;
	lowering_op(w, LOWER_CHAIN, name)->hook = hook;
	names_put(w->chains, name, w->out->n);
	return true;
}

const char *lowering_shared(struct lowering *w, const char *text, enum pf_dir dir,
			    const struct lower_step *s, size_t n)
{
	size_t at = names_get(w->shared, text);

	if (at)
		return w->out->op[at - 1].name;
	const char *name = lowering_text(w, "pf_do_%u", ++w->nshared);
	lowering_chain(w, name, NULL);
	names_put(w->shared, lowering_text(w, "%s", text), w->out->n);
	lowering_rule(w, name, dir, NULL, 0, s, n);
	return name;
}

void lower_done(struct lower *l)
{
	arena_done(&l->arena);
	free(l->op);
	strv_done(&l->localnet);
	strv_done(&l->origin);
	*l = (struct lower){0};
}

/* ---- hooks ---- */

/* Where pf looks at packets: base chains, from which the rules' chain is reached. */
struct stage {
	const char *name;
	const char *base[2], *hook[2];
	enum pf_dir dir;
	bool filter;  /* states count */
	bool returns; /* the filter once more, only to refuse */
	bool (*rules)(struct place *p, const char *chain);
};

static struct lower_step go(enum lower_do what, const char *chain)
{
	return (struct lower_step){.what = what, .arg = chain};
}

static void add_rule(struct lowering *w, const char *chain, enum pf_dir dir, struct lower_match m,
		     struct lower_step s)
{
	lowering_rule(w, chain, dir, &m, 1, &s, 1);
}

static void add_end(struct lowering *w, const char *chain, enum pf_dir dir, struct lower_step s)
{
	lowering_rule(w, chain, dir, NULL, 0, &s, 1);
}

/* set skip: what can be told by the interface alone. */
static void skip_ifaces(struct place *p, const char *chain)
{
	for (const char **s = p->w->pf->options.skip; s && *s; s++) {
		struct alts on autodone(alts_done) = {0};
		bool near, far, every;

		match_meaning(p->w, *s, &near, &far, &every);
		if (far && every)
			add_rule(p->w, chain, p->dir, match_of(LF_PAIR, NULL), go(LD_ACCEPT, NULL));
		match_names(p, *s, &on);
		for (size_t i = 0; i < on.n; i++)
			add_rule(p->w, chain, p->dir, on.v[i].m[0], go(LD_ACCEPT, NULL));
	}
}

/* And of pairs. *near: all near packets are skipped. */
static void skip_pairs(struct place *far, const char *chain, bool *near)
{
	*near = false;
	for (const char **s = far->w->pf->options.skip; s && *s; s++) {
		struct alts on autodone(alts_done) = {0};
		struct lower_step accept = go(LD_ACCEPT, NULL);
		bool lo, jails, every;

		match_meaning(far->w, *s, &lo, &jails, &every);
		*near |= lo || every;
		if (!jails || every || !match_on(far, *s, false, &on))
			continue;
		for (size_t i = 0; i < on.n; i++)
			lowering_rule(far->w, chain, far->dir, on.v[i].m, on.v[i].n, &accept, 1);
	}
}

static void add_states(struct lowering *w, const char *chain, enum pf_dir dir)
{
	uint32_t first = dir == PF_IN ? LOWER_IN | LOWER_REPLY_OUT : LOWER_OUT | LOWER_REPLY_IN;
	const uint32_t bits[] = {first, LOWER_STATE ^ first, LOWER_STATE | LOWER_RETURN};
	struct lower_step accept = go(LD_ACCEPT, NULL);
	struct lower_match m[2] = {match_of(LF_CT_DIRECTION, "original"),
				   match_of(LF_CT_MARK, NULL)};

	m[1].neg = true;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		m[1].value = match_mark(w, 0, 0, bits[i]);
		lowering_rule(w, chain, dir, m, 2, &accept, 1);
		m[0] = i ? match_of(LF_CT_STATE, "related") : match_of(LF_CT_DIRECTION, "reply");
	}
}

static void flush_rule(struct lowering *w, const char *chain, enum pf_dir dir, const char *judge,
		       size_t ruleset, const struct pf_rule *r)
{
	const struct pf_table *t =
	    pf_find_table(w->pf, w->pf->ruleset[ruleset].path, r->state.overload);
	unsigned origin = r->state.flush == PF_FLUSH_RULE ? origin_of(w, ruleset, r) : 0;
	uint32_t value = origin << LOWER_ORIGIN_SHIFT;
	uint32_t mask = (uint32_t)LOWER_ORIGIN_MAX << LOWER_ORIGIN_SHIFT;
	struct lower_match m[2] = {[1] = match_of(LF_CT_MARK, match_mark(w, value, value, mask))};
	struct lower_step to = go(LD_GOTO, judge);

	for (int six = 0; six < 2 && t; six++) {
		struct str set autodone(str_done) = {0};

		lower_set_name(&set, t, 'd', six ? AF_INET6 : AF_INET);
		m[0] = match_of(LF_CT_SOURCE, lowering_text(w, "@%s", set.s));
		m[0].af = six ? AF_INET6 : AF_INET;
		if (lowering_once(w, lowering_text(w, "%s %s %u", chain, set.s, origin)))
			lowering_rule(w, chain, dir, m, origin ? 2 : 1, &to, 1);
	}
}

/* A source that exceeded its limit has lost its states: its packets are judged again. */
static void add_flushed(struct lowering *w, const char *chain, enum pf_dir dir, const char *judge)
{
	for (size_t i = 0; i < w->pf->nrulesets; i++)
		for (size_t k = 0; k < w->pf->ruleset[i].filter.n; k++) {
			const struct pf_rule *r = &w->pf->ruleset[i].filter.v[k];

			if (r->state.flush != PF_FLUSH_NONE && r->state.overload)
				flush_rule(w, chain, dir, judge, i, r);
		}
}

/* Near or far? NULL: there are no rules for it. */
static void add_pair(struct lowering *w, enum pf_dir dir, const char *chain, const char *near,
		     const char *far)
{
	struct lower_step to_near = go(near ? LD_GOTO : LD_ACCEPT, near);
	struct lower_step to_far = go(far ? LD_GOTO : LD_ACCEPT, far);

	if (dir == PF_IN) {
		add_rule(w, chain, PF_IN,
			 match_of(LF_DST_KIND, "{ local, broadcast, anycast, multicast }"),
			 to_near);
		add_rule(w, chain, PF_IN, match_of(LF_TO_PAIR, NULL), to_near);
		add_end(w, chain, PF_IN, to_far);
	} else { /* what the host sends itself came in nowhere, and is near */
		struct lower_match other = match_of(LF_FROM_PAIR, NULL);

		other.neg = true;
		add_rule(w, chain, PF_OUT, other, to_far);
		add_end(w, chain, PF_OUT, to_near);
	}
}

/* Of the filter's copy: what will leave from another address is not judged too early. */
static void add_natted(struct lowering *w, const char *chain)
{
	struct place p = {.w = w, .dir = PF_OUT, .returns = true, .prefix = "pf_natted"};

	if (lower_nat(&p, "pf_natted"))
		add_end(w, chain, PF_OUT, go(LD_JUMP, "pf_natted"));
}

static void add_judge(struct lowering *w, const struct stage *st, const char *judge,
		      const char *rules, const char *far)
{
	const char *pair = lowering_text(w, "%s_pair", st->name);
	struct lower_match dnat = match_of(LF_CT_STATUS, "dnat");
	struct place to_far = {.w = w, .dir = st->dir, .far = true};
	bool skipped;

	lowering_chain(w, judge, NULL);
	lowering_chain(w, pair, NULL);
	skip_pairs(&to_far, pair, &skipped);
	add_pair(w, st->dir, pair, skipped ? NULL : rules, far);
	if (st->returns)
		add_natted(w, judge);
	if (w->out->newgate && st->filter && st->dir == PF_IN) {
		/* What was to be redirected, but was not, is not newgate's to decide. */
		dnat.neg = true;
		add_rule(w, judge, PF_IN, dnat,
			 (struct lower_step){.what = LD_MARK, .a = 0, .b = LOWER_NEWGATE});
	}
	add_rule(w, judge, st->dir, match_of(LF_PAIR, NULL), go(LD_GOTO, pair));
	add_end(w, judge, st->dir, go(rules ? LD_GOTO : LD_ACCEPT, rules));
}

/* What is translated keeps a state, also where no rule of the filter is about it. */
static bool translates(const struct pf *pf)
{
	for (size_t i = 0; i < pf->nrulesets; i++)
		if (pf->ruleset[i].nat.n || pf->ruleset[i].binat.n || pf->ruleset[i].rdr.n)
			return true;
	return false;
}

/* Nothing of it is made where no rule is. */
static void lower_stage(struct lowering *w, const struct stage *st)
{
	const char *judge = lowering_text(w, "%s_judge", st->name);
	const char *rules = lowering_text(w, "%s_rules", st->name);
	const char *far_rules = lowering_text(w, "%s_far", st->name);
	struct place near = {.w = w,
			     .dir = st->dir,
			     .returns = st->returns,
			     .split = st->returns,
			     .prefix = st->name};
	struct place far = near;

	far.far = true;
	far.prefix = far_rules;
	bool any = st->rules(&near, rules), any_far = st->rules(&far, far_rules);
	bool keeps = st->filter && !st->returns && translates(w->pf);
	if (!any && keeps)
		rules = passing(&near, false);
	if (!any && !any_far && !keeps)
		return;
	add_judge(w, st, judge, any || keeps ? rules : NULL, any_far ? far_rules : NULL);
	for (size_t i = 0; i < ARRAY_SIZE(st->base) && st->base[i]; i++) {
		lowering_chain(w, st->base[i], st->hook[i]);
		skip_ifaces(&near, st->base[i]);
		if (st->filter) {
			add_flushed(w, st->base[i], st->dir, judge);
			add_states(w, st->base[i], st->dir);
		}
		add_end(w, st->base[i], st->dir, go(LD_GOTO, judge));
	}
}

/* What the host sends to itself goes out and in on lo0, where redirection comes too late: the
 * kernel has seen the connection by then. */
static void lower_rdr_lo(struct lowering *w)
{
	struct place p = {.w = w, .dir = PF_OUT, .local = true, .prefix = "pf_rdr_lo"};
	struct lower_match lo = match_of(LF_IFACE, "\"lo\"");

	lo.neg = true;
	if (!lower_rdr(&p, "pf_rdr_lo_rules"))
		return;
	lowering_chain(w, "pf_rdr_lo", "nat output -100");
	add_rule(w, "pf_rdr_lo", PF_OUT, lo, go(LD_ACCEPT, NULL));
	skip_ifaces(&p, "pf_rdr_lo");
	add_end(w, "pf_rdr_lo", PF_OUT, go(LD_GOTO, "pf_rdr_lo_rules"));
}

/* Where packets for 127.0.0.1 are taken from outside, only those that a rule redirected there. */
static void guard_loopback(struct lowering *w)
{
	struct lower_match m[] = {match_of(LF_IFACE, "\"lo\""), match_of(LF_DST, "127.0.0.0/8"),
				  match_of(LF_CT_STATUS, "dnat")};
	struct lower_step drop = go(LD_DROP, NULL);

	if (!w->out->localnet.n)
		return;
	m[0].neg = m[2].neg = true;
	m[1].af = AF_INET;
	lowering_chain(w, "pf_loopback", "filter prerouting -98");
	lowering_rule(w, "pf_loopback", PF_IN, m, 3, &drop, 1);
}

/* ---- the whole ---- */

static const struct stage stages[] = {
    {"pf_scrubin", {"pf_scrubin"}, {"filter prerouting -150"}, PF_IN, false, false, lower_scrub},
    {"pf_rdr", {"pf_rdr"}, {"nat prerouting -100"}, PF_IN, false, false, lower_rdr},
    {"pf_in", {"pf_in"}, {"filter prerouting -99"}, PF_IN, true, false, lower_filter},
    {"pf_scrubout",
     {"pf_scrubout"},
     {"filter postrouting -150"},
     PF_OUT,
     false,
     false,
     lower_scrub},
    {"pf_nat", {"pf_nat"}, {"nat postrouting 100"}, PF_OUT, false, false, lower_nat},
    {"pf_out", {"pf_out"}, {"filter postrouting 101"}, PF_OUT, true, false, lower_filter},
};
static const struct stage early = {"pf_early",
				   {"pf_early_fwd", "pf_early_out"},
				   {"filter forward 10", "filter output 10"},
				   PF_OUT,
				   true,
				   true,
				   lower_filter};

/* Their numbers are known before the first rule is lowered. */
static void number_tags(struct lowering *w)
{
	for (size_t i = 0; i < w->pf->nrulesets; i++) {
		const struct pf_ruleset *rs = &w->pf->ruleset[i];
		const struct pf_rules *all[] = {&rs->nat, &rs->binat, &rs->rdr, &rs->filter};

		for (size_t s = 0; s < ARRAY_SIZE(all); s++)
			for (size_t k = 0; k < all[s]->n; k++) {
				if (all[s]->v[k].tag)
					lowering_tag(w, all[s]->v[k].tag);
				if (all[s]->v[k].tagged)
					lowering_tag(w, all[s]->v[k].tagged);
			}
	}
}

/* The filter's copy would set its tags before nat and the filter itself ask for them. */
static bool tags_outwards(struct lowering *w)
{
	for (size_t i = 0; i < w->pf->nrulesets; i++)
		for (size_t k = 0; k < w->pf->ruleset[i].filter.n; k++) {
			const struct pf_rule *r = &w->pf->ruleset[i].filter.v[k];

			if (!r->tag || r->dir == PF_IN)
				continue;
			diag_warn_once(
			    w->d, r->pos,
			    "where outgoing packets get a tag, those that are blocked are "
			    "dropped in silence, not refused");
			return true;
		}
	return false;
}

static void find_jails(struct lowering *w)
{
	for (size_t i = 0; i < w->host->n; i++)
		if (w->host->iface[i].jails) {
			w->jails = mem_grow(w->jails, w->njails, sizeof(*w->jails));
			w->jails[w->njails++] = &w->host->iface[i];
		}
}

void pf_lower(struct lower *l, const struct pf *pf, const struct pf_host *host, struct diags *d)
{
	struct names chains = {0}, shared = {0}, once = {0};
	struct lowering w = {.out = l,
			     .pf = pf,
			     .host = host,
			     .d = d,
			     .chains = &chains,
			     .shared = &shared,
			     .once = &once};

	l->newgate = pf_names_newgate(pf);
	number_tags(&w);
	find_jails(&w);
	lower_advice(&w);
	for (size_t i = 0; i < pf->ntables; i++)
		lower_table(&w, &pf->table[i]);
	for (size_t i = 0; i < ARRAY_SIZE(stages) && pf->nrulesets; i++)
		lower_stage(&w, &stages[i]);
	if (pf->nrulesets && filter_returns(pf) && !tags_outwards(&w))
		lower_stage(&w, &early);
	if (pf->nrulesets)
		lower_rdr_lo(&w);
	guard_loopback(&w);
	free(chains.slot);
	free(shared.slot);
	free(once.slot);
	free(w.jails);
	free(w.decision);
	strv_done(&w.tags);
}
