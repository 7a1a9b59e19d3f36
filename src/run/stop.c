/* The steps of a removal. */
#include <signal.h>
#include "jail/control.h"
#include "run/job.h"
#include "sys/fd.h"
#include "sys/ns.h"

/* Beyond stop.timeout, which PID 1 keeps, until we think that it cannot. */
#define GRACE 2000 /* ms */

/* The process of the record and no other, and a connection that keeps the jail while it is stopped.
 */
static int hold(struct job *j)
{
	uint64_t started;
	autoclose int pidfd = pidfd_open_pid(j->rec.pid);
	if (pidfd < 0 || pid_start_time(j->rec.pid, &started) < 0 || started != j->rec.pid_started)
		return 0; /* it ended just now: there is only the rest to clear */
	j->proc.pidfd = take_fd(&pidfd);
	/* Whatever is wrong with the connection, the jail ends by its process. */
	j->proc.ctl = control_open(j->e->host.state, j->rec.jid, !(j->e->o->op & RUN_FORCE));
	return 0;
}

/* Links that are for the host to have back keep the namespace until nobody is left in it. */
void stop_hold_links(struct job *j)
{
	size_t n;
	conf_list(&j->conf, P_VNET_INTERFACE, &n);
	if (!n || j->proc.pidfd < 0)
		return;
	autoclose int netns = ns_open(j->rec.pid, "net");
	/* Of that process, if it lives still. */
	if (netns >= 0 && pidfd_signal(j->proc.pidfd, 0) == 0)
		j->netns = take_fd(&netns);
}

void stop_return_links(struct job *j, bool tell)
{
	struct ng_err err = {0};
	size_t n;
	const struct conf_value *v = conf_list(&j->conf, P_VNET_INTERFACE, &n);
	for (size_t i = 0; i < n && j->netns >= 0; i++) {
		/* It is lost to the host, or comes back by itself. */
		if (net_move_out(&j->e->host.net, v[i].text, j->netns, &err) < 0 && tell)
			job_error(j, "%s", err.text);
		err = (struct ng_err){0};
	}
	macro_close(&j->netns);
	j->netns = -1;
}

static int end(struct job *j)
{
	long seconds = j->conf.name ? conf_int(&j->conf, P_STOP_TIMEOUT) : 10;
	if (j->proc.pidfd < 0)
		return 0;
	stop_hold_links(j);
	if (seconds && j->e->o->verbose)
		job_note(j, "sent SIGTERM");
	if (seconds == 0 || j->proc.ctl < 0 ||
	    control_stop(j->proc.ctl, (uint32_t)seconds * 1000) < 0) {
		seconds = 0;
		pidfd_signal(j->proc.pidfd, SIGKILL);
	}
	create_undo_ahead(&j->e->host, &j->rec);
	j->wait = WAIT_END;
	j->deadline = job_now() + seconds * 1000 + GRACE;
	return 0;
}

static int gone(struct job *j)
{
	struct ng_err err = {0};
	stop_return_links(j, true);
	int rc = create_undo(&j->e->host, &j->rec, &err);
	j->gone = true;
	if (j->e->o->note_removed || j->e->o->verbose)
		job_note(j, "removed");
	return rc < 0 ? job_told(j, &err) : 0;
}

const struct step job_stop[] = {
    {.fn = hold}, {P_EXEC_PRESTOP, ON_HOST, NULL},  {P_EXEC_STOP, INSIDE, NULL},     {.fn = end},
    {.fn = gone}, {P_EXEC_POSTSTOP, ON_HOST, NULL}, {P_EXEC_RELEASE, ON_HOST, NULL}, {0},
};

const struct step job_modify[] = {
    {.fn = hold},
    {.fn = modify_apply},
    {0},
};

const struct step job_repair[] = {
    {.fn = hold},
    {.fn = repair_apply},
    {0},
};

const struct step job_force[] = {
    {.fn = hold},
    {.fn = end},
    {.fn = gone},
    {0},
};
