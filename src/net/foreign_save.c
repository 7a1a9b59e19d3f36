/* Rules as iptables-save(8) prints them. */
#include <ctype.h>
#include <string.h>
#include "base/str.h"
#include "net/foreign_rule.h"

struct line {
	struct strv word;
	size_t at;
};

/* Words as iptables-save quotes them: "…" with \" and \\ inside. */
static void split(struct strv *out, const char *s)
{
	while (*(s += strspn(s, " "))) {
		struct str word = {0};
		bool quoted = *s == '"';
		str_add(&word, "");
		for (s += quoted; *s && (quoted ? *s != '"' : *s != ' '); s++) {
			if (quoted && *s == '\\' && s[1])
				s++;
			str_addc(&word, *s);
		}
		s += quoted && *s == '"';
		strv_take(out, str_take(&word));
	}
}

/* ---- conditions ---- */

static const struct {
	const char *option;
	enum foreign_key key;
} options[] = {
    {"-i", KEY_IIF},
    {"-o", KEY_OIF},
    {"-s", KEY_SADDR},
    {"-d", KEY_DADDR},
    {"-p", KEY_PROTO},
    {"--sport", KEY_SPORT},
    {"--sports", KEY_SPORT},
    {"--dport", KEY_DPORT},
    {"--dports", KEY_DPORT},
    {"--state", KEY_CT_STATE},
    {"--ctstate", KEY_CT_STATE},
    {"--ctstatus", KEY_CT_STATUS},
    {"--src-group", KEY_IIFGROUP},
    {"--dst-group", KEY_OIFGROUP},
};

static void add_list(struct foreign *f, struct foreign_condition *c, const char *list)
{
	struct strv v = {0};
	strv_split(&v, list, ",");
	for (size_t i = 0; i < v.n; i++)
		foreign_add_value(f, c, v.v[i]);
	strv_done(&v);
}

/* DNAT among the states means what the status says. */
static enum foreign_key key_of(const char *option, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (str_eq(option, options[i].option))
			return options[i].key == KEY_CT_STATE && str_eq(value, "DNAT")
				   ? KEY_CT_STATUS
				   : options[i].key;
	return KEY_UNKNOWN;
}

static bool is_option(const char *word)
{
	return (word[0] == '-' && !isdigit((unsigned char)word[1])) || str_eq(word, "!");
}

/* One option with what belongs to it. */
static void take_option(struct foreign *f, struct foreign_rule *r, struct line *l, bool negate)
{
	const char *option = l->word.v[l->at++];
	/* A module by itself says nothing; a comment neither, which may look like an option. */
	if (str_eq(option, "--comment"))
		l->at++;
	const char *value =
	    l->at < l->word.n && !is_option(l->word.v[l->at]) ? l->word.v[l->at] : "";
	if (!str_eq(option, "-m") && !str_eq(option, "--comment")) {
		struct foreign_condition *c = foreign_add_condition(f, r, key_of(option, value));
		c->negate = negate;
		if (c->key == KEY_CT_STATUS && str_eq(value, "DNAT"))
			foreign_add_value(f, c, "dnat");
		else
			add_list(f, c, value);
	}
	while (l->at < l->word.n && !is_option(l->word.v[l->at]))
		l->at++;
}

/* ---- rules ---- */

static enum foreign_action action_of(const char *target, bool jump)
{
	static const struct {
		const char *name;
		enum foreign_action action;
	} targets[] = {
	    {"ACCEPT", ACTION_ACCEPT},   {"DROP", ACTION_DROP},     {"REJECT", ACTION_DROP},
	    {"RETURN", ACTION_RETURN},   {"LOG", ACTION_NONE},      {"NFLOG", ACTION_NONE},
	    {"ULOG", ACTION_NONE},       {"MARK", ACTION_NONE},     {"CONNMARK", ACTION_NONE},
	    {"TCPMSS", ACTION_NONE},     {"CT", ACTION_NONE},       {"NOTRACK", ACTION_NONE},
	    {"TRACE", ACTION_NONE},      {"CHECKSUM", ACTION_NONE}, {"DSCP", ACTION_NONE},
	    {"TOS", ACTION_NONE},        {"TTL", ACTION_NONE},      {"HL", ACTION_NONE},
	    {"CLASSIFY", ACTION_NONE},   {"SET", ACTION_NONE},      {"AUDIT", ACTION_NONE},
	    {"NFQUEUE", ACTION_UNKNOWN}, {"QUEUE", ACTION_UNKNOWN}, {"SYNPROXY", ACTION_UNKNOWN},
	    {"TPROXY", ACTION_UNKNOWN},
	};
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		if (str_eq(target, targets[i].name))
			return targets[i].action;
	return jump ? ACTION_JUMP : ACTION_GOTO;
}

static void read_rule(struct foreign *f, struct foreign_chain *c, const char *text, struct line *l)
{
	struct foreign_rule *r = foreign_add_rule(f, c);
	bool negate = false;

	r->text = arena_strndup(&f->arena, text, strlen(text));
	for (l->at = 2; l->at < l->word.n;) {
		const char *word = l->word.v[l->at];
		bool jump = str_eq(word, "-j");
		if (str_eq(word, "!")) {
			negate = true;
			l->at++;
			continue;
		}
		if ((jump || str_eq(word, "-g")) && l->at + 1 < l->word.n) {
			const char *target = l->word.v[l->at + 1];
			r->action = action_of(target, jump);
			r->target = arena_strndup(&f->arena, target, strlen(target));
			return; /* the rest is the target's */
		}
		if (is_option(word))
			take_option(f, r, l, negate);
		else
			l->at++;
		negate = false;
	}
}

/* ":FORWARD DROP [0:0]": a chain of the kernel's has a policy. */
static void read_chain(struct foreign *f, const char *family, const char *table, bool legacy,
		       const struct strv *word)
{
	struct foreign_chain *c = foreign_add_chain(f, family, table, word->v[0] + 1, legacy);
	c->save = true;
	if (word->n < 2 || str_eq(word->v[1], "-"))
		return;
	char *hook = arena_strndup(&f->arena, c->name, strlen(c->name));
	for (char *p = hook; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	c->hook = hook;
	c->type = str_eq(table, "nat") ? "nat" : "filter";
	c->drop = str_eq(word->v[1], "DROP");
}

/* What nft(8) told of the same table. */
static void forget(struct foreign *f, const char *family, const char *table)
{
	size_t kept = 0;
	for (size_t i = 0; i < f->n; i++) {
		const struct foreign_chain *c = f->chain[i];
		if (c->legacy || c->save || !str_eq(c->family, family) || !str_eq(c->table, table))
			f->chain[kept++] = f->chain[i];
	}
	f->n = kept;
}

void foreign_read_save(struct foreign *f, const char *family, bool legacy, char *text)
{
	const char *table = "";
	for (char *line; (line = strsep(&text, "\n"));) {
		struct line l = {0};
		split(&l.word, line);
		if (*line == '*') {
			table = arena_strndup(&f->arena, line + 1, strlen(line + 1));
			if (!legacy)
				forget(f, family, table);
		} else if (*line == ':' && l.word.n) {
			read_chain(f, family, table, legacy, &l.word);
		} else if (l.word.n > 2 && str_eq(l.word.v[0], "-A")) {
			struct foreign_chain *c =
			    foreign_find(f, family, table, l.word.v[1], legacy);
			if (c)
				read_rule(f, c, line, &l);
		}
		strv_done(&l.word);
	}
}
