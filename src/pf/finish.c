/* After the last text: anchors and tables that are only named, labels. */
#include <string.h>

#include "pf/names.h"
#include "pf/parse.h"

/* ---- tables ---- */

/* Marks what the rule means by the name, or makes an empty one. */
static void refer(struct pf *pf, const char *anchor, const char *name, struct pos at,
		  struct diags *d)
{
	struct pf_table *t = (struct pf_table *)pf_find_table(pf, anchor, name);
	if (t) {
		t->referenced = true;
		return;
	}
	const char **names = mem_resize(NULL, pf->ntables + 1, sizeof(*names));
	for (size_t i = 0; i < pf->ntables; i++)
		names[i] = pf->table[i].name;
	const char *near = str_nearest(name, names, pf->ntables);
	diag_warn(d, at, "table <%s> is defined nowhere: it is empty%s%s%s", name,
		  near ? " (did you mean <" : "", near ? near : "", near ? ">?)" : "");
	free(names);
	pf->table = pf_grow(&pf->arena, pf->table, pf->ntables, sizeof(*pf->table));
	pf->table[pf->ntables++] =
	    (struct pf_table){.name = name, .anchor = "", .pos = at, .referenced = true};
}

static void refer_rule(struct pf *pf, const char *anchor, const struct pf_rule *r, struct diags *d)
{
	if (r->src.addr.type == PF_ADDR_TABLE)
		refer(pf, anchor, r->src.addr.name, r->pos, d);
	if (r->dst.addr.type == PF_ADDR_TABLE)
		refer(pf, anchor, r->dst.addr.name, r->pos, d);
	if (r->state.overload)
		refer(pf, anchor, r->state.overload, r->pos, d);
	for (size_t i = 0; i < r->pool.n; i++)
		if (r->pool.addr[i].type == PF_ADDR_TABLE)
			refer(pf, anchor, r->pool.addr[i].name, r->pos, d);
}

static int by_name(const void *a, const void *b)
{
	const struct pf_table *x = a, *y = b;
	int anchor = strcmp(x->anchor, y->anchor);
	return anchor ? anchor : strcmp(x->name, y->name);
}

/* ---- labels: $if, $srcaddr and so on ---- */

static void add_side(struct str *out, const struct pf_side *s, int af)
{
	if (s->addr.neg)
		str_add(out, "! ");
	struct pf_addr plain = s->addr;
	plain.neg = false;
	pf_print_addr(out, &plain, af);
}

static void add_port(struct str *out, const struct pf_range *r)
{
	static const char *const before[] = {"", "", "!=", "<", "<=", ">", ">=", "", "", ""};
	static const char *const between[] = {"", "", "", "", "", "", "", ":", "><", "<>"};
	if (r->op == PF_OP_ANY)
		return;
	str_addf(out, "%s%u", before[r->op], r->a);
	if (*between[r->op])
		str_addf(out, "%s%u", between[r->op], r->b);
}

static void add_proto(struct str *out, uint8_t proto)
{
	const char *name = proto_name(proto);
	if (name)
		str_add(out, name);
	else
		str_addf(out, "%u", proto);
}

static bool add_macro(struct str *out, const char *name, size_t n, const struct pf_rule *r)
{
	if (n == 2 && strncmp(name, "if", n) == 0)
		str_add(out, r->ifname ? r->ifname : "any");
	else if (n == 2 && strncmp(name, "nr", n) == 0)
		str_addf(out, "%u", r->nr);
	else if (n == 7 && strncmp(name, "srcaddr", n) == 0)
		add_side(out, &r->src, r->af);
	else if (n == 7 && strncmp(name, "dstaddr", n) == 0)
		add_side(out, &r->dst, r->af);
	else if (n == 7 && strncmp(name, "srcport", n) == 0)
		add_port(out, &r->src.port);
	else if (n == 7 && strncmp(name, "dstport", n) == 0)
		add_port(out, &r->dst.port);
	else if (n == 5 && strncmp(name, "proto", n) == 0)
		add_proto(out, r->proto);
	else
		return false;
	return true;
}

static const char *expand_text(struct pf *pf, const char *text, const struct pf_rule *r,
			       const char *what, struct diags *d)
{
	static const char *const known[] = {"if",      "nr",      "srcaddr", "dstaddr",
					    "srcport", "dstport", "proto"};
	autodone(str_done) struct str out = {0};

	if (!text || !strchr(text, '$'))
		return text;
	for (const char *c = text; *c; c++) {
		size_t i = 0;
		while (*c == '$' && i < ARRAY_SIZE(known) && !str_prefix(c + 1, known[i]))
			i++;
		if (*c != '$' || i == ARRAY_SIZE(known)) {
			str_addc(&out, *c);
			continue;
		}
		add_macro(&out, known[i], strlen(known[i]), r);
		c += strlen(known[i]);
	}
	if (out.len > PF_NAME_MAX)
		diag_error(d, r->pos, "%s too long, max %u chars: \"%s\"", what, PF_NAME_MAX,
			   str_text(&out));
	return arena_strndup(&pf->arena, str_text(&out), out.len);
}

/* ---- all rules ---- */

static void finish_rule(struct pf *pf, const char *path, struct pf_rule *r, struct diags *d)
{
	refer_rule(pf, path, r, d);
	r->label = expand_text(pf, r->label, r, "rule label", d);
	r->tag = expand_text(pf, r->tag, r, "tag", d);
	r->tagged = expand_text(pf, r->tagged, r, "tag", d);
	if (r->anchor && !strchr(r->anchor, '*'))
		pf_ruleset_at(pf, r->anchor);
}

static int by_path(const void *a, const void *b)
{
	const struct pf_ruleset *x = a, *y = b;
	return strcmp(x->path, y->path);
}

void pf_finish(struct pf *pf, const struct pf_reader *r UNUSED, struct diags *d)
{
	/* Anchors that are only named are added behind as it goes. */
	for (size_t i = 0; i < pf->nrulesets; i++)
		for (unsigned where = IN_FILTER; where <= IN_RDR; where++)
			for (size_t n = 0;; n++) {
				struct pf_rules *rules = pf_rules_of(&pf->ruleset[i], where);
				if (n >= rules->n)
					break;
				finish_rule(pf, pf->ruleset[i].path, &rules->v[n], d);
			}
	if (pf->ntables)
		qsort(pf->table, pf->ntables, sizeof(*pf->table), by_name);
	if (pf->nrulesets)
		qsort(pf->ruleset, pf->nrulesets, sizeof(*pf->ruleset), by_path);
	pf_check_nesting(pf, d);
}
