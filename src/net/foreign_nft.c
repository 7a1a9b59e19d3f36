/* Rules as `nft -j list ruleset` prints them; libnftables-json(5) tells the form. */
#include <string.h>
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "net/foreign_rule.h"
#include "sys/nft.h"

/* ---- conditions ---- */

static const struct {
	const char *object, *key;
	enum foreign_key is;
} simple[] = {
    {"meta", "iifname", KEY_IIF},       {"meta", "iif", KEY_IIF},
    {"meta", "oifname", KEY_OIF},       {"meta", "oif", KEY_OIF},
    {"meta", "iifgroup", KEY_IIFGROUP}, {"meta", "oifgroup", KEY_OIFGROUP},
    {"meta", "nfproto", KEY_FAMILY},    {"meta", "protocol", KEY_FAMILY},
    {"meta", "l4proto", KEY_PROTO},     {"ct", "state", KEY_CT_STATE},
    {"ct", "status", KEY_CT_STATUS},
};

static const struct {
	const char *field;
	enum foreign_key is;
} fields[] = {
    {"saddr", KEY_SADDR}, {"daddr", KEY_DADDR},    {"sport", KEY_SPORT},
    {"dport", KEY_DPORT}, {"protocol", KEY_PROTO}, {"nexthdr", KEY_PROTO},
};

/* What the expression reads of the packet; that it is there at all is a condition too. */
static enum foreign_key key_of(struct foreign *f, struct foreign_rule *r, const struct json *left)
{
	const struct json *payload = json_get(left, "payload");
	const char *protocol = json_get_text(payload, "protocol");
	for (size_t i = 0; i < ARRAY_SIZE(simple); i++)
		if (str_eq(json_get_text(json_get(left, simple[i].object), "key"), simple[i].key))
			return simple[i].is;
	if (str_eq(protocol, "ip") || str_eq(protocol, "ip6"))
		foreign_add_value(f, foreign_add_condition(f, r, KEY_FAMILY), protocol);
	else if (str_eq(protocol, "tcp") || str_eq(protocol, "udp"))
		foreign_add_value(f, foreign_add_condition(f, r, KEY_PROTO), protocol);
	else if (!str_eq(protocol, "th"))
		return KEY_UNKNOWN;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (str_eq(json_get_text(payload, "field"), fields[i].field))
			return fields[i].is;
	return KEY_UNKNOWN;
}

static void add_values(struct foreign *f, struct foreign_condition *c, const struct json *v)
{
	const struct json *prefix = json_get(v, "prefix"), *range = json_get(v, "range");
	const struct json *many = json_get(v, "set");
	autodone(str_done) struct str text = {0};

	if (!many)
		many = json_get(v, "|");
	if (v->type == JSON_ARRAY || (many && many->type == JSON_ARRAY)) {
		for (v = v->type == JSON_ARRAY ? v->first : many->first; v; v = v->next)
			add_values(f, c, v);
		return;
	}
	if (json_get(v, "elem")) {
		const struct json *val = json_get(json_get(v, "elem"), "val");
		if (val)
			add_values(f, c, val);
		return;
	}
	if (prefix)
		str_addf(&text, "%s/%s", json_get_text(prefix, "addr"),
			 json_get_text(prefix, "len"));
	else if (range && range->first && range->first->next)
		str_addf(&text, "%s-%s", json_text(range->first), json_text(range->first->next));
	else if (many)
		str_add(&text, json_text(many));
	else
		str_add(&text, json_text(v));
	if (!text.len || *text.s == '@')
		c->unknown = true; /* a set by its name: terse, without its elements */
	else
		foreign_add_value(f, c, text.s);
}

static void add_match(struct foreign *f, struct foreign_rule *r, const struct json *m)
{
	const struct json *right = json_get(m, "right");
	const char *op = json_get_text(m, "op");
	enum foreign_key key = key_of(f, r, json_get(m, "left"));
	struct foreign_condition *c = foreign_add_condition(f, r, key);

	c->negate = str_eq(op, "!=");
	c->unknown = !right || (!c->negate && !str_eq(op, "==") && !str_eq(op, "in"));
	if (right && !c->unknown)
		add_values(f, c, right);
}

/* ---- statements ---- */

static bool is_one_of(const char *s, const char *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(s, v[i]))
			return true;
	return false;
}

/* A verdict, as a statement and in a map. */
static bool take_verdict(struct foreign *f, struct foreign_rule *r, const struct json *v)
{
	static const struct {
		const char *name;
		enum foreign_action action;
	} verdicts[] = {{"accept", ACTION_ACCEPT}, {"drop", ACTION_DROP}, {"reject", ACTION_DROP},
			{"return", ACTION_RETURN}, {"jump", ACTION_JUMP}, {"goto", ACTION_GOTO}};
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		const struct json *j = json_get(v, verdicts[i].name);
		if (!j)
			continue;
		const char *target = json_get_text(j, "target");
		r->action = verdicts[i].action;
		r->target = arena_strndup(&f->arena, target, strlen(target));
		return true;
	}
	return false;
}

/* What iptables keeps, of which nft shows the name alone. */
static void take_xt(struct foreign *f, struct foreign_rule *r, const struct json *xt)
{
	static const char *const harmless[] = {"LOG",      "NFLOG", "MARK", "CONNMARK", "TCPMSS",
					       "CHECKSUM", "TRACE", "CT",   "AUDIT"};
	const char *name = json_get_text(xt, "name");
	if (str_eq(json_get_text(xt, "type"), "match")) {
		if (!str_eq(name, "comment"))
			foreign_add_condition(f, r, KEY_UNKNOWN);
	} else if (str_eq(name, "REJECT")) {
		r->action = ACTION_DROP;
	} else if (!is_one_of(name, harmless, ARRAY_SIZE(harmless))) {
		r->action = ACTION_UNKNOWN;
	}
}

/* A map from values to verdicts: each pair is a rule, under the conditions so far. */
static void take_vmap(struct foreign *f, struct foreign_chain *c, struct foreign_rule *r,
		      const struct json *vmap)
{
	const struct json *set = json_get(json_get(vmap, "data"), "set");
	struct foreign_condition *before;
	enum foreign_key key = key_of(f, r, json_get(vmap, "key"));

	before = r->condition;
	if (!set || set->type != JSON_ARRAY) {
		r->action = ACTION_UNKNOWN;
		return;
	}
	for (const struct json *pair = set->first; pair; pair = pair->next) {
		const struct json *k = pair->type == JSON_ARRAY ? pair->first : NULL;
		if (!k || !k->next)
			continue;
		struct foreign_rule *one = foreign_add_rule(f, c);
		one->condition = before;
		add_values(f, foreign_add_condition(f, one, key), k);
		one->text = r->text;
		if (!take_verdict(f, one, k->next))
			one->action = ACTION_UNKNOWN;
	}
}

static void take_statement(struct foreign *f, struct foreign_chain *c, struct foreign_rule *r,
			   const struct json *e)
{
	static const char *const harmless[] = {"counter",    "log",     "mangle", "set",
					       "notrack",    "flow",    "dup",    "ct helper",
					       "ct timeout", "secmark", "last",   "comment"};
	const char *name = e->first ? e->first->name : "";
	const struct json *what = e->first;

	if (take_verdict(f, r, e) || is_one_of(name, harmless, ARRAY_SIZE(harmless)))
		return;
	if (str_eq(name, "match"))
		add_match(f, r, what);
	else if (str_eq(name, "xt"))
		take_xt(f, r, what);
	else if (str_eq(name, "vmap"))
		take_vmap(f, c, r, what);
	else if (str_eq(name, "limit") || str_eq(name, "quota") || str_eq(name, "meter") ||
		 str_eq(name, "ct count"))
		foreign_add_condition(f, r, KEY_UNKNOWN);
	else
		r->action = ACTION_UNKNOWN;
}

/* ---- all of it ---- */

static bool is_ours(const struct json *o)
{
	const char *family = json_get_text(o, "family");
	bool theirs = str_eq(family, "ip") || str_eq(family, "ip6") || str_eq(family, "inet");
	return !theirs || (str_eq(family, "inet") && str_eq(json_get_text(o, "table"), NFT_TABLE));
}

static void read_chain(struct foreign *f, const struct json *o)
{
	const char *hook = json_get_text(o, "hook");
	int64_t priority = 0;
	struct foreign_chain *c =
	    foreign_add_chain(f, json_get_text(o, "family"), json_get_text(o, "table"),
			      json_get_text(o, "name"), false);
	if (!*hook)
		return;
	const char *type = json_get_text(o, "type");
	c->hook = arena_strndup(&f->arena, hook, strlen(hook));
	c->type = arena_strndup(&f->arena, type, strlen(type));
	if (num_i64(json_get_text(o, "prio"), INT32_MIN, INT32_MAX, &priority) == 0)
		c->priority = (int)priority;
	c->drop = str_eq(json_get_text(o, "policy"), "drop");
}

static void read_rule(struct foreign *f, const struct json *o)
{
	const struct json *expr = json_get(o, "expr");
	struct foreign_chain *c =
	    foreign_find(f, json_get_text(o, "family"), json_get_text(o, "table"),
			 json_get_text(o, "chain"), false);
	if (!c || !expr)
		return;
	struct foreign_rule *r = foreign_add_rule(f, c);
	r->text = arena_printf(&f->arena, "handle %s", json_get_text(o, "handle"));
	for (const struct json *e = expr->first; e; e = e->next)
		if (e->type == JSON_OBJECT)
			take_statement(f, c, r, e);
}

void foreign_read_nft(struct foreign *f, const struct json *ruleset)
{
	const struct json *all = json_get(ruleset, "nftables");
	for (const struct json *j = all ? all->first : NULL; j; j = j->next) {
		const struct json *chain = json_get(j, "chain");
		if (chain && !is_ours(chain))
			read_chain(f, chain);
	}
	for (const struct json *j = all ? all->first : NULL; j; j = j->next) {
		const struct json *rule = json_get(j, "rule");
		if (rule && !is_ours(rule))
			read_rule(f, rule);
	}
}
