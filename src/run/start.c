/* The steps of a start, and how they are undone. */
#include <signal.h>
#include <unistd.h>
#include "base/mem.h"
#include "jail/control.h"
#include "run/job.h"
#include "sys/fd.h"

static bool has(const struct job *j, enum param_id list)
{
	size_t n;
	conf_list(&j->conf, list, &n);
	return n > 0;
}

int start_check(struct job *j)
{
	if (conf_bool(&j->conf, P_PERSIST) || has(j, P_EXEC_START) || has(j, P_COMMAND) ||
	    has(j, P_EXEC_POSTSTART) || has(j, P_SERVICE))
		return 0;
	job_error(
	    j, "jail_set: Invalid argument: neither persist nor a command: the jail would end as "
	       "soon as it is made");
	return -EINVAL;
}

/* a.b is a child of a, which must run and allow one more. */
static int check_parent(struct job *j)
{
	const char *dot = strrchr(j->conf.name, '.');
	struct record parent autodone(record_done) = {0}, *all = NULL;
	struct ng_err err = {0};
	size_t n = 0;
	unsigned children = 0;
	if (!dot)
		return 0;
	autofree char *name = mem_strndup(j->conf.name, (size_t)(dot - j->conf.name));
	if (state_find(j->e->host.state, name, &parent, &err) < 0 || parent.dead)
		return job_error(j, "jail_set: its parent jail \"%s\" does not run", name), -ENOENT;
	if (state_all(j->e->host.state, &all, &n, &err) < 0)
		return job_told(j, &err);
	for (size_t i = 0; i < n; i++) {
		children += !all[i].dead && str_prefix(all[i].name, name) &&
			    all[i].name[strlen(name)] == '.';
		record_done(&all[i]);
	}
	free(all);
	const char *max = record_param(&parent, "children.max");
	if (children >= (max ? strtoul(max, NULL, 10) : 0))
		return job_error(
			   j,
			   "jail_set: Operation not permitted: prison limit exceeded: children.max "
			   "of \"%s\" is %s",
			   name, max ? max : "0"),
		       -EPERM;
	return 0;
}

/* The lock of a jail without a name is its number's. */
static int claim_once(struct job *j, struct ng_err *err)
{
	struct engine *e = j->e;
	if (!*j->conf.name) {
		macro_close(&j->lock);
		j->lock = -1;
	}
	return create_claim(&e->host, &j->conf, select_lookup, e, &j->lock, &j->create, &j->rec,
			    err);
}

/* Another jail may hold the number or the address, one that ended unnoticed: look once. */
static int claim(struct job *j)
{
	struct engine *e = j->e;
	struct ng_err err = {0};
	int rc = check_parent(j);
	if (rc < 0)
		return rc;
	if (!e->surveyed && select_survey(e, &err) < 0)
		return job_told(j, &err);
	rc = claim_once(j, &err);
	if ((rc == -EEXIST || rc == -EADDRINUSE) && !e->reaped) {
		if (reap_all(e) > 0) {
			err = (struct ng_err){0};
			record_done(&j->rec);
			create_done(&j->create);
			rc = claim_once(j, &err);
		}
	}
	if (rc < 0)
		return job_told(j, &err);
	j->rec.aside = e->o->aside || e->o->command_line;
	j->claimed = true;
	return 0;
}

/* Only hooks need the host's view of an overlay. */
static int view(struct job *j)
{
	struct ng_err err = {0};
	if (!has(j, P_EXEC_PREPARE) && !has(j, P_EXEC_PRESTART))
		return 0;
	return create_view(&j->e->host, &j->conf, &j->create, &j->rec, &err) < 0 ? job_told(j, &err)
										 : 0;
}

static int unview(struct job *j)
{
	struct ng_err err = {0};
	return create_unview(&j->create, &j->rec, &err) < 0 ? job_told(j, &err) : 0;
}

static int make(struct job *j)
{
	struct engine *e = j->e;
	struct ng_err err = {0};
	struct strv notes autodone(strv_done) = {0};
	int rc = create_make(&e->host, &j->conf, &j->create, &j->rec, &j->proc, &notes, &err);
	for (size_t i = 0; i < notes.n; i++)
		job_note(j, "%s", notes.v[i]);
	if (rc < 0)
		return job_told(j, &err);
	j->wait = WAIT_MADE;
	e->making++;
	return 0;
}

static int made(struct job *j)
{
	struct engine *e = j->e;
	j->made = true;
	if (e->interrupted) {
		job_error(j, "interrupted");
		return -EINTR;
	}
	e->graph.v[j->index].level = DEPEND_MADE;
	if (e->o->print_jid) {
		char jid[16];
		snprintf(jid, sizeof(jid), "%d", j->rec.jid);
		e->sink->note(e->sink->arg, NULL, jid);
	} else {
		job_note(j, "created");
	}
	return 0;
}

static int move_in(struct job *j)
{
	struct ng_err err = {0};
	size_t n;
	const struct conf_value *v = conf_list(&j->conf, P_VNET_INTERFACE, &n);
	for (size_t i = 0; i < n; i++) {
		if (j->e->o->verbose)
			job_note(j, "move interface %s", v[i].text);
		if (net_move_in(&j->e->host.net, v[i].text, j->rec.pid, &err) < 0)
			return job_told(j, &err);
	}
	return 0;
}

/* -J: "jid=N", then what it was made of. */
static void write_jid(struct job *j)
{
	if (!j->e->jid_file)
		return;
	fprintf(j->e->jid_file, "jid=%d name=%s path=%s", j->rec.jid, j->rec.name, j->rec.path);
	for (size_t i = 0; i < j->rec.param.n; i++)
		if (!str_prefix(j->rec.param.v[i], PRIVS_PARAM "=") &&
		    !str_prefix(j->rec.param.v[i], "path="))
			fprintf(j->e->jid_file, " %s", j->rec.param.v[i]);
	fputc('\n', j->e->jid_file);
	fflush(j->e->jid_file);
}

/* From here on the jail stands by itself. If nothing keeps it, it has ended with that. */
static int finish(struct job *j)
{
	struct ng_err err = {0};
	int rc =
	    j->rec.persist ? control_ask(j->proc.ctl, CTL_PERSIST, 1) : control_leave(j->proc.ctl);
	if (rc < 0) {
		err_sys(&err, rc, "the jail's PID 1");
		return job_told(j, &err);
	}
	write_jid(j);
	if (!j->rec.persist && rc == 0) {
		job_wait_end(j->proc.pidfd);
		/* The end of `command` is the end that was wanted; else somebody will wonder. */
		if (!conf_is_set(&j->conf, P_COMMAND))
			job_note(j, "ended: nothing runs in it, and it is not persist");
		return create_undo(&j->e->host, &j->rec, &err) < 0 ? job_told(j, &err) : 0;
	}
	j->rec.starting = false;
	state_set_failure(j->e->host.state, j->rec.name, NULL);
	return state_write(j->e->host.state, &j->rec, &err) < 0 ? job_told(j, &err) : 0;
}

const struct step job_start[] = {
    {.fn = start_check},
    {.fn = claim},
    {.fn = view},
    {P_EXEC_PREPARE, ON_HOST, NULL},
    {P_EXEC_PRESTART, ON_HOST, NULL},
    {.fn = unview},
    {.fn = make},
    {.fn = made},
    {P_EXEC_CREATED, ON_HOST, NULL},
    {.fn = move_in},
    {P_EXEC_START, INSIDE, NULL},
    {P_SERVICE, INSIDE, NULL},
    {P_COMMAND, INSIDE, NULL},
    {P_EXEC_POSTSTART, ON_HOST, NULL},
    {.fn = finish},
    {0},
};

void start_undo(struct job *j)
{
	struct ng_err err = {0};
	if (j->proc.pidfd >= 0) {
		stop_hold_links(j);
		pidfd_signal(j->proc.pidfd, SIGKILL);
		job_wait_end(j->proc.pidfd);
		stop_return_links(j, false); /* it may not have come to all of them */
	}
	if (create_undo(&j->e->host, &j->rec, &err) < 0)
		job_told(j, &err);
	if (j->made)
		job_note(j, "removed");
	j->made = j->claimed = false;
}
