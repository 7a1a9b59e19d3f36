/* The forms of FreeBSD's pfctl -s: read again, they give the same. */
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pf/names.h"
#include "pf/parse.h"

/* ---- addresses and ports ---- */

static void add_net(struct str *out, const struct ipnet *net)
{
	char text[IP_TEXT];
	str_add(out, ip_text(&net->addr, text));
	if (net->len != ip_bits(&net->addr))
		str_addf(out, "/%u", net->len);
}

static void add_dynamic(struct str *out, const struct pf_addr *a)
{
	str_addf(out, "(%s", a->name);
	if (a->mods & PF_MOD_NETWORK)
		str_add(out, ":network");
	if (a->mods & PF_MOD_BROADCAST)
		str_add(out, ":broadcast");
	if (a->mods & PF_MOD_PEER)
		str_add(out, ":peer");
	if (a->mods & PF_MOD_NOALIAS)
		str_add(out, ":0");
	str_addc(out, ')');
	if (a->len >= 0)
		str_addf(out, "/%d", a->len);
}

void pf_print_addr(struct str *out, const struct pf_addr *a, int af UNUSED)
{
	char text[IP_TEXT];

	if (a->neg)
		str_add(out, "! ");
	switch (a->type) {
	case PF_ADDR_ANY:
		str_add(out, "any");
		break;
	case PF_ADDR_NET:
		add_net(out, &a->net);
		break;
	case PF_ADDR_RANGE:
		str_add(out, ip_text(&a->net.addr, text));
		str_addf(out, " - %s", ip_text(&a->last, text));
		break;
	case PF_ADDR_TABLE:
		str_addf(out, "<%s>", a->name);
		break;
	case PF_ADDR_DYNAMIC:
		add_dynamic(out, a);
		break;
	case PF_ADDR_NO_ROUTE:
		str_add(out, "no-route");
		break;
	case PF_ADDR_URPF_FAILED:
		str_add(out, "urpf-failed");
		break;
	}
}

/* " = 22"; name: what stands for the first number, or NULL. */
static void add_range(struct str *out, const struct pf_range *r, const char *name)
{
	static const char *const unary[] = {NULL, "=", "!=", "<", "<=", ">", ">="};
	bool equal = r->op == PF_OP_EQ || r->op == PF_OP_NE;

	if (r->op == PF_OP_RANGE)
		str_addf(out, " %u:%u", r->a, r->b);
	else if (r->op == PF_OP_INSIDE)
		str_addf(out, " %u >< %u", r->a, r->b);
	else if (r->op == PF_OP_OUTSIDE)
		str_addf(out, " %u <> %u", r->a, r->b);
	else if (equal && name)
		str_addf(out, " %s %s", unary[r->op], name);
	else if (r->op != PF_OP_ANY)
		str_addf(out, " %s %u", unary[r->op], r->a);
}

static void add_side(struct str *out, const struct pf_rule *r, const struct pf_side *s)
{
	pf_print_addr(out, &s->addr, r->af);
	if (s->port.op == PF_OP_ANY)
		return;
	str_add(out, " port");
	add_range(out, &s->port, service_name((uint16_t)s->port.a, r->proto));
}

static bool is_any(const struct pf_side *s)
{
	return s->addr.type == PF_ADDR_ANY && !s->addr.neg && s->port.op == PF_OP_ANY;
}

static void add_sides(struct str *out, const struct pf_rule *r)
{
	if (is_any(&r->src) && is_any(&r->dst)) {
		str_add(out, " all");
		return;
	}
	str_add(out, " from ");
	add_side(out, r, &r->src);
	str_add(out, " to ");
	add_side(out, r, &r->dst);
}

/* ---- the head ---- */

static void add_code(struct str *out, uint16_t code, int af)
{
	const char *name = icmp_code_name(code >> 8, code & 0xff, af);
	if (name)
		str_add(out, name);
	else
		str_addf(out, "%u", code & 0xff);
}

static void add_return(struct str *out, const struct pf_rule *r)
{
	switch (r->ret) {
	case PF_RETURN_POLICY:
	case PF_RETURN_DROP:
		str_add(out, " drop");
		break;
	case PF_RETURN:
		str_add(out, " return");
		break;
	case PF_RETURN_RST:
		str_add(out, " return-rst");
		if (r->return_ttl)
			str_addf(out, "(ttl %u)", r->return_ttl);
		break;
	case PF_RETURN_ICMP:
		str_addf(out, " return-icmp%s(", r->af == AF_INET6 ? "6" : "");
		if (r->af != AF_INET6)
			add_code(out, r->return_icmp, AF_INET);
		if (!r->af)
			str_add(out, ", ");
		if (r->af != AF_INET)
			add_code(out, r->return_icmp6, AF_INET6);
		str_addc(out, ')');
		break;
	}
}

static void add_log(struct str *out, const struct pf_rule *r)
{
	if (!r->log)
		return;
	str_add(out, " log");
	if (r->log_all || r->log_if)
		str_addf(out, " (%s%s%s%s)", r->log_all ? "all" : "",
			 r->log_all && r->log_if ? ", " : "", r->log_if ? "to " : "",
			 r->log_if ? r->log_if : "");
}

/* Which ruleset and which of its lists does the rule stand in? */
static const char *find_place(const struct pf *pf, const struct pf_rule *r, enum where *where)
{
	*where = IN_FILTER;
	for (size_t i = 0; i < pf->nrulesets; i++)
		for (unsigned k = IN_FILTER; k <= IN_RDR; k++) {
			const struct pf_rules *rules = pf_rules_of(&pf->ruleset[i], k);
			if (rules->n && r >= rules->v && r < rules->v + rules->n) {
				*where = k;
				return pf->ruleset[i].path;
			}
		}
	return "";
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static bool is_inline(const struct pf_rule *r)
{
	return r->anchor && *last_part(r->anchor) == '_';
}

static void add_anchor(struct str *out, const struct pf *pf, const struct pf_rule *r)
{
	static const char *const words[] = {"anchor", "anchor", "nat-anchor", "binat-anchor",
					    "rdr-anchor"};
	enum where where;
	const char *path = find_place(pf, r, &where);
	size_t n = strlen(path);

	str_add(out, words[where]);
	if (is_inline(r))
		return;
	if (!n)
		str_addf(out, " \"%s\"", r->anchor);
	else if (strncmp(r->anchor, path, n) == 0 && r->anchor[n] == '/')
		str_addf(out, " \"%s\"", r->anchor + n + 1);
	else
		str_addf(out, " \"/%s\"", r->anchor);
}

static void add_head(struct str *out, const struct pf *pf, const struct pf_rule *r)
{
	static const char *const actions[] = {
	    [PF_PASS] = "pass",         [PF_BLOCK] = "block",   [PF_MATCH] = "match",
	    [PF_ANCHOR] = "anchor",     [PF_SCRUB] = "scrub",   [PF_NO_SCRUB] = "no scrub",
	    [PF_NAT] = "nat",           [PF_NO_NAT] = "no nat", [PF_BINAT] = "binat",
	    [PF_NO_BINAT] = "no binat", [PF_RDR] = "rdr",       [PF_NO_RDR] = "no rdr",
	};
	if (r->action == PF_ANCHOR)
		add_anchor(out, pf, r);
	else
		str_add(out, actions[r->action]);
	if (r->pass)
		str_add(out, " pass");
	if (r->action == PF_BLOCK)
		add_return(out, r);
	if (r->dir != PF_INOUT)
		str_add(out, r->dir == PF_IN ? " in" : " out");
	add_log(out, r);
	if (r->quick)
		str_add(out, " quick");
	if (r->ifname)
		str_addf(out, " on %s%s", r->ifnot ? "! " : "", r->ifname);
	if (r->af)
		str_add(out, r->af == AF_INET ? " inet" : " inet6");
	if (r->proto) {
		const char *name = proto_name(r->proto);
		if (name)
			str_addf(out, " proto %s", name);
		else
			str_addf(out, " proto %u", r->proto);
	}
}

/* ---- options ---- */

static void add_id(struct str *out, const char *what, const struct pf_range *r)
{
	if (r->op == PF_OP_ANY)
		return;
	str_addf(out, " %s", what);
	add_range(out, r, r->a == UINT32_MAX ? "unknown" : NULL);
}

static void add_flags(struct str *out, const struct pf_rule *r)
{
	static const char letters[] = "FSRPAUEW";

	if (!r->flags_set) {
		if (r->action == PF_PASS && (!r->proto || r->proto == IPPROTO_TCP) &&
		    !r->fragment && r->state.keep != PF_STATE_NONE)
			str_add(out, " flags any");
		return;
	}
	str_add(out, " flags ");
	for (unsigned i = 0; letters[i]; i++)
		if (r->flags & 1u << i)
			str_addc(out, letters[i]);
	str_addc(out, '/');
	for (unsigned i = 0; letters[i]; i++)
		if (r->flags_of & 1u << i)
			str_addc(out, letters[i]);
}

static void add_icmp(struct str *out, const struct pf_rule *r)
{
	if (r->icmp_type < 0)
		return;
	const char *type = icmp_type_name(r->icmp_type, r->af);
	str_add(out, r->af == AF_INET6 ? " icmp6-type" : " icmp-type");
	if (type)
		str_addf(out, " %s", type);
	else
		str_addf(out, " %d", r->icmp_type);
	if (r->icmp_code < 0)
		return;
	const char *code = icmp_code_name(r->icmp_type, r->icmp_code, r->af);
	if (code)
		str_addf(out, " code %s", code);
	else
		str_addf(out, " code %d", r->icmp_code);
}

static void add_probability(struct str *out, uint32_t prob)
{
	char text[32];
	if (!prob)
		return;
	snprintf(text, sizeof(text), "%f", prob * 100.0 / (UINT32_MAX + 1.0));
	size_t n = strlen(text);
	while (n > 1 && text[n - 1] == '0')
		n--;
	if (text[n - 1] == '.')
		n--;
	str_addf(out, " probability %.*s%%", (int)n, text);
}

static void add_keep(struct str *out, const struct pf_rule *r)
{
	static const char *const words[] = {" no state", " keep state", " modulate state",
					    " synproxy state"};
	if (r->state.keep != PF_STATE_NONE || r->action == PF_PASS)
		str_add(out, words[r->state.keep]);
}

PRINTF(3, 4)
static void add_state_option(struct str *out, bool *any, const char *fmt, ...)
{
	va_list ap;
	str_add(out, *any ? ", " : " (");
	*any = true;
	va_start(ap, fmt);
	str_vaddf(out, fmt, ap);
	va_end(ap);
}

static void add_timeouts(struct str *out, const struct pf_state *s, bool *any)
{
	const char *name;
	for (size_t i = 0; (name = timeout_at(i)); i++)
		for (size_t k = 0; k < s->ntimeouts; k++)
			if (str_eq(s->timeout[k].name, name))
				add_state_option(out, any, "%s %u", name, s->timeout[k].seconds);
}

static void add_state_options(struct str *out, const struct pf *pf, const struct pf_state *s)
{
	static const char *const flush[] = {"", " flush", " flush global"};
	bool any = false;

	if (s->max)
		add_state_option(out, &any, "max %u", s->max);
	if (s->no_sync)
		add_state_option(out, &any, "no-sync");
	if (s->track != PF_TRACK_NONE)
		add_state_option(out, &any, "source-track %s",
				 s->track == PF_TRACK_RULE ? "rule" : "global");
	if (s->max_src_states)
		add_state_option(out, &any, "max-src-states %u", s->max_src_states);
	if (s->max_src_conn)
		add_state_option(out, &any, "max-src-conn %u", s->max_src_conn);
	if (s->rate)
		add_state_option(out, &any, "max-src-conn-rate %u/%u", s->rate, s->rate_seconds);
	if (s->max_src_nodes)
		add_state_option(out, &any, "max-src-nodes %u", s->max_src_nodes);
	if (s->overload)
		add_state_option(out, &any, "overload <%s>%s", s->overload, flush[s->flush]);
	if (s->if_bound)
		add_state_option(out, &any, "if-bound");
	if (s->floating && pf->options.if_bound)
		add_state_option(out, &any, "floating");
	if (s->sloppy)
		add_state_option(out, &any, "sloppy");
	add_timeouts(out, s, &any);
	if (any)
		str_addc(out, ')');
}

static void add_scrub(struct str *out, const struct pf_rule *r)
{
	const struct pf_scrub *s = &r->scrub;
	bool of_scrub = r->action == PF_SCRUB || r->action == PF_NO_SCRUB;
	struct str b = {0};

	if (s->no_df)
		str_add(&b, " no-df");
	if (s->random_id)
		str_add(&b, " random-id");
	if (s->min_ttl)
		str_addf(&b, " min-ttl %u", s->min_ttl);
	if (s->max_mss)
		str_addf(&b, " max-mss %u", s->max_mss);
	if (s->set_tos >= 0)
		str_addf(&b, " set-tos 0x%02x", (unsigned)s->set_tos);
	if (s->reassemble_tcp)
		str_add(&b, " reassemble tcp");
	if (of_scrub)
		str_add(out, str_text(&b));
	else if (b.len)
		str_addf(out, " scrub (%s)", str_text(&b) + 1);
	if (r->action == PF_SCRUB && s->fragment_reassemble)
		str_add(out, " fragment reassemble");
	str_done(&b);
}

static void add_tag(struct str *out, const char *word, const char *tag)
{
	const char *quote = pf_token_is_word(tag) ? "" : "\"";
	str_addf(out, " %s %s%s%s", word, quote, tag, quote);
}

/* ---- pools ---- */

static bool is_round_robin(const struct pf_pool *pool)
{
	const struct pf_addr *a = pool->addr;
	if (pool->n != 1)
		return true;
	switch (a->type) {
	case PF_ADDR_NET:
		return a->net.len != ip_bits(&a->net.addr);
	case PF_ADDR_DYNAMIC:
		return !(a->mods & PF_MOD_NOALIAS);
	default:
		return true;
	}
}

static void add_pool_type(struct str *out, const struct pf_rule *r)
{
	switch (r->pool.type) {
	case PF_POOL_ROUND_ROBIN:
		if (is_round_robin(&r->pool) && r->action != PF_BINAT)
			str_add(out, " round-robin");
		break;
	case PF_POOL_RANDOM:
		str_add(out, " random");
		break;
	case PF_POOL_BITMASK:
		str_add(out, " bitmask");
		break;
	case PF_POOL_SOURCE_HASH:
		str_add(out, " source-hash");
		if (r->pool.key)
			str_addf(out, " \"%s\"", r->pool.key);
		break;
	}
}

static void add_pool(struct str *out, const struct pf_rule *r)
{
	const struct pf_pool *pool = &r->pool;

	if (!pool->n)
		return;
	str_add(out, pool->n > 1 ? " -> { " : " -> ");
	for (size_t i = 0; i < pool->n; i++) {
		if (i)
			str_add(out, ", ");
		pf_print_addr(out, &pool->addr[i], r->af);
	}
	if (pool->n > 1)
		str_add(out, " }");
	if (pool->port_first)
		str_addf(out, " port %u", pool->port_first);
	if (pool->port_last != pool->port_first)
		str_addf(out, ":%u", pool->port_last);
	add_pool_type(out, r);
	if (pool->sticky)
		str_add(out, " sticky-address");
	if (pool->static_port)
		str_add(out, " static-port");
}

void pf_print_rule(struct str *out, const struct pf *pf, const struct pf_rule *r)
{
	add_head(out, pf, r);
	add_sides(out, r);
	add_id(out, "user", &r->user);
	add_id(out, "group", &r->group);
	add_flags(out, r);
	add_icmp(out, r);
	if (r->tos >= 0)
		str_addf(out, " tos 0x%02x", (unsigned)r->tos);
	add_keep(out, r);
	add_state_options(out, pf, &r->state);
	add_probability(out, r->prob);
	if (r->fragment)
		str_add(out, " fragment");
	if (r->allow_opts)
		str_add(out, " allow-opts");
	add_scrub(out, r);
	if (r->label)
		str_addf(out, " label \"%s\"", r->label);
	if (r->tag)
		add_tag(out, "tag", r->tag);
	if (r->tagged)
		add_tag(out, r->not_tagged ? "! tagged" : "tagged", r->tagged);
	add_pool(out, r);
}

/* ---- tables and rulesets ---- */

void pf_print_table(struct str *out, const struct pf_table *t)
{
	str_addf(out, "table <%s>%s%s%s", t->name, t->constant ? " const" : "",
		 t->persist ? " persist" : "", t->counters ? " counters" : "");
	/* What came in otherwise than by a ruleset is no part of it. */
	if (!t->initialised)
		return;
	str_add(out, " {");
	for (size_t i = 0; i < t->n; i++) {
		str_add(out, t->entry[i].neg ? " !" : " ");
		add_net(out, &t->entry[i].net);
	}
	str_add(out, " }");
}

void pf_print_table_flags(struct str *out, const struct pf_table *t)
{
	bool active = t->persist || t->referenced;
	str_addf(out, "%c%c%c-%c-%c\t%s", t->constant ? 'c' : '-', t->persist ? 'p' : '-',
		 active ? 'a' : '-', t->referenced ? 'r' : '-', t->counters ? 'C' : '-', t->name);
	if (*t->anchor)
		str_addf(out, "\t%s", t->anchor);
}

static void print_rules(struct str *out, const struct pf *pf, const struct pf_rules *rules,
			unsigned depth)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct pf_rule *r = &rules->v[i];
		const struct pf_ruleset *block =
		    is_inline(r) ? pf_find_ruleset(pf, r->anchor) : NULL;
		str_addf(out, "%*s", (int)(2 * depth), "");
		pf_print_rule(out, pf, r);
		str_add(out, block ? " {\n" : "\n");
		if (!block)
			continue;
		print_rules(out, pf, &block->filter, depth + 1);
		str_addf(out, "%*s}\n", (int)(2 * depth), "");
	}
}

void pf_print(struct str *out, const struct pf *pf, const char *path, unsigned what)
{
	const struct pf_ruleset *rs = pf_find_ruleset(pf, path);

	if (what & PF_PRINT_OPTIONS && !*path)
		str_add(out, str_text(&pf->options.text));
	for (size_t i = 0; what & PF_PRINT_TABLES && i < pf->ntables; i++)
		if (str_eq(pf->table[i].anchor, path)) {
			pf_print_table(out, &pf->table[i]);
			str_addc(out, '\n');
		}
	if (!rs)
		return;
	if (what & PF_PRINT_SCRUB)
		print_rules(out, pf, &rs->scrub, 0);
	if (what & PF_PRINT_NAT) {
		print_rules(out, pf, &rs->nat, 0);
		print_rules(out, pf, &rs->rdr, 0);
		print_rules(out, pf, &rs->binat, 0);
	}
	if (what & PF_PRINT_FILTER)
		print_rules(out, pf, &rs->filter, 0);
}
