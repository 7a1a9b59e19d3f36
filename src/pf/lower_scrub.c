/* scrub, and match … scrub (…): what is put right in packets. */
#include <netinet/in.h>

#include "pf/lower_steps.h"

static void warn_scrub(struct lowering *w, const struct pf_rule *r)
{
	if (r->scrub.random_id)
		diag_warn_once(w->d, r->pos,
			       "random-id has no effect: Linux chooses its own "
			       "packets' numbers by chance, and leaves those of others alone");
	if (r->scrub.reassemble_tcp)
		diag_warn_once(w->d, r->pos, "reassemble tcp has no effect");
}

static void scrub_steps(const struct pf_rule *r, int af, struct steps *s)
{
	if (r->scrub.no_df && af == AF_INET)
		step(s, (struct lower_step){.what = LD_NO_DF});
	if (r->scrub.min_ttl)
		step(s, (struct lower_step){.what = LD_MIN_TTL, .af = af, .a = r->scrub.min_ttl});
	if (r->scrub.set_tos >= 0)
		step(s, (struct lower_step){
			    .what = LD_SET_TOS, .af = af, .a = (uint32_t)r->scrub.set_tos});
	if (r->scrub.max_mss)
		step(s, (struct lower_step){.what = LD_MAX_MSS, .a = r->scrub.max_mss});
}

static bool changes(const struct pf_rule *r)
{
	return r->scrub.no_df || r->scrub.min_ttl || r->scrub.set_tos >= 0 || r->scrub.max_mss;
}

/* A chain for what the rule does: each step has a condition of its own, so each is a rule. */
static const char *scrubbing(const struct place *p, const struct pf_rule *r, char section,
			     bool ends)
{
	const char *name =
	    lowering_text(p->w, "%s_%c%zu.%u", p->prefix, section, p->ruleset, r->nr);

	if (!lowering_chain(p->w, name, NULL))
		return name;
	for (int six = 0; six < 2; six++) {
		int af = six ? AF_INET6 : AF_INET;
		struct lower_match family = match_of(LF_FAMILY, six ? "ipv6" : "ipv4");
		struct steps s = {0};

		if (!r->af || r->af == af)
			scrub_steps(r, af, &s);
		for (size_t i = 0; i < s.n; i++)
			chain_rule(p, name, &family, 1, s.v[i]);
	}
	if (ends)
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_ACCEPT});
	return name;
}

static void add(const struct place *p, const struct pf_rule *r, char section, struct items *v)
{
	struct steps s = {0};
	struct item *it;

	if (r->dir != PF_INOUT && r->dir != p->dir)
		return;
	warn_scrub(p->w, r);
	if (r->action == PF_NO_SCRUB || (section == 's' && !changes(r)))
		step(&s, (struct lower_step){.what = LD_ACCEPT});
	else if (!changes(r))
		return;
	else
		to_chain(&s, LD_JUMP, scrubbing(p, r, section, section == 's'));
	it = item_add(v, p->w, &s, lowering_text(p->w, "%zu.%c.%u", p->ruleset, section, r->nr));
	match_rule(p, r, &it->alts);
}

bool lower_scrub(struct place *p, const char *chain)
{
	const struct pf_ruleset *rs = &p->w->pf->ruleset[0];
	struct items v autodone(items_done) = {0};
	bool any = false;

	for (size_t i = 0; i < rs->filter.n; i++)
		if (rs->filter.v[i].action == PF_MATCH && changes(&rs->filter.v[i]))
			add(p, &rs->filter.v[i], 'f', &v);
	any = v.n > 0;
	for (size_t i = 0; i < rs->scrub.n; i++) {
		if (rs->scrub.v[i].action != PF_ANCHOR)
			add(p, &rs->scrub.v[i], 's', &v);
		any = any || changes(&rs->scrub.v[i]);
	}
	for (size_t i = 0; i < v.n && any; i++)
		if (v.v[i].alts.n) {
			lowering_chain(p->w, chain, NULL);
			emit_items(p->w, chain, p->dir, &v);
			return true;
		}
	return false;
}
