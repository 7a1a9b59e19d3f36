#include "firewall/kept.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/num.h"

#define FIRST "newgate pf 1"

char *kept_bytes(const char *text, size_t len)
{
	char *copy = mem_alloc(len + 1);

	if (len)
		memcpy(copy, text, len);
	return copy;
}

/* ---- rulesets ---- */

static void ruleset_done(struct kept_ruleset *r)
{
	free(r->anchor);
	free(r->path);
	strv_done(&r->define);
	for (size_t i = 0; i < r->nfiles; i++) {
		free(r->file[i].path);
		free(r->file[i].text);
	}
	free(r->file);
	*r = (struct kept_ruleset){0};
}

void kept_done(struct kept *k)
{
	for (size_t i = 0; i < k->n; i++)
		ruleset_done(&k->ruleset[i]);
	free(k->ruleset);
	*k = (struct kept){0};
}

struct kept_ruleset *kept_find(struct kept *k, const char *anchor)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->ruleset[i].anchor, anchor))
			return &k->ruleset[i];
	return NULL;
}

void kept_remove(struct kept *k, const char *anchor)
{
	struct kept_ruleset *r = kept_find(k, anchor);

	if (!r)
		return;
	ruleset_done(r);
	size_t at = (size_t)(r - k->ruleset);
	memmove(r, r + 1, (k->n - at - 1) * sizeof(*r));
	k->n--;
}

struct kept_ruleset *kept_add(struct kept *k, const char *anchor)
{
	struct kept_ruleset *r = kept_find(k, anchor);

	if (r) {
		ruleset_done(r);
	} else {
		k->ruleset = mem_grow(k->ruleset, k->n, sizeof(*k->ruleset));
		r = &k->ruleset[k->n++];
	}
	*r = (struct kept_ruleset){.anchor = mem_strdup(anchor)};
	return r;
}

const struct kept_file *kept_file(const struct kept_ruleset *r, const char *path)
{
	for (size_t i = 0; i < r->nfiles; i++)
		if (str_eq(r->file[i].path, path))
			return &r->file[i];
	return NULL;
}

void kept_file_add(struct kept_ruleset *r, const char *path, const char *text, size_t len)
{
	if (kept_file(r, path))
		return;
	r->file = mem_grow(r->file, r->nfiles, sizeof(*r->file));
	r->file[r->nfiles++] = (struct kept_file){mem_strdup(path), kept_bytes(text, len), len};
}

/* Names are written with their length, so that they may hold anything. */
static void add_sized(struct str *out, const char *key, const char *text, size_t len)
{
	str_addf(out, "%s %zu\n", key, len);
	str_addn(out, text, len);
	str_addc(out, '\n');
}

void kept_format(struct str *out, const struct kept *k)
{
	str_add(out, FIRST "\n");
	for (size_t i = 0; i < k->n; i++) {
		const struct kept_ruleset *r = &k->ruleset[i];

		add_sized(out, "ruleset", r->anchor, strlen(r->anchor));
		add_sized(out, "path", r->path, strlen(r->path));
		for (size_t d = 0; d < r->define.n; d++)
			add_sized(out, "define", r->define.v[d], strlen(r->define.v[d]));
		for (size_t f = 0; f < r->nfiles; f++) {
			add_sized(out, "file", r->file[f].path, strlen(r->file[f].path));
			add_sized(out, "text", r->file[f].text, r->file[f].len);
		}
	}
	str_add(out, "end\n");
}

/* ---- and back ---- */

struct input {
	const char *at, *end;
};

/* "KEY LEN\nBYTES\n". */
static bool take(struct input *in, char key[static 16], char **text, size_t *len)
{
	const char *eol = memchr(in->at, '\n', (size_t)(in->end - in->at));
	char line[64];
	uint64_t n;

	if (!eol || (size_t)(eol - in->at) >= sizeof(line))
		return false;
	memcpy(line, in->at, (size_t)(eol - in->at));
	line[eol - in->at] = '\0';
	char *blank = strchr(line, ' ');
	if (!blank || (size_t)(blank - line) >= 16)
		return false;
	*blank = '\0';
	if (num_u64(blank + 1, 0, (uint64_t)(in->end - eol - 1), &n) < 0 ||
	    (size_t)(in->end - eol - 1) <= n || eol[1 + n] != '\n')
		return false;
	memcpy(key, line, (size_t)(blank - line) + 1);
	*text = kept_bytes(eol + 1, n);
	*len = n;
	in->at = eol + 2 + n;
	return true;
}

static bool take_next(struct input *in, struct kept *out, char **file)
{
	struct kept_ruleset *r = out->n ? &out->ruleset[out->n - 1] : NULL;
	autofree char *text = NULL;
	char key[16];
	size_t len;

	if (!take(in, key, &text, &len))
		return false;
	if (str_eq(key, "ruleset")) {
		(void)kept_add(out, text);
	} else if (!r) {
		return false;
	} else if (str_eq(key, "path") && !r->path) {
		r->path = take_ptr(text);
	} else if (str_eq(key, "define")) {
		strv_add(&r->define, text);
	} else if (str_eq(key, "file")) {
		free(*file);
		*file = take_ptr(text);
	} else if (str_eq(key, "text") && *file) {
		kept_file_add(r, *file, text, len);
	} else {
		return false;
	}
	return true;
}

int kept_parse(const char *text, size_t len, struct kept *out)
{
	struct input in = {text, text + len};
	autofree char *file = NULL;
	bool good = len > sizeof(FIRST) && memcmp(text, FIRST "\n", sizeof(FIRST)) == 0;

	in.at += good ? sizeof(FIRST) : 0;
	while (good && !(in.end - in.at == 4 && memcmp(in.at, "end\n", 4) == 0))
		good = take_next(&in, out, &file);
	for (size_t i = 0; i < out->n; i++)
		good = good && out->ruleset[i].path;
	if (!good)
		kept_done(out);
	return good ? 0 : -EINVAL;
}

/* ---- tables ---- */

void kept_tables_done(struct kept_tables *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].anchor);
		free(t->v[i].name);
		free(t->v[i].entry);
	}
	free(t->v);
	*t = (struct kept_tables){0};
}

struct kept_table *kept_table(struct kept_tables *t, const char *anchor, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (str_eq(t->v[i].name, name) && str_eq(t->v[i].anchor, anchor))
			return &t->v[i];
	return NULL;
}

struct kept_table *kept_table_add(struct kept_tables *t, const char *anchor, const char *name)
{
	t->v = mem_grow(t->v, t->n, sizeof(*t->v));
	t->v[t->n] = (struct kept_table){.anchor = mem_strdup(anchor), .name = mem_strdup(name)};
	return &t->v[t->n++];
}

static int net_cmp(const struct ipnet *a, const struct ipnet *b)
{
	int order = ip_cmp(&a->addr, &b->addr);

	return order ? order : a->len - b->len;
}

/* Where it is, or belongs. */
static size_t find_entry(const struct kept_table *t, const struct ipnet *net, bool *there)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (net_cmp(&t->entry[mid].net, net) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*there = lo < t->n && net_cmp(&t->entry[lo].net, net) == 0;
	return lo;
}

bool kept_entry_add(struct kept_table *t, const struct ipnet *net, bool neg, int64_t since)
{
	struct ipnet first = {.addr = ipnet_first(net), .len = net->len};
	bool there;
	size_t at = find_entry(t, &first, &there);

	if (there) {
		t->entry[at].neg = neg;
		return false;
	}
	t->entry = mem_grow(t->entry, t->n, sizeof(*t->entry));
	memmove(&t->entry[at + 1], &t->entry[at], (t->n - at) * sizeof(*t->entry));
	t->entry[at] = (struct kept_entry){first, neg, since};
	t->n++;
	return true;
}

const struct kept_entry *kept_entry_find(const struct kept_table *t, const struct ipnet *net)
{
	struct ipnet first = {.addr = ipnet_first(net), .len = net->len};
	bool there;
	size_t at = find_entry(t, &first, &there);

	return there ? &t->entry[at] : NULL;
}

bool kept_entry_remove(struct kept_table *t, const struct ipnet *net)
{
	struct ipnet first = {.addr = ipnet_first(net), .len = net->len};
	bool there;
	size_t at = find_entry(t, &first, &there);

	if (!there)
		return false;
	memmove(&t->entry[at], &t->entry[at + 1], (t->n - at - 1) * sizeof(*t->entry));
	t->n--;
	return true;
}

static void format(struct str *out, const struct kept_tables *t, bool times)
{
	char text[IPNET_TEXT];

	for (size_t i = 0; i < t->n; i++) {
		const struct kept_table *k = &t->v[i];

		str_addf(out, "table %s %s%s%s%s\n", *k->anchor ? k->anchor : "/", k->name,
			 k->own ? " own" : "", k->constant ? " const" : "",
			 k->overload ? " overload" : "");
		for (size_t e = 0; e < k->n; e++)
			str_addf(out, "%" PRId64 " %s%s\n", times ? k->entry[e].since : 0,
				 k->entry[e].neg ? "!" : "", ipnet_text(&k->entry[e].net, text));
	}
	str_add(out, "end\n");
}

void kept_tables_format(struct str *out, const struct kept_tables *t)
{
	format(out, t, true);
}

void kept_tables_format_bare(struct str *out, const struct kept_tables *t)
{
	format(out, t, false);
}

static bool parse_entry(struct kept_table *t, const char *line)
{
	const char *blank = strchr(line, ' ');
	char number[24];
	struct ipnet net;
	int64_t since;

	if (!t || !blank || (size_t)(blank - line) >= sizeof(number))
		return false;
	memcpy(number, line, (size_t)(blank - line));
	number[blank - line] = '\0';
	bool neg = blank[1] == '!';
	if (num_i64(number, 0, INT64_MAX, &since) < 0 || ipnet_parse(blank + 1 + neg, &net) < 0)
		return false;
	(void)kept_entry_add(t, &net, neg, since);
	return true;
}

static struct kept_table *parse_head(struct kept_tables *out, const char *line)
{
	struct strv words autodone(strv_done) = {0};

	strv_split(&words, line, " ");
	if (words.n < 3)
		return NULL;
	struct kept_table *t =
	    kept_table_add(out, str_eq(words.v[1], "/") ? "" : words.v[1], words.v[2]);
	for (size_t i = 3; i < words.n; i++) {
		t->own |= str_eq(words.v[i], "own");
		t->constant |= str_eq(words.v[i], "const");
		t->overload |= str_eq(words.v[i], "overload");
	}
	return t;
}

int kept_tables_parse(const char *text, size_t len, struct kept_tables *out)
{
	struct kept_table *t = NULL;
	bool good = true, ended = false;

	for (const char *p = text; good && !ended && p < text + len;) {
		const char *eol = memchr(p, '\n', (size_t)(text + len - p));
		autofree char *line = mem_strndup(p, eol ? (size_t)(eol - p) : 0);

		if (str_eq(line, "end"))
			ended = true;
		else if (str_prefix(line, "table "))
			good = (t = parse_head(out, line)) != NULL;
		else
			good = eol && parse_entry(t, line);
		p = eol ? eol + 1 : text + len;
	}
	if (!good || !ended)
		kept_tables_done(out);
	return good && ended ? 0 : -EINVAL;
}
