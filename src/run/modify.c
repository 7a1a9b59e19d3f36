/* jail -m: what may change while the jail runs, and what may not.
 *
 * Changed at once: persist, host.hostname, rctl, rdr, allow.connect, nat.source, and what is only
 * kept (meta, env, host.hostuuid, exec.*, stop.timeout…). What FreeBSD sets at creation only is
 * refused as there. What processes carry with them since their start (allow.* as capabilities and
 * filter, addresses, services) cannot be taken from them or given to them: it needs a restart,
 * which -mr makes.
 *
 * Parameters that are not mentioned stay as they are. Only newgate's own (rdr, allow.connect…),
 * when they come from a file, are what the file says: a redirect that was taken out of jail.conf
 * closes. For newgate up (run_options.whole) all of them are: what is not mentioned is the default.
 */
#include <sched.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "conf/files.h"
#include "jail/control.h"
#include "jail/limits.h"
#include "run/differ.h"
#include "run/job.h"
#include "sys/cgroup.h"
#include "sys/ns.h"

/* The jail as it would be: its record, and over it what was given now. */
struct merged {
	struct conf conf;
	struct conf_jail jail;
	struct privs privs;
	struct strv param;
};

static void merged_done(struct merged *m)
{
	conf_jail_done(&m->jail);
	conf_done(&m->conf);
	strv_done(&m->param);
}

static bool is_mentioned(const struct conf_jail *j, const char *entry)
{
	bool negated;
	size_t len = strcspn(entry, "=");
	autofree char *name = mem_strndup(entry, len);
	enum param_id id = param_find(name, &negated);
	if (id == PARAM_NONE)
		return true; /* ours alone: privs */
	if (!(param_get(id)->flags & PF_KEYED))
		return conf_is_set(j, id) || (!j->argument && param_get(id)->flags & PF_OURS);
	for (size_t i = 0; i < j->nsettings; i++)
		if (str_eq(j->setting[i].name, name))
			return true;
	return false;
}

static int merge(struct job *j, struct merged *m, struct ng_err *err)
{
	struct strv given autodone(strv_done) = {0};
	struct diags d autodone(diags_done) = {0};
	struct privs none = {0};
	*m = (struct merged){0};
	const char *name = j->rec.name;
	struct str own autodone(str_done) = {0};
	str_addf(&own, "name=%s", name);
	conf_add_argument(&m->conf, name, own.s, &d);
	create_params(&given, &j->conf, &none);
	for (size_t i = 0; i < j->rec.param.n && !j->e->o->whole; i++)
		if (!is_mentioned(&j->conf, j->rec.param.v[i]))
			conf_add_argument(&m->conf, name, j->rec.param.v[i], &d);
	for (size_t i = 0; i < given.n; i++)
		if (!str_prefix(given.v[i], PRIVS_PARAM "="))
			conf_add_argument(&m->conf, name, given.v[i], &d);
	if (conf_resolve(&m->conf, name, CONF_FOR_START, &m->jail, &d) < 0)
		return err_set(err, EINVAL, "%s",
			       d.n ? d.v[0].text : "what it would be makes no sense");
	m->privs = privs_of(&m->jail);
	create_params(&m->param, &m->jail, &m->privs);
	return 0;
}

/* ---- what cannot change ---- */

static bool differs(const struct job *j, const struct merged *m, enum param_id id)
{
	return differ_param(&j->rec, &m->param, id);
}

static const char *fixed(const struct job *j, const struct merged *m, bool *created)
{
	return differ_fixed(
	    &j->rec,
	    &(struct differ_want){
		.conf = &j->conf, .param = &m->param, .privs = &m->privs, .whole = j->e->o->whole},
	    created);
}

bool modify_needs_restart(struct job *j)
{
	struct merged m autodone(merged_done) = {0};
	struct ng_err err = {0};
	bool created;
	return merge(j, &m, &err) == 0 && fixed(j, &m, &created);
}

/* ---- what can ---- */

/* The name belongs to the jail's UTS namespace; a process must go there to set it. */
static int set_hostname(struct job *j, const char *name)
{
	struct ng_err err = {0};
	autoclose int child = -1;
	siginfo_t info = {0};
	pid_t pid = ns_fork(0, -1, &child);
	if (pid == 0)
		_exit(ns_enter(j->proc.pidfd, CLONE_NEWUTS) < 0 ||
		      sethostname(name, strlen(name)) < 0);
	if (pid < 0)
		return err_sys(&err, pid, "fork"), job_told(j, &err);
	while (waitid(P_PIDFD, (id_t)child, &info, WEXITED) < 0 && errno == EINTR)
		;
	if (info.si_code != CLD_EXITED || info.si_status != 0)
		return err_set(&err, EINVAL, "host.hostname \"%s\" cannot be set", name),
		       job_told(j, &err);
	free(j->rec.hostname);
	j->rec.hostname = mem_strdup(name);
	return 0;
}

static int set_limits(struct job *j, const struct merged *m)
{
	struct engine *e = j->e;
	struct ng_err err = {0};
	struct strv notes autodone(strv_done) = {0};
	autofree char *file = state_name(j->rec.name);
	autoclose int cg = cgroup_open(e->host.state->cgroup, file);
	int rc = limits_apply(cg, &m->jail, j->rec.path, &notes, &err);
	if (rc == 0)
		rc = limits_lift(cg, &m->jail, &err);
	autofree char *path = files_path(e->host.state->root, j->rec.path);
	if (rc == 0)
		rc = limits_disk(&e->host.store, &m->jail, path, &err);
	for (size_t i = 0; i < notes.n; i++)
		job_note(j, "%s", notes.v[i]);
	return rc < 0 ? job_told(j, &err) : 0;
}

static int set_network(struct job *j, const struct merged *m)
{
	struct engine *e = j->e;
	struct ng_err err = {0};
	if (!e->surveyed && select_survey(e, &err) < 0)
		return job_told(j, &err);
	e->host.net.running = &j->rec;
	int rc =
	    net_plan(&e->host.net, &m->jail, j->rec.jid, select_lookup, e, &j->create.net, &err);
	e->host.net.running = NULL;
	if (rc == 0)
		rc = net_update(&e->host.net, &j->rec, &j->create.net, &err);
	if (rc == 0) {
		strv_done(&j->rec.undo);
		for (size_t i = 0; i < j->create.net.undo.n; i++)
			strv_add(&j->rec.undo, j->create.net.undo.v[i]);
	}
	net_jail_done(&j->create.net);
	return rc < 0 ? job_told(j, &err) : 0;
}

static int set_persist(struct job *j, bool persist)
{
	struct ng_err err = {0};
	int rc = control_ask(j->proc.ctl, CTL_PERSIST, persist);
	if (rc < 0)
		return err_sys(&err, rc, "the jail's PID 1"), job_told(j, &err);
	j->rec.persist = persist;
	return 0;
}

static int change(struct job *j, const struct merged *m)
{
	const char *hostname = conf_string(&m->jail, P_HOST_HOSTNAME);
	bool persist = conf_bool(&m->jail, P_PERSIST), whole = j->e->o->whole;
	int rc = 0;
	if (whole && !hostname)
		hostname = j->rec.name;
	/* The addresses of jails that allow.connect names may have changed, too. */
	if (whole || differs(j, m, P_RDR) || differs(j, m, P_ALLOW_CONNECT) ||
	    differs(j, m, P_NAT_SOURCE))
		rc = set_network(j, m);
	if (rc == 0 && differs(j, m, P_RCTL))
		rc = set_limits(j, m);
	if (rc == 0 && hostname && !str_eq(hostname, j->rec.hostname))
		rc = set_hostname(j, hostname);
	if (rc == 0 && (whole || conf_is_set(&j->conf, P_PERSIST)) && persist != j->rec.persist)
		rc = set_persist(j, persist);
	return rc;
}

static int write_record(struct job *j, struct merged *m)
{
	struct ng_err err = {0};
	strv_done(&j->rec.param);
	for (size_t i = 0; i < m->param.n; i++)
		strv_add(&j->rec.param, m->param.v[i]);
	return state_write(j->e->host.state, &j->rec, &err) < 0 ? job_told(j, &err) : 0;
}

int modify_apply(struct job *j)
{
	struct merged m autodone(merged_done) = {0};
	struct ng_err err = {0};
	bool created;
	if (merge(j, &m, &err) < 0)
		return job_told(j, &err);
	const char *what = fixed(j, &m, &created);
	if (what && created)
		job_error(j, "%s cannot be changed after creation", what);
	else if (what)
		job_error(j, "%s cannot be changed while the jail runs; restart it (jail -rc %s)",
			  what, j->rec.name);
	if (what)
		return -EINVAL;
	int rc = change(j, &m);
	if (rc < 0 || (rc = write_record(j, &m)) < 0)
		return rc;
	job_note(j, "updated");
	/* Without persist it may be that nothing keeps it any longer. */
	if (control_leave(j->proc.ctl) != 0)
		return 0;
	job_wait_end(j->proc.pidfd);
	return create_undo(&j->e->host, &j->rec, &err) < 0 ? job_told(j, &err) : 0;
}
