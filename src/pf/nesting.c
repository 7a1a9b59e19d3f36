/* Anchors within anchors: none may contain itself, and there is a limit to how deep they may be. */
#include "pf/parse.h"

enum { DEPTH_MAX = 8 }; /* of what the kernel jumps to from chain to chain */

struct nesting {
	const struct pf *pf;
	struct diags *d;
	struct {
		bool open, done;
		unsigned depth; /* of what is within it */
	} * of;
};

static unsigned walk(struct nesting *n, size_t i);

static unsigned enter(struct nesting *n, const struct pf_rule *r)
{
	unsigned deepest = 0;

	for (size_t k = 0; k < n->pf->nrulesets; k++) {
		if (!pf_anchor_matches(r->anchor, n->pf->ruleset[k].path))
			continue;
		if (n->of[k].open) {
			diag_error(n->d, r->pos, "anchor \"%s\" contains itself", r->anchor);
			continue;
		}
		unsigned depth = 1 + walk(n, k);
		deepest = depth > deepest ? depth : deepest;
		if (depth == DEPTH_MAX + 1)
			diag_error(n->d, r->pos,
				   "anchors are nested deeper than %d levels: nftables cannot "
				   "follow",
				   DEPTH_MAX);
	}
	return deepest;
}

static unsigned walk(struct nesting *n, size_t i)
{
	const struct pf_ruleset *rs = &n->pf->ruleset[i];
	const struct pf_rules *all[] = {&rs->scrub, &rs->nat, &rs->binat, &rs->rdr, &rs->filter};
	unsigned deepest = 0;

	if (n->of[i].done)
		return n->of[i].depth;
	n->of[i].open = true;
	for (size_t s = 0; s < ARRAY_SIZE(all); s++)
		for (size_t k = 0; k < all[s]->n; k++) {
			const struct pf_rule *r = &all[s]->v[k];
			unsigned depth = r->action == PF_ANCHOR ? enter(n, r) : 0;

			deepest = depth > deepest ? depth : deepest;
		}
	n->of[i].open = false;
	n->of[i].done = true;
	n->of[i].depth = deepest;
	return deepest;
}

void pf_check_nesting(const struct pf *pf, struct diags *d)
{
	struct nesting n = {.pf = pf, .d = d};

	n.of = mem_alloc((pf->nrulesets + 1) * sizeof(*n.of));
	for (size_t i = 0; i < pf->nrulesets; i++)
		(void)walk(&n, i);
	free(n.of);
}
