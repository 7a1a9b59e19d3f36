#include "pf/pf.h"

#include <string.h>

#include "pf/parse.h"

/* ---- the containers ---- */

void *pf_grow(struct arena *a, void *v, size_t n, size_t size)
{
	size_t cap = 8;

	if (v && (n < cap || (n & (n - 1))))
		return v;
	while (cap <= n)
		cap *= 2;
	void *bigger = arena_alloc(a, cap * size);
	if (n)
		memcpy(bigger, v, n * size);
	return bigger;
}

struct pf_ruleset *pf_ruleset_at(struct pf *pf, const char *path)
{
	struct pf_ruleset *rs = (struct pf_ruleset *)pf_find_ruleset(pf, path);
	if (rs)
		return rs;
	pf->ruleset = pf_grow(&pf->arena, pf->ruleset, pf->nrulesets, sizeof(*pf->ruleset));
	rs = &pf->ruleset[pf->nrulesets++];
	*rs = (struct pf_ruleset){.path = arena_strndup(&pf->arena, path, strlen(path))};
	return rs;
}

struct pf_rules *pf_rules_of(struct pf_ruleset *rs, enum where where)
{
	switch (where) {
	case IN_SCRUB:
		return &rs->scrub;
	case IN_NAT:
		return &rs->nat;
	case IN_BINAT:
		return &rs->binat;
	case IN_RDR:
		return &rs->rdr;
	case IN_FILTER:
		break;
	}
	return &rs->filter;
}

void pf_done(struct pf *pf)
{
	arena_done(&pf->arena);
	str_done(&pf->options.text);
	strv_done(&pf->files);
	*pf = (struct pf){0};
}

/* ---- reading ---- */

#define LOADS_MAX 1000 /* an anchor's file can load others */

static void define(struct parser *p)
{
	for (const char *const *d = p->r->define; d && *d; d++) {
		const char *equals = strchr(*d, '=');
		struct pos nowhere = {.file = "-D"};
		if (!equals || equals == *d) {
			(void)p_fault(p, nowhere, "%s: macro=value was expected", *d);
			continue;
		}
		char *name = arena_strndup(&p->pf->arena, *d, (size_t)(equals - *d));
		pf_macros_set(&p->macros, &p->pf->arena, name, equals + 1, true);
	}
}

static unsigned last_source(const struct pf *pf)
{
	unsigned last = 0;
	for (size_t i = 0; i < pf->nrulesets; i++) {
		const struct pf_ruleset *rs = &pf->ruleset[i];
		const struct pf_rules *all[] = {&rs->scrub, &rs->nat, &rs->binat, &rs->rdr,
						&rs->filter};
		for (size_t k = 0; k < ARRAY_SIZE(all); k++)
			for (size_t n = 0; n < all[k]->n; n++)
				if (all[k]->v[n].source > last)
					last = all[k]->v[n].source;
	}
	return last;
}

/* One text with what it includes. What it loads is added to p->load. */
static void read_text(struct parser *p, const char *path, const char *name, const char *text,
		      size_t len)
{
	struct tokens tokens;

	define(p);
	p->path = path;
	p->section = SECTION_NONE;
	p->defaults = NULL;
	pf_ruleset_at(p->pf, path);
	pf_tokens_init(&tokens, &p->pf->arena, p->d, &p->macros, name, text, len);
	p->tok = &tokens;
	p_next(p);
	parse_statements(p, false);
	pf_tokens_done(&tokens);
	pf_macros_done(&p->macros);
}

static void load_anchor(struct parser *p, struct load l)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = p->r->read ? p->r->read(p->r->arg, l.file, &text, &len) : -ENOENT;

	if (r < 0) {
		(void)p_fault(p, l.pos, "load anchor: cannot open %s: %s", l.file, strerror(-r));
		return;
	}
	strv_add(&p->pf->files, l.file);
	read_text(p, l.path, l.file, text, len);
}

void pf_read(struct pf *pf, const struct pf_reader *r, const char *name, const char *text,
	     size_t len, struct diags *d)
{
	struct parser p = {.pf = pf, .r = r, .d = d, .source = last_source(pf)};
	const char *path = r->anchor ? r->anchor : "";

	if (!pf->nrulesets) {
		pf->options.require_order = true;
		pf_ruleset_at(pf, "");
	}
	read_text(&p, arena_strndup(&pf->arena, path, strlen(path)),
		  arena_strndup(&pf->arena, name, strlen(name)), text, len);
	for (size_t i = 0; i < p.nloads; i++) {
		if (i == LOADS_MAX) {
			(void)p_fault(&p, p.load[i].pos,
				      "load anchor: more than %u files; does one "
				      "load itself?",
				      LOADS_MAX);
			break;
		}
		load_anchor(&p, p.load[i]);
	}
	free(p.load);
}
