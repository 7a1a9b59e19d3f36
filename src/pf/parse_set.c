/* set: options of all of pf. */
#include <string.h>

#include "pf/names.h"
#include "pf/parse.h"

static struct pf_options *options(struct parser *p)
{
	return &p->pf->options;
}

/* One word of several. */
static const char *choice(struct parser *p, const char *what, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p_take(p, words[i]))
			return words[i];
	p_unexpected(p, what, words, n);
	return NULL;
}

static bool parse_yes(struct parser *p, bool *yes)
{
	static const char *const words[] = {"yes", "no"};
	if (p_at_text(p) && !p_at(p, "yes") && !p_at(p, "no"))
		return p_fault(p, p->tok->now.pos, "invalid value '%s', expected 'yes' or 'no'",
			       p->tok->now.text);
	const char *word = choice(p, "yes or no", words, ARRAY_SIZE(words));
	*yes = word && str_eq(word, "yes");
	return word;
}

/* ---- skip, loginterface ---- */

static void add_skip(struct pf *pf, const char *name)
{
	size_t n = 0;
	while (pf->options.skip && pf->options.skip[n]) {
		if (str_eq(pf->options.skip[n], name))
			return;
		n++;
	}
	const char **v = arena_alloc(&pf->arena, (n + 2) * sizeof(*v));
	if (n)
		memcpy(v, pf->options.skip, n * sizeof(*v));
	v[n] = name;
	pf->options.skip = v;
}

static bool parse_skip(struct parser *p)
{
	struct ifnames names = {0};
	bool ok = p_expect(p, "on") && p_list(p, parse_ifname, &names);

	if (ok && names.n == 1 && str_eq(names.v->name, "none")) {
		options(p)->skip = NULL;
		str_add(&options(p)->text, "set skip on none\n");
		free(names.v);
		return true;
	}
	for (size_t i = 0; ok && i < names.n; i++)
		if (names.v[i].neg)
			ok = p_fault(p, p->start, "skip on ! <interface> is not supported");
	if (ok)
		str_add(&options(p)->text, "set skip on {");
	for (size_t i = 0; ok && i < names.n; i++) {
		add_skip(p->pf, names.v[i].name);
		str_addf(&options(p)->text, " %s", names.v[i].name);
	}
	if (ok)
		str_add(&options(p)->text, " }\n");
	free(names.v);
	return ok;
}

static bool parse_loginterface(struct parser *p)
{
	struct pos pos = p->tok->now.pos;
	const char *name = p_text(p, "the name of an interface, or none");
	if (!name || !good_interface(p, pos, name))
		return false;
	options(p)->loginterface = str_eq(name, "none") ? NULL : name;
	str_addf(&options(p)->text, "set loginterface %s\n", name);
	return true;
}

/* ---- limits and timeouts: NAME NUMBER, or several in braces ---- */

static bool parse_limit(struct parser *p, void *out UNUSED)
{
	static const char *const names[] = {"states", "src-nodes",     "frags",
					    "tables", "table-entries", "anchors"};
	uint32_t n = 0;
	const char *name = choice(p, "states, src-nodes, frags, tables or table-entries", names,
				  ARRAY_SIZE(names));
	if (!name || !p_number(p, "a number", UINT32_MAX, &n))
		return false;
	str_addf(&options(p)->text, "set limit %s %u\n", name, n);
	return true;
}

static bool parse_timeout(struct parser *p, void *out UNUSED)
{
	struct pf_options *o = options(p);
	struct pos pos = p->tok->now.pos;
	const char *name = p_text(p, "the name of a timeout");
	uint32_t n = 0;

	if (!name)
		return false;
	if (!timeout_known(name)) {
		const char *near = timeout_nearest(name);
		return p_fault(p, pos, "unknown timeout %s%s%s%s", name,
			       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
	if (!p_number(p, "a number of seconds", UINT32_MAX, &n))
		return false;
	str_addf(&o->text, "set timeout %s %u\n", name, n);
	for (size_t i = 0; i < o->ntimeouts; i++)
		if (str_eq(o->timeout[i].name, name)) {
			o->timeout[i].seconds = n;
			return true;
		}
	o->timeout = pf_grow(&p->pf->arena, o->timeout, o->ntimeouts, sizeof(*o->timeout));
	o->timeout[o->ntimeouts++] = (struct pf_timeout){name, n};
	return true;
}

/* ---- options of one word ---- */

static bool parse_policy(struct parser *p)
{
	static const char *const words[] = {"drop", "return"};
	const char *word = choice(p, "drop or return", words, ARRAY_SIZE(words));
	if (!word)
		return false;
	options(p)->block_return = str_eq(word, "return");
	str_addf(&options(p)->text, "set block-policy %s\n", word);
	return true;
}

static bool parse_state_policy(struct parser *p)
{
	static const char *const words[] = {"if-bound", "floating"};
	const char *word = choice(p, "if-bound or floating", words, ARRAY_SIZE(words));
	if (!word)
		return false;
	options(p)->if_bound = str_eq(word, "if-bound");
	str_addf(&options(p)->text, "set state-policy %s\n", word);
	return true;
}

static bool parse_require_order(struct parser *p)
{
	return parse_yes(p, &options(p)->require_order);
}

static bool parse_reassemble(struct parser *p)
{
	struct pos pos = p->tok->now.pos;
	bool yes, no_df;
	if (!parse_yes(p, &yes))
		return false;
	no_df = p_take(p, "no-df");
	if (!yes)
		diag_warn(p->d, pos,
			  "reassemble no has no effect here: Linux puts fragments together "
			  "before it follows connections");
	str_addf(&options(p)->text, "set reassemble %s%s\n", yes ? "yes" : "no",
		 no_df ? " no-df" : "");
	return true;
}

/* What is taken, but tunes only FreeBSD's pf. */
static bool parse_without_effect(struct parser *p, const char *name, const char *const *words,
				 const char *why)
{
	struct pos pos = p->tok->now.pos;
	size_t n = 0;
	const char *word;

	while (words && words[n])
		n++;
	if (words) {
		word = choice(p, "one of its values", words, n);
	} else {
		word = p_text(p, "a value");
		if (word && !p_good_name(p, pos, "value", word, PF_PATH_MAX))
			return false;
	}
	if (!word)
		return false;
	if (why)
		diag_warn_once(p->d, pos, "set %s has no effect here: %s", name, why);
	const char *quote = pf_token_is_word(word) ? "" : "\"";
	str_addf(&options(p)->text, "set %s %s%s%s\n", name, quote, word, quote);
	return true;
}

static bool parse_optimization(struct parser *p)
{
	static const char *const words[] = {
	    "normal", "default", "satellite", "high-latency", "conservative", "aggressive", NULL};
	return parse_without_effect(p, "optimization", words, NULL);
}

static bool parse_debug(struct parser *p)
{
	static const char *const words[] = {"none", "urgent", "misc", "loud", NULL};
	return parse_without_effect(p, "debug", words, NULL);
}

static bool parse_fail_policy(struct parser *p)
{
	static const char *const words[] = {"drop", "return", NULL};
	return parse_without_effect(p, "fail-policy", words, NULL);
}

static bool parse_ruleset_optimization(struct parser *p)
{
	static const char *const words[] = {"none", "basic", "profile", "yes", "no", NULL};
	return parse_without_effect(p, "ruleset-optimization", words, NULL);
}

static bool parse_fingerprints(struct parser *p)
{
	return parse_without_effect(p, "fingerprints", NULL, "nothing asks for operating systems");
}

static bool parse_hostid(struct parser *p)
{
	return parse_without_effect(p, "hostid", NULL, NULL);
}

static bool parse_syncookies(struct parser *p)
{
	static const char *const words[] = {"never", "always", "adaptive", NULL};
	if (!parse_without_effect(p, "syncookies", words,
				  "Linux has the sysctl net.ipv4.tcp_syncookies for it"))
		return false;
	while (!p_at_end(p))
		p_next(p);
	return true;
}

static bool parse_keepcounters(struct parser *p)
{
	str_add(&options(p)->text, "set keepcounters\n");
	return true;
}

static bool parse_limits(struct parser *p)
{
	diag_warn_once(p->d, p->start,
		       "set limit has no effect here: the kernel limits its "
		       "connections by the sysctl net.netfilter.nf_conntrack_max");
	return p_list(p, parse_limit, NULL);
}

static bool parse_timeouts(struct parser *p)
{
	return p_list(p, parse_timeout, NULL);
}

static bool parse_defaults(struct parser *p)
{
	struct pf_state *s = arena_alloc(&p->pf->arena, sizeof(*s));
	if (p->defaults)
		return p_fault(p, p->start, "cannot redefine state-defaults");
	bool in_parentheses = p_take_op(p, "(");
	if (!parse_state_options(p, s, in_parentheses))
		return false;
	p->defaults = s;
	return true;
}

bool parse_option(struct parser *p)
{
	static const struct {
		const char *name;
		bool (*parse)(struct parser *p);
		bool anywhere; /* behind rules too */
	} known[] = {
	    {"skip", parse_skip, true},
	    {"block-policy", parse_policy, false},
	    {"loginterface", parse_loginterface, false},
	    {"optimization", parse_optimization, false},
	    {"limit", parse_limits, false},
	    {"timeout", parse_timeouts, false},
	    {"state-policy", parse_state_policy, false},
	    {"debug", parse_debug, false},
	    {"fingerprints", parse_fingerprints, false},
	    {"reassemble", parse_reassemble, false},
	    {"fail-policy", parse_fail_policy, false},
	    {"require-order", parse_require_order, true},
	    {"ruleset-optimization", parse_ruleset_optimization, false},
	    {"hostid", parse_hostid, false},
	    {"keepcounters", parse_keepcounters, true},
	    {"state-defaults", parse_defaults, false},
	    {"syncookies", parse_syncookies, false},
	};
	const char *names[ARRAY_SIZE(known)];

	p_next(p);
	if (*p->path)
		return p_fault(p, p->start,
			       "options are for all of pf: in an anchor \"set\" has no "
			       "place");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		names[i] = known[i].name;
		if (!p_take(p, known[i].name))
			continue;
		if (!known[i].anywhere && !p_in_section(p, SECTION_OPTION))
			return false;
		if (!known[i].parse(p))
			return false;
		return p_at_end(p) || p_unexpected(p, "the end of the line", NULL, 0);
	}
	return p_unexpected(p, "an option", names, ARRAY_SIZE(names));
}
