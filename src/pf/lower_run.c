/* Rules in the order in which nftables asks them; runs of alike ones as one look-up. */
#include "pf/lowering.h"

enum { RUN_MIN = 3 }; /* two rules cost no more than a look-up */

void items_done(struct items *v)
{
	for (size_t i = 0; i < v->n; i++)
		alts_done(&v->v[i].alts);
	free(v->v);
	*v = (struct items){0};
}

/* One alternative of one item. */
struct line {
	const struct alt *alt;
	const struct item *item;
};

/* ---- alike ---- */

static bool is_key(const struct lower_match *m)
{
	return m->key && (m->field == LF_IFACE || m->field == LF_PROTO || m->field == LF_SRC ||
			  m->field == LF_DST || m->field == LF_SPORT || m->field == LF_DPORT ||
			  m->field == LF_ICMP_TYPE || m->field == LF_MARK);
}

static bool same_span(const struct lower_match *a, const struct lower_match *b)
{
	return memcmp(a->lo, b->lo, sizeof(a->lo)) == 0 && memcmp(a->hi, b->hi, sizeof(a->hi)) == 0;
}

static bool same_value(const struct lower_match *a, const struct lower_match *b)
{
	return a->value == b->value || (a->value && b->value && str_eq(a->value, b->value));
}

/* Do they differ in nothing but keys? */
static bool is_alike(const struct alt *a, const struct alt *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct lower_match *x = &a->m[i], *y = &b->m[i];

		if (x->field != y->field || x->neg != y->neg || x->af != y->af ||
		    is_key(x) != is_key(y) || (!is_key(x) && !same_value(x, y)))
			return false;
	}
	return true;
}

/* ---- apart ---- */

/* The spans of one field, sorted; each is apart from the others. */
struct spans {
	const struct lower_match **v;
	size_t n;
};

enum fit { FIT_NEW, FIT_SAME, FIT_NOT };

static enum fit spans_add(struct spans *s, const struct lower_match *m)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) { /* the first that ends at or behind where this one begins */
		size_t mid = (lo + hi) / 2;

		if (memcmp(s->v[mid]->hi, m->lo, sizeof(m->lo)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < s->n && same_span(s->v[lo], m))
		return FIT_SAME;
	if (lo < s->n && memcmp(s->v[lo]->lo, m->hi, sizeof(m->hi)) <= 0)
		return FIT_NOT;
	s->v = mem_grow(s->v, s->n, sizeof(const struct lower_match *));
	memmove(&s->v[lo + 1], &s->v[lo], (s->n - lo) * sizeof(const struct lower_match *));
	s->v[lo] = m;
	s->n++;
	return FIT_NEW;
}

/* The combinations of keys that were seen: a hash table of lines. */
struct seen {
	const struct alt **slot;
	size_t n, cap;
};

static uint64_t hash_keys(const struct alt *a, const size_t *keys, size_t nkeys)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t k = 0; k < nkeys; k++)
		for (size_t i = 0; i < sizeof(a->m[0].lo); i++)
			h = (h ^ a->m[keys[k]].lo[i]) * UINT64_C(0x100000001b3);
	return h;
}

static void seen_put(struct seen *s, const struct alt *a, const size_t *keys, size_t nkeys)
{
	size_t i = hash_keys(a, keys, nkeys) & (s->cap - 1);

	while (s->slot[i])
		i = (i + 1) & (s->cap - 1);
	s->slot[i] = a;
	s->n++;
}

static bool seen_has(const struct seen *s, const struct alt *a, const size_t *keys, size_t nkeys)
{
	for (size_t i = s->cap ? hash_keys(a, keys, nkeys) & (s->cap - 1) : 0; s->cap && s->slot[i];
	     i = (i + 1) & (s->cap - 1)) {
		bool same = true;

		for (size_t k = 0; k < nkeys && same; k++)
			same = same_span(&s->slot[i]->m[keys[k]], &a->m[keys[k]]);
		if (same)
			return true;
	}
	return false;
}

static void seen_add(struct seen *s, const struct alt *a, const size_t *keys, size_t nkeys)
{
	if (2 * (s->n + 1) > s->cap) {
		struct seen old = *s;

		s->cap = old.cap ? 2 * old.cap : 64;
		s->slot = mem_alloc(s->cap * sizeof(const struct alt *));
		s->n = 0;
		for (size_t i = 0; i < old.cap; i++)
			if (old.slot[i])
				seen_put(s, old.slot[i], keys, nkeys);
		free(old.slot);
	}
	seen_put(s, a, keys, nkeys);
}

/* How many of the alike lines from the first on no packet can match two of. */
static size_t apart(const struct line *v, size_t n, const size_t *keys, size_t nkeys)
{
	struct spans spans[ARRAY_SIZE(v[0].alt->m)] = {0};
	struct seen seen = {0};
	size_t i;

	for (i = 0; i < n; i++) {
		bool fits = !seen_has(&seen, v[i].alt, keys, nkeys);

		for (size_t k = 0; k < nkeys && fits; k++)
			fits = spans_add(&spans[k], &v[i].alt->m[keys[k]]) != FIT_NOT;
		if (!fits)
			break;
		seen_add(&seen, v[i].alt, keys, nkeys);
	}
	for (size_t k = 0; k < nkeys; k++)
		free(spans[k].v);
	free(seen.slot);
	return i;
}

/* ---- what is done ---- */

/* Steps that are no single verdict get a chain, and alike ones the same chain. */
static struct lower_step verdict_of(struct lowering *w, enum pf_dir dir, const struct item *it)
{
	struct str text autodone(str_done) = {0};
	const struct lower_step *s = it->step;

	if (it->nsteps == 1 && (s->what == LD_GOTO || s->what == LD_JUMP || s->what == LD_DROP ||
				s->what == LD_ACCEPT || s->what == LD_RETURN))
		return *s;
	str_addc(&text, dir == PF_IN ? 'i' : 'o');
	for (size_t i = 0; i < it->nsteps; i++)
		str_addf(&text, "|%d %d %s %u %u", (int)s[i].what, s[i].af,
			 s[i].arg ? s[i].arg : "", s[i].a, s[i].b);
	return (struct lower_step){.what = LD_JUMP,
				   .arg = lowering_shared(w, text.s, dir, it->step, it->nsteps)};
}

/* ---- emission ---- */

static void emit_one(struct lowering *w, const char *chain, enum pf_dir dir, const struct line *l)
{
	lowering_rule(w, chain, dir, l->alt->m, l->alt->n, l->item->step, l->item->nsteps);
	w->out->op[w->out->n - 1].id = l->item->id;
}

static void emit_many(struct lowering *w, const char *chain, enum pf_dir dir, const struct line *v,
		      size_t n, const size_t *keys, size_t nkeys)
{
	struct lower_elem *many = arena_alloc(&w->out->arena, n * sizeof(*many));

	for (size_t i = 0; i < n; i++)
		many[i] = (struct lower_elem){
		    .match = lowering_copy(w, v[i].alt->m, v[i].alt->n * sizeof(*v[i].alt->m)),
		    .verdict = verdict_of(w, dir, v[i].item),
		    .id = v[i].item->id};
	struct lower_op *o = lowering_rule_op(w, chain, dir);
	o->match = (struct lower_match *)many[0].match;
	o->nmatches = v[0].alt->n;
	o->keys = lowering_copy(w, keys, nkeys * sizeof(*keys));
	o->nkeys = nkeys;
	o->many = many;
	o->nmany = n;
}

/* Lines that are alike: n of them, differing in the fields keys. */
static void emit_run(struct lowering *w, const char *chain, enum pf_dir dir, const struct line *v,
		     size_t n, const size_t *keys, size_t nkeys)
{
	while (n) {
		size_t part = nkeys && n >= RUN_MIN ? apart(v, n, keys, nkeys) : 1;

		if (part >= RUN_MIN)
			emit_many(w, chain, dir, v, part, keys, nkeys);
		else
			for (size_t i = 0; i < part; i++)
				emit_one(w, chain, dir, &v[i]);
		v += part;
		n -= part;
	}
}

static size_t differing(const struct line *v, size_t n, size_t *keys)
{
	size_t nkeys = 0;

	for (size_t k = 0; k < v[0].alt->n; k++) {
		bool same = true;

		for (size_t i = 1; i < n && same && is_key(&v[0].alt->m[k]); i++)
			same = same_span(&v[0].alt->m[k], &v[i].alt->m[k]);
		if (!same)
			keys[nkeys++] = k;
	}
	return nkeys;
}

void emit_items(struct lowering *w, const char *chain, enum pf_dir dir, const struct items *v)
{
	autofree struct line *line = NULL;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k < v->v[i].alts.n; k++) {
			line = mem_grow(line, n, sizeof(*line));
			line[n++] = (struct line){&v->v[i].alts.v[k], &v->v[i]};
		}
	for (size_t i = 0, end; i < n; i = end) {
		size_t keys[ARRAY_SIZE(line[0].alt->m)], nkeys;

		for (end = i + 1; end < n && is_alike(line[i].alt, line[end].alt); end++)
			;
		nkeys = differing(&line[i], end - i, keys);
		emit_run(w, chain, dir, &line[i], end - i, keys, nkeys);
	}
}
