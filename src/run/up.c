#include "run/up.h"

#include <fcntl.h>
#include <sys/file.h>
#include "base/mem.h"
#include "firewall/firewall.h"
#include "firewall/lockout.h"

int up_lock(struct state *s, struct ng_err *err)
{
	autoclose int fd = openat(s->dir, "up.lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "/run/newgate/up.lock");
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "/run/newgate/up.lock");
	return take_fd(&fd);
}

static bool is_named(const struct up_scope *scope, const struct gather_jail *a)
{
	for (size_t i = 0; i < scope->n; i++) {
		const char *name = scope->names[i];
		if (str_eq(name, a->name) || (a->block && str_eq(name, a->block)) ||
		    (conf_is_wildcard(name) &&
		     conf_wildcard_match(name, a->block ? a->block : a->name)))
			return true;
	}
	return false;
}

static bool is_to_run(const struct up_scope *scope, const struct gather_jail *a)
{
	if (!a->block)
		return false;
	if (scope->n || !scope->start)
		return true;
	for (size_t i = 0; scope->start[i]; i++)
		if (str_eq(scope->start[i], a->block) || str_eq(scope->start[i], a->name))
			return true;
	return false;
}

static void view(struct up *u, size_t i, const struct up_scope *scope)
{
	const struct gather_jail *a = &u->all.jail[i];
	bool half = a->rec && (a->rec->dead || a->rec->starting);
	for (size_t k = 0; k < a->net.undo.n; k++)
		strv_add(&u->elems[i], a->net.undo.v[k]);
	for (size_t k = 0; k < a->net.naddrs; k++) {
		char text[IP_TEXT];
		strv_add(&u->ip[i], ip_text(&a->net.addr[k].ip, text));
	}
	u->jail[i] = (struct reconcile_jail){
	    .name = a->name,
	    .block = a->block,
	    .conf = a->conf.name ? &a->conf : NULL,
	    .param = &a->param,
	    .privs = &a->privs,
	    .rec = a->rec,
	    .elems = a->planned ? &u->elems[i] : NULL,
	    .ip = a->planned ? &u->ip[i] : NULL,
	    .lost = &a->lost,
	    .fault = a->block && a->fault.code ? a->fault.text : NULL,
	    .busy = half && state_busy(u->all.state, a->rec->name),
	    .wanted = is_to_run(scope, a),
	    .unwanted = scope->exactly && a->block && !is_to_run(scope, a),
	    .looked_at = !scope->n || is_named(scope, a),
	};
}

/* ---- pf.conf ---- */

static void tell_faults(const struct diags *d, enum diag_level level, struct strv *out)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].level == level)
			strv_take(out, diag_format(&d->v[i]));
}

/* The files as they are now, against what is loaded. */
static int plan_pf(struct up *u, const struct rcconf *rc, struct ng_err *err)
{
	const struct firewall_load load = {.anchor = "", .path = rc->pf_rules};
	autodone(firewall_done) struct firewall f = {.lock = -1};
	struct diags d autodone(diags_done) = {0};
	struct strv faults autodone(strv_done) = {0};
	struct str text autodone(str_done) = {0};

	if (!firewall_is_on(u->all.state, rc))
		return 0;
	int got = net_pf_make(&u->all.net, &load, &f, &d, err);
	tell_faults(&d, DIAG_ERROR, &faults);
	for (size_t i = 0; i < faults.n; i++)
		reconcile_add(&u->plan, ACT_FAULT, faults.v[i]);
	if (got == -EINVAL && faults.n) {
		*err = (struct ng_err){0};
		return 0;
	}
	if (got == 0)
		got = net_pf_is_loaded(&u->all.net, &f, err);
	u->pf = got == 0;
	str_addf(&text, "loads %s", rc->pf_rules);
	if (u->pf) {
		struct net *n = &u->all.net;

		reconcile_add(&u->plan, ACT_CHANGE, text.s);
		firewall_lockout(&f.pf, &f.host.host, &n->route, &n->filter, f.loaded, &d);
		tell_faults(&d, DIAG_WARNING, &u->warnings);
	}
	return got < 0 ? got : 0;
}

static int load_pf(struct up *u, const struct rcconf *rc, const struct run_sink *sink)
{
	const struct firewall_load load = {.anchor = "", .path = rc->pf_rules};
	autodone(firewall_done) struct firewall f = {.lock = -1};
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};

	if (!u->pf)
		return 0;
	int rc_ = net_pf_make(&u->all.net, &load, &f, &d, &err);
	if (rc_ == 0)
		rc_ = net_pf_load(&u->all.net, &f, &err);
	if (rc_ < 0)
		sink->error(sink->arg, NULL, err.text);
	return rc_ < 0;
}

int up_plan(struct up *u, struct state *s, const struct conf *c, const struct rcconf *rc,
	    const struct up_scope *scope, struct ng_err *err)
{
	int got = gather(&u->all, s, c, rc, err);
	if (got == 0)
		got = gather_look(&u->all, err);
	if (got == 0 && u->all.running)
		got = net_look(&u->all.net, u->all.six, &u->host, err);
	/* What is nobody's is looked for by a command about everybody. */
	if (got == 0 && !scope->n)
		got = stray_look(&u->stray, s, &u->all.net, err);
	if (got < 0)
		return got;
	u->jail = mem_alloc((u->all.n + 1) * sizeof(*u->jail));
	u->elems = mem_alloc((u->all.n + 1) * sizeof(*u->elems));
	u->ip = mem_alloc((u->all.n + 1) * sizeof(*u->ip));
	for (size_t i = 0; i < u->all.n; i++)
		view(u, i, scope);
	reconcile(u->jail, u->all.n, &u->host, &u->stray.jails, &u->plan);
	/* Going back, pf has been looked after. */
	return scope->exactly ? 0 : plan_pf(u, rc, err);
}

/* Jails that ended and starts that were interrupted leave what others would trip over. */
static int clear_up(struct up *u, const struct rcconf *rc, const struct run_sink *sink)
{
	struct run_sink silent = *sink;
	bool any = u->stray.jails.n > 0;
	struct ng_err err = {0};
	silent.note = NULL;
	for (size_t i = 0; i < u->all.nrecs; i++)
		any |= u->all.rec[i].dead || u->all.rec[i].starting;
	if (any && run_reap(u->all.state, rc, &silent) < 0)
		return 1;
	if (!any || stray_clear(&u->stray, u->all.state, &u->all.net, &err) == 0)
		return 0;
	sink->error(sink->arg, NULL, err.text);
	return 1;
}

static int heal(struct up *u, const struct run_sink *sink)
{
	struct ng_err err = {0};
	/* Links without a record had elements, too. */
	if (!u->plan.heal && !u->stray.links.n)
		return 0;
	u->all.net.look = false;
	if (net_heal(&u->all.net, u->all.six, &err) == 0)
		return 0;
	sink->error(sink->arg, NULL, err.text);
	return 1;
}

int up_run(struct up *u, const struct rcconf *rc, bool verbose, const struct run_sink *sink)
{
	const struct run_options o = {.quiet = !verbose, .verbose = verbose, .whole = true};
	autofree struct run_item *item = mem_alloc((u->all.n + 1) * sizeof(*item));
	int status = clear_up(u, rc, sink);
	size_t n = 0;
	status |= load_pf(u, rc, sink);
	status |= heal(u, sink);
	for (size_t i = 0; i < u->all.n; i++)
		if (u->plan.op[i])
			item[n++] = (struct run_item){
			    u->jail[i].block ? u->jail[i].block : u->jail[i].name, u->plan.op[i]};
	for (size_t i = 0; i < u->plan.n; i++)
		status |= u->plan.v[i].kind == ACT_FAULT;
	if (n)
		status |= run_plan(u->all.state, u->all.conf, rc, &o, item, n, sink);
	return status;
}

void up_done(struct up *u)
{
	for (size_t i = 0; i < u->all.n && u->jail; i++) {
		strv_done(&u->elems[i]);
		strv_done(&u->ip[i]);
	}
	free(u->elems);
	free(u->ip);
	free(u->jail);
	strv_done(&u->host);
	strv_done(&u->warnings);
	stray_done(&u->stray);
	reconcile_done(&u->plan);
	gather_done(&u->all);
	*u = (struct up){0};
}
