#include "run/gather.h"

#include "base/mem.h"
#include "jail/create.h"

static struct gather_jail *add(struct gather *g, const char *name)
{
	g->jail = mem_grow(g->jail, g->n, sizeof(*g->jail));
	g->jail[g->n] = (struct gather_jail){.name = name};
	return &g->jail[g->n++];
}

static int gather_configured(struct gather *g)
{
	size_t n;
	autofree const char **names = conf_names(g->conf, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_jail j;
		if (conf_resolve(g->conf, names[i], CONF_FOR_START, &j, &g->diags) < 0)
			return -EINVAL;
		struct gather_jail *a = add(g, j.name);
		a->block = names[i];
		a->conf = j;
		a->privs = privs_of(&a->conf);
		create_params(&a->param, &a->conf, &a->privs);
	}
	return 0;
}

/* A jail that only runs is what its record says. */
static void resolve_kept(struct gather *g, struct gather_jail *a)
{
	struct diags d autodone(diags_done) = {0};
	struct str own autodone(str_done) = {0};
	str_addf(&own, "name=%s", a->name);
	conf_add_argument(&g->kept, a->name, own.s, &d);
	for (size_t i = 0; i < a->rec->param.n; i++)
		if (!str_prefix(a->rec->param.v[i], PRIVS_PARAM "="))
			conf_add_argument(&g->kept, a->name, a->rec->param.v[i], &d);
	if (conf_resolve(&g->kept, a->name, CONF_FOR_STOP, &a->conf, &d) < 0)
		a->conf = (struct conf_jail){0};
}

static void index_all(struct gather *g)
{
	map_done(&g->by_name);
	for (size_t i = 0; i < g->n; i++)
		map_put(&g->by_name, g->jail[i].name, strlen(g->jail[i].name), i);
	for (size_t i = 0; i < g->n; i++)
		if (g->jail[i].block)
			map_put(&g->by_name, g->jail[i].block, strlen(g->jail[i].block), i);
}

static int gather_running(struct gather *g, struct ng_err *err)
{
	int rc = state_all(g->state, &g->rec, &g->nrecs, err);
	if (rc < 0)
		return rc;
	index_all(g);
	for (size_t i = 0; i < g->nrecs; i++) {
		struct record *r = &g->rec[i];
		struct gather_jail *a = gather_find(g, r->name);
		if (!a)
			a = add(g, r->name);
		a->rec = r;
		g->running |= !r->dead && r->link;
		g->six |= !r->dead && r->ip6.n > 0;
	}
	for (size_t i = 0; i < g->n; i++)
		if (!g->jail[i].block)
			resolve_kept(g, &g->jail[i]);
	index_all(g);
	return 0;
}

struct gather_jail *gather_find(const struct gather *g, const char *name)
{
	size_t *i = map_get(&g->by_name, name, strlen(name));
	return i ? &g->jail[*i] : NULL;
}

/* ---- who is where ---- */

static size_t recorded(const struct record *r, struct ip *ips, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < r->ip4.n && n < max; i++)
		n += ip_parse(r->ip4.v[i], &ips[n]) == 0;
	for (size_t i = 0; i < r->ip6.n && n < max; i++)
		n += ip_parse(r->ip6.v[i], &ips[n]) == 0;
	return n;
}

static int lookup(void *arg, const char *jail, struct ip *ips, size_t max)
{
	struct gather *g = arg;
	struct ng_err err = {0};
	const struct gather_jail *a = gather_find(g, jail);
	if (!a)
		return -ENOENT;
	if (a->block)
		return net_addresses(&g->net, &a->conf, ips, max, &err);
	return a->rec->dead ? -ENOENT : (int)recorded(a->rec, ips, max);
}

static void plan(struct gather *g, struct gather_jail *a)
{
	if (!a->conf.name)
		return;
	int rc = net_permits(&g->net, &a->conf, lookup, g, &a->net, &a->fault);
	a->planned = rc == 0;
	if (rc == -EAGAIN)
		a->fault = (struct ng_err){0};
}

int gather(struct gather *g, struct state *s, const struct conf *c, const struct rcconf *rc,
	   struct ng_err *err)
{
	g->state = s;
	g->conf = c;
	if (gather_configured(g) < 0) {
		autofree char *text = g->diags.n ? diag_format(&g->diags.v[0]) : NULL;
		return err_set(err, EINVAL, "%s", text ? text : "the configuration is faulty");
	}
	int got = net_open(&g->net, s, rc, err);
	if (got == 0)
		got = gather_running(g, err);
	if (got < 0)
		return got;
	g->net.look = true;
	for (size_t i = 0; i < g->n; i++)
		plan(g, &g->jail[i]);
	return 0;
}

int gather_look(struct gather *g, struct ng_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < g->n && rc == 0; i++) {
		struct gather_jail *a = &g->jail[i];
		if (a->rec && !a->rec->dead && !a->rec->starting)
			rc = net_look_jail(&g->net, a->rec, &a->lost, err);
	}
	return rc;
}

void gather_done(struct gather *g)
{
	for (size_t i = 0; i < g->n; i++) {
		struct gather_jail *a = &g->jail[i];
		conf_jail_done(&a->conf);
		strv_done(&a->param);
		net_jail_done(&a->net);
		strv_done(&a->lost);
	}
	free(g->jail);
	for (size_t i = 0; i < g->nrecs; i++)
		record_done(&g->rec[i]);
	free(g->rec);
	map_done(&g->by_name);
	conf_done(&g->kept);
	diags_done(&g->diags);
	net_done(&g->net);
	*g = (struct gather){0};
}
