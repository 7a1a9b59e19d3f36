#include "pf/nft.h"

static const char *family(int af)
{
	return af == AF_INET6 ? "ip6" : "ip";
}

/* ---- conditions ---- */

/* "SET/OF" of flags and marks. */
static void add_masked(struct str *out, const char *what, const struct lower_match *m)
{
	size_t n = strcspn(m->value, "/");

	str_addf(out, "%s & %s %s %.*s", what, m->value + n + 1, m->neg ? "!=" : "==", (int)n,
		 m->value);
}

/* The left side of a comparison, which is also the key of a look-up. NULL: it has none. */
static const char *left_side(const struct lower_match *m, enum pf_dir dir)
{
	bool six = m->af == AF_INET6;

	switch (m->field) {
	case LF_IFACE:
		return dir == PF_IN ? "iifname" : "oifname";
	case LF_FAMILY:
		return "meta nfproto";
	case LF_PROTO:
		return "meta l4proto";
	case LF_SRC:
		return six ? "ip6 saddr" : "ip saddr";
	case LF_DST:
		return six ? "ip6 daddr" : "ip daddr";
	case LF_SPORT:
		return "th sport";
	case LF_DPORT:
		return "th dport";
	case LF_ICMP_TYPE:
		return six ? "icmpv6 type" : "icmp type";
	case LF_ICMP_CODE:
		return six ? "icmpv6 code" : "icmp code";
	case LF_TOS: /* of IPv6 it stands across two bytes */
		return six ? "@nh,4,8" : "@nh,8,8";
	case LF_DST_KIND:
		return "fib daddr type";
	case LF_UID:
		return "meta skuid";
	case LF_GID:
		return "meta skgid";
	case LF_CT_DIRECTION:
		return "ct direction";
	case LF_CT_STATE:
		return "ct state";
	case LF_CT_SOURCE:
		return six ? "ct original ip6 saddr" : "ct original ip saddr";
	default:
		return NULL;
	}
}

static void add_special(struct str *out, const struct lower_match *m, enum pf_dir dir)
{
	const char *here = dir == PF_IN ? "iif" : "oif";
	bool src = m->field == LF_SRC_LOCAL || m->field == LF_SRC_LOCAL_HERE;
	const char *addr = src ? "saddr" : "daddr";

	switch (m->field) {
	case LF_PAIR:
		str_addf(out, "%sgroup %s28263", here, m->neg ? "!= " : "");
		break;
	case LF_FROM_PAIR:
		str_addf(out, "iifgroup %s28263", m->neg ? "!= " : "");
		break;
	case LF_TO_PAIR:
		str_addf(out, "fib daddr oifname %s\"ng*\"", m->neg ? "!= " : "");
		break;
	case LF_FLAGS:
		add_masked(out, "tcp flags", m);
		break;
	case LF_MARK:
		add_masked(out, "meta mark", m);
		break;
	case LF_CT_MARK:
		add_masked(out, "ct mark", m);
		break;
	case LF_CT_STATUS:
		str_addf(out, "ct status & %s %s 0", m->value, m->neg ? "==" : "!=");
		break;
	case LF_OPTIONS:
		str_addf(out, "ip hdrlength %s 5", m->neg ? "<=" : ">");
		break;
	case LF_SRC_LOCAL:
	case LF_DST_LOCAL:
		str_addf(out, "fib %s type %slocal", addr, m->neg ? "!= " : "");
		break;
	case LF_SRC_LOCAL_HERE:
	case LF_DST_LOCAL_HERE:
		str_addf(out, "fib %s . %s type %slocal", addr, here, m->neg ? "!= " : "");
		break;
	default:
		break;
	}
}

static void add_match(struct str *out, const struct lower_match *m, enum pf_dir dir)
{
	const char *left = left_side(m, dir);

	if (out->len && out->s[out->len - 1] != '\t' && out->s[out->len - 1] != ' ')
		str_addc(out, ' ');
	if (left)
		str_addf(out, "%s %s%s", left, m->neg ? "!= " : "", m->value);
	else if (m->field == LF_URPF_FAILED)
		str_addf(out, "fib saddr . iif oif %s", m->neg ? "exists" : "missing");
	else if (m->field == LF_SRC_NO_ROUTE || m->field == LF_DST_NO_ROUTE)
		str_addf(out, "fib %s oif %s", m->field == LF_SRC_NO_ROUTE ? "saddr" : "daddr",
			 m->neg ? "exists" : "missing");
	else if (m->field == LF_CHANCE)
		str_addf(out, "numgen random mod 4294967295 < %s", m->value);
	else
		add_special(out, m, dir);
}

/* ---- steps ---- */

/* The kernel's buckets hold whole numbers in a second, a minute, an hour or a day. */
static void add_rate(struct str *out, uint32_t most, uint32_t seconds)
{
	static const struct {
		uint32_t seconds;
		const char *name;
	} unit[] = {{1, "second"}, {60, "minute"}, {3600, "hour"}, {86400, "day"}};
	size_t i = 0;

	while (i + 1 < ARRAY_SIZE(unit) &&
	       (uint64_t)most * unit[i].seconds % (seconds ? seconds : 1) != 0)
		i++;
	uint64_t rate = (uint64_t)most * unit[i].seconds / (seconds ? seconds : 1);
	str_addf(out, "limit rate over %llu/%s burst %u packets",
		 (unsigned long long)(rate ? rate : 1), unit[i].name, most);
}

static void add_reject(struct str *out, const struct lower_step *s)
{
	str_add(out, "reject");
	if (s->arg)
		str_addf(out, " with %s", s->arg);
	else if (s->af == AF_INET)
		str_addf(out, " with icmp type %u", s->a);
	else if (s->af == AF_INET6)
		str_addf(out, " with icmpv6 type %u", s->a);
}

static void add_state(struct str *out, const struct lower_step *s)
{
	if (s->b)
		str_addf(out, "ct mark set ct mark & 0x%08x | 0x%08x",
			 ~((uint32_t)LOWER_ORIGIN_MAX << LOWER_ORIGIN_SHIFT),
			 s->a | s->b << LOWER_ORIGIN_SHIFT);
	else
		str_addf(out, "ct mark set ct mark | 0x%08x", s->a);
}

static void add_mark(struct str *out, const struct lower_step *s)
{
	if (s->a == s->b)
		str_addf(out, "meta mark set meta mark | 0x%08x", s->a);
	else if (!s->a)
		str_addf(out, "meta mark set meta mark & 0x%08x", ~s->b);
	else
		str_addf(out, "meta mark set meta mark & 0x%08x | 0x%08x", ~s->b, s->a);
}

static void add_step(struct str *out, const struct lower_step *s)
{
	const char *ip = family(s->af);
	bool nat = s->what == LD_DNAT || s->what == LD_SNAT || s->what == LD_MASQUERADE;

	if (nat && s->b > UINT8_MAX)
		str_add(out, "meta l4proto { 6, 17 } ");
	else if (nat && s->b)
		str_addf(out, "meta l4proto %u ", s->b);
	switch (s->what) {
	case LD_ACCEPT:
		str_add(out, "accept");
		break;
	case LD_DROP:
		str_add(out, "drop");
		break;
	case LD_RETURN:
		str_add(out, "return");
		break;
	case LD_GOTO:
		str_addf(out, "goto %s", s->arg);
		break;
	case LD_JUMP:
		str_addf(out, "jump %s", s->arg);
		break;
	case LD_STATE:
		add_state(out, s);
		break;
	case LD_MARK:
		add_mark(out, s);
		break;
	case LD_LOG:
		str_addf(out, "log group 1 prefix \"%s\"", s->arg);
		break;
	case LD_REJECT:
		add_reject(out, s);
		break;
	case LD_ADD:
		str_addf(out, "add @%s { %s saddr }", s->arg, ip);
		break;
	case LD_OVER_RATE:
		str_addf(out, "add @%s { %s saddr ", s->arg, ip);
		add_rate(out, s->a, s->b);
		str_add(out, " }");
		break;
	case LD_OVER_CONN:
		str_addf(out, "add @%s { %s saddr ct count over %u }", s->arg, ip, s->a);
		break;
	case LD_OVER_MAX:
		str_addf(out, "ct count over %u", s->a);
		break;
	case LD_ROOM: /* a full set ends the rule */
		str_addf(out, "add @%s { %s saddr ct count 1000000000 }", s->arg, ip);
		break;
	case LD_NO_DF:
		str_add(out, "ip frag-off set ip frag-off & 0xbfff");
		break;
	case LD_MIN_TTL:
		str_addf(out, "%s < %u %s set %u", s->af == AF_INET ? "ip ttl" : "ip6 hoplimit",
			 s->a, s->af == AF_INET ? "ip ttl" : "ip6 hoplimit", s->a);
		break;
	case LD_MAX_MSS:
		str_addf(out,
			 "tcp flags & 0x2 == 0x2 tcp option maxseg size > %u tcp option maxseg "
			 "size set %u",
			 s->a, s->a);
		break;
	case LD_SET_TOS:
		str_addf(out, "%s dscp set %u", ip, s->a >> 2);
		break;
	case LD_DNAT:
		str_addf(out, "dnat %s %s", ip, s->arg);
		break;
	case LD_SNAT:
		str_addf(out, "snat %s %s", ip, s->arg);
		break;
	case LD_MASQUERADE:
		str_add(out, "masquerade");
		if (s->arg)
			str_addf(out, " to :%s", s->arg);
		break;
	}
}

/* ---- rules ---- */

static const char *key_type(const struct lower_match *m)
{
	switch (m->field) {
	case LF_IFACE:
		return "ifname";
	case LF_PROTO:
		return "inet_proto";
	case LF_SRC:
	case LF_DST:
		return m->af == AF_INET6 ? "ipv6_addr" : "ipv4_addr";
	case LF_ICMP_TYPE:
		return m->af == AF_INET6 ? "icmpv6_type" : "icmp_type";
	case LF_MARK:
		return "mark";
	default:
		return "inet_service";
	}
}

static bool is_span(const struct lower_match *m)
{
	return memcmp(m->lo, m->hi, sizeof(m->lo)) != 0;
}

static bool has_spans(const struct lower_op *o)
{
	for (size_t i = 0; i < o->nmany; i++)
		for (size_t k = 0; k < o->nkeys; k++)
			if (is_span(&o->many[i].match[o->keys[k]]))
				return true;
	return false;
}

static size_t mark_digits(const struct lower_match *m)
{
	return strcspn(m->value, "/");
}

static void add_elem(struct str *out, const struct lower_op *o, const struct lower_elem *e)
{
	for (size_t k = 0; k < o->nkeys; k++) {
		const struct lower_match *m = &e->match[o->keys[k]];
		size_t n = m->field == LF_MARK ? mark_digits(m) : strlen(m->value);

		str_addf(out, "%s%.*s", k ? " . " : "", (int)n, m->value);
	}
	if (e->id)
		str_addf(out, " counter comment \"%s\"", e->id);
	str_add(out, " : ");
	add_step(out, &e->verdict);
}

static bool is_counted(const struct lower_op *o)
{
	for (size_t i = 0; i < o->nmany; i++)
		if (o->many[i].id)
			return true;
	return false;
}

static void add_map(struct str *out, const struct lower_op *o, unsigned number)
{
	str_addf(out, "\tmap pf_m%u {\n\t\ttype ", number);
	for (size_t k = 0; k < o->nkeys; k++)
		str_addf(out, "%s%s", k ? " . " : "", key_type(&o->match[o->keys[k]]));
	str_addf(out, " : verdict\n%s%s\t\telements = {\n",
		 has_spans(o) ? "\t\tflags interval\n" : "", is_counted(o) ? "\t\tcounter\n" : "");
	for (size_t i = 0; i < o->nmany; i++) {
		str_add(out, "\t\t\t");
		add_elem(out, o, &o->many[i]);
		str_add(out, ",\n");
	}
	str_add(out, "\t\t}\n\t}\n");
}

static void add_look_up(struct str *out, const struct lower_op *o, unsigned number)
{
	for (size_t k = 0; k < o->nkeys; k++) {
		const struct lower_match *m = &o->match[o->keys[k]];

		str_addf(out, "%s", k ? " . " : " ");
		if (m->field == LF_MARK)
			str_addf(out, "meta mark & %s", m->value + mark_digits(m) + 1);
		else
			str_add(out, left_side(m, o->dir));
	}
	str_addf(out, " vmap @pf_m%u", number);
}

static bool is_key(const struct lower_op *o, size_t i)
{
	for (size_t k = 0; k < o->nkeys; k++)
		if (o->keys[k] == i)
			return true;
	return false;
}

static bool is_last(const struct lower_step *s)
{
	return s->what == LD_DNAT || s->what == LD_SNAT || s->what == LD_MASQUERADE ||
	       s->what == LD_REJECT || s->what <= LD_JUMP;
}

/* Steps that may end the rule stand behind what counts it, so that each rule counts what it
 * matched. */
static void add_rule(struct str *out, const struct lower_op *o, unsigned map)
{
	str_add(out, "\t\t");
	for (size_t i = 0; i < o->nmatches; i++)
		if (!is_key(o, i))
			add_match(out, &o->match[i], o->dir);
	if (o->id && !o->nmany)
		str_add(out, " counter");
	if (o->nmany)
		add_look_up(out, o, map);
	for (size_t i = 0; i < o->nsteps; i++) {
		str_addc(out, ' ');
		add_step(out, &o->step[i]);
		if (is_last(&o->step[i]) && i + 1 < o->nsteps) {
			/* What comes behind a jump is a rule of its own, under the same
			 * conditions. */
			str_add(out, "\n\t\t");
			for (size_t k = 0; k < o->nmatches; k++)
				add_match(out, &o->match[k], o->dir);
		}
	}
	if (o->id && !o->nmany)
		str_addf(out, " comment \"%s\"", o->id);
	str_addc(out, '\n');
}

/* ---- the table ---- */

static void add_set(struct str *out, const struct lower_op *o, bool filled)
{
	size_t n = filled ? o->nelems : 0;

	str_addf(out, "\tset %s {\n\t\ttype %s\n", o->name, o->type);
	if (o->dynamic)
		str_addf(out, "\t\tflags dynamic%s\n\t\tsize %u\n", o->days ? ",timeout" : "",
			 o->size);
	else
		str_add(out, "\t\tflags interval\n\t\tauto-merge\n");
	if (o->days)
		str_addf(out, "\t\ttimeout %ud\n", o->days);
	if (n)
		str_add(out, "\t\telements = {\n");
	for (size_t i = 0; i < n; i++)
		str_addf(out, "\t\t\t%s,\n", o->elem[i]);
	if (n)
		str_add(out, "\t\t}\n");
	str_add(out, "\t}\n");
}

/* Rules by their chains, in order: lists of indexes. */
struct order {
	size_t *first, *next; /* + 1; 0: the end */
	unsigned *map;
};

static void sort_rules(const struct lower *l, struct order *o)
{
	unsigned maps = 0;

	o->first = mem_alloc((l->n + 1) * sizeof(*o->first));
	o->next = mem_alloc((l->n + 1) * sizeof(*o->next));
	o->map = mem_alloc((l->n + 1) * sizeof(*o->map));
	for (size_t i = l->n; i-- > 0;) {
		if (l->op[i].kind != LOWER_RULE)
			continue;
		o->next[i] = o->first[l->op[i].chain];
		o->first[l->op[i].chain] = i + 1;
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->op[i].nmany)
			o->map[i] = ++maps;
}

static void add_chain(struct str *out, const struct lower *l, const struct order *order, size_t at)
{
	const struct lower_op *c = &l->op[at];

	str_addf(out, "\tchain %s {\n", c->name);
	if (c->hook) {
		int type = (int)strcspn(c->hook, " ");
		const char *hook = c->hook + type + 1;
		int where = (int)strcspn(hook, " ");

		str_addf(out, "\t\ttype %.*s hook %.*s priority %s; policy accept;\n", type,
			 c->hook, where, hook, hook + where + 1);
	}
	for (size_t i = order->first[at]; i; i = order->next[i - 1])
		add_rule(out, &l->op[i - 1], order->map[i - 1]);
	str_add(out, "\t}\n");
}

void pf_nft(struct str *out, const struct lower *l, bool filled)
{
	struct order order;

	sort_rules(l, &order);
	str_add(out, "table inet newgate {\n");
	for (size_t i = 0; i < l->n; i++) {
		if (l->op[i].kind == LOWER_SET)
			add_set(out, &l->op[i], filled);
		else if (l->op[i].nmany)
			add_map(out, &l->op[i], order.map[i]);
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->op[i].kind == LOWER_CHAIN)
			add_chain(out, l, &order, i);
	str_add(out, "}\n");
	free(order.first);
	free(order.next);
	free(order.map);
}
