/* Lowered operations as lines, and the names that rules keep in the kernel. */
#include <stdio.h>

#include "pf/lower.h"

static const char *const fields[] = {
    [LF_IFACE] = "on",
    [LF_PAIR] = "pair",
    [LF_FROM_PAIR] = "from-pair",
    [LF_TO_PAIR] = "to-pair",
    [LF_FAMILY] = "family",
    [LF_PROTO] = "proto",
    [LF_SRC] = "src",
    [LF_DST] = "dst",
    [LF_SPORT] = "sport",
    [LF_DPORT] = "dport",
    [LF_FLAGS] = "flags",
    [LF_ICMP_TYPE] = "icmp-type",
    [LF_ICMP_CODE] = "icmp-code",
    [LF_TOS] = "tos",
    [LF_OPTIONS] = "ip-options",
    [LF_SRC_LOCAL] = "src-local",
    [LF_DST_LOCAL] = "dst-local",
    [LF_SRC_LOCAL_HERE] = "src-local-here",
    [LF_DST_LOCAL_HERE] = "dst-local-here",
    [LF_DST_KIND] = "dst-kind",
    [LF_SRC_NO_ROUTE] = "src-no-route",
    [LF_DST_NO_ROUTE] = "dst-no-route",
    [LF_URPF_FAILED] = "urpf-failed",
    [LF_UID] = "uid",
    [LF_GID] = "gid",
    [LF_CHANCE] = "chance",
    [LF_MARK] = "mark",
    [LF_CT_MARK] = "state-mark",
    [LF_CT_DIRECTION] = "direction",
    [LF_CT_STATE] = "state",
    [LF_CT_STATUS] = "translated",
    [LF_CT_SOURCE] = "first-src",
};

static const char *const steps[] = {
    [LD_ACCEPT] = "accept",
    [LD_DROP] = "drop",
    [LD_RETURN] = "return",
    [LD_GOTO] = "goto",
    [LD_JUMP] = "jump",
    [LD_STATE] = "keep",
    [LD_MARK] = "mark",
    [LD_LOG] = "log",
    [LD_REJECT] = "reject",
    [LD_ADD] = "add",
    [LD_OVER_RATE] = "over-rate",
    [LD_OVER_CONN] = "over-connections",
    [LD_OVER_MAX] = "over-states",
    [LD_ROOM] = "room",
    [LD_NO_DF] = "no-df",
    [LD_MIN_TTL] = "min-ttl",
    [LD_MAX_MSS] = "max-mss",
    [LD_SET_TOS] = "set-tos",
    [LD_DNAT] = "dnat",
    [LD_SNAT] = "snat",
    [LD_MASQUERADE] = "masquerade",
};

static void print_match(struct str *out, const struct lower_match *m)
{
	str_addf(out, " %s%s", m->neg ? "!" : "", fields[m->field]);
	if (m->value)
		str_addf(out, " %s", m->value);
}

static void print_step(struct str *out, const struct lower_step *s)
{
	str_addf(out, " %s", steps[s->what]);
	if (s->af)
		str_add(out, s->af == AF_INET ? " inet" : " inet6");
	if (s->arg)
		str_addf(out, s->what == LD_LOG ? " \"%s\"" : " %s", s->arg);
	if (s->what == LD_STATE)
		str_addf(out, " 0x%08x", s->a | s->b << LOWER_ORIGIN_SHIFT);
	else if (s->what == LD_MARK)
		str_addf(out, " 0x%08x/0x%08x", s->a, s->b);
	else if (s->what == LD_OVER_RATE)
		str_addf(out, " %u/%u", s->a, s->b);
	else if (s->a)
		str_addf(out, " %u", s->a);
}

static void print_many(struct str *out, const struct lower_op *o)
{
	for (size_t i = 0; i < o->nmatches; i++) {
		bool key = false;

		for (size_t k = 0; k < o->nkeys; k++)
			key |= o->keys[k] == i;
		if (!key)
			print_match(out, &o->match[i]);
	}
	str_add(out, " by");
	for (size_t k = 0; k < o->nkeys; k++)
		str_addf(out, " %s", fields[o->match[o->keys[k]].field]);
	str_add(out, " {");
	for (size_t i = 0; i < o->nmany; i++) {
		for (size_t k = 0; k < o->nkeys; k++)
			str_addf(out, " %s", o->many[i].match[o->keys[k]].value);
		str_add(out, " ->");
		print_step(out, &o->many[i].verdict);
		if (o->many[i].id)
			str_addf(out, " #%s", o->many[i].id);
		str_add(out, i + 1 < o->nmany ? ";" : "");
	}
	str_add(out, " }");
}

static void print_set(struct str *out, const struct lower_op *o)
{
	str_addf(out, "set %s %s", o->name, o->type);
	if (o->dynamic)
		str_addf(out, " filled by rules, %u", o->size);
	for (size_t i = 0; i < o->nelems; i++)
		str_addf(out, " %s", o->elem[i]);
}

void lower_print(struct str *out, const struct lower *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct lower_op *o = &l->op[i];

		if (o->kind == LOWER_SET) {
			print_set(out, o);
		} else if (o->kind == LOWER_CHAIN) {
			str_addf(out, "chain %s", o->name);
			if (o->hook)
				str_addf(out, " at %s", o->hook);
		} else {
			str_addf(out, "rule %s:", o->name);
			if (o->nmany)
				print_many(out, o);
			for (size_t k = 0; k < o->nmatches && !o->nmany; k++)
				print_match(out, &o->match[k]);
			for (size_t k = 0; k < o->nsteps; k++)
				print_step(out, &o->step[k]);
			if (o->id)
				str_addf(out, " #%s", o->id);
		}
		str_addc(out, '\n');
	}
	for (size_t i = 0; i < l->localnet.n; i++)
		str_addf(out, "route-loopback %s\n", l->localnet.v[i]);
}

const struct pf_rule *lower_id(const struct pf *pf, const char *id)
{
	size_t ruleset;
	unsigned nr;
	char section;
	int end = 0;

	if (sscanf(id, "%zu.%c.%u%n", &ruleset, &section, &nr, &end) != 3 || id[end] ||
	    ruleset >= pf->nrulesets)
		return NULL;
	const struct pf_ruleset *rs = &pf->ruleset[ruleset];
	const struct pf_rules *of = section == 's'   ? &rs->scrub
				    : section == 'b' ? &rs->binat
				    : section == 'r' ? &rs->rdr
				    : section == 'n' ? &rs->nat
				    : section == 'f' ? &rs->filter
						     : NULL;
	if (!of)
		return NULL;
	if (nr < of->n && of->v[nr].nr == nr)
		return &of->v[nr];
	for (size_t i = 0; i < of->n; i++)
		if (of->v[i].nr == nr)
			return &of->v[i];
	return NULL;
}
