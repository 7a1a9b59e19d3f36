#include "init/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* What is as it should be is left alone: it needs no privilege then. The C library's functions
 * would look for threads to change along; there are none, and the code for it is not small. */
static long set_user(const struct command *c)
{
	const struct ctl_exec *e = c->exec;
	long r = 0;

	if (e->ngroups || getgroups(0, NULL) != 0)
		r = syscall(SYS_setgroups, (size_t)e->ngroups, c->groups);
	if (r == 0 && (getgid() != e->gid || getegid() != e->gid))
		r = syscall(SYS_setresgid, e->gid, e->gid, e->gid);
	if (r == 0 && (getuid() != e->uid || geteuid() != e->uid))
		r = syscall(SYS_setresuid, e->uid, e->uid, e->uid);
	return r;
}

static int execute(const struct command *c)
{
	size_t argc = c->exec->argc, n = argc + c->exec->envc + 2;
	char *s = c->strings;
	sigset_t none;

	char **v =
	    mmap(NULL, n * sizeof(*v), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v == MAP_FAILED)
		return -1;
	for (size_t i = 0; i < n - 1; i++)
		if (i != argc) {
			v[i] = s;
			s += strlen(s) + 1;
		}
	environ = v + argc + 1; /* execvp looks PATH up there */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return execvp(v[0], v);
}

/* A process group of its own keeps `kill 0` in a script from reaching PID 1. */
static NORETURN void become(const struct command *c, const int fds[static 3], bool session,
			    int report)
{
	struct ctl_error e = {.step = CTL_STEP_FORK};
	int r = session ? (int)setsid() : setpgid(0, 0);

	for (int i = 0; i < 3 && r >= 0; i++)
		r = dup2(fds[i], i);
	if (r >= 0) {
		e.step = CTL_STEP_USER;
		r = (int)set_user(c);
	}
	if (r >= 0) {
		e.step = CTL_STEP_CWD;
		r = chdir(*c->cwd ? c->cwd : "/");
	}
	if (r >= 0) {
		e.step = CTL_STEP_EXEC;
		execute(c);
	}
	e.code = errno;
	_exit(write(report, &e, sizeof(e)) == sizeof(e) ? 127 : 126);
}

pid_t spawn(const struct command *c, const int fds[static 3], bool session, int *report)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = _Fork(); /* no handlers of pthread_atfork are wanted */
	if (pid == 0)
		become(c, fds, session, p[1]);
	int code = errno;
	close(p[1]);
	if (pid > 0) {
		*report = p[0];
		return pid;
	}
	close(p[0]);
	return -code;
}

struct ctl_error spawn_report(int report)
{
	struct ctl_error e;
	ssize_t n = read(report, &e, sizeof(e));

	if (n == 0)
		return (struct ctl_error){0};
	if (n != sizeof(e) || e.code == 0)
		return (struct ctl_error){.code = EIO, .step = CTL_STEP_FORK};
	return e;
}

uint32_t spawn_pause(uint32_t last, uint32_t lived)
{
	if (last == 0 || lived >= SPAWN_PAUSE_MAX)
		return 1;
	return last > SPAWN_PAUSE_MAX / 2 ? SPAWN_PAUSE_MAX : last * 2;
}
