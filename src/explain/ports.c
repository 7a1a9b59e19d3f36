/* All ports at once: where the answer may change is where some value begins or ends. */
#include "base/mem.h"
#include "explain/explain.h"

struct edges {
	bool at[65537]; /* a new answer may begin at this port */
};

static void mark(struct edges *e, const struct ports *p)
{
	e->at[p->first] = true;
	e->at[p->last + 1] = true;
}

static void mark_jail(struct edges *e, const struct explain_jail *j, enum proto proto)
{
	for (size_t i = 0; i < j->nrdrs; i++)
		if (j->rdr[i].r.proto == proto) {
			mark(e, &j->rdr[i].r.port);
			mark(e, &j->rdr[i].r.to);
		}
	for (size_t i = 0; i < j->nconnects; i++)
		for (size_t k = 0; k < j->connect[i].c.nports; k++)
			if (j->connect[i].c.port[k].proto == proto)
				mark(e, &j->connect[i].c.port[k].port);
}

static bool same(const struct explain_answer *a, const struct explain_answer *b)
{
	return a->pass == b->pass && a->rule == b->rule && a->value == b->value && a->by == b->by &&
	       a->rdr == b->rdr;
}

static void walk_ports(struct explain_world *w, struct explain_question *q, const struct edges *e,
		       struct explain_span **v, size_t *n)
{
	size_t first = *n;
	for (unsigned port = 1; port <= 65535; port++) {
		struct explain_answer a;
		if (port > 1 && !e->at[port])
			continue;
		q->port = (uint16_t)port;
		explain_walk(w, q, &a);
		if (*n > first && same(&(*v)[*n - 1].answer, &a))
			continue;
		if (*n > first)
			(*v)[*n - 1].ports.last = (uint16_t)(port - 1);
		*v = mem_grow(*v, *n, sizeof(**v));
		(*v)[(*n)++] = (struct explain_span){q->proto, {(uint16_t)port, 65535}, a};
	}
}

struct explain_span *explain_ports(struct explain_world *w, const struct explain_question *q,
				   size_t *n)
{
	static const struct ports mail = {25, 25}, names = {53, 53};
	struct explain_span *v = NULL;
	autofree struct edges *e = mem_alloc(sizeof(*e));
	struct explain_question at = *q;
	*n = 0;
	for (int udp = 0; udp < 2; udp++) {
		at.proto = udp ? PROTO_UDP : PROTO_TCP;
		memset(e, 0, sizeof(*e));
		mark(e, &mail);
		mark(e, &names);
		for (size_t i = 0; i < w->n; i++)
			mark_jail(e, &w->jail[i], at.proto);
		walk_ports(w, &at, e, &v, n);
	}
	return v;
}
