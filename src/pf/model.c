/* What reader, printer, evaluator and compiler all ask of a ruleset. */
#include <ctype.h>

#include "pf/pf.h"

bool pf_op_has(const struct pf_range *r, uint32_t value)
{
	switch (r->op) {
	case PF_OP_ANY:
		return true;
	case PF_OP_EQ:
		return value == r->a;
	case PF_OP_NE:
		return value != r->a;
	case PF_OP_LT:
		return value < r->a;
	case PF_OP_LE:
		return value <= r->a;
	case PF_OP_GT:
		return value > r->a;
	case PF_OP_GE:
		return value >= r->a;
	case PF_OP_RANGE:
		return value >= r->a && value <= r->b;
	case PF_OP_INSIDE:
		return value > r->a && value < r->b;
	case PF_OP_OUTSIDE:
		return value < r->a || value > r->b;
	}
	return false;
}

const struct pf_ruleset *pf_find_ruleset(const struct pf *pf, const char *path)
{
	for (size_t i = 0; i < pf->nrulesets; i++)
		if (str_eq(pf->ruleset[i].path, path))
			return &pf->ruleset[i];
	return NULL;
}

static const struct pf_table *find_table(const struct pf *pf, const char *anchor, const char *name)
{
	for (size_t i = 0; i < pf->ntables; i++)
		if (str_eq(pf->table[i].name, name) && str_eq(pf->table[i].anchor, anchor))
			return &pf->table[i];
	return NULL;
}

const struct pf_table *pf_find_table(const struct pf *pf, const char *anchor, const char *name)
{
	const struct pf_table *t = *anchor ? find_table(pf, anchor, name) : NULL;

	return t ? t : find_table(pf, "", name);
}

bool pf_anchor_matches(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (n == 0 || pattern[n - 1] != '*')
		return str_eq(pattern, path);
	/* "*" alone means the children of the main ruleset. */
	return strncmp(pattern, path, n - 1) == 0 && path[n - 1] && !strchr(path + n - 1, '/');
}

bool pf_is_newgate(const char *anchor)
{
	size_t n = strlen(PF_ANCHOR_NEWGATE);

	return strncmp(anchor, PF_ANCHOR_NEWGATE, n) == 0 && (!anchor[n] || anchor[n] == '/');
}

static bool names_newgate(const struct pf_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].action == PF_ANCHOR && pf_is_newgate(rules->v[i].anchor))
			return true;
	return false;
}

bool pf_names_newgate(const struct pf *pf)
{
	for (size_t i = 0; i < pf->nrulesets; i++)
		if (names_newgate(&pf->ruleset[i].filter))
			return true;
	return false;
}

const struct pf_iface *pf_host_iface(const struct pf_host *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (str_eq(h->iface[i].name, name))
			return &h->iface[i];
	return NULL;
}

/* FreeBSD's groups of drivers: "em" has em0, em1… */
static bool is_driver(const char *ifname, const char *group)
{
	size_t n = strlen(group);

	if (n == 0 || strncmp(ifname, group, n) != 0 || !ifname[n])
		return false;
	for (const char *p = ifname + n; *p; p++)
		if (!isdigit((unsigned char)*p))
			return false;
	return !isdigit((unsigned char)group[n - 1]);
}

bool pf_iface_is(const struct pf_iface *i, const char *name)
{
	if (str_eq(i->name, name) || str_eq(name, "all") || is_driver(i->name, name))
		return true;
	if (str_eq(name, "egress"))
		return i->outside4 || i->outside6;
	for (const char **g = i->group; g && *g; g++)
		if (str_eq(*g, name))
			return true;
	/* Linux calls the loopback interface lo, and a file from FreeBSD lo0. */
	return i->loopback && (str_eq(name, "lo0") || str_eq(name, "lo"));
}
