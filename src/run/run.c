#include "run/run.h"

#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include "base/mem.h"
#include "run/job.h"
#include "sys/ns.h"

/* ---- a job's beginning ---- */

/* Another command holds the lock. A child waits for it in our place: flock(2) has no descriptor to
 * poll, but what it locks is the open file, which the child shares with us. */
static int wait_for_lock(struct job *j, int fd)
{
	struct ng_err err = {0};
	pid_t pid = ns_fork(0, -1, &j->pidfd);
	if (pid == 0) {
		signal(SIGTERM, SIG_DFL);
		_exit(flock(fd, LOCK_EX) < 0);
	}
	if (pid < 0) {
		close(fd);
		return err_sys(&err, pid, "fork"), job_told(j, &err);
	}
	j->lock = fd;
	j->wait = WAIT_LOCK;
	if (j->e->o->verbose)
		job_note(j, "waits for another command that works on it");
	return 0;
}

/* Is this what no jail can be called, so that none runs? */
static bool nobody_is(const struct job *j)
{
	return !j->conf.name && j->who[strspn(j->who, "0123456789")] && conf_name_fault(j->who);
}

/* A jail of the command line without a name has none until it has a number: nothing to lock. */
static int lock(struct job *j)
{
	struct ng_err err = {0};
	const char *name = j->conf.name ? j->conf.name : j->who;
	int busy = -1;
	if (!*name || nobody_is(j))
		return 0;
	int fd = state_trylock(j->e->host.state, name, &busy, &err);
	if (fd >= 0)
		j->lock = fd;
	else if (busy >= 0)
		return wait_for_lock(j, busy);
	return fd >= 0 ? 0 : job_told(j, &err);
}

/* The running jail of that name, after clearing up what is left of one that ended. 1, 0, -errno. */
static int find_running(struct job *j)
{
	struct engine *e = j->e;
	struct ng_err err = {0};
	const char *name = j->conf.name ? j->conf.name : j->who;
	record_done(&j->rec);
	j->rec.slot = SLOT_NONE;
	int rc = *name && !nobody_is(j) ? state_find(e->host.state, name, &j->rec, &err) : -ENOENT;
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return job_told(j, &err);
	if (!j->rec.dead && !j->rec.starting)
		return 1;
	if (e->o->verbose)
		job_note(j, "clearing up after %s",
			 j->rec.dead ? "its end" : "an interrupted start");
	if (reap_one(&e->host, &j->rec, &err) < 0)
		return job_told(j, &err);
	record_done(&j->rec);
	j->rec.slot = SLOT_NONE;
	return 0;
}

static void complain(struct job *j, const char *text)
{
	struct str b autodone(str_done) = {0};
	str_addf(&b, "\"%s\" %s", j->conf.name && *j->conf.name ? j->conf.name : j->who, text);
	j->failed = true;
	j->e->sink->error(j->e->sink->arg, NULL, b.s);
}

/* No such jail: which one may have been meant? */
static void not_found(struct job *j)
{
	struct engine *e = j->e;
	struct ng_err ignored = {0};
	struct record *r = NULL;
	struct str text autodone(str_done) = {0};
	size_t configured = 0, running = 0;
	bool negated;
	autofree const char **names = conf_names(e->conf, &configured);

	if (state_all(e->host.state, &r, &running, &ignored) < 0)
		running = 0;
	names = mem_resize(names, configured + running + 1, sizeof(*names));
	for (size_t i = 0; i < running; i++)
		names[configured + i] = r[i].name;
	const char *near = str_nearest(j->who, names, configured + running);
	str_add(&text, "not found");
	if (j->conf.name && *j->conf.name && !j->conf.argument && !(e->o->op & RUN_CREATE))
		str_add(&text, ": it is configured, but does not run");
	else if (near && !str_eq(near, j->who))
		str_addf(&text, " (did you mean \"%s\"?)", near);
	else if (e->o->op & RUN_CREATE && param_find(j->who, &negated))
		str_addf(&text, " (a jail of the command line begins with name=NAME or path=DIR)");
	else if (e->o->op & RUN_CREATE && !configured)
		str_addf(&text, ": no jail is configured (newgate create %s makes one)", j->who);
	complain(j, text.s);
	for (size_t i = 0; i < running; i++)
		record_done(&r[i]);
	free(r);
}

/* What is configured of a running jail that no file describes any more is what its record says. */
static void resolve_kept(struct job *j)
{
	struct diags d autodone(diags_done) = {0};
	if (j->conf.name || j->op & RUN_FORCE)
		return;
	struct str own autodone(str_done) = {0};
	str_addf(&own, "name=%s", j->rec.name);
	conf_add_argument(&j->kept, j->rec.name, own.s, &d);
	for (size_t i = 0; i < j->rec.param.n; i++)
		if (!str_prefix(j->rec.param.v[i], PRIVS_PARAM "="))
			conf_add_argument(&j->kept, j->rec.name, j->rec.param.v[i], &d);
	if (!j->rec.param.n || conf_resolve(&j->kept, j->rec.name, CONF_FOR_STOP, &j->conf, &d) < 0)
		j->conf = (struct conf_jail){0};
}

/* Down, with the lock held. */
static void begin_down(struct job *j)
{
	int running = find_running(j);
	if (running < 0)
		return;
	if (!running) {
		if (j->named && !j->e->o->quiet)
			not_found(j);
		j->failed |= j->named;
		return;
	}
	/* What cannot come up again stays up. */
	if (j->conf.name && j->e->graph.v[j->index].goes_up && start_check(j) < 0)
		return;
	resolve_kept(j);
	j->table = j->op & RUN_FORCE || !j->conf.name ? job_force : job_stop;
}

/* Up, or changed while it is up. */
static void begin_up(struct job *j)
{
	int running = find_running(j);
	if (running < 0)
		return;
	if (running && j->op & RUN_REPAIR) {
		resolve_kept(j);
		j->table = job_repair;
		return;
	}
	if (!j->conf.name) {
		not_found(j);
		return;
	}
	if (running && j->may_modify && j->may_restart && modify_needs_restart(j)) {
		if (start_check(j) < 0)
			return;
		j->going_down = true; /* begin() comes back for the other half */
		j->table = job_stop;
	} else if (running && j->may_modify) {
		j->table = job_modify;
	} else if (running) {
		if (j->named)
			complain(j, "already exists");
	} else if (j->may_start) {
		j->table = job_start;
	} else {
		not_found(j);
	}
}

static bool goes_down(const struct job *j)
{
	const struct depend_node *n = &j->e->graph.v[j->index];
	return n->goes_down && n->level < DEPEND_DOWN;
}

/* With the lock held, or while it is waited for. */
static void begin(struct job *j)
{
	j->gone = j->made = j->claimed = false;
	j->going_down = goes_down(j);
	if (j->going_down)
		begin_down(j);
	else
		begin_up(j);
	job_walk(j);
}

/* ---- the loop ---- */

/* So many children put their jails together while the next one is made: more would only be in each
 * other's way, and each costs descriptors that the next one inherits. */
#define MAKING_MAX 3

/* A stage is at its end. */
static void stage_over(struct engine *e, struct job *j)
{
	struct depend_node *n = &e->graph.v[j->index];
	bool down = j->going_down, gone = j->gone;
	job_done(j);
	e->active--;
	n->failed = j->failed;
	e->failed |= j->failed;
	if (down && !n->goes_down && !j->failed) {
		/* -mr: its next turn starts it. */
		j->may_modify = false;
		j->may_start = true;
	} else if (down && n->goes_down) {
		if (gone || !j->failed)
			n->level = DEPEND_DOWN;
		if (j->only_if_stopped && !gone && !j->failed && n->goes_up)
			n->level = DEPEND_UP; /* it was not running and stays so */
	} else if (!j->failed) {
		n->level = DEPEND_UP;
	}
}

static bool is_over(const struct engine *e, size_t i)
{
	const struct depend_node *n = &e->graph.v[i];
	return n->failed || n->level == (n->goes_up ? DEPEND_UP : DEPEND_DOWN);
}

static bool is_active(const struct job *j)
{
	return j->table || j->wait != WAIT_NOT;
}

/* Begins what may begin. Those that go down are taken from the last to the first. */
static bool begin_ready(struct engine *e)
{
	bool any = false;
	for (size_t k = 0; k < e->n; k++) {
		size_t i = e->o->op & (RUN_REMOVE | RUN_FORCE) && !(e->o->op & RUN_CREATE)
			       ? e->n - 1 - k
			       : k;
		struct job *j = e->job[i];
		if (is_over(e, i) || is_active(j) || e->active >= e->active_max ||
		    e->making >= MAKING_MAX)
			continue;
		enum depend_verdict v = depend_may(&e->graph, i);
		if (v == DEPEND_NOT_YET)
			continue;
		any = true;
		if (v == DEPEND_NEVER || e->interrupted) {
			if (!e->interrupted)
				job_error(j, "skipped");
			e->graph.v[i].failed = e->failed = true;
			continue;
		}
		e->active++;
		if (lock(j) == 0 && j->wait == WAIT_NOT)
			begin(j);
		if (!is_active(j))
			stage_over(e, j);
	}
	return any;
}

static int waits_on(const struct job *j)
{
	switch (j->wait) {
	case WAIT_LOCK:
	case WAIT_HOST:
		return j->pidfd;
	case WAIT_MADE:
		return j->proc.setup;
	case WAIT_INSIDE:
		return j->proc.ctl;
	case WAIT_END:
		return j->proc.pidfd;
	default:
		return -1;
	}
}

static void on_ready(struct engine *e, struct job *j)
{
	bool locked = j->wait == WAIT_LOCK;
	job_event(j);
	if (locked) {
		close(take_fd(&j->pidfd));
		begin(j);
	}
	if (!is_active(j))
		stage_over(e, j);
}

/* What starts is undone; what waits for a lock gives up; an end that is under way is awaited. */
static void interrupt(struct engine *e)
{
	e->interrupted = e->failed = true;
	for (size_t i = 0; i < e->n; i++) {
		struct job *j = e->job[i];
		if (j->wait == WAIT_HOST || j->wait == WAIT_INSIDE) {
			job_timeout(j);
		} else if (j->wait == WAIT_LOCK) {
			macro_close(&j->pidfd);
			j->pidfd = -1;
			j->wait = WAIT_NOT;
			job_error(j, "interrupted");
		}
		if (j->failed && !is_active(j) && !is_over(e, i))
			stage_over(e, j);
	}
}

static int timeout_ms(const struct engine *e)
{
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < e->n; i++)
		if (e->job[i]->deadline && e->job[i]->deadline < next)
			next = e->job[i]->deadline;
	int64_t left = next == INT64_MAX ? -1 : next - job_now();
	return next == INT64_MAX ? -1 : left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

/* One round: wait for something, see to it. */
static int turn(struct engine *e, int signals)
{
	autofree struct pollfd *p = mem_resize(NULL, e->active + 1, sizeof(*p));
	autofree struct job **who = mem_resize(NULL, e->active + 1, sizeof(*who));
	nfds_t n = 0;
	for (size_t i = 0; i < e->n; i++)
		if (e->job[i]->wait != WAIT_NOT) {
			p[n] = (struct pollfd){.fd = waits_on(e->job[i]), .events = POLLIN};
			who[n++] = e->job[i];
		}
	p[n] = (struct pollfd){.fd = signals, .events = POLLIN};
	if (poll(p, n + 1, timeout_ms(e)) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[n].revents) {
		struct signalfd_siginfo info;
		if (read(signals, &info, sizeof(info)) == sizeof(info))
			interrupt(e);
		return 0;
	}
	int64_t now = job_now();
	for (nfds_t i = 0; i < n; i++) {
		if (p[i].revents) {
			on_ready(e, who[i]);
		} else if (who[i]->deadline && who[i]->deadline <= now) {
			job_timeout(who[i]);
			if (!is_active(who[i]))
				stage_over(e, who[i]);
		}
	}
	return 0;
}

static int loop(struct engine *e, int signals)
{
	for (;;) {
		while (begin_ready(e))
			;
		if (!e->active)
			return 0;
		int rc = turn(e, signals);
		if (rc < 0)
			return rc;
	}
}

/* Each job holds up to six descriptors. */
static size_t most_at_once(unsigned limit)
{
	struct rlimit r;
	size_t most =
	    getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur > 128 ? (r.rlim_cur - 64) / 8 : 8;
	return limit && limit < most ? limit : most;
}

static void engine_done(struct engine *e)
{
	for (size_t i = 0; i < e->n; i++) {
		struct job *j = e->job[i];
		job_done(j);
		conf_jail_done(&j->conf);
		conf_done(&j->kept);
		free(j->who);
		free(j);
	}
	free(e->job);
	map_done(&e->by_name);
	depend_done(&e->graph);
	host_done(&e->host);
	if (e->jid_file)
		fclose(e->jid_file);
}

struct selection {
	const char *const *names;
	const struct run_item *plan; /* NULL: names */
	size_t n;
};

static int engine_run(struct engine *e, const struct selection *s)
{
	struct ng_err err = {0};
	sigset_t mask;
	if (e->o->jid_file && !(e->jid_file = fopen(e->o->jid_file, "we")))
		return err_sys(&err, errno, "%s", e->o->jid_file),
		       e->sink->error(e->sink->arg, NULL, err.text), 1;
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, &e->mask);
	autoclose int signals = signalfd(-1, &mask, SFD_CLOEXEC);
	int rc = 0;
	if (s->plan)
		select_plan(e, s->plan, s->n);
	else
		rc = select_jobs(e, s->names, s->n);
	if (rc == 0)
		rc = loop(e, signals);
	for (size_t i = 0; i < e->n; i++)
		e->failed |= e->job[i]->failed;
	sigprocmask(SIG_SETMASK, &e->mask, NULL);
	return rc < 0 || e->failed;
}

int run_jails(struct state *s, const struct conf *conf, const struct rcconf *rc,
	      const struct run_options *o, const char *const *names, size_t n,
	      const struct run_sink *sink)
{
	struct engine e autodone(engine_done) = {.conf = conf, .o = o, .sink = sink};
	struct ng_err err = {0};
	e.active_max = most_at_once(o->limit);
	if (host_open(&e.host, s, rc, &err) < 0) {
		sink->error(sink->arg, NULL, err.text);
		return 1;
	}
	/* A command about all jails looks at all of them. */
	if ((o->wildcard_all || (n && conf_is_wildcard(names[0]))) && reap_all(&e) < 0)
		return 1;
	return engine_run(&e, &(struct selection){.names = names, .n = n});
}

int run_plan(struct state *s, const struct conf *conf, const struct rcconf *rc,
	     const struct run_options *o, const struct run_item *v, size_t n,
	     const struct run_sink *sink)
{
	struct engine e autodone(engine_done) = {.conf = conf, .o = o, .sink = sink};
	struct ng_err err = {0};
	e.active_max = most_at_once(o->limit);
	if (host_open(&e.host, s, rc, &err) < 0) {
		sink->error(sink->arg, NULL, err.text);
		return 1;
	}
	return engine_run(&e, &(struct selection){.plan = v, .n = n});
}
