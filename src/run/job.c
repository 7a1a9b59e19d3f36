#include "run/job.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include "base/mem.h"
#include "jail/control.h"
#include "jail/hookhelp.h"
#include "jail/hooks.h"
#include "sys/fd.h"

int64_t job_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *name_of(const struct job *j)
{
	return j->rec.name && *j->rec.name ? j->rec.name : j->who;
}

void job_note(const struct job *j, const char *fmt, ...)
{
	struct str b autodone(str_done) = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	if (!j->e->o->quiet)
		j->e->sink->note(j->e->sink->arg, name_of(j), str_text(&b));
}

void job_error(struct job *j, const char *fmt, ...)
{
	struct str b autodone(str_done) = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	/* What came first is the reason; the rest are consequences. */
	if (!j->failed && j->conf.name)
		state_set_failure(j->e->host.state, j->conf.name, str_text(&b));
	j->failed = true;
	j->e->sink->error(j->e->sink->arg, name_of(j), str_text(&b));
}

int job_told(struct job *j, const struct ng_err *err)
{
	job_error(j, "%s", err->text);
	return -err->code;
}

bool job_await_end(int pidfd, int ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	siginfo_t info;
	int n;
	while ((n = poll(&p, 1, ms)) < 0 && errno == EINTR)
		;
	/* It may be our child or somebody else's; ours would stay a zombie while we run. */
	waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	return n == 1;
}

void job_wait_end(int pidfd)
{
	(void)job_await_end(pidfd, -1);
}

/* ---- commands ---- */

/* A failed command's own complaint, with newgate's way where it has one. */
static void command_failed(struct job *j, const char *what)
{
	bool inside = j->table->where == INSIDE;
	autofree char *rc = inside ? hook_rc_advice(&j->rec, j->text) : NULL;
	const char *help = rc ? rc : hookhelp(j->text);
	job_error(j, "%s%s%s", what, help ? "\n  " : "", help ? help : "");
}

static void verbose_run(const struct job *j, const struct step *s)
{
	const char *user =
	    conf_string(&j->conf, s->where == INSIDE ? P_EXEC_JAIL_USER : P_EXEC_SYSTEM_USER);
	if (j->e->o->verbose)
		job_note(j, "run command%s%s%s: %s", s->where == INSIDE ? " in jail" : "",
			 user ? " as " : "", user ? user : "", j->text);
}

/* The words of a command line's `command` as they are; else the string split or given to a shell.
 */
static bool words_of(const struct job *j, const struct conf_value *v, struct strv *argv)
{
	const struct conf_setting *s = j->conf.by_id[P_COMMAND];
	if (s && v == s->item && s->argument) {
		for (size_t i = 0; i < s->nvalues; i++)
			strv_add(argv, s->value[i].text);
		return false;
	}
	return hook_split(v->text, argv);
}

/* How a command ended; 0 is well. */
static int ended(struct job *j, int status)
{
	struct str b autodone(str_done) = {0};
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		str_addf(&b, "%s: exited on signal %d", j->text, WTERMSIG(status));
	else
		str_addf(&b, "%s: failed", j->text);
	command_failed(j, b.s);
	return -ECANCELED;
}

/* A command of the caller's terminal: he types into it, and Ctrl-C is its. */
static int in_foreground(struct job *j, struct strv *argv)
{
	struct ng_err err = {0};
	struct attach a = {.argv = argv->v,
			   .jail_user = conf_string(&j->conf, P_EXEC_JAIL_USER),
			   .clean = conf_bool(&j->conf, P_EXEC_CLEAN),
			   .mask = &j->e->mask};
	int status = attach_run(j->e->host.state, &j->rec, &a, &err);
	return status < 0 ? job_told(j, &err) : ended(j, status);
}

static int begin_command(struct job *j, const struct step *s, const struct conf_value *v)
{
	struct strv argv autodone(strv_done) = {0};
	struct ng_err err = {0};
	struct hook h = {.conf = &j->conf, .record = &j->rec, .root = j->e->host.state->root};
	h.background = words_of(j, v, &argv);
	if (!argv.n)
		return 0;
	h.argv = argv.v;
	free(j->text);
	j->text = mem_strdup(v->text);
	verbose_run(j, s);
	if (s->list == P_COMMAND && j->e->o->terminal)
		return in_foreground(j, &argv);
	int rc;
	if (s->where == INSIDE) {
		rc = hook_inside(&h, j->proc.ctl, s->list == P_SERVICE ? v->text : NULL, &err);
		j->wait = rc == 0 ? WAIT_INSIDE : WAIT_NOT;
	} else {
		rc = hook_host(&h, &j->pidfd, &err);
		j->wait = rc == 0 && j->pidfd >= 0 ? WAIT_HOST : WAIT_NOT;
	}
	if (rc < 0) {
		command_failed(j, err.text);
		return rc;
	}
	long seconds = conf_int(&j->conf, P_EXEC_TIMEOUT);
	j->deadline = seconds && j->wait != WAIT_NOT ? job_now() + seconds * 1000 : 0;
	return 0;
}

/* The next command of the step's list. 1: there is none left. */
static int next_command(struct job *j)
{
	const struct step *s = j->table;
	size_t n;
	const struct conf_value *v = conf_list(&j->conf, s->list, &n);
	if (j->item >= n)
		return 1;
	const struct conf_setting *set = j->conf.by_id[s->list];
	size_t at = j->item++;
	if (s->list == P_COMMAND && set->argument)
		j->item = n;
	return begin_command(j, s, &v[at]);
}

/* ---- the walk ---- */

/* A start is undone at once. A stop goes on only when the jail itself is gone: what is left is to
 * clear up after it. */
static void step_failed(struct job *j)
{
	j->failed = true;
	if (j->going_down && j->gone)
		return;
	if (!j->going_down && j->claimed)
		start_undo(j);
	j->table = NULL;
}

void job_walk(struct job *j)
{
	while (j->wait == WAIT_NOT && j->table) {
		const struct step *s = j->table;
		if (!s->list && !s->fn) {
			j->table = NULL;
			break;
		}
		int rc = s->list ? next_command(j) : s->fn(j);
		if (rc < 0)
			step_failed(j);
		/* A function is done, even if its end is awaited; a list when it is at its end. */
		if (j->table && (!s->list || rc == 1)) {
			j->table++;
			j->item = 0;
		}
	}
}

/* An answer of PID 1: the command's start is of no interest, its end is. A service is up when it
 * was started. */
static int on_answer(struct job *j, bool service)
{
	struct control_answer a;
	struct str b autodone(str_done) = {0};
	int rc = control_read(j->proc.ctl, &a);
	if (rc < 0 || a.type == 0) {
		job_error(j, "%s: the jail ended while it ran", j->text);
		return rc < 0 ? rc : -ESRCH;
	}
	if (a.type == CTL_ERROR) {
		struct strv argv autodone(strv_done) = {0};
		hook_split(j->text, &argv);
		control_explain(&b, &a.error, argv.n ? argv.v[0] : j->text);
		command_failed(j, b.s);
		return -ECANCELED;
	}
	struct strv argv autodone(strv_done) = {0};
	bool background = hook_split(j->text, &argv);
	if (a.type == CTL_STARTED && !service && !background)
		return 0;
	j->wait = WAIT_NOT;
	return a.type == CTL_EXITED ? ended(j, (int)a.number) : 0;
}

static int host_ended(struct job *j)
{
	siginfo_t info = {0};
	waitid(P_PIDFD, (id_t)j->pidfd, &info, WEXITED);
	close(j->pidfd);
	j->pidfd = -1;
	j->wait = WAIT_NOT;
	if (info.si_code == CLD_EXITED)
		return ended(j, (info.si_status & 0xff) << 8);
	return ended(j, info.si_status & 0x7f);
}

/* The child on its way to PID 1. */
static int on_setup(struct job *j)
{
	struct ng_err err = {0};
	int rc = spawn_heard(&j->proc, &err);
	if (rc == 1)
		return 0;
	j->wait = WAIT_NOT;
	j->e->making--;
	if (rc == 0)
		rc = net_settle(&j->e->host.net, &j->create.net, &err);
	return rc < 0 ? job_told(j, &err) : 0;
}

void job_event(struct job *j)
{
	int rc = 0;
	if (j->wait == WAIT_INSIDE) {
		rc = on_answer(j, j->table->list == P_SERVICE);
	} else if (j->wait == WAIT_HOST) {
		rc = host_ended(j);
	} else if (j->wait == WAIT_MADE) {
		rc = on_setup(j);
	} else {
		job_wait_end(j->wait == WAIT_LOCK ? j->pidfd : j->proc.pidfd);
		j->wait = WAIT_NOT;
	}
	if (rc < 0) {
		j->wait = WAIT_NOT;
		step_failed(j);
	}
	if (j->wait == WAIT_NOT)
		j->deadline = 0;
	job_walk(j);
}

void job_timeout(struct job *j)
{
	j->deadline = 0;
	if (j->wait == WAIT_END) {
		/* PID 1 should have ended the jail by now; without it nobody is left. */
		pidfd_signal(j->proc.pidfd, SIGKILL);
		return;
	}
	/* FreeBSD leaves it running; nobody would know of it any more. */
	if (j->wait == WAIT_HOST)
		pidfd_signal(j->pidfd, SIGTERM);
	macro_close(&j->pidfd);
	j->pidfd = -1;
	j->wait = WAIT_NOT;
	job_error(j, "%s: %s", j->text, j->e->interrupted ? "interrupted" : "timed out");
	step_failed(j);
	job_walk(j);
}

void job_done(struct job *j)
{
	macro_close(&j->pidfd);
	macro_close(&j->lock);
	macro_close(&j->netns);
	process_done(&j->proc);
	j->pidfd = j->lock = j->netns = -1;
	create_done(&j->create);
	record_done(&j->rec);
	j->rec.slot = SLOT_NONE;
	free(j->text);
	j->text = NULL;
}
