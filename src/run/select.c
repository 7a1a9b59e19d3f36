/* From what the user named to jobs: which jails, which others because of them, in what order. */
#include <stdio.h>
#include "base/mem.h"
#include "conf/files.h"
#include "run/job.h"

static struct job *find(struct engine *e, const char *who)
{
	size_t *i = map_get(&e->by_name, who, strlen(who));
	return i ? e->job[*i] : NULL;
}

/* What a jail of these operations may do; resolved when it is first looked at. */
static struct job *add(struct engine *e, const char *who, bool named, unsigned op)
{
	struct job *j = find(e, who);
	if (j) {
		j->named |= named;
		return j;
	}
	j = mem_alloc(sizeof(*j));
	*j = (struct job){.e = e,
			  .who = mem_strdup(who),
			  .named = named,
			  .op = op,
			  .lock = -1,
			  .netns = -1,
			  .pidfd = -1};
	j->proc = PROCESS_NONE;
	j->rec.slot = SLOT_NONE;
	bool restart = op & RUN_REMOVE && op & RUN_MODIFY;
	bool down = op & (RUN_REMOVE | RUN_FORCE) && !restart;
	j->may_start = op & RUN_CREATE;
	j->may_modify = op & RUN_MODIFY;
	j->may_restart = restart;
	j->index = depend_add(&e->graph, down, op & (RUN_CREATE | RUN_MODIFY | RUN_REPAIR));
	e->job = mem_grow(e->job, e->n, sizeof(*e->job));
	e->job[e->n++] = j;
	map_put(&e->by_name, j->who, strlen(j->who), j->index);
	return j;
}

struct job *select_add(struct engine *e, const char *who, bool named)
{
	return add(e, who, named, e->o->op);
}

/* One that is only needed by another need not come down for that. */
static struct job *add_needed(struct engine *e, const char *who)
{
	unsigned op = e->o->op;
	return add(e, who, false, op & RUN_MODIFY ? op : op & ~(unsigned)(RUN_REMOVE | RUN_FORCE));
}

static void tell(struct engine *e, const struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->v[i].level != DIAG_ERROR)
			continue;
		autofree char *text = diag_format(&d->v[i]);
		e->sink->error(e->sink->arg, NULL, text);
	}
}

/* The jail's configuration, if there is any. */
static void resolve(struct engine *e, struct job *j)
{
	struct diags d autodone(diags_done) = {0};
	enum conf_purpose purpose =
	    j->op & (RUN_CREATE | RUN_MODIFY) ? CONF_FOR_START : CONF_FOR_STOP;
	if (j->conf.name || j->failed || j->op & RUN_FORCE)
		return;
	if (conf_resolve(e->conf, j->who, purpose, &j->conf, &d) == -EINVAL) {
		tell(e, &d);
		j->failed = true;
	}
}

/* ---- dependencies ---- */

/* jails that run and depend on others say so in their records; those that are configured, there. */
static bool uses_depend(const struct conf *c)
{
	for (size_t i = 0; i < c->nrecords; i++) {
		if (strchr(c->record[i].name, '.'))
			return true;
		for (size_t k = 0; k < c->record[i].nparams; k++)
			if (c->record[i].param[k].id == P_DEPEND)
				return true;
	}
	return false;
}

static void edge(struct engine *e, struct job *j, struct job *to, bool light)
{
	depend_edge(&e->graph, j->index, to->index, light);
}

/* The jails that must be up first join in. One described on the command line may depend on those
 * that run. */
static int pull_needed(struct engine *e, struct job *j)
{
	size_t n;
	const struct conf_value *v = conf_list(&j->conf, P_DEPEND, &n);
	for (size_t i = 0; i < n; i++) {
		if (conf_find(e->conf, v[i].text)) {
			edge(e, j, add_needed(e, v[i].text), false);
			continue;
		}
		struct record r autodone(record_done) = {0};
		struct ng_err err = {0};
		if (j->conf.argument && state_find(e->host.state, v[i].text, &r, &err) == 0 &&
		    !r.dead)
			continue;
		job_error(j, "depends on %s jail \"%s\"",
			  j->conf.argument ? "nonexistent" : "undefined", v[i].text);
	}
	const char *dot = strrchr(j->who, '.');
	if (dot) {
		autofree char *parent = mem_strndup(j->who, (size_t)(dot - j->who));
		if (conf_find(e->conf, parent))
			edge(e, j, add_needed(e, parent), true);
	}
	return j->failed ? -EINVAL : 0;
}

/* Stopping: those configured jails that depend on one that is to stop join in, until no more do. */
static void pull_dependent(struct engine *e)
{
	size_t n;
	if (!uses_depend(e->conf))
		return;
	autofree const char **names = conf_names(e->conf, &n);
	struct conf_jail *all = mem_resize(NULL, n + 1, sizeof(*all));
	struct diags d autodone(diags_done) = {0};
	for (size_t i = 0; i < n; i++)
		if (conf_resolve(e->conf, names[i], CONF_FOR_STOP, &all[i], &d) < 0)
			all[i] = (struct conf_jail){0};
	for (size_t before = 0; before != e->n;) {
		before = e->n;
		for (size_t i = 0; i < n; i++) {
			size_t deps;
			const struct conf_value *v =
			    all[i].name ? conf_list(&all[i], P_DEPEND, &deps) : (deps = 0, NULL);
			for (size_t k = 0; k < deps; k++) {
				struct job *to = find(e, v[k].text);
				if (!to)
					continue;
				struct job *j = find(e, names[i]);
				if (!j) {
					j = select_add(e, names[i], false);
					j->only_if_stopped = true;
				}
				edge(e, j, to, false);
			}
		}
	}
	for (size_t i = 0; i < n; i++)
		conf_jail_done(&all[i]);
	free(all);
}

/* Children of a jail that is to stop go first; only a jail that may have some is asked for them. */
static int pull_children(struct engine *e)
{
	struct ng_err err = {0};
	bool any = false;
	for (size_t i = 0; i < e->n && !any; i++) {
		struct record r autodone(record_done) = {0};
		const char *max;
		if (state_find(e->host.state, e->job[i]->who, &r, &err) == 0)
			any = (max = record_param(&r, "children.max")) && !str_eq(max, "0");
	}
	if (!any)
		return 0;
	struct record *all;
	size_t n;
	err = (struct ng_err){0};
	if (state_all(e->host.state, &all, &n, &err) < 0)
		return e->sink->error(e->sink->arg, NULL, err.text), -err.code;
	for (size_t i = 0; i < n; i++)
		for (const char *dot = strchr(all[i].name, '.'); dot; dot = strchr(dot + 1, '.')) {
			autofree char *parent =
			    mem_strndup(all[i].name, (size_t)(dot - all[i].name));
			struct job *to = find(e, parent);
			if (to)
				edge(e, select_add(e, all[i].name, false), to, true);
		}
	for (size_t i = 0; i < n; i++)
		record_done(&all[i]);
	free(all);
	return 0;
}

/* ---- names ---- */

static void match_configured(struct engine *e, const char *wildcard)
{
	size_t n;
	autofree const char **names = conf_names(e->conf, &n);
	for (size_t i = 0; i < n; i++)
		if (!wildcard || conf_wildcard_match(wildcard, names[i]))
			select_add(e, names[i], false);
}

static int match_running(struct engine *e, const char *wildcard)
{
	struct ng_err err = {0};
	struct record *all;
	size_t n;
	if (state_all(e->host.state, &all, &n, &err) < 0)
		return e->sink->error(e->sink->arg, NULL, err.text), -err.code;
	for (size_t i = 0; i < n; i++) {
		if (!all[i].dead && conf_wildcard_match(wildcard, all[i].name))
			select_add(e, all[i].name, false);
		record_done(&all[i]);
	}
	free(all);
	return 0;
}

/* A jid stands for the jail that runs under it, if no jail is called so. */
static void add_named(struct engine *e, const char *who)
{
	struct record r autodone(record_done) = {0};
	struct ng_err err = {0};
	bool digits = *who && who[strspn(who, "0123456789")] == '\0';
	if (digits && !conf_find(e->conf, who) && state_find(e->host.state, who, &r, &err) == 0)
		select_add(e, r.name, true);
	else
		select_add(e, who, true);
}

int select_jobs(struct engine *e, const char *const *names, size_t n)
{
	const struct run_options *o = e->o;
	int rc = 0;
	if (o->wildcard_all || o->command_line)
		match_configured(e, NULL);
	for (size_t i = 0; i < e->n && o->command_line; i++)
		e->job[i]->named = true;
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!conf_is_wildcard(names[i])) {
			add_named(e, names[i]);
			continue;
		}
		if (!(o->op & RUN_FORCE))
			match_configured(e, names[i]);
		if (o->op & (RUN_REMOVE | RUN_FORCE) && !(o->op & RUN_CREATE))
			rc = match_running(e, names[i]);
	}
	if (rc == 0 && o->op & RUN_REMOVE && !(o->op & RUN_MODIFY))
		pull_dependent(e);
	/* Jobs are added while we walk: those pulled in pull in others. */
	for (size_t i = 0; i < e->n; i++) {
		resolve(e, e->job[i]);
		if (e->job[i]->conf.name && o->op & RUN_CREATE && !e->job[i]->failed)
			pull_needed(e, e->job[i]);
	}
	if (rc == 0 && o->op & (RUN_REMOVE | RUN_FORCE))
		rc = pull_children(e);
	for (size_t i = 0; i < e->n; i++) {
		struct job *j = e->job[i];
		resolve(e, j);
		if (j->conf.name && o->op & RUN_CREATE && depend_in_loop(&e->graph, i))
			job_error(j, "dependency loop");
		e->graph.v[i].failed = j->failed;
	}
	return rc;
}

/* ---- a plan ---- */

/* A jail that no file describes: what its record says it depends on. */
static void edges_of_record(struct engine *e, struct job *j)
{
	struct record r autodone(record_done) = {0};
	struct ng_err none = {0};
	if (state_find(e->host.state, j->who, &r, &none) < 0)
		return;
	for (size_t i = 0; i < r.param.n; i++) {
		struct job *to = NULL;
		if (str_prefix(r.param.v[i], "depend="))
			to = find(e, r.param.v[i] + strlen("depend="));
		if (to)
			edge(e, j, to, false);
	}
}

static void edges_in_plan(struct engine *e, struct job *j)
{
	size_t n = 0;
	const struct conf_value *v = j->conf.name ? conf_list(&j->conf, P_DEPEND, &n) : NULL;
	for (size_t i = 0; i < n; i++) {
		struct job *to = find(e, v[i].text);
		if (to)
			edge(e, j, to, false);
	}
	if (!j->conf.name)
		edges_of_record(e, j);
	const char *dot = strrchr(j->who, '.');
	autofree char *parent = dot ? mem_strndup(j->who, (size_t)(dot - j->who)) : NULL;
	struct job *to = parent ? find(e, parent) : NULL;
	if (to)
		edge(e, j, to, true);
}

void select_plan(struct engine *e, const struct run_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(e, v[i].jail, false, v[i].op);
	for (size_t i = 0; i < e->n; i++) {
		resolve(e, e->job[i]);
		edges_in_plan(e, e->job[i]);
	}
	for (size_t i = 0; i < e->n; i++) {
		struct job *j = e->job[i];
		if (depend_in_loop(&e->graph, i))
			job_error(j, "dependency loop");
		e->graph.v[i].failed = j->failed;
	}
}

/* ---- who is where ---- */

#define MAX_ADDRESSES 64

int select_lookup(void *engine, const char *jail, struct ip *ips, size_t max)
{
	struct engine *e = engine;
	struct conf_jail j autodone(conf_jail_done) = {0};
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};
	if (conf_resolve(e->conf, jail, CONF_FOR_STOP, &j, &d) == 0)
		return net_addresses(&e->host.net, &j, ips, max, &err);
	struct record r autodone(record_done) = {0};
	int rc = state_find(e->host.state, jail, &r, &err);
	if (rc < 0 || r.dead)
		return -ENOENT;
	size_t n = 0;
	for (size_t i = 0; i < r.ip4.n && n < max; i++)
		n += ip_parse(r.ip4.v[i], &ips[n]) == 0;
	for (size_t i = 0; i < r.ip6.n && n < max; i++)
		n += ip_parse(r.ip6.v[i], &ips[n]) == 0;
	return (int)n;
}

struct survey {
	struct engine *e;
	struct map seen;
	struct arena arena;
	struct net_name *v;
	size_t n;
};

static void survey_add(struct survey *s, const char *name, const char *hostname,
		       const struct ip *ips, size_t n)
{
	struct ip *copy = arena_alloc(&s->arena, (n ? n : 1) * sizeof(*copy));
	memcpy(copy, ips, n * sizeof(*copy));
	s->v = mem_grow(s->v, s->n, sizeof(*s->v));
	s->v[s->n++] = (struct net_name){
	    .name = arena_strndup(&s->arena, name, strlen(name)),
	    .hostname = hostname ? arena_strndup(&s->arena, hostname, strlen(hostname)) : NULL,
	    .ip = copy,
	    .nips = n,
	};
	map_put(&s->seen, s->v[s->n - 1].name, strlen(name), 1);
}

/* Those that want a lease come after all others, whose addresses are not to be given away: they are
 * put off to `later`, where there is one. */
static void survey_jail(struct survey *s, const struct conf *c, const char *name,
			struct strv *later)
{
	struct conf_jail j autodone(conf_jail_done) = {0};
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};
	struct ip ips[MAX_ADDRESSES];
	if (conf_resolve(c, name, CONF_FOR_STOP, &j, &d) < 0 || !*j.name ||
	    map_get(&s->seen, j.name, strlen(j.name)))
		return;
	if (later && net_wants_lease(&j)) {
		strv_add(later, name);
		return;
	}
	int got = net_addresses(&s->e->host.net, &j, ips, MAX_ADDRESSES, &err);
	for (int k = 0; k < got; k++)
		net_reserve(&s->e->host.net, &ips[k]);
	if (got > 0)
		survey_add(s, j.name, conf_string(&j, P_HOST_HOSTNAME), ips, (size_t)got);
}

static void survey_configured(struct survey *s, const struct conf *c)
{
	size_t n;
	struct strv later autodone(strv_done) = {0};
	autofree const char **names = conf_names(c, &n);
	for (size_t i = 0; i < n; i++)
		survey_jail(s, c, names[i], &later);
	for (size_t i = 0; i < later.n; i++)
		survey_jail(s, c, later.v[i], NULL);
}

static int survey_running(struct survey *s, struct ng_err *err)
{
	struct record *all;
	size_t n;
	int rc = state_all(s->e->host.state, &all, &n, err);
	for (size_t i = 0; i < n; i++) {
		struct ip ips[MAX_ADDRESSES];
		int got = 0;
		if (!all[i].dead && !map_get(&s->seen, all[i].name, strlen(all[i].name)))
			got = select_lookup(s->e, all[i].name, ips, MAX_ADDRESSES);
		if (got > 0)
			survey_add(s, all[i].name, all[i].hostname, ips, (size_t)got);
		record_done(&all[i]);
	}
	free(all);
	return rc;
}

int select_survey(struct engine *e, struct ng_err *err)
{
	struct survey s = {.e = e};
	struct conf files = {0};
	struct diags d autodone(diags_done) = {0};
	int rc = host_net(&e->host, err);
	if (rc == 0) {
		survey_configured(&s, e->conf);
		/* The command line describes one jail; what the files have of others still counts.
		 */
		if (e->o->command_line && files_read_all(&files, e->host.state->root, &d) == 0 &&
		    !d.errors)
			survey_configured(&s, &files);
		rc = survey_running(&s, err);
	}
	if (rc == 0)
		rc = net_write_hosts(e->host.state, s.v, s.n, err);
	e->surveyed = rc == 0;
	conf_done(&files);
	map_done(&s.seen);
	arena_done(&s.arena);
	free(s.v);
	return rc;
}
