/* anchor, nat-anchor and so on; load anchor. */
#include <string.h>

#include "pf/parse.h"

/* The absolute path of an anchor that is named in the ruleset `p->path`; NULL: reported. */
static const char *anchor_path(struct parser *p, struct pos at, const char *name, bool wildcard)
{
	const char *base = *name == '/' ? "" : p->path;
	char *path =
	    arena_printf(&p->pf->arena, "%s%s%s", base, *base ? "/" : "", name + (*name == '/'));

	if (!p_good_name(p, at, "anchor name", path, PF_PATH_MAX))
		return NULL;
	for (const char *part = path, *end; part; part = *end ? end + 1 : NULL) {
		end = strchrnul(part, '/');
		if (end == part || (size_t)(end - part) > PF_NAME_MAX) {
			p_fault(p, at, "anchor name \"%s\": each of its parts has 1 to %u chars",
				path, PF_NAME_MAX);
			return NULL;
		}
		if (wildcard && !*end && str_eq(part, "*"))
			break;
		if (memchr(part, '*', (size_t)(end - part))) {
			p_fault(p, at,
				"anchor name \"%s\": a \"*\" is the whole of the last part: "
				"\"name/*\"",
				path);
			return NULL;
		}
	}
	return path;
}

/* A name that nobody can give: "_1", "_2" … */
static const char *unnamed_path(struct parser *p)
{
	unsigned n = 1;
	for (size_t i = 0; i < p->pf->nrulesets; i++) {
		const char *slash = strrchr(p->pf->ruleset[i].path, '/');
		const char *last = slash ? slash + 1 : p->pf->ruleset[i].path;
		n += *last == '_';
	}
	return arena_printf(&p->pf->arena, "%s%s_%u", p->path, *p->path ? "/" : "", n);
}

/* At "{": the anchor's rules. */
static bool parse_block(struct parser *p, const char *path)
{
	const char *outer = p->path;

	if (p->blocks >= PF_BLOCK_DEPTH)
		return p_fault(p, p->start, "anchors stand in one another more than %u deep",
			       PF_BLOCK_DEPTH);
	p_next(p);
	if (!p_at_end(p))
		return p_fault(p, p->tok->now.pos,
			       "syntax error at \"%s\": the rules of an anchor begin on the line "
			       "behind its \"{\"",
			       p->tok->now.text);
	pf_ruleset_at(p->pf, path);
	p->path = path;
	p->blocks++;
	parse_statements(p, true);
	p->blocks--;
	p->path = outer;
	return true;
}

/* At what follows the rule of a filter anchor. Blocks are read before the rule is added, so that a
 * fault in them is told in its place. */
static bool finish_anchor(struct parser *p, struct written *w, struct pos at, const char *name)
{
	bool block = p_at_op(p, "{");

	if (name && *name == '_')
		return p_fault(p, at,
			       "anchor names beginning with '_' are reserved for internal use");
	if (!name && !block)
		return p_fault(p, p->start, "anchors without explicit rules must specify a name");
	if (name && block && strpbrk(name, "/*"))
		return p_fault(p, at,
			       "anchor paths containing '/' cannot be used for inline anchors");
	w->r.anchor = name ? anchor_path(p, at, name, !block) : unnamed_path(p);
	if (!w->r.anchor)
		return false;
	if (w->keep)
		return p_fault(p, p->start, "cannot specify state handling options on anchors");
	if (!p_in_section(p, SECTION_FILTER) || !expand_written(p, w))
		return false;
	if (!block)
		return true;
	struct pos start = p->start;
	bool ok = parse_block(p, w->r.anchor);
	p->start = start;
	return ok && (p_at_end(p) || p_fault(p, p->tok->now.pos,
					     "syntax error at \"%s\": behind the \"}\" of an "
					     "anchor the line ends",
					     p->tok->now.text));
}

bool parse_anchor(struct parser *p)
{
	autodone(written_done) struct written w = written_blank(PF_ANCHOR, IN_FILTER);
	static const char *const head[] = {"in",    "out",   "quick", "log", "on", "inet",
					   "inet6", "proto", "from",  "to",  "all"};
	const char *name = NULL;
	bool is_name;

	p_next(p);
	struct pos pos = p->tok->now.pos;
	is_name = p_at_text(p);
	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		is_name &= !p_at(p, head[i]);
	if (is_name)
		name = p_text(p, "a name");
	parse_dir(p, &w);
	if (!parse_log_quick(p, &w))
		return false;
	if (w.r.log)
		return p_fault(p, p->start, "an anchor cannot log: its rules can");
	return parse_on(p, &w) && parse_af(p, &w) && parse_proto(p, &w) && parse_sides(p, &w) &&
	       parse_filter_options(p, &w) && finish_anchor(p, &w, pos, name);
}

bool parse_nat_anchor(struct parser *p)
{
	autodone(written_done) struct written w = written_blank(PF_ANCHOR, IN_NAT);

	if (p_at(p, "rdr-anchor"))
		w.where = IN_RDR;
	else if (p_at(p, "binat-anchor"))
		w.where = IN_BINAT;
	p_next(p);
	struct pos pos = p->tok->now.pos;
	const char *name = p_text(p, "the name of an anchor");
	if (!name || !parse_on(p, &w) || !parse_af(p, &w) || !parse_proto(p, &w) ||
	    !parse_sides(p, &w))
		return false;
	if (!p_at_end(p))
		return p_unexpected(p, "from, to or the end of the line", NULL, 0);
	if (*name == '_')
		return p_fault(p, pos,
			       "anchor names beginning with '_' are reserved for internal use");
	w.r.anchor = anchor_path(p, pos, name, true);
	return w.r.anchor && p_in_section(p, SECTION_NAT) && expand_written(p, &w);
}

bool parse_load(struct parser *p)
{
	p_next(p);
	if (!p_expect(p, "anchor"))
		return false;
	struct pos pos = p->tok->now.pos;
	const char *name = p_text(p, "the name of an anchor");
	if (!name || !p_expect(p, "from"))
		return false;
	struct load l = {.file = p_text(p, "the name of a file"), .pos = pos};
	if (!l.file)
		return false;
	if (!p_at_end(p))
		return p_unexpected(p, "the end of the line", NULL, 0);
	l.path = anchor_path(p, pos, name, false);
	if (!l.path)
		return false;
	p->load = mem_grow(p->load, p->nloads, sizeof(*p->load));
	p->load[p->nloads++] = l;
	return true;
}
