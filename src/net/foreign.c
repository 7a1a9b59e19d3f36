#include "net/foreign.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/json.h"
#include "base/num.h"
#include "base/str.h"
#include "net/foreign_rule.h"
#include "sys/fd.h"
#include "sys/program.h"
#include "sys/rtnl.h"

#define MAX_JUMPS 16    /* the kernel's own bound */
#define MAX_STEPS 50000 /* rules that one packet meets */

/* ---- what is kept ---- */

struct foreign_chain *foreign_find(const struct foreign *f, const char *family, const char *table,
				   const char *name, bool legacy)
{
	for (size_t i = 0; i < f->n; i++) {
		struct foreign_chain *c = f->chain[i];
		if (c->legacy == legacy && str_eq(c->family, family) && str_eq(c->table, table) &&
		    str_eq(c->name, name))
			return c;
	}
	return NULL;
}

static const char *keep(struct foreign *f, const char *s)
{
	return arena_strndup(&f->arena, s, strlen(s));
}

struct foreign_chain *foreign_add_chain(struct foreign *f, const char *family, const char *table,
					const char *name, bool legacy)
{
	struct foreign_chain *c = arena_alloc(&f->arena, sizeof(*c));
	*c = (struct foreign_chain){.family = keep(f, family),
				    .table = keep(f, table),
				    .name = keep(f, name),
				    .legacy = legacy};
	c->last = &c->rule;
	f->chain = mem_grow(f->chain, f->n, sizeof(struct foreign_chain *));
	f->chain[f->n++] = c;
	return c;
}

struct foreign_rule *foreign_add_rule(struct foreign *f, struct foreign_chain *c)
{
	struct foreign_rule *r = arena_alloc(&f->arena, sizeof(*r));
	*c->last = r;
	c->last = &r->next;
	return r;
}

struct foreign_condition *foreign_add_condition(struct foreign *f, struct foreign_rule *r,
						enum foreign_key key)
{
	struct foreign_condition *c = arena_alloc(&f->arena, sizeof(*c));
	c->key = key;
	c->next = r->condition;
	r->condition = c;
	return c;
}

void foreign_add_value(struct foreign *f, struct foreign_condition *c, const char *value)
{
	const char **all = arena_alloc(&f->arena, (c->n + 1) * sizeof(*all));
	if (c->n)
		memcpy(all, c->value, c->n * sizeof(*all));
	all[c->n++] = keep(f, value);
	c->value = all;
}

void foreign_done(struct foreign *f)
{
	free(f->chain);
	arena_done(&f->arena);
	*f = (struct foreign){0};
}

/* ---- reading ---- */

/* iptables-save of one family, where it is there. */
static int read_save(struct foreign *f, const char *family, bool legacy, struct ng_err *err)
{
	static const char *const programs[2][2] = {
	    {"iptables-nft-save", "ip6tables-nft-save"},
	    {"iptables-legacy-save", "ip6tables-legacy-save"}};
	const char *argv[] = {programs[legacy][str_eq(family, "ip6")], NULL};
	autofree char *text = NULL;
	size_t len;
	int rc = program_read(argv, &text, &len, err);
	if (rc == 0)
		foreign_read_save(f, family, legacy, text);
	else if (rc == -ENOENT && legacy)
		return err_set(err, ENOENT, "there is no %s to ask what the old iptables do",
			       argv[0]);
	return rc == -ENOENT ? 0 : rc;
}

/* Has a table expressions of iptables' that nft cannot show? */
static bool has_xt(const struct json *ruleset, const char *family)
{
	const struct json *all = json_get(ruleset, "nftables");
	for (const struct json *j = all ? all->first : NULL; j; j = j->next) {
		const struct json *rule = json_get(j, "rule"), *expr = json_get(rule, "expr");
		if (!rule || !str_eq(json_get_text(rule, "family"), family))
			continue;
		for (const struct json *e = expr ? expr->first : NULL; e; e = e->next)
			if (json_get(e, "xt"))
				return true;
	}
	return false;
}

static int read_nft(struct foreign *f, struct ng_err *err)
{
	/* Terse: lists of banned addresses are long, and say nothing about a jail's in general. */
	static const char *const argv[] = {"nft", "-j", "-t", "list", "ruleset", NULL};
	autodone(arena_done) struct arena arena = {0};
	autofree char *text = NULL;
	struct json *ruleset;
	size_t len, at;

	int rc = program_read(argv, &text, &len, err);
	if (rc == -ENOENT)
		return err_set(err, ENOENT, "there is no nft(8): apt install nftables");
	if (rc < 0)
		return rc;
	if (json_parse(&arena, text, len, &ruleset, &at) < 0)
		return err_set(err, EBADMSG, "nft -j list ruleset: byte %zu is not JSON", at);
	foreign_read_nft(f, ruleset);
	static const char *const families[] = {"ip", "ip6"};
	for (size_t i = 0; i < ARRAY_SIZE(families) && rc == 0; i++)
		if (has_xt(ruleset, families[i]))
			rc = read_save(f, families[i], false, err);
	return rc;
}

static int read_legacy(struct foreign *f, struct ng_err *err)
{
	static const char *const names[] = {"/proc/net/ip_tables_names",
					    "/proc/net/ip6_tables_names"};
	int first = 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[256];
		/* Asking iptables-legacy would load its modules: only where they are in use. */
		if (fd_get(AT_FDCWD, names[i], text, sizeof text) <= 0)
			continue;
		int rc = read_save(f, i ? "ip6" : "ip", true, err);
		first = first ? first : rc;
	}
	return first;
}

static enum foreign_owner owner_of(const struct foreign *f, const struct foreign_chain *c)
{
	enum foreign_owner owner = OWNER_OTHER;
	if (str_eq(c->table, "firewalld"))
		return OWNER_FIREWALLD;
	for (size_t i = 0; i < f->n; i++) {
		const struct foreign_chain *o = f->chain[i];
		if (o->legacy != c->legacy || !str_eq(o->family, c->family) ||
		    !str_eq(o->table, c->table))
			continue;
		if (str_prefix(o->name, "ufw-") || str_prefix(o->name, "ufw6-"))
			return OWNER_UFW;
		if (str_eq(o->name, "DOCKER-USER"))
			owner = OWNER_DOCKER;
	}
	return owner;
}

int foreign_read(struct foreign *f, struct ng_err *err)
{
	struct ng_err second = {0};
	int rc = read_nft(f, err), legacy = read_legacy(f, &second);
	for (size_t i = 0; i < f->n; i++)
		f->chain[i]->owner = owner_of(f, f->chain[i]);
	if (rc == 0 && legacy < 0)
		*err = second;
	return rc < 0 ? rc : legacy;
}

/* ---- judging: does a condition hold? ---- */

enum match { NO, PERHAPS, YES };

static enum match match_name(const char *name, const char *pattern)
{
	size_t n = strlen(pattern);
	if (!name)
		return PERHAPS;
	if (n && (pattern[n - 1] == '*' || pattern[n - 1] == '+'))
		return strncmp(name, pattern, n - 1) == 0 ? YES : NO;
	return str_eq(name, pattern) ? YES : NO;
}

static enum match match_group(bool jail, const char *value)
{
	char *end;
	unsigned long group = strtoul(value, &end, 0);
	unsigned long mask = *end == '/' ? strtoul(end + 1, &end, 0) : 0xffffffff;
	if (*end || end == value)
		return jail ? NO : PERHAPS; /* by name: not ours, which has none */
	if (jail)
		return (RTNL_GROUP & mask) == group ? YES : NO;
	return group == RTNL_GROUP && mask == 0xffffffff ? NO : PERHAPS;
}

static enum match match_address(const struct ip *ip, const char *value)
{
	struct ipnet net;
	struct ip from, to;
	char first[IP_TEXT + 1];
	const char *dash = strchr(value, '-');

	if (dash && (size_t)(dash - value) < sizeof first) {
		memcpy(first, value, (size_t)(dash - value));
		first[dash - value] = '\0';
		if (ip_parse(first, &from) < 0 || ip_parse(dash + 1, &to) < 0 || !ip->family)
			return PERHAPS;
		return ip_cmp(&from, ip) <= 0 && ip_cmp(ip, &to) <= 0 ? YES : NO;
	}
	if (ipnet_parse(value, &net) < 0)
		return PERHAPS;
	if (!net.len)
		return YES;
	return !ip->family ? PERHAPS : ipnet_has(&net, ip) ? YES : NO;
}

static enum match match_port(uint16_t port, const char *value)
{
	char first[8];
	uint32_t from, to;
	size_t n = strcspn(value, "-:");

	if (!port || n >= sizeof first)
		return PERHAPS;
	memcpy(first, value, n);
	first[n] = '\0';
	if (num_u32(first, 0, 65535, &from) < 0)
		return PERHAPS;
	to = from;
	if (value[n] && num_u32(value + n + 1, 0, 65535, &to) < 0)
		return PERHAPS;
	return from <= port && port <= to ? YES : NO;
}

static enum match match_proto(uint8_t proto, const char *value)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {{"icmp", 1},       {"tcp", 6},    {"udp", 17},      {"icmpv6", 58},
		     {"ipv6-icmp", 58}, {"sctp", 132}, {"udplite", 136}, {"dccp", 33}};
	uint32_t number = 256;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eq(value, names[i].name))
			number = names[i].number;
	if (number == 256 && num_u32(value, 0, 255, &number) < 0)
		return PERHAPS;
	return !proto ? PERHAPS : proto == number ? YES : NO;
}

static enum match match_value(const struct foreign_packet *p, enum foreign_key key,
			      const char *value)
{
	switch (key) {
	case KEY_IIF:
		return match_name(p->iif, value);
	case KEY_OIF:
		return match_name(p->oif, value);
	case KEY_IIFGROUP:
		return match_group(p->from_jail, value);
	case KEY_OIFGROUP:
		return match_group(p->to_jail, value);
	case KEY_FAMILY:
		return str_eq(value, p->family == AF_INET ? "ipv4" : "ipv6") ||
			       str_eq(value, p->family == AF_INET ? "ip" : "ip6")
			   ? YES
			   : NO;
	case KEY_SADDR:
		return match_address(&p->saddr, value);
	case KEY_DADDR:
		return match_address(&p->daddr, value);
	case KEY_PROTO:
		return match_proto(p->proto, value);
	case KEY_SPORT:
		return match_port(p->sport, value);
	case KEY_DPORT:
		return match_port(p->dport, value);
	case KEY_CT_STATE:
		return strcasecmp(value, "new") == 0 ? YES : NO;
	case KEY_CT_STATUS:
		return strcasecmp(value, "dnat") == 0 ? (p->dnat ? YES : NO) : PERHAPS;
	default:
		return PERHAPS;
	}
}

static enum match match_condition(const struct foreign_packet *p, const struct foreign_condition *c)
{
	enum match all = c->unknown || c->key == KEY_UNKNOWN ? PERHAPS : NO;
	for (size_t i = 0; i < c->n && all != YES; i++) {
		enum match m = match_value(p, c->key, c->value[i]);
		all = m > all ? m : all;
	}
	/* "Not" of PERHAPS is PERHAPS. */
	return c->negate ? (enum match)(YES - all) : all;
}

static enum match match_rule(const struct foreign_packet *p, const struct foreign_rule *r)
{
	enum match all = YES;
	for (const struct foreign_condition *c = r->condition; c && all != NO; c = c->next) {
		enum match m = match_condition(p, c);
		all = m < all ? m : all;
	}
	return all;
}

/* ---- judging: the packet's way ---- */

struct way {
	const struct foreign *f;
	const struct foreign_packet *p;
	struct foreign_answer *answer;
	bool maybe; /* a rule before may have let it pass */
	unsigned steps;
};

enum end { FALLS, ACCEPTED, DROPPED };

static enum end walk(struct way *w, const struct foreign_chain *c, bool sure, unsigned depth)
{
	for (const struct foreign_rule *r = c->rule; r; r = r->next) {
		enum match m = match_rule(w->p, r);
		bool now = sure && m == YES;
		if (++w->steps > MAX_STEPS) {
			w->maybe = true;
			return FALLS;
		}
		if (m == NO)
			continue;
		switch (r->action) {
		case ACTION_NONE:
			break;
		case ACTION_UNKNOWN:
			w->maybe = true;
			break;
		case ACTION_ACCEPT:
			if (now)
				return ACCEPTED;
			w->maybe = true;
			break;
		case ACTION_DROP:
			if (!now)
				break;
			w->answer->in = c;
			w->answer->rule = r->text;
			return DROPPED;
		case ACTION_RETURN:
			if (now)
				return FALLS;
			sure = false;
			break;
		case ACTION_JUMP:
		case ACTION_GOTO: {
			const struct foreign_chain *to =
			    foreign_find(w->f, c->family, c->table, r->target, c->legacy);
			enum end e = to && depth < MAX_JUMPS ? walk(w, to, now, depth + 1) : FALLS;
			if (e != FALLS || (now && r->action == ACTION_GOTO))
				return e;
			sure = sure && (m == YES || r->action == ACTION_JUMP);
			break;
		}
		}
	}
	return FALLS;
}

void foreign_judge(const struct foreign *f, size_t i, const char *hook,
		   const struct foreign_packet *p, struct foreign_answer *out)
{
	const struct foreign_chain *c = f->chain[i];
	struct way w = {.f = f, .p = p, .answer = out};

	*out = (struct foreign_answer){.verdict = FOREIGN_PASS, .base = c, .in = c};
	if (!c->hook || !str_eq(c->hook, hook) || !str_eq(c->type, "filter") ||
	    (str_eq(c->family, "ip") && p->family != AF_INET) ||
	    (str_eq(c->family, "ip6") && p->family != AF_INET6))
		return;
	enum end e = walk(&w, c, true, 0);
	if (e == DROPPED || (e == FALLS && c->drop))
		out->verdict = w.maybe ? FOREIGN_MAYBE : FOREIGN_DROP;
}
