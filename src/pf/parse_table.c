/* table, and the files of addresses that it names. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "pf/parse.h"

static bool refuse_in_table(struct parser *p, struct pos at, const struct host *h)
{
	switch (h->addr.type) {
	case PF_ADDR_DYNAMIC:
		return p_fault(p, at, "dynamic addresses are not permitted inside tables");
	case PF_ADDR_TABLE:
		return p_fault(p, at, "tables cannot contain tables");
	case PF_ADDR_NO_ROUTE:
		return p_fault(p, at, "\"no-route\" is not permitted inside tables");
	case PF_ADDR_URPF_FAILED:
		return p_fault(p, at, "\"urpf-failed\" is not permitted inside tables");
	case PF_ADDR_RANGE:
		return p_fault(p, at, "ranges are not permitted inside tables: write networks");
	case PF_ADDR_ANY:
		if (!h->af)
			return p_fault(p, at,
				       "\"any\" is not permitted inside tables: 0.0.0.0/0 and "
				       "::/0 say the same");
		break;
	case PF_ADDR_NET:
		break;
	}
	return true;
}

static bool add_entry(struct parser *p, struct pos at, struct pf_table *t, const struct host *h)
{
	if (!refuse_in_table(p, at, h))
		return false;
	if (t->n >= PF_ENTRIES_MAX)
		return p_fault(p, at, "table <%s>: more than %u entries", t->name, PF_ENTRIES_MAX);
	t->entry = pf_grow(&p->pf->arena, t->entry, t->n, sizeof(*t->entry));
	t->entry[t->n] = (struct pf_entry){.net = h->addr.net, .neg = h->addr.neg};
	if (h->addr.type == PF_ADDR_ANY)
		t->entry[t->n].net = (struct ipnet){{.family = h->af}, 0};
	t->n++;
	return true;
}

static bool add_entries(struct parser *p, struct pos at, struct pf_table *t, struct hosts *h)
{
	bool ok = true;
	for (size_t i = 0; ok && i < h->n; i++)
		ok = add_entry(p, at, t, &h->v[i]);
	free(h->v);
	*h = (struct hosts){0};
	return ok;
}

static bool parse_entry(struct parser *p, void *table)
{
	struct pos pos = p->tok->now.pos;
	struct hosts h = {0};

	if (parse_host(p, &h))
		return add_entries(p, pos, table, &h);
	free(h.v);
	return false;
}

/* ---- files: entries between blanks, "!" in front of exceptions, comments from "#" ---- */

static bool entry_from_file(struct parser *p, struct pos at, struct pf_table *t, const char *word,
			    bool neg)
{
	struct hosts h = {0};
	const char *slash = strchr(word, '/');
	char *name =
	    arena_strndup(&p->pf->arena, word, slash ? (size_t)(slash - word) : strlen(word));
	struct ipnet net;
	uint32_t len = 0;

	/* Also "A/255.255.255.0". */
	if (slash && ipnet_parse(word, &net) == 0)
		len = net.len;
	else if (slash && num_u32(slash + 1, 0, 128, &len) < 0)
		return p_fault(p, at, "\"%s\" is no network", word);
	if (!resolve_host(p, at, name, slash ? (int)len : -1, neg, &h)) {
		free(h.v);
		return false;
	}
	return add_entries(p, at, t, &h);
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_entry(int c)
{
	return !is_blank(c) && c != '#' && c != '!' && c;
}

static bool read_entries(struct parser *p, struct pf_table *t, const char *file, const char *text,
			 size_t len)
{
	struct lex l;
	bool ok = true, neg = false;

	lex_init(&l, arena_strndup(&p->pf->arena, file, strlen(file)), text, len);
	for (int c; (c = lex_peek(&l)) >= 0;) {
		struct pos at = l.pos;
		const char *start = l.p;
		if (is_blank(c)) {
			lex_get(&l);
		} else if (c == '#') {
			lex_skip_line(&l);
		} else if (c == '!') {
			lex_get(&l);
			neg = true;
		} else if (lex_while(&l, is_entry)) {
			size_t n = (size_t)(l.p - start);
			char word[256];
			snprintf(word, sizeof(word), "%.*s", (int)(n < 255 ? n : 255), start);
			ok &= entry_from_file(p, at, t, word, neg);
			neg = false;
		} else {
			return p_fault(p, at, "file \"%s\" contains bad data", file);
		}
	}
	return ok;
}

static bool parse_table_file(struct parser *p, struct pf_table *t)
{
	struct pos pos = p->tok->now.pos;
	const char *file = p_text(p, "the name of a file");
	autofree char *contents = NULL;
	size_t len = 0;

	if (!file)
		return false;
	t->initialised = true;
	int r = p->r->read ? p->r->read(p->r->arg, file, &contents, &len) : -ENOENT;
	if (r < 0)
		return p_fault(p, pos, "cannot load \"%s\": %s", file, strerror(-r));
	strv_add(&p->pf->files, file);
	/* What is wrong in the file is told with the file's own lines. */
	(void)read_entries(p, t, file, contents, len);
	return true;
}

/* ---- the statement ---- */

static bool same_net(const struct pf_entry *a, const struct pf_entry *b)
{
	return a->net.len == b->net.len && ip_eq(&a->net.addr, &b->net.addr);
}

static int by_net(const void *a, const void *b)
{
	const struct pf_entry *x = a, *y = b;
	int addr = ip_cmp(&x->net.addr, &y->net.addr);
	if (addr)
		return addr;
	if (x->net.len != y->net.len)
		return x->net.len < y->net.len ? -1 : 1;
	return x->neg - y->neg;
}

static bool sort_entries(struct parser *p, struct pf_table *t)
{
	size_t n = 0;

	if (t->n)
		qsort(t->entry, t->n, sizeof(*t->entry), by_net);
	for (size_t i = 0; i < t->n; i++) {
		struct pf_entry *last = n ? &t->entry[n - 1] : NULL;
		if (!last || !same_net(last, &t->entry[i])) {
			t->entry[n++] = t->entry[i];
		} else if (last->neg != t->entry[i].neg) {
			char net[IPNET_TEXT];
			return p_fault(p, t->pos, "table <%s>: both %s and ! %s are in it", t->name,
				       ipnet_text(&last->net, net), net);
		}
	}
	t->n = n;
	return true;
}

static bool parse_table_option(struct parser *p, struct pf_table *t)
{
	static const char *const words[] = {"persist", "const", "counters", "file"};

	if (p_take(p, "persist"))
		return t->persist = true;
	if (p_take(p, "const"))
		return t->constant = true;
	if (p_take(p, "counters"))
		return t->counters = true;
	if (p_take(p, "file"))
		return parse_table_file(p, t);
	if (!p_at_op(p, "{"))
		return p_unexpected(p, "persist, const, counters, file or \"{\"", words,
				    ARRAY_SIZE(words));
	t->initialised = true;
	return p_list_items(p, parse_entry, t, LIST_EMPTY);
}

bool parse_table(struct parser *p)
{
	struct pf *pf = p->pf;
	struct pf_table t = {.pos = p->start, .anchor = p->path};

	if (p->blocks)
		return p_fault(p, p->start,
			       "a table stands outside of the braces of an anchor: its "
			       "rules find it there");
	p_next(p);
	if (!parse_table_name(p, &t.name))
		return false;
	while (!p_at_end(p))
		if (!parse_table_option(p, &t))
			return false;
	if (!sort_entries(p, &t))
		return false;
	/* Defined again: the later one is meant. */
	for (size_t i = 0; i < pf->ntables; i++)
		if (str_eq(pf->table[i].name, t.name) && str_eq(pf->table[i].anchor, t.anchor)) {
			pf->table[i] = t;
			return true;
		}
	pf->table = pf_grow(&pf->arena, pf->table, pf->ntables, sizeof(*pf->table));
	pf->table[pf->ntables++] = t;
	return true;
}
