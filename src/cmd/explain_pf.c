#include "cmd/explain_pf.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "firewall/firewall.h"

struct explain_rules {
	struct firewall f;
};

struct explain_rules *explain_rules_read(struct gather *g, const struct rcconf *rc, int *status)
{
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};

	*status = 0;
	if (!firewall_is_on(g->state, rc))
		return NULL;
	struct explain_rules *r = mem_alloc(sizeof(*r));
	if (net_pf_make(&g->net, NULL, &r->f, &d, &err) == 0)
		return r;
	tell_diags(&d, false);
	warn_msg("%s", err.text);
	explain_rules_free(r);
	*status = 1;
	return NULL;
}

void explain_rules_free(struct explain_rules *r)
{
	if (r)
		firewall_done(&r->f);
	free(r);
}

void explain_rules_ask(struct explain_rules *r, struct explain_world *w,
		       const struct explain_question *q, struct explain_pf *out)
{
	explain_pf(w, &r->f.pf, &r->f.host.host, q, out);
}

/* Calls fn for each line there is to say. */
static void each_line(const struct explain_rules *r, const struct explain_pf *p,
		      void (*fn)(void *arg, const char *line), void *arg)
{
	for (size_t i = 0; i < p->nhops; i++) {
		struct str hop autodone(str_done) = {0}, translation autodone(str_done) = {0};

		explain_pf_translation(&translation, &r->f.pf, &p->hop[i]);
		explain_pf_hop(&hop, &r->f.pf, &p->hop[i]);
		if (translation.len)
			fn(arg, translation.s);
		fn(arg, hop.s);
	}
	if (p->unanswered) {
		struct str back autodone(str_done) = {0};

		str_add(&back, "the answer ");
		explain_pf_hop(&back, &r->f.pf, &p->back);
		fn(arg, back.s);
	}
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	printf("  %s\n", line);
}

void explain_rules_print(const struct explain_rules *r, const struct explain_pf *p)
{
	struct str change autodone(str_done) = {0};

	each_line(r, p, print_line, NULL);
	explain_pf_change(&change, p);
	if (change.len)
		printf("  to let it pass: %s\n", change.s);
}

static void keep_line(void *arg, const char *line)
{
	strv_add(arg, line);
}

void explain_rules_row(const struct explain_rules *r, const struct explain_pf *p, struct output *o)
{
	struct strv lines autodone(strv_done) = {0};

	each_line(r, p, keep_line, &lines);
	output_list(o, "points", "", (const char *const *)lines.v, lines.n);
}

void explain_rules_reason(const struct explain_rules *r, const struct explain_pf *p,
			  struct str *out)
{
	const struct explain_hop *last = explain_pf_last(p);

	if (p->unanswered)
		str_add(out, "the answer ");
	if (last)
		explain_pf_hop(out, &r->f.pf, last);
}

/* The same points, by the same rules, to the same place. */
static bool alike(const struct explain_pf *a, const struct explain_pf *b)
{
	if (a->pass != b->pass || a->unanswered != b->unanswered || a->nhops != b->nhops ||
	    a->a.at != b->a.at || !ip_eq(&a->a.to, &b->a.to))
		return false;
	for (size_t i = 0; i < a->nhops; i++)
		if (a->hop[i].v.rule != b->hop[i].v.rule ||
		    a->hop[i].v.translation != b->hop[i].v.translation)
			return false;
	return true;
}

struct explain_span *explain_rules_ports(struct explain_rules *r, struct explain_world *w,
					 const struct explain_question *asked, size_t *n)
{
	static const enum proto protos[] = {PROTO_TCP, PROTO_UDP};
	struct explain_question q = *asked;
	struct explain_pf last = {0}, now;
	struct explain_span *v = NULL;

	*n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		for (unsigned port = 1; port <= UINT16_MAX; port++) {
			q.proto = protos[i];
			q.port = (uint16_t)port;
			explain_rules_ask(r, w, &q, &now);
			if (port > 1 && alike(&last, &now)) {
				v[*n - 1].ports.last = q.port;
				continue;
			}
			v = mem_grow(v, *n, sizeof(*v));
			v[(*n)++] = (struct explain_span){
			    .proto = q.proto, .ports = {q.port, q.port}, .answer = now.a};
			v[*n - 1].answer.pass = now.pass;
			last = now;
		}
	return v;
}
