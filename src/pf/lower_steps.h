/* Of lower_steps.c, for the filter and translation. */
#ifndef NG_PF_LOWER_STEPS_H
#define NG_PF_LOWER_STEPS_H

#include "pf/lowering.h"

struct steps {
	struct lower_step v[24];
	size_t n;
};
void step(struct steps *s, struct lower_step one);
void to_chain(struct steps *s, enum lower_do what, const char *chain); /* LD_GOTO, LD_JUMP */
void chain_rule(const struct place *p, const char *chain, const struct lower_match *m, size_t nm,
		struct lower_step s);
const char *side(const struct place *p); /* "in", "out" */
struct item *item_add(struct items *v, struct lowering *w, const struct steps *s, const char *id);

/* Chains, made where they are missing: pass with a state, and without one. */
const char *keeping(const struct place *p, unsigned origin, bool allow_opts);
const char *passing(const struct place *p, bool allow_opts);
/* Adds: TCP that does not begin a connection returns. */
void refuse_middle(const struct place *p, const char *chain);

/* The number of what makes the rule's states known, or 0. */
unsigned origin_of(struct lowering *w, size_t ruleset, const struct pf_rule *r);
/* Is it a block that answers? */
bool is_return(const struct pf *pf, const struct pf_rule *r);
void do_log(const struct place *p, const struct pf_rule *r, struct steps *s);
/* What a block or pass rule does where it decides. */
struct steps rule_steps(const struct place *p, const struct pf_rule *r);
const char *rule_id(const struct place *p, const struct pf_rule *r); /* NULL: not counted here */

#endif
