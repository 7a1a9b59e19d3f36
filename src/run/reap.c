/* Leftovers: of jails that ended by themselves, and of commands that were killed. */
#include <signal.h>
#include "run/job.h"
#include "sys/fd.h"

/* Of those who only clear up. A process that waits for a dead disk ends when that comes back. */
#define PATIENCE 10000 /* ms */

int reap_one(struct host *h, struct record *r, struct ng_err *err)
{
	uint64_t started;
	autoclose int pidfd = r->pid ? pidfd_open_pid(r->pid) : -1;
	if (pidfd >= 0 && pid_start_time(r->pid, &started) >= 0 && started == r->pid_started) {
		pidfd_signal(pidfd, SIGKILL);
		if (!job_await_end(pidfd, PATIENCE))
			return err_set(err, ETIMEDOUT,
				       "its processes were killed and still do not end: they wait "
				       "for a disk or a server (ps -e -o pid,stat,wchan:32,args)");
	}
	return create_undo(h, r, err);
}

/* With the lock, the record is read again: whoever held it may have cleared up. 1: cleared. */
static int reap_name(struct host *h, const char *name, const struct run_sink *sink)
{
	struct ng_err err = {0};
	struct record r autodone(record_done) = {0};
	autoclose int lock = state_trylock(h->state, name, NULL, &err);
	if (lock < 0)
		return 0; /* somebody works on it */
	err = (struct ng_err){0};
	int rc = state_find(h->state, name, &r, &err);
	if (rc == -ENOENT || (rc == 0 && (!str_eq(r.name, name) || (!r.dead && !r.starting))))
		return 0;
	/* A record that cannot be read names at least its file, its claims and its cgroup. */
	if (rc < 0)
		r = (struct record){.name = strdup(name), .slot = SLOT_NONE};
	err = (struct ng_err){0};
	if (reap_one(h, &r, &err) < 0) {
		sink->error(sink->arg, name, err.text);
		return -1;
	}
	if (sink->note)
		sink->note(sink->arg, name,
			   r.starting ? "cleared up after an interrupted start"
				      : "cleared up: it had ended");
	return 1;
}

int run_reap(struct state *s, const struct rcconf *rc, const struct run_sink *sink)
{
	struct host h autodone(host_done) = {.cgroup = -1};
	struct ng_err err = {0};
	struct record *all;
	size_t n;
	int count = 0;
	if (host_open(&h, s, rc, &err) < 0 || state_all(s, &all, &n, &err) < 0) {
		sink->error(sink->arg, NULL, err.text);
		return -1;
	}
	for (size_t i = 0; i < n; i++) {
		int got = all[i].dead || all[i].starting ? reap_name(&h, all[i].name, sink) : 0;
		count = got < 0 || count < 0 ? -1 : count + got;
		record_done(&all[i]);
	}
	free(all);
	if (state_sweep(s, &err) < 0) {
		sink->error(sink->arg, NULL, err.text);
		return -1;
	}
	return count;
}

int reap_all(struct engine *e)
{
	struct run_sink sink = *e->sink;
	if (!e->o->verbose)
		sink.note = NULL;
	e->reaped = true;
	return run_reap(e->host.state, e->host.rc, &sink);
}
