#include "run/depend.h"

#include "base/mem.h"

size_t depend_add(struct depend *d, bool goes_down, bool goes_up)
{
	d->v = mem_grow(d->v, d->n, sizeof(*d->v));
	d->v[d->n] = (struct depend_node){.goes_down = goes_down, .goes_up = goes_up};
	return d->n++;
}

void depend_edge(struct depend *d, size_t from, size_t to, bool light)
{
	struct depend_node *n = &d->v[from];
	for (size_t i = 0; i < n->nedges; i++)
		if (n->edge[i].to == to) {
			n->edge[i].light &= light;
			return;
		}
	n->edge = mem_grow(n->edge, n->nedges, sizeof(*n->edge));
	n->edge[n->nedges++] = (struct depend_edge){to, light};
	struct depend_node *t = &d->v[to];
	t->from = mem_grow(t->from, t->nfrom, sizeof(*t->from));
	t->from[t->nfrom++] = from;
}

void depend_done(struct depend *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].edge);
		free(d->v[i].from);
	}
	free(d->v);
	*d = (struct depend){0};
}

static enum depend_verdict may_go_up(const struct depend *d, const struct depend_node *n)
{
	enum depend_verdict v = DEPEND_READY;
	for (size_t i = 0; i < n->nedges; i++) {
		const struct depend_node *to = &d->v[n->edge[i].to];
		enum depend_level need = n->edge[i].light ? DEPEND_MADE : DEPEND_UP;
		if (to->failed)
			return DEPEND_NEVER;
		if (to->level < need)
			v = DEPEND_NOT_YET;
	}
	return v;
}

static enum depend_verdict may_go_down(const struct depend *d, const struct depend_node *n)
{
	enum depend_verdict v = DEPEND_READY;
	for (size_t i = 0; i < n->nfrom; i++) {
		const struct depend_node *from = &d->v[n->from[i]];
		if (!from->goes_down || from == n || from->level >= DEPEND_DOWN)
			continue;
		if (from->failed)
			return DEPEND_NEVER;
		v = DEPEND_NOT_YET;
	}
	return v;
}

enum depend_verdict depend_may(const struct depend *d, size_t i)
{
	const struct depend_node *n = &d->v[i];
	if (n->goes_down && n->level < DEPEND_DOWN)
		return may_go_down(d, n);
	return may_go_up(d, n);
}

static bool reaches(const struct depend *d, size_t from, size_t to, bool *seen)
{
	for (size_t e = 0; e < d->v[from].nedges; e++) {
		size_t next = d->v[from].edge[e].to;
		if (next == to)
			return true;
		if (seen[next])
			continue;
		seen[next] = true;
		if (reaches(d, next, to, seen))
			return true;
	}
	return false;
}

bool depend_in_loop(const struct depend *d, size_t i)
{
	autofree bool *seen = mem_alloc(d->n * sizeof(*seen));
	return reaches(d, i, i, seen);
}
