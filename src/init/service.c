#include <string.h>
#include <sys/wait.h>
#include "init/init.h"
#include "init/log.h"
#include "init/spawn.h"

static void service_drop(struct service *s)
{
	unwatch(&s->report);
	message_done(&s->def);
	*s = (struct service){0};
	me.nservices--;
}

static void service_log(const struct service *s)
{
	int status = (int)s->last_status;
	struct line l = {0};

	line_add(&l, "newgate-init: service ");
	line_add(&l, s->cmd.tag);
	if (s->failed) {
		line_add(&l, " could not be started: ");
		line_error(&l, s->failed);
	} else if (WIFSIGNALED(status)) {
		line_add(&l, " was ended by signal ");
		line_num(&l, (uint32_t)WTERMSIG(status));
	} else {
		line_add(&l, " exited with status ");
		line_num(&l, (uint32_t)WEXITSTATUS(status));
	}
	line_add(&l, ", again in ");
	line_num(&l, s->pause);
	line_add(&l, " s");
	line_write(&l);
}

/* It is not running: because it ended, or because it could not be started. */
static void service_down(struct service *s, int status)
{
	uint64_t now = now_ms();

	s->pid = 0;
	s->last_status = (uint32_t)status;
	s->last_lived = (uint32_t)((now - s->started) / 1000);
	if (!me.stopping) {
		s->pause = spawn_pause(s->pause, s->last_lived);
		s->due = now + s->pause * 1000;
		service_log(s);
	}
	s->failed = 0;
}

void service_start(struct service *s)
{
	s->due = 0;
	s->started = now_ms();
	pid_t pid =
	    start(&s->cmd, &s->def, true, &s->report, ON_SERVICE_REPORT, (size_t)(s - me.services));
	if (pid > 0) {
		s->pid = pid;
	} else if (s->asker) {
		answer_error(s->asker, (struct ctl_error){-pid, CTL_STEP_FORK});
		service_drop(s);
	} else {
		s->failed = -pid;
		service_down(s, 127 << 8);
	}
}

void service_reported(struct service *s)
{
	if (!s->report)
		return;
	struct ctl_error e = take_report(&s->report);
	struct conn *asker = s->asker;
	uint32_t pid = (uint32_t)s->pid;
	s->asker = NULL;
	s->failed = e.code;
	/* A command line that never worked is a mistake to tell; one that did is worth another try.
	 */
	if (e.code && asker)
		service_drop(s);
	if (asker && e.code)
		answer_error(asker, e);
	else if (asker)
		answer_num(asker, CTL_STARTED, pid);
}

void service_ended(struct service *s, int status)
{
	service_reported(s);
	if (s->pid)
		service_down(s, status);
}

static int service_check(const struct message *m, struct command *cmd)
{
	if (command_parse(m->head + 1, m->head->len, cmd) < 0 || m->nfds != 3 || !*cmd->tag ||
	    strlen(cmd->tag) > CTL_TAG_MAX)
		return EBADMSG;
	if (me.stopping)
		return ESHUTDOWN;
	for (size_t i = 0; i < CTL_SERVICES; i++)
		if (me.services[i].def.size && strcmp(me.services[i].cmd.tag, cmd->tag) == 0)
			return EEXIST;
	return me.nservices == CTL_SERVICES ? ENOSPC : 0;
}

void on_service(struct conn *c, struct message *m)
{
	struct command cmd;
	int code = service_check(m, &cmd);
	if (code) {
		answer_error(c, (struct ctl_error){code, CTL_STEP_MESSAGE});
		return;
	}
	struct service *s = me.services;
	while (s->def.size)
		s++;
	s->def = *m;
	s->cmd = cmd;
	*m = (struct message){0};
	s->asker = c;
	me.nservices++;
	service_start(s);
}
