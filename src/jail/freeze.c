#include "jail/freeze.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "sys/cgroup.h"

/* The end of the pipe comes with the caller's end, kill -9 included. */
static NORETURN void guard(int cg, int pipe)
{
	char byte;

	/* ^C and a hang-up are for the caller. */
	setsid();
	while (read(pipe, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(cgroup_set(cg, "cgroup.freeze", "0") < 0);
}

int freeze_begin(struct state *s, const struct record *r, struct freeze *out, struct ng_err *err)
{
	autofree char *name = state_name(r->name);
	int ends[2];

	*out = FREEZE_NONE;
	autoclose int cg = cgroup_open(s->cgroup, name);
	if (cg == -ENOENT)
		return -ENOENT;
	if (cg < 0)
		return err_sys(err, cg, "cgroup %s/%s", s->cgroup, name);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int far = ends[0], held = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0) {
		close(held);
		guard(cg, far);
	}
	*out = (struct freeze){take_fd(&cg), take_fd(&held), pid};
	int rc = cgroup_freeze(out->cg, true);
	if (rc == 0)
		return 0;
	freeze_end(out);
	return err_sys(err, rc, "freezing the jail (cgroup %s/%s)", s->cgroup, name);
}

void freeze_end(struct freeze *f)
{
	macro_close(&f->held);
	while (f->guard > 0 && waitpid(f->guard, NULL, 0) < 0 && errno == EINTR)
		;
	macro_close(&f->cg);
	*f = FREEZE_NONE;
}
