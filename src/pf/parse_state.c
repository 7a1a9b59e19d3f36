/* "( … )" behind keep state. */
#include <string.h>

#include "pf/names.h"
#include "pf/parse.h"

#define MAX_RATE 4294967u /* pf counts in thousandths */

static bool twice(struct parser *p, const char *name)
{
	return p_fault(p, p->tok->now.pos, "state option '%s' multiple definitions", name);
}

/* A number above 0 that was not given yet. */
static bool parse_limit(struct parser *p, const char *name, uint32_t *out)
{
	struct pos pos = p->tok->now.pos;
	if (*out)
		return twice(p, name);
	if (!p_number(p, "a number", UINT32_MAX, out))
		return false;
	return *out || p_fault(p, pos, "'%s' must be > 0", name);
}

static bool parse_rate(struct parser *p, struct pf_state *s)
{
	struct pos pos = p->tok->now.pos;
	if (s->rate)
		return twice(p, "max-src-conn-rate");
	if (!p_number(p, "a number of connections", UINT32_MAX, &s->rate) || !p_expect_op(p, "/") ||
	    !p_number(p, "a number of seconds", UINT32_MAX, &s->rate_seconds))
		return false;
	if (!s->rate || !s->rate_seconds)
		return p_fault(p, pos, "'max-src-conn-rate' values must be > 0");
	return s->rate < MAX_RATE ||
	       p_fault(p, pos, "'max-src-conn-rate' maximum rate must be < %u", MAX_RATE);
}

static bool parse_overload(struct parser *p, struct pf_state *s)
{
	if (s->overload)
		return p_fault(p, p->tok->now.pos, "multiple 'overload' table definitions");
	if (!parse_table_name(p, &s->overload))
		return false;
	if (p_take(p, "flush"))
		s->flush = p_take(p, "global") ? PF_FLUSH_GLOBAL : PF_FLUSH_RULE;
	return true;
}

static bool parse_track(struct parser *p, struct pf_state *s)
{
	if (s->track != PF_TRACK_NONE)
		return twice(p, "source-track");
	if (p_take(p, "rule")) {
		s->track = PF_TRACK_RULE;
	} else {
		p_take(p, "global");
		s->track = PF_TRACK_GLOBAL;
	}
	return true;
}

static bool parse_lock(struct parser *p, struct pf_state *s, bool *lock)
{
	if (s->if_bound || s->floating)
		return p_fault(p, p->tok->now.pos, "state locking option: multiple definitions");
	return *lock = true;
}

static struct pf_timeout *has_timeout(const struct pf_state *s, const char *name)
{
	for (size_t i = 0; i < s->ntimeouts; i++)
		if (str_eq(s->timeout[i].name, name))
			return &s->timeout[i];
	return NULL;
}

static void add_timeout(struct parser *p, struct pf_state *s, const char *name, uint32_t seconds)
{
	s->timeout = pf_grow(&p->pf->arena, s->timeout, s->ntimeouts, sizeof(*s->timeout));
	s->timeout[s->ntimeouts++] = (struct pf_timeout){name, seconds};
}

static bool parse_timeout(struct parser *p, struct pf_state *s)
{
	static const char *const words[] = {
	    "max",
	    "max-src-conn",
	    "max-src-conn-rate",
	    "max-src-nodes",
	    "max-src-states",
	    "overload",
	    "source-track",
	    "sloppy",
	    "if-bound",
	    "floating",
	    "no-sync",
	    "pflow",
	    "tcp.established",
	    "tcp.closing",
	    "tcp.opening",
	    "udp.multiple",
	};
	struct pos pos = p->tok->now.pos;
	const char *name = p->tok->now.text;
	uint32_t seconds = 0;

	if (p->tok->now.type != TOK_WORD || !timeout_known(name))
		return p_unexpected(p, "an option of the state", words, ARRAY_SIZE(words));
	if (!strchr(name, '.'))
		return p_fault(p, pos, "illegal state timeout %s", name);
	p_next(p);
	if (has_timeout(s, name))
		return p_fault(p, pos, "state timeout %s multiple definitions", name);
	if (!p_number(p, "a number of seconds", UINT32_MAX, &seconds))
		return false;
	add_timeout(p, s, name, seconds);
	return true;
}

static bool parse_item(struct parser *p, struct pf_state *s)
{
	if (p_take(p, "max"))
		return parse_limit(p, "max", &s->max);
	if (p_take(p, "max-src-nodes"))
		return parse_limit(p, "max-src-nodes", &s->max_src_nodes);
	if (p_take(p, "max-src-states"))
		return parse_limit(p, "max-src-states", &s->max_src_states);
	if (p_take(p, "max-src-conn"))
		return parse_limit(p, "max-src-conn", &s->max_src_conn);
	if (p_take(p, "max-src-conn-rate"))
		return parse_rate(p, s);
	if (p_take(p, "overload"))
		return parse_overload(p, s);
	if (p_take(p, "source-track"))
		return parse_track(p, s);
	if (p_take(p, "sloppy"))
		return s->sloppy = true;
	if (p_take(p, "no-sync"))
		return s->no_sync = true;
	if (p_take(p, "if-bound"))
		return parse_lock(p, s, &s->if_bound);
	if (p_take(p, "floating"))
		return parse_lock(p, s, &s->floating);
	return parse_timeout(p, s);
}

/* What follows from the options, as pfctl adds it. */
static bool finish(struct parser *p, struct pos pos, struct pf_state *s)
{
	bool of_rule = s->max_src_nodes || s->max_src_conn || s->rate;

	if (s->track == PF_TRACK_GLOBAL && of_rule)
		return p_fault(p, pos, "'%s' is incompatible with 'source-track global'",
			       s->max_src_nodes  ? "max-src-nodes"
			       : s->max_src_conn ? "max-src-conn"
						 : "max-src-conn-rate");
	if (of_rule)
		s->track = PF_TRACK_RULE;
	else if (s->max_src_states && s->track == PF_TRACK_NONE)
		s->track = PF_TRACK_GLOBAL;
	if (s->max && !has_timeout(s, "adaptive.start") && !has_timeout(s, "adaptive.end") &&
	    s->max >= 10) {
		uint64_t end = (uint64_t)s->max / 10 * 12;
		add_timeout(p, s, "adaptive.start", s->max / 10 * 6);
		add_timeout(p, s, "adaptive.end", end < UINT32_MAX ? (uint32_t)end : UINT32_MAX);
	}
	struct pf_timeout *tracked = has_timeout(s, "src.track");
	if (s->rate && !tracked)
		add_timeout(p, s, "src.track", s->rate_seconds);
	else if (s->rate && tracked->seconds < s->rate_seconds)
		tracked->seconds = s->rate_seconds;
	if (s->overload && !s->max_src_conn && !s->rate)
		return p_fault(p, pos, "'overload' requires 'max-src-conn' or 'max-src-conn-rate'");
	return true;
}

bool parse_state_options(struct parser *p, struct pf_state *s, bool in_parentheses)
{
	struct pos pos = p->tok->now.pos;
	do {
		if (!parse_item(p, s))
			return false;
		p_take_op(p, ",");
	} while (!p_at_op(p, ")") && !p_at_end(p));
	return (!in_parentheses || p_expect_op(p, ")")) && finish(p, pos, s);
}
