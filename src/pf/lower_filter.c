/* The filter: block, pass, match and their anchors. */
#include "pf/lower_steps.h"

/* ---- newgate/… ---- */

static struct lower_match of_newgate(const struct place *p)
{
	return match_of(LF_MARK, match_mark(p->w, LOWER_NEWGATE, LOWER_NEWGATE, LOWER_NEWGATE));
}

/* The anchor as rules: conditions of its line, and more. */
struct granted {
	struct lower_match more;
	bool mark; /* what passes is to be decided by the chains of jail.conf */
};

static size_t newgate_grants(const struct place *p, struct granted *g)
{
	if (p->dir == PF_OUT) { /* it was decided on its way here */
		g[0] = (struct granted){.more = of_newgate(p)};
		return !p->far;
	}
	g[0] = (struct granted){.more = match_of(LF_PAIR, NULL), .mark = true};
	g[1] = (struct granted){.more = of_newgate(p)};
	return p->far ? 1 : 2;
}

/* It passes as by `pass … keep state`. */
static struct pf_rule newgate_rule(const struct pf_rule *anchor)
{
	struct pf_rule r = *anchor;

	r.flags_set = r.flags_implied = true;
	r.flags = 0x02;
	r.flags_of = 0x12;
	return r;
}

static const char *newgate_keeping(const struct place *p, bool mark)
{
	const char *to = keeping(p, 0, false);
	const char *name = lowering_text(p->w, "pf_newgate_%s%s", side(p), mark ? "" : "_open");

	if (lowering_chain(p->w, name, NULL)) {
		refuse_middle(p, name);
		if (mark)
			chain_rule(p, name, NULL, 0,
				   (struct lower_step){
				       .what = LD_MARK, .a = LOWER_NEWGATE, .b = LOWER_NEWGATE});
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_GOTO, .arg = to});
	}
	return name;
}

/* What is open at a jail's own address gets the mark as a redirect has it. */
static void ask_opened(const struct place *p, const struct pf_rule *r, struct items *v)
{
	struct steps s = {0};
	struct item *it;

	if (p->dir != PF_IN || p->far)
		return;
	to_chain(&s, LD_JUMP, "opened");
	it = item_add(v, p->w, &s, NULL);
	match_rule(p, r, &it->alts);
}

static struct steps newgate_steps(const struct place *p, const struct granted *g)
{
	struct steps s = {0};

	if (p->returns)
		step(&s, (struct lower_step){.what = LD_ACCEPT});
	else
		to_chain(&s, LD_JUMP, newgate_keeping(p, g->mark));
	return s;
}

/* ---- first match: the quick rules in order, the others reversed ---- */

static bool is_here(const struct place *p, const struct pf_rule *r)
{
	return r->dir == PF_INOUT || r->dir == p->dir;
}

static const char *part_chain(const struct place *p, const struct pf_ruleset *rs, bool quick);

static struct place inside(const struct place *p, const struct pf_ruleset *rs)
{
	struct place in = *p;

	in.ruleset = (size_t)(rs - p->w->pf->ruleset);
	return in;
}

static void jump_to(const struct place *p, const struct pf_rule *r, const char *chain,
		    struct items *v)
{
	struct steps s = {0};
	struct item *it;

	if (!chain)
		return;
	to_chain(&s, LD_JUMP, chain);
	it = item_add(v, p->w, &s, NULL);
	match_rule(p, r, &it->alts);
}

static void anchor_part(const struct place *p, const struct pf_rule *r, bool quick, struct items *v)
{
	struct lowering *w = p->w;
	bool both = r->quick && quick;
	struct granted g[2];
	struct pf_rule rule = newgate_rule(r);

	/* Of several rulesets the last one is the first to be asked among what is reversed. */
	for (size_t k = 0; k < w->pf->nrulesets; k++) {
		const struct pf_ruleset *rs = &w->pf->ruleset[quick ? k : w->pf->nrulesets - 1 - k];
		struct place in = inside(p, rs);

		if (pf_anchor_matches(r->anchor, rs->path) && (quick || !r->quick))
			jump_to(p, r, part_chain(&in, rs, quick), v);
	}
	for (size_t k = w->pf->nrulesets; k-- > 0 && both;) {
		struct place in = inside(p, &w->pf->ruleset[k]);

		if (pf_anchor_matches(r->anchor, w->pf->ruleset[k].path))
			jump_to(p, r, part_chain(&in, &w->pf->ruleset[k], false), v);
	}
	if (!pf_is_newgate(r->anchor) || quick != r->quick)
		return;
	ask_opened(p, r, v);
	for (size_t k = 0, n = newgate_grants(p, g); k < n; k++) {
		struct steps s = newgate_steps(p, &g[k]);
		struct item *it = item_add(v, w, &s, rule_id(p, r));

		match_rule(p, &rule, &it->alts);
		alts_all(&it->alts, g[k].more);
	}
}

static void collect(const struct place *p, const struct pf_ruleset *rs, bool quick, struct items *v)
{
	for (size_t k = 0; k < rs->filter.n; k++) {
		const struct pf_rule *r = &rs->filter.v[quick ? k : rs->filter.n - 1 - k];

		if (!is_here(p, r) || r->action == PF_MATCH)
			continue;
		if (r->action == PF_ANCHOR) {
			anchor_part(p, r, quick, v);
		} else if (r->quick == quick) {
			struct alts alts;

			match_rule(p, r, &alts);
			if (alts.n) {
				struct steps s = rule_steps(p, r);

				item_add(v, p->w, &s, rule_id(p, r))->alts = alts;
			}
		}
	}
}

/* The chain of an anchor's part, or NULL where it is empty. */
static const char *part_chain(const struct place *p, const struct pf_ruleset *rs, bool quick)
{
	const char *name =
	    lowering_text(p->w, "%s_%c%zu", p->prefix, quick ? 'q' : 'l', p->ruleset);
	struct items v autodone(items_done) = {0};

	if (lowering_has(p->w, name) || !lowering_once(p->w, name))
		return lowering_has(p->w, name) ? name : NULL;
	collect(p, rs, quick, &v);
	if (!v.n)
		return NULL;
	lowering_chain(p->w, name, NULL);
	emit_items(p->w, name, p->dir, &v);
	return name;
}

/* ---- in their order: where tags are set, or match does something ---- */

static struct lower_match decided(const struct place *p, size_t first, size_t last)
{
	unsigned shift = LOWER_MARK_SHIFT + lowering_tag_bits(p->w);
	uint32_t mask = (LOWER_NEWGATE - 1) & ~((1u << shift) - 1);

	return match_of(LF_MARK,
			match_mark(p->w, (uint32_t)first << shift, (uint32_t)last << shift, mask));
}

static void decide(const struct place *p, size_t number, struct steps *s)
{
	unsigned shift = LOWER_MARK_SHIFT + lowering_tag_bits(p->w);
	uint32_t mask = (LOWER_NEWGATE - 1) & ~((1u << shift) - 1);

	step(s, (struct lower_step){.what = LD_MARK, .a = (uint32_t)number << shift, .b = mask});
}

static size_t decision_add(struct lowering *w, const struct steps *s, const char *id)
{
	w->decision = mem_grow(w->decision, w->ndecisions, sizeof(*w->decision));
	w->decision[w->ndecisions++] =
	    (struct decision){lowering_copy(w, s->v, s->n * sizeof(s->v[0])), s->n, id};
	return w->ndecisions;
}

static const char *end_chain(const struct place *p)
{
	return lowering_text(p->w, "%s_end", p->prefix);
}

static void set_tag(const struct place *p, const struct pf_rule *r, struct steps *s)
{
	if (r->tag)
		step(s, (struct lower_step){.what = LD_MARK,
					    .a = lowering_tag(p->w, r->tag) << LOWER_MARK_SHIFT,
					    .b = ((1u << lowering_tag_bits(p->w)) - 1)
						 << LOWER_MARK_SHIFT});
}

static const char *ordered_chain(const struct place *p, const struct pf_ruleset *rs);

static void ordered_newgate(const struct place *p, const struct pf_rule *r, struct items *v)
{
	struct pf_rule rule = newgate_rule(r);
	struct granted g[2];

	ask_opened(p, r, v);
	for (size_t k = 0, n = newgate_grants(p, g); k < n; k++) {
		struct steps does = newgate_steps(p, &g[k]), s = {0};
		struct item *it;

		decide(p, decision_add(p->w, &does, rule_id(p, r)), &s);
		it = item_add(v, p->w, &s, NULL);
		match_rule(p, &rule, &it->alts);
		alts_all(&it->alts, g[k].more);
	}
}

static void ordered_anchor(const struct place *p, const struct pf_rule *r, struct items *v)
{
	struct lowering *w = p->w;
	size_t before = w->ndecisions;

	if (pf_is_newgate(r->anchor))
		ordered_newgate(p, r, v);
	for (size_t k = 0; k < w->pf->nrulesets; k++) {
		struct place in = inside(p, &w->pf->ruleset[k]);

		if (pf_anchor_matches(r->anchor, w->pf->ruleset[k].path))
			jump_to(p, r, ordered_chain(&in, &w->pf->ruleset[k]), v);
	}
	/* What was noted last was noted here: then something in it matched. */
	if (r->quick && w->ndecisions > before) {
		struct steps s = {0};
		struct item *it;

		to_chain(&s, LD_GOTO, end_chain(p));
		it = item_add(v, w, &s, NULL);
		match_rule(p, r, &it->alts);
		alts_all(&it->alts, decided(p, before + 1, w->ndecisions));
	}
}

static void ordered_rule(const struct place *p, const struct pf_rule *r, struct items *v)
{
	struct alts alts;
	struct steps s = {0};

	match_rule(p, r, &alts);
	if (!alts.n)
		return;
	set_tag(p, r, &s);
	if (r->action == PF_MATCH) {
		if (r->log && !p->returns)
			do_log(p, r, &s);
	} else {
		struct steps does = rule_steps(p, r);

		decide(p, decision_add(p->w, &does, rule_id(p, r)), &s);
		if (r->quick)
			to_chain(&s, LD_GOTO, end_chain(p));
	}
	item_add(v, p->w, &s, r->action == PF_MATCH ? rule_id(p, r) : NULL)->alts = alts;
}

static void ordered(const struct place *p, const struct pf_ruleset *rs, struct items *v)
{
	for (size_t k = 0; k < rs->filter.n; k++) {
		const struct pf_rule *r = &rs->filter.v[k];

		if (is_here(p, r) && r->action == PF_ANCHOR)
			ordered_anchor(p, r, v);
		else if (is_here(p, r))
			ordered_rule(p, r, v);
	}
}

static const char *ordered_chain(const struct place *p, const struct pf_ruleset *rs)
{
	const char *name = lowering_text(p->w, "%s_a%zu", p->prefix, p->ruleset);
	struct items v autodone(items_done) = {0};

	ordered(p, rs, &v);
	if (!v.n)
		return NULL;
	/* What is noted is told apart by where: an anchor in two places is two chains. */
	while (!lowering_chain(p->w, name, NULL))
		name = lowering_text(p->w, "%s_%zu", name, p->w->ndecisions);
	emit_items(p->w, name, p->dir, &v);
	return name;
}

/* Does what was noted: one look-up. */
static void emit_end(const struct place *p)
{
	struct lowering *w = p->w;
	struct items v autodone(items_done) = {0};
	struct steps clear = {0};
	const char *chain = end_chain(p);

	decide(p, 0, &clear);
	for (size_t i = 0; i < w->ndecisions; i++) {
		struct steps s = clear;
		struct lower_match m = decided(p, i + 1, i + 1);
		struct alts alts = {.v = mem_alloc(sizeof(struct alt)), .n = 1};
		uint32_t number = (uint32_t)i + 1;

		for (size_t k = 0; k < w->decision[i].nsteps; k++)
			step(&s, w->decision[i].step[k]);
		m.key = true;
		memcpy(m.lo, &number, sizeof(number));
		memcpy(m.hi, &number, sizeof(number));
		alts.v[0].m[alts.v[0].n++] = m;
		item_add(&v, w, &s, w->decision[i].id)->alts = alts;
	}
	lowering_chain(w, chain, NULL);
	emit_items(w, chain, p->dir, &v);
}

static bool lower_ordered(struct place *p, const char *chain)
{
	struct items v autodone(items_done) = {0};
	struct steps clear = {0};
	struct lowering *w = p->w;
	unsigned bits = LOWER_MARK_BITS - lowering_tag_bits(w);

	w->ndecisions = 0;
	p->split = true;
	ordered(p, &w->pf->ruleset[0], &v);
	if (!v.n)
		return false;
	if (lowering_tag_bits(w) >= LOWER_MARK_BITS || w->ndecisions >> bits)
		diag_error(w->d, (struct pos){0},
			   "too many rules (%zu) beside tags (%zu): a packet's mark has room for "
			   "%u rules",
			   w->ndecisions, w->tags.n, (1u << bits) - 1);
	decide(p, 0, &clear);
	lowering_chain(w, chain, NULL);
	chain_rule(p, chain, NULL, 0, clear.v[0]);
	emit_items(w, chain, p->dir, &v);
	chain_rule(p, chain, NULL, 0, (struct lower_step){.what = LD_GOTO, .arg = end_chain(p)});
	emit_end(p);
	chain_rule(p, end_chain(p), NULL, 0,
		   p->returns ? (struct lower_step){.what = LD_ACCEPT}
			      : (struct lower_step){.what = LD_GOTO, .arg = passing(p, false)});
	return true;
}

/* ---- the whole ---- */

static bool needs_order(const struct place *p)
{
	const struct pf *pf = p->w->pf;

	for (size_t i = 0; i < pf->nrulesets; i++)
		for (size_t k = 0; k < pf->ruleset[i].filter.n; k++) {
			const struct pf_rule *r = &pf->ruleset[i].filter.v[k];

			if (is_here(p, r) &&
			    (r->tag || (r->action == PF_MATCH && (r->log || r->label))))
				return true;
		}
	return false;
}

bool filter_returns(const struct pf *pf)
{
	for (size_t i = 0; i < pf->nrulesets; i++)
		for (size_t k = 0; k < pf->ruleset[i].filter.n; k++)
			if (pf->ruleset[i].filter.v[k].dir != PF_IN &&
			    is_return(pf, &pf->ruleset[i].filter.v[k]))
				return true;
	return false;
}

bool lower_filter(struct place *p, const char *chain)
{
	const struct pf_ruleset *rs = &p->w->pf->ruleset[0];
	struct items v autodone(items_done) = {0};

	if (needs_order(p))
		return lower_ordered(p, chain);
	collect(p, rs, true, &v);
	collect(p, rs, false, &v);
	if (!v.n)
		return false;
	lowering_chain(p->w, chain, NULL);
	emit_items(p->w, chain, p->dir, &v);
	chain_rule(p, chain, NULL, 0,
		   p->returns ? (struct lower_step){.what = LD_ACCEPT}
			      : (struct lower_step){.what = LD_GOTO, .arg = passing(p, false)});
	return true;
}
