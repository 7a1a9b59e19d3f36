/* The options of filter and scrub rules: what stands behind from and to, in any order. */
#include <netinet/in.h>
#include <string.h>

#include "base/num.h"
#include "pf/names.h"
#include "pf/parse.h"

/* ---- flags ---- */

/* "SA" as bits; false where a letter is none. */
static bool flag_bits(const char *word, uint8_t *out)
{
	static const char letters[] = "FSRPAUEW";
	uint8_t bits = 0;

	if (str_eq(word, "ALL") || str_eq(word, "all")) {
		*out = 0xff;
		return true;
	}
	for (; *word; word++) {
		const char *l = strchr(letters, *word);
		if (!l)
			return false;
		bits |= (uint8_t)(1u << (l - letters));
	}
	*out = bits;
	return true;
}

static bool parse_flag_set(struct parser *p, uint8_t *out)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "flags: letters of FSRPAUEW");

	if (!word)
		return false;
	return flag_bits(word, out) ||
	       p_fault(p, pos, "bad flags %s: letters of FSRPAUEW, as in S/SA", word);
}

static bool parse_flags(struct parser *p, struct written *w)
{
	struct pos pos = p->tok->now.pos;

	if (w->flags)
		return p_fault(p, pos, "flags cannot be redefined");
	w->flags = true;
	if (p_take(p, "any"))
		return true;
	if (!p_at_op(p, "/") && !parse_flag_set(p, &w->r.flags))
		return false;
	if (!p_expect_op(p, "/") || !parse_flag_set(p, &w->r.flags_of))
		return false;
	if (w->r.flags & ~w->r.flags_of)
		return p_fault(p, pos,
			       "flags always false: what is left of \"/\" is not right of it");
	return true;
}

/* ---- ICMP ---- */

static bool parse_icmp_code(struct parser *p, int af, struct icmp *i)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "a code");
	uint32_t n;

	if (!word)
		return false;
	i->code = icmp_code_number(i->type, word, af);
	if (i->code < 0 && num_u32(word, 0, UINT8_MAX, &n) == 0)
		i->code = (int)n;
	return i->code >= 0 || p_fault(p, pos, "unknown icmp-code %s of this type", word);
}

static bool parse_icmp(struct parser *p, struct icmps *out, int af)
{
	struct pos pos = p->tok->now.pos;
	struct icmp i = {-1, -1, af == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6};
	const char *word = p_text(p, "a type of ICMP messages");
	uint32_t n;

	if (!word)
		return false;
	i.type = icmp_type_number(word, af);
	if (i.type < 0 && num_u32(word, 0, UINT8_MAX, &n) == 0)
		i.type = (int)n;
	if (i.type < 0) {
		const char *near = icmp_type_nearest(word, af);
		return p_fault(p, pos, "unknown %s %s%s%s%s",
			       af == AF_INET ? "icmp-type" : "icmp6-type", word,
			       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
	if (p_take(p, "code") && !parse_icmp_code(p, af, &i))
		return false;
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = i;
	return true;
}

static bool parse_icmp4_item(struct parser *p, void *icmps)
{
	return parse_icmp(p, icmps, AF_INET);
}

static bool parse_icmp6_item(struct parser *p, void *icmps)
{
	return parse_icmp(p, icmps, AF_INET6);
}

static bool parse_icmp_types(struct parser *p, struct written *w, bool six)
{
	if (w->icmp.n)
		return p_fault(p, p->tok->now.pos, "icmp-type cannot be redefined");
	return p_list(p, six ? parse_icmp6_item : parse_icmp4_item, &w->icmp);
}

/* ---- labels, tags, tos, probability ---- */

bool parse_label(struct parser *p, struct written *w)
{
	struct pos pos = p->tok->now.pos;
	if (w->r.label)
		return p_fault(p, pos, "label can only be used once here: join them in one");
	w->r.label = p_text(p, "a label");
	return w->r.label && p_good_name(p, pos, "rule label", w->r.label, PF_NAME_MAX);
}

bool parse_tags(struct parser *p, struct written *w, bool *found)
{
	bool not = p_at_op(p, "!");
	const char **name = NULL;

	*found = false;
	if (not )
		p_next(p);
	if (!not &&p_take(p, "tag"))
		name = &w->r.tag;
	else if (p_take(p, "tagged"))
		name = &w->r.tagged;
	else
		return !not || p_unexpected(p, "\"tagged\"", NULL, 0);
	struct pos pos = p->tok->now.pos;
	*name = p_text(p, "a tag");
	w->r.not_tagged |= not ;
	*found = true;
	return *name && p_good_name(p, pos, "tag", *name, PF_NAME_MAX);
}

bool parse_tos(struct parser *p, int *tos)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "a type of service");
	char *end = NULL;

	if (!word)
		return false;
	*tos = tos_number(word);
	if (*tos >= 0)
		return true;
	unsigned long n = strtoul(word, &end, str_prefix(word, "0x") ? 16 : 10);
	if (*word < '0' || *word > '9' || *end || n > UINT8_MAX)
		return p_fault(p, pos, "illegal tos value %s: a name, or 0 to 255", word);
	*tos = (int)n;
	return true;
}

static bool parse_probability(struct parser *p, struct written *w)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "a probability, as 20%");
	char *end = NULL;

	if (!word)
		return false;
	double value = strtod(word, &end);
	if (*end == '%') {
		value /= 100;
		end++;
	}
	if (*end || strspn(word, "0123456789.%") != strlen(word) || !(value >= 0 && value <= 1))
		return p_fault(p, pos, "invalid probability: %s is not 0%% to 100%%", word);
	w->r.prob = (uint32_t)(value * UINT32_MAX + 0.5);
	if (!w->r.prob)
		w->r.prob = 1;
	return true;
}

/* ---- state ---- */

static bool parse_keep(struct parser *p, struct written *w, enum pf_keep keep)
{
	if (w->keep)
		return p_fault(p, p->tok->now.pos, "modulate or keep cannot be redefined");
	w->keep = true;
	w->r.state.keep = keep;
	if (!p_expect(p, "state"))
		return false;
	if (keep == PF_STATE_NONE || !p_take_op(p, "("))
		return true;
	return parse_state_options(p, &w->r.state, true);
}

/* ---- scrub ---- */

static bool parse_fragment_mode(struct parser *p, struct written *w)
{
	static const char *const modes[] = {"reassemble", "crop", "drop-ovl"};
	if (!p_at(p, "reassemble") && !p_at(p, "crop") && !p_at(p, "drop-ovl"))
		return p_unexpected(p, "reassemble", modes, ARRAY_SIZE(modes));
	p_next(p);
	w->r.scrub.fragment_reassemble = true;
	return true;
}

/* One option of scrub; found: one was there. */
static bool parse_scrub_option(struct parser *p, struct written *w, bool *found)
{
	struct pf_scrub *s = &w->r.scrub;
	uint32_t n = 0;

	*found = true;
	if (p_take(p, "no-df")) {
		s->no_df = true;
	} else if (p_take(p, "random-id")) {
		s->random_id = true;
	} else if (p_take(p, "min-ttl")) {
		if (!p_number(p, "a time to live", UINT8_MAX, &n))
			return false;
		s->min_ttl = (uint8_t)n;
	} else if (p_take(p, "max-mss")) {
		if (!p_number(p, "a segment's size", UINT16_MAX, &n))
			return false;
		s->max_mss = (uint16_t)n;
	} else if (p_take(p, "set-tos")) {
		return parse_tos(p, &s->set_tos);
	} else if (p_take(p, "reassemble")) {
		s->reassemble_tcp = true;
		return p_expect(p, "tcp");
	} else {
		*found = false;
	}
	return true;
}

static const char *const scrub_words[] = {
    "no-df", "random-id", "min-ttl", "max-mss", "set-tos", "reassemble", "fragment",
};

/* "( option … )" of match and pass rules, at "(". */
static bool parse_scrub_list(struct parser *p, struct written *w)
{
	bool found = true;

	if (!p_expect_op(p, "("))
		return false;
	while (found) {
		if (!parse_scrub_option(p, w, &found))
			return false;
		if (found)
			p_take_op(p, ",");
	}
	return p_take_op(p, ")") ||
	       p_unexpected(p, "an option of scrub or \")\"", scrub_words, ARRAY_SIZE(scrub_words));
}

bool parse_scrub(struct parser *p, bool no)
{
	autodone(written_done) struct written w =
	    written_blank(no ? PF_NO_SCRUB : PF_SCRUB, IN_SCRUB);
	bool found;

	p_next(p);
	w.r.scrub.fragment_reassemble = !no;
	parse_dir(p, &w);
	if (!parse_log_quick(p, &w))
		return false;
	if (w.r.quick)
		return p_fault(p, p->start,
			       "scrub rules do not support 'quick': the first that "
			       "matches wins");
	if (!parse_on(p, &w) || !parse_af(p, &w) || !parse_proto(p, &w) || !parse_sides(p, &w))
		return false;
	do {
		if (p_take(p, "fragment")) {
			found = true;
			if (!parse_fragment_mode(p, &w))
				return false;
		} else if (!parse_scrub_option(p, &w, &found)) {
			return false;
		}
	} while (found);
	if (!p_at_end(p))
		return p_unexpected(p, "an option of scrub or the end of the line", scrub_words,
				    ARRAY_SIZE(scrub_words));
	return p_in_section(p, SECTION_SCRUB) && expand_written(p, &w);
}

/* ---- what cannot be kept, and what means nothing ---- */

static bool refuse(struct parser *p, bool *found)
{
	static const struct {
		const char *word, *why;
	} refused[] = {
	    {"rtable", "there is one routing table for all rules here (see ip-rule(8))"},
	    {"divert-to", "there are no divert sockets on Linux"},
	    {"divert-reply", "there are no divert sockets on Linux"},
	    {"prio", "the priority in a VLAN's header is not matched here"},
	    {"max-pkt-rate", "the rate of a state's packets is not counted here; "
			     "max-src-conn-rate limits new connections"},
	    {"map-e-portset", "ports are not mapped by MAP-E here"},
	};
	*found = false;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (p_at(p, refused[i].word))
			return p_fault(p, p->tok->now.pos, "%s cannot be kept: %s", refused[i].word,
				       refused[i].why);
	return true;
}

/* "( a, b )" or one word, passed over. */
static bool skip_argument(struct parser *p)
{
	if (!p_take_op(p, "("))
		return p_text(p, "a name or number") != NULL;
	while (!p_at_op(p, ")") && !p_at_end(p))
		p_next(p);
	return p_expect_op(p, ")");
}

static bool parse_ignored(struct parser *p, bool *found)
{
	static const struct {
		const char *word, *why;
	} ignored[] = {
	    {"queue", "traffic is not queued (tc(8) does that on Linux)"},
	    {"dnpipe", "traffic is not shaped (tc(8) does that on Linux)"},
	    {"dnqueue", "traffic is not shaped (tc(8) does that on Linux)"},
	    {"ridentifier", "a label does the same"},
	    {"set", "priorities are for queues, and traffic is not queued"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (p_at(p, ignored[i].word)) {
			diag_warn_once(p->d, p->tok->now.pos, "%s has no effect here: %s",
				       ignored[i].word, ignored[i].why);
			p_next(p);
			*found = true;
			if (str_eq(ignored[i].word, "set") && p_take(p, "prio"))
				return skip_argument(p);
			return skip_argument(p);
		}
	return true;
}

/* ---- all of them ---- */

static const char *const option_words[] = {
    "user",         "group",       "flags",    "icmp-type",   "icmp6-type", "tos",
    "keep",         "modulate",    "synproxy", "no",          "fragment",   "allow-opts",
    "label",        "tag",         "tagged",   "probability", "queue",      "scrub",
    "rtable",       "prio",        "set",      "dnpipe",      "dnqueue",    "divert-to",
    "max-pkt-rate", "ridentifier", "port",     "to",          "from",       "proto",
    "on",           "in",          "out",      "inet",        "inet6",      "quick",
    "log",          "all",         "drop",     "return",      "return-rst", "return-icmp",
    "return-icmp6",
};

static bool parse_option_word(struct parser *p, struct written *w, bool *found)
{
	*found = true;
	if (p_take(p, "user"))
		return parse_ids(p, false, &w->user);
	if (p_take(p, "group"))
		return parse_ids(p, true, &w->group);
	if (p_take(p, "flags"))
		return parse_flags(p, w);
	if (p_take(p, "icmp-type"))
		return parse_icmp_types(p, w, false);
	if (p_take(p, "icmp6-type"))
		return parse_icmp_types(p, w, true);
	if (p_take(p, "tos"))
		return parse_tos(p, &w->r.tos);
	if (p_take(p, "keep"))
		return parse_keep(p, w, PF_STATE_KEEP);
	if (p_take(p, "modulate"))
		return parse_keep(p, w, PF_STATE_MODULATE);
	if (p_take(p, "synproxy"))
		return parse_keep(p, w, PF_STATE_SYNPROXY);
	if (p_take(p, "no"))
		return parse_keep(p, w, PF_STATE_NONE);
	if (p_take(p, "fragment"))
		return w->r.fragment = true;
	if (p_take(p, "allow-opts"))
		return w->r.allow_opts = true;
	if (p_take(p, "label"))
		return parse_label(p, w);
	if (p_take(p, "probability"))
		return parse_probability(p, w);
	if (p_take(p, "scrub"))
		return parse_scrub_list(p, w);
	*found = false;
	return true;
}

/* A word of the rule's head behind its place. */
static bool misplaced(struct parser *p)
{
	static const char *const head[] = {"in",    "out",   "log",  "quick", "on", "inet",
					   "inet6", "proto", "from", "all",   "to"};
	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		if (p_at(p, head[i]))
			return p_fault(
			    p, p->tok->now.pos,
			    "syntax error at \"%s\": the order is: action, in or out, log "
			    "and quick, on, inet or inet6, proto, from, to, options",
			    head[i]);
	return p_unexpected(p, "an option or the end of the line", option_words,
			    ARRAY_SIZE(option_words));
}

bool parse_filter_options(struct parser *p, struct written *w)
{
	bool found;

	do {
		if (!parse_option_word(p, w, &found) || (!found && !parse_tags(p, w, &found)) ||
		    (!found && !refuse(p, &found)) || (!found && !parse_ignored(p, &found)))
			return false;
	} while (found);
	return p_at_end(p) || (w->r.action == PF_ANCHOR && p_at_op(p, "{")) || misplaced(p);
}
