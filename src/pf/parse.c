/* The parser's tools and its outermost rule:
 *
 *   file  := { [ statement ] NEWLINE }
 *   block := "{" NEWLINE { [ statement ] NEWLINE } "}"       (of an anchor)
 *
 * After a fault the rest of the statement is skipped, also where it goes on over several lines in
 * braces, so that one fault does not invent others. */
#include "pf/parse.h"

#include <stdarg.h>
#include <string.h>

#include "base/num.h"

struct written written_blank(enum pf_action action, enum where where)
{
	return (struct written){
	    .where = where,
	    .r =
		{
		    .action = action,
		    .icmp_type = -1,
		    .icmp_code = -1,
		    .tos = -1,
		    .scrub.set_tos = -1,
		},
	};
}

void written_done(struct written *w)
{
	free(w->on.v);
	free(w->proto.v);
	free(w->icmp.v);
	free(w->src.v);
	free(w->dst.v);
	free(w->pool.v);
	free(w->sport.v);
	free(w->dport.v);
	free(w->user.v);
	free(w->group.v);
}

/* ---- tokens ---- */

bool p_at(const struct parser *p, const char *word)
{
	return p->tok->now.type == TOK_WORD && str_eq(p->tok->now.text, word);
}

bool p_at_op(const struct parser *p, const char *op)
{
	return p->tok->now.type == TOK_OP && str_eq(p->tok->now.text, op);
}

bool p_at_end(const struct parser *p)
{
	return p->tok->now.type == TOK_NEWLINE || p->tok->now.type == TOK_EOF;
}

bool p_at_text(const struct parser *p)
{
	return p->tok->now.type == TOK_WORD || p->tok->now.type == TOK_STRING;
}

void p_next(struct parser *p)
{
	pf_tokens_next(p->tok);
}

bool p_take(struct parser *p, const char *word)
{
	if (!p_at(p, word))
		return false;
	p_next(p);
	return true;
}

bool p_take_op(struct parser *p, const char *op)
{
	if (!p_at_op(p, op))
		return false;
	p_next(p);
	return true;
}

bool p_expect(struct parser *p, const char *word)
{
	if (p_take(p, word))
		return true;
	autofree char *what = NULL;
	struct str b = {0};
	str_addf(&b, "\"%s\"", word);
	what = str_take(&b);
	return p_unexpected(p, what, &word, 1);
}

bool p_expect_op(struct parser *p, const char *op)
{
	if (p_take_op(p, op))
		return true;
	autofree char *what = NULL;
	struct str b = {0};
	str_addf(&b, "\"%s\"", op);
	what = str_take(&b);
	return p_unexpected(p, what, NULL, 0);
}

const char *p_text(struct parser *p, const char *what)
{
	const char *s = p->tok->now.text;
	if (!p_at_text(p) || (p->tok->now.type == TOK_WORD && pf_token_is_reserved(s))) {
		p_unexpected(p, what, NULL, 0);
		return NULL;
	}
	p_next(p);
	return s;
}

bool p_number(struct parser *p, const char *what, uint32_t max, uint32_t *out)
{
	const struct token *t = &p->tok->now;
	int r = t->type == TOK_WORD ? num_u32(t->text, 0, max, out) : -EINVAL;
	if (r == -EINVAL)
		return p_unexpected(p, what, NULL, 0);
	if (r < 0)
		return p_fault(p, t->pos, "%s is too large: %s is at most %u", t->text, what, max);
	p_next(p);
	return true;
}

/* ---- faults ---- */

bool p_fault(struct parser *p, struct pos at, const char *fmt, ...)
{
	struct str b = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	diag_error(p->d, at, "%s", str_text(&b));
	str_done(&b);
	return false;
}

/* Words of pf as OpenBSD has it now, and what says the same here. */
static const char *of_openbsd(const char *word)
{
	static const char *const words[][2] = {
	    {"nat-to", "nat on IF from … to … -> ADDRESS"},
	    {"rdr-to", "rdr on IF proto … to … port … -> ADDRESS port …"},
	    {"binat-to", "binat on IF from … to … -> ADDRESS"},
	    {"af-to", NULL},
	    {"divert-packet", NULL},
	    {"received-on", NULL},
	    {"once", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(words[i][0], word))
			return words[i][1] ? words[i][1] : "";
	return NULL;
}

bool p_unexpected(struct parser *p, const char *what, const char *const *words, size_t n)
{
	const struct token *t = &p->tok->now;
	const char *near = t->type == TOK_WORD ? str_nearest(t->text, words, n) : NULL;
	const char *openbsd = t->type == TOK_WORD ? of_openbsd(t->text) : NULL;
	struct str b = {0};

	if (t->type == TOK_BAD || (t->type == TOK_EOF && p->tok->cut))
		return false;
	if (openbsd && *openbsd)
		str_addf(&b, "\"%s\" is OpenBSD's way to say it; here it is a rule of its own: %s",
			 t->text, openbsd);
	else if (openbsd)
		str_addf(&b, "\"%s\" is OpenBSD's: nothing does it here", t->text);
	else if (t->type == TOK_EOF)
		str_addf(&b, "syntax error: the file ends where %s was expected", what);
	else if (t->type == TOK_NEWLINE)
		str_addf(&b, "syntax error: the line ends where %s was expected", what);
	else if (t->type == TOK_OP && str_eq(t->text, "$"))
		str_add(&b, "syntax error: the value of a macro names another one in its quotes; "
			    "outside of quotes it is expanded: x = \"a\" $b");
	else if (near && !str_eq(near, t->text))
		str_addf(&b, "syntax error at \"%s\": did you mean \"%s\"?", t->text, near);
	else
		str_addf(&b, "syntax error at \"%s\": %s was expected", t->text, what);
	if (t->macro)
		str_addf(&b, " (in the value of $%s)", t->macro);
	diag_error(p->d, t->pos, "%s", str_text(&b));
	str_done(&b);
	return false;
}

bool p_good_name(struct parser *p, struct pos at, const char *what, const char *name, size_t max)
{
	if (strlen(name) > max)
		return p_fault(p, at, "%s too long, max %zu chars", what, max);
	if (!*name)
		return p_fault(p, at, "an empty %s is none", what);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f || strchr("\"\\", *c))
			return p_fault(p, at,
				       "%s \"%s\": no quotes, backslashes or control characters",
				       what, name);
	return true;
}

/* ---- lists ---- */

static const char *const statement_words[] = {
    "pass",  "block", "match",      "anchor",     "antispoof",    "nat",   "rdr",
    "binat", "no",    "nat-anchor", "rdr-anchor", "binat-anchor", "scrub", "set",
    "table", "load",  "include",    "altq",       "queue",        "ether",
};

static bool is_statement(const struct parser *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(statement_words); i++)
		if (p_at(p, statement_words[i]))
			return true;
	return false;
}

static void skip_newlines(struct parser *p)
{
	while (p->tok->now.type == TOK_NEWLINE)
		p_next(p);
}

/* In a list that lacks its end. */
static bool list_unclosed(struct parser *p, struct pos opened, bool first)
{
	if (p->tok->now.type == TOK_EOF && !p->tok->cut)
		return !p_fault(p, opened, "syntax error: this \"{\" has no \"}\"");
	if (!first || !is_statement(p))
		return false;
	p->lost = true;
	return !p_fault(p, opened, "syntax error: this \"{\" has no \"}\" before line %u",
			p->tok->now.pos.line);
}

bool p_list_items(struct parser *p, item_fn *item, void *out, unsigned flags)
{
	struct pos opened = p->tok->now.pos;
	bool may_end = flags & LIST_EMPTY;

	if (p->braces >= PF_BLOCK_DEPTH)
		return p_fault(p, opened, "lists stand in one another more than %u deep",
			       PF_BLOCK_DEPTH);
	p->braces++;
	p_next(p);
	for (;; may_end = true) {
		bool first = p->tok->now.type == TOK_NEWLINE;
		skip_newlines(p);
		if (may_end && p_take_op(p, ","))
			skip_newlines(p);
		if (may_end && p_at_op(p, "}"))
			break;
		if (list_unclosed(p, opened, first))
			return false;
		bool nested = flags & LIST_NEST && p_at_op(p, "{");
		if (nested ? !p_list_items(p, item, out, flags) : !item(p, out))
			return false;
	}
	p->braces--;
	p_next(p);
	return true;
}

bool p_list(struct parser *p, item_fn *item, void *out)
{
	return p_at_op(p, "{") ? p_list_items(p, item, out, 0) : item(p, out);
}

bool p_in_section(struct parser *p, enum section s)
{
	if (p->blocks && s != SECTION_FILTER)
		return p_fault(p, p->start,
			       "in the braces of an anchor stand filter rules; others come from a "
			       "file: load anchor NAME from FILE");
	if (p->pf->options.require_order && p->section > s)
		return p_fault(p, p->start,
			       "Rules must be in order: options, normalization, queueing, "
			       "translation, filtering (or say \"set require-order no\")");
	p->section = s;
	return true;
}

/* ---- statements ---- */

/* `name = value …`, at the name. */
static bool parse_macro(struct parser *p)
{
	struct pos pos = p->start;
	const char *name = p->tok->now.text;
	struct str value = {0};

	p_next(p);
	p_next(p);
	if (strpbrk(name, " \t"))
		return p_fault(p, pos, "macro name cannot contain whitespace");
	if (p_at_op(p, "{"))
		return p_fault(p, p->tok->now.pos,
			       "a list as the value of a macro stands in quotes: %s = \"{ … }\"",
			       name);
	if (!p_at_text(p))
		return p_unexpected(p, "a macro's value", NULL, 0);
	for (bool any = false; p_at_text(p); any = true) {
		if (any)
			str_addc(&value, ' ');
		str_add(&value, p->tok->now.text);
		p_next(p);
	}
	if (p_at_end(p))
		pf_macros_set(&p->macros, &p->pf->arena, name, str_text(&value), false);
	str_done(&value);
	return p_at_end(p) ||
	       p_fault(p, p->tok->now.pos,
		       "syntax error at \"%s\": a macro's value that is more than words stands in "
		       "quotes",
		       p->tok->now.text);
}

static void read_file(struct parser *p, const char *name, const char *text, size_t len)
{
	struct tokens *outer = p->tok, mine;

	pf_tokens_init(&mine, &p->pf->arena, p->d, &p->macros, name, text, len);
	p->tok = &mine;
	p_next(p);
	parse_statements(p, false);
	pf_tokens_done(&mine);
	p->tok = outer;
}

static bool parse_include(struct parser *p)
{
	struct pos pos = p->start;
	p_next(p);
	const char *name = p_text(p, "the name of a file");
	autofree char *contents = NULL;
	size_t len = 0;

	if (!name)
		return false;
	if (!p_at_end(p))
		return p_unexpected(p, "the end of the line", NULL, 0);
	if (p->includes >= PF_INCLUDE_DEPTH)
		return p_fault(p, pos,
			       "files include one another more than %u deep: does %s include "
			       "itself?",
			       PF_INCLUDE_DEPTH, name);
	if (p->included++ >= PF_INCLUDES_MAX)
		return p_fault(p, pos, "more than %u files are included", PF_INCLUDES_MAX);
	int r = p->r->read ? p->r->read(p->r->arg, name, &contents, &len) : -ENOENT;
	if (r < 0)
		return p_fault(p, pos, "cannot open the include file %s: %s", name, strerror(-r));
	strv_add(&p->pf->files, name);
	p->includes++;
	read_file(p, name, contents, len);
	p->includes--;
	return true;
}

/* Queues: nothing here shapes traffic. The statement is passed over. */
static bool parse_queue(struct parser *p)
{
	diag_warn_once(p->d, p->start,
		       "%s has no effect here: traffic is not queued (tc(8) does that on Linux)",
		       p->tok->now.text);
	for (unsigned depth = 0; depth || !p_at_end(p); p_next(p)) {
		if (p->tok->now.type == TOK_EOF)
			return true;
		if (p_at_op(p, "{"))
			depth++;
		else if (p_at_op(p, "}") && depth)
			depth--;
	}
	return p_in_section(p, SECTION_QUEUE);
}

static bool parse_translation(struct parser *p)
{
	return parse_nat(p, false);
}

static bool parse_scrubbing(struct parser *p)
{
	return parse_scrub(p, false);
}

static bool parse_no(struct parser *p)
{
	static const char *const words[] = {"nat", "rdr", "binat", "scrub"};

	p_next(p);
	if (p_at(p, "scrub"))
		return parse_scrub(p, true);
	if (p_at(p, "nat") || p_at(p, "rdr") || p_at(p, "binat"))
		return parse_nat(p, true);
	return p_unexpected(p, "nat, rdr, binat or scrub", words, ARRAY_SIZE(words));
}

static bool parse_statement(struct parser *p)
{
	static const struct {
		const char *word;
		bool (*parse)(struct parser *p);
	} known[] = {
	    {"pass", parse_filter},     {"block", parse_filter},
	    {"match", parse_filter},    {"nat", parse_translation},
	    {"rdr", parse_translation}, {"binat", parse_translation},
	    {"no", parse_no},           {"scrub", parse_scrubbing},
	    {"anchor", parse_anchor},   {"nat-anchor", parse_nat_anchor},
	    {"table", parse_table},     {"rdr-anchor", parse_nat_anchor},
	    {"set", parse_option},      {"binat-anchor", parse_nat_anchor},
	    {"load", parse_load},       {"include", parse_include},
	    {"altq", parse_queue},      {"antispoof", parse_antispoof},
	    {"queue", parse_queue},
	};
	if (p_at_text(p) && pf_tokens_at_assignment(p->tok))
		return parse_macro(p);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (p_at(p, known[i].word))
			return known[i].parse(p);
	if (p_at(p, "ether"))
		return p_fault(p, p->start,
			       "ether: frames are not filtered here, only what is in "
			       "them; jails do not share a bridge");
	if (p_at_op(p, "}"))
		return p_fault(p, p->start, "syntax error: no \"{\" is open here");
	return p_unexpected(p, "a rule, an option or the definition of a macro", statement_words,
			    ARRAY_SIZE(statement_words));
}

/* On to the end of the line that the statement's last list ends in. */
static void resync(struct parser *p)
{
	unsigned depth = p->braces;
	for (; p->tok->now.type != TOK_EOF; p_next(p)) {
		if (p->tok->now.type == TOK_NEWLINE && !depth)
			return;
		if (p_at_op(p, "{"))
			depth++;
		else if (p_at_op(p, "}") && depth)
			depth--;
	}
}

void parse_statements(struct parser *p, bool block)
{
	struct pos opened = p->start;

	for (;;) {
		if (p->tok->now.type == TOK_NEWLINE) {
			p_next(p);
			continue;
		}
		if (p->tok->now.type == TOK_EOF) {
			if (block && !p->tok->cut)
				(void)p_fault(p, opened,
					      "syntax error: the anchor that opens here has "
					      "no \"}\"");
			return;
		}
		if (block && p_take_op(p, "}"))
			return;
		p->start = p->tok->now.pos;
		p->braces = 0;
		/* A list that lacks its end ran into the next statement: that one is read. */
		if (!parse_statement(p) &&
		    !(p->tok->now.type == TOK_WORD && is_statement(p) && p->lost))
			resync(p);
		p->lost = false;
	}
}
