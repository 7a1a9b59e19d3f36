#include "run/overview.h"

#include "base/mem.h"
#include "conf/jail.h"
#include "conf/map.h"
#include "net/net.h"

const char *jail_state_name(enum jail_state s)
{
	static const char *const names[] = {
	    [JAIL_STOPPED] = "stopped", [JAIL_STARTING] = "starting", [JAIL_RUNNING] = "running",
	    [JAIL_ENDED] = "ended",     [JAIL_FAILED] = "failed",
	};
	return names[s];
}

static void add_all(struct strv *to, const struct strv *from)
{
	for (size_t i = 0; i < from->n; i++)
		strv_add(to, from->v[i]);
}

static struct overview_jail *add(struct overview *o, const char *name)
{
	o->v = mem_grow(o->v, o->n, sizeof(*o->v));
	struct overview_jail *j = &o->v[o->n++];
	*j = (struct overview_jail){.name = mem_strdup(name)};
	return j;
}

static enum jail_state state_of(const struct record *r)
{
	return r->dead ? JAIL_ENDED : r->starting ? JAIL_STARTING : JAIL_RUNNING;
}

static void add_running(struct overview *o, struct state *s, const struct record *r,
			const struct usage *u)
{
	struct overview_jail *j = add(o, r->name);
	j->state = state_of(r);
	j->jid = r->jid;
	j->since = r->dead ? 0 : r->since;
	j->usage = *u;
	j->linked = r->link != NULL;
	add_all(&j->address, &r->ip4);
	add_all(&j->address, &r->ip6);
	for (size_t i = 0; i < r->param.n; i++)
		if (str_prefix(r->param.v[i], "rdr="))
			strv_add(&j->rdr, r->param.v[i] + 4);
	j->failure = o->failures ? state_failure(s, r->name) : NULL;
	if (j->state == JAIL_STARTING && !state_busy(s, r->name)) {
		j->state = JAIL_FAILED;
		free(j->failure);
		j->failure = mem_strdup("its start was interrupted: newgate up clears up after it");
	}
	if (!j->failure && *u->services.last_failure)
		j->failure = mem_strdup(u->services.last_failure);
}

static void add_values(struct strv *to, const struct conf_jail *j, enum param_id id)
{
	size_t n;
	const struct conf_value *v = conf_list(j, id, &n);
	for (size_t i = 0; i < n; i++)
		strv_add(to, v[i].text);
}

static void add_configured(struct overview *o, struct state *s, const struct conf *c,
			   const char *block)
{
	struct diags d autodone(diags_done) = {0};
	struct conf_jail conf = {0};
	struct overview_jail *j = add(o, block);
	j->failure = o->failures ? state_failure(s, block) : NULL;
	/* A block with faults is shown all the same: `newgate check` tells about it. */
	if (conf_resolve(c, block, CONF_FOR_STOP, &conf, &d) == 0) {
		add_values(&j->address, &conf, P_IP4_ADDR);
		add_values(&j->address, &conf, P_IP6_ADDR);
		add_values(&j->rdr, &conf, P_RDR);
		conf_jail_done(&conf);
	} else if (!j->failure && d.n) {
		j->failure = mem_strdup(d.v[0].text);
	}
	if (j->failure)
		j->state = JAIL_FAILED;
}

static void add_others(struct overview *o, struct state *s, const struct conf *c)
{
	struct map running = {0};
	size_t n, nrunning = o->n;
	autofree const char **names = conf_names(c, &n);
	for (size_t i = 0; i < nrunning; i++)
		map_put(&running, o->v[i].name, strlen(o->v[i].name), i);
	for (size_t i = 0; i < n; i++)
		if (!map_get(&running, names[i], strlen(names[i])))
			add_configured(o, s, c, names[i]);
	map_done(&running);
}

int overview_read(struct state *s, const struct conf *conf, struct overview *out,
		  struct ng_err *err)
{
	struct record *r = NULL;
	size_t n = 0;
	*out = (struct overview){.failures = state_has_failures(s)};
	int rc = state_all(s, &r, &n, err);
	if (rc < 0)
		return rc;
	autofree struct usage *u = mem_alloc((n + 1) * sizeof(*u));
	rc = usage_read(s, r, n, u, err);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			add_running(out, s, &r[i], &u[i]);
		record_done(&r[i]);
	}
	free(r);
	if (rc == 0 && conf)
		add_others(out, s, conf);
	return rc;
}

int overview_running(struct state *s, struct overview *out, struct ng_err *err)
{
	struct record *r = NULL;
	size_t n = 0;
	*out = (struct overview){0};
	int rc = state_all(s, &r, &n, err);
	if (rc < 0)
		return rc;
	autofree struct usage *u = mem_alloc((n + 1) * sizeof(*u));
	rc = usage_counters(s, r, n, u, err);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0 && !r[i].dead) {
			struct overview_jail *j = add(out, r[i].name);
			j->state = state_of(&r[i]);
			j->jid = r[i].jid;
			j->since = r[i].since;
			j->usage = u[i];
		}
		record_done(&r[i]);
	}
	free(r);
	return rc;
}

/* Not while it went, or was made, just as we looked. */
static bool still_runs(struct state *s, const struct overview_jail *j)
{
	struct record r autodone(record_done) = {0};
	struct ng_err none = {0};
	return state_find(s, j->name, &r, &none) == 0 && !r.dead && !r.starting && r.jid == j->jid;
}

int overview_faults(const struct overview *o, struct state *s, const struct rcconf *rc,
		    struct strv *faults, struct ng_err *err)
{
	struct net net autodone(net_done) = {0};
	bool linked = false, six = false;
	for (size_t i = 0; i < o->n; i++) {
		const struct overview_jail *j = &o->v[i];
		if (j->state != JAIL_RUNNING || !j->linked)
			continue;
		linked = true;
		for (size_t k = 0; k < j->address.n; k++)
			six |= strchr(j->address.v[k], ':') != NULL;
		if (!j->usage.net && still_runs(s, j))
			strv_addf(faults, "%s: its link is gone", j->name);
	}
	if (!linked)
		return 0;
	int rc_ = net_open(&net, s, rc, err);
	return rc_ < 0 ? rc_ : net_look(&net, six, faults, err);
}

void overview_done(struct overview *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].name);
		free(o->v[i].failure);
		strv_done(&o->v[i].address);
		strv_done(&o->v[i].rdr);
	}
	free(o->v);
	*o = (struct overview){0};
}
