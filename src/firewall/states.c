/* States are connections that have a bit of pf's (lower.h); counters are those of nftables. */
#include <stdlib.h>
#include "base/mem.h"
#include "firewall/firewall.h"
#include "firewall/store.h"
#include "sys/ct.h"

bool firewall_is_state(const struct ct_flow *f)
{
	return f->mark & LOWER_STATE;
}

const char *firewall_label(const struct strv *origins, const struct ct_flow *f)
{
	size_t number = f->mark >> LOWER_ORIGIN_SHIFT & LOWER_ORIGIN_MAX;
	const char *name = number && number <= origins->n ? origins->v[number - 1] : NULL;

	return name && !str_prefix(name, "overload ") ? name : NULL;
}

int firewall_origins(struct state *s, struct strv *out, struct ng_err *err)
{
	return store_read_origins(s, out, err);
}

/* ---- to end them ---- */

struct killing {
	const struct firewall_kill *what;
	struct strv origins;
};

static bool has(const struct ipnet *net, const struct ip *ip)
{
	return !net || (net->addr.family == ip->family && ipnet_has(net, ip));
}

/* A translated connection is known by its addresses on either side. */
static bool is_meant(const struct ct_flow *f, void *arg)
{
	const struct killing *k = arg;
	const char *label = k->what->label ? firewall_label(&k->origins, f) : NULL;

	if (!firewall_is_state(f) || (k->what->label && !(label && str_eq(label, k->what->label))))
		return false;
	return (has(k->what->from, &f->src) || has(k->what->from, &f->reply_dst)) &&
	       (has(k->what->to, &f->dst) || has(k->what->to, &f->reply_src));
}

int firewall_kill(struct state *s, struct nl *filter, const struct firewall_kill *what,
		  struct ng_err *err)
{
	struct killing k = {.what = what};
	int rc = store_read_origins(s, &k.origins, err);

	if (rc == 0)
		rc = ct_flush(filter, is_meant, &k, err);
	strv_done(&k.origins);
	return rc < 0 ? err_prefix(err, "connection tracking") : rc;
}

/* ---- counters ---- */

struct counting {
	const struct pf *pf;
	struct firewall_counters *out;
};

static void count(void *arg, const char *comment, uint64_t packets, uint64_t bytes)
{
	struct counting *c = arg;
	struct firewall_counters *o = c->out;
	const struct pf_rule *r = lower_id(c->pf, comment);

	if (!r)
		return;
	o->v = mem_grow(o->v, o->n, sizeof(*o->v));
	o->v[o->n++] = (struct firewall_counter){r, &c->pf->ruleset[strtoul(comment, NULL, 10)],
						 packets, bytes};
}

static int by_rule(const void *a, const void *b)
{
	const struct firewall_counter *x = a, *y = b;

	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

int firewall_count(const struct pf *pf, struct nl *filter, struct firewall_counters *out,
		   struct ng_err *err)
{
	struct counting c = {pf, out};
	int rc = nft_read_counters(filter, "pf_", count, &c, err);
	size_t n = 0;

	if (rc < 0)
		return err_prefix(err, "counters");
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_rule);
	/* A rule of both directions counts in two places. */
	for (size_t i = 0; i < out->n; i++) {
		if (n && out->v[n - 1].rule == out->v[i].rule) {
			out->v[n - 1].packets += out->v[i].packets;
			out->v[n - 1].bytes += out->v[i].bytes;
		} else {
			out->v[n++] = out->v[i];
		}
	}
	out->n = n;
	return 0;
}
