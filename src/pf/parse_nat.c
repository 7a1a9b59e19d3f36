/* nat, rdr, binat, their "no" forms and anchors. */
#include <string.h>

#include "pf/parse.h"

static bool parse_pool_type(struct parser *p, struct written *w, enum pf_pool_type type)
{
	if (w->pool_type)
		return p_fault(p, p->tok->now.pos, "pool type cannot be redefined");
	w->pool_type = true;
	w->r.pool.type = type;
	return true;
}

static bool is_hash_key(const char *s)
{
	return !str_prefix(s, "0x") ||
	       (strlen(s) == 34 && strspn(s + 2, "0123456789abcdefABCDEF") == 32);
}

static bool parse_source_hash(struct parser *p, struct written *w)
{
	struct pos pos = p->tok->now.pos;
	if (!parse_pool_type(p, w, PF_POOL_SOURCE_HASH))
		return false;
	if (!p_at_text(p) || p_at(p, "static-port") || p_at(p, "sticky-address"))
		return true;
	w->r.pool.key = p_text(p, "a key");
	if (!is_hash_key(w->r.pool.key))
		return p_fault(p, pos, "hex key must be 128 bits (32 hex digits) long");
	return p_good_name(p, pos, "key", w->r.pool.key, PF_NAME_MAX);
}

static bool parse_pool_options(struct parser *p, struct written *w)
{
	static const char *const words[] = {"round-robin", "random",      "source-hash",
					    "bitmask",     "static-port", "sticky-address",
					    "port"};
	bool ok = true;

	while (ok && !p_at_end(p)) {
		if (p_take(p, "round-robin"))
			ok = parse_pool_type(p, w, PF_POOL_ROUND_ROBIN);
		else if (p_take(p, "random"))
			ok = parse_pool_type(p, w, PF_POOL_RANDOM);
		else if (p_take(p, "bitmask"))
			ok = parse_pool_type(p, w, PF_POOL_BITMASK);
		else if (p_take(p, "source-hash"))
			ok = parse_source_hash(p, w);
		else if (p_take(p, "static-port"))
			w->r.pool.static_port = true;
		else if (p_take(p, "sticky-address"))
			w->r.pool.sticky = true;
		else if (p_at(p, "map-e-portset"))
			ok = p_fault(
			    p, p->tok->now.pos,
			    "map-e-portset cannot be kept: ports are not mapped by MAP-E here");
		else
			ok = p_unexpected(p, "an option of the pool or the end of the line", words,
					  ARRAY_SIZE(words));
	}
	return ok;
}

static bool parse_pool_port(struct parser *p, struct written *w)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "a port");
	struct pf_range range;
	bool star;

	if (!word || !parse_port(p, pos, word, &range, &star))
		return false;
	if (!range.a)
		return p_fault(p, pos, "invalid port 0");
	w->r.pool.port_first = w->r.pool.port_last = (uint16_t)range.a;
	if (range.op == PF_OP_RANGE)
		w->r.pool.port_last = (uint16_t)range.b;
	w->r.pool.port_shift = star;
	return true;
}

/* Behind "->". */
static bool parse_pool(struct parser *p, struct written *w)
{
	w->arrow = true;
	if (!p_list(p, parse_host, &w->pool))
		return false;
	if (p_take(p, "port") && !parse_pool_port(p, w))
		return false;
	return true;
}

/* ["pass"] [log] [on] [af] [proto] from … to …, which nat, rdr and binat have in common. */
static bool parse_head(struct parser *p, struct written *w, bool no)
{
	if (p_take(p, "pass")) {
		if (no)
			return p_fault(p, p->start, "\"pass\" not valid with \"no\"");
		w->r.pass = true;
	}
	if (p_take(p, "log") && !parse_log(p, w))
		return false;
	return parse_on(p, w) && parse_af(p, w) && parse_proto(p, w) && parse_sides(p, w);
}

static bool parse_tail(struct parser *p, struct written *w)
{
	static const char *const words[] = {"tag", "tagged", "port",  "from", "to",
					    "all", "on",     "proto", "inet", "inet6"};
	bool found;

	do {
		if (!parse_tags(p, w, &found))
			return false;
	} while (found);
	if (p_at(p, "rtable"))
		return p_fault(p, p->tok->now.pos,
			       "rtable cannot be kept: there is one routing table "
			       "for all rules here (see ip-rule(8))");
	if (p_take_op(p, "->"))
		return parse_pool(p, w) && parse_pool_options(p, w);
	return p_at_end(p) || p_unexpected(p, "\"->\"", words, ARRAY_SIZE(words));
}

bool parse_nat(struct parser *p, bool no)
{
	autodone(written_done) struct written w = written_blank(PF_NAT, IN_NAT);

	if (p_at(p, "rdr")) {
		w.where = IN_RDR;
		w.r.action = no ? PF_NO_RDR : PF_RDR;
	} else if (p_at(p, "binat")) {
		w.where = IN_BINAT;
		w.r.action = no ? PF_NO_BINAT : PF_BINAT;
	} else if (no) {
		w.r.action = PF_NO_NAT;
	}
	p_next(p);
	return parse_head(p, &w, no) && parse_tail(p, &w) && p_in_section(p, SECTION_NAT) &&
	       expand_written(p, &w);
}
