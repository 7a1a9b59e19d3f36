#include "jail/foreground.h"

#include <errno.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/macro.h"

void foreground_begin(struct foreground *f, const sigset_t *mask)
{
	static const int taken[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				    SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD};
	struct sigaction standard = {.sa_handler = SIG_DFL};

	sigemptyset(&f->signals);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&f->signals, taken[i]);
	sigprocmask(SIG_BLOCK, &f->signals, &f->mask);
	f->child = mask ? *mask : f->mask;
	/* A caller that ignores SIGCHLD has its children reaped by the kernel, unseen. */
	sigaction(SIGCHLD, &standard, &f->on_child);
	f->tty = -1;
	for (int fd = 0; fd <= 2 && f->tty < 0; fd++)
		if (tcgetpgrp(fd) >= 0)
			f->tty = fd;
}

void foreground_child(const struct foreground *f)
{
	sigaction(SIGCHLD, &f->on_child, NULL);
	sigprocmask(SIG_SETMASK, &f->child, NULL);
}

void foreground_end(const struct foreground *f)
{
	sigaction(SIGCHLD, &f->on_child, NULL);
	sigprocmask(SIG_SETMASK, &f->mask, NULL);
}

/* Has anything happened to the child since the stop that we know of? */
static bool moved_on(pid_t child)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)child, &si, WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) == 0 &&
	       si.si_pid == child;
}

/* The child stopped, and we with it. An interactive shell inside has a process group of its own,
 * which had the terminal; it gets it back if the caller's shell gave it to us. */
static void stop_too(const struct foreground *f, pid_t child)
{
	pid_t had = f->tty >= 0 ? tcgetpgrp(f->tty) : -1;

	if (moved_on(child))
		return;
	kill(getpid(), SIGSTOP);
	if (had > 0 && had != getpgrp() && had == getpgid(child) && tcgetpgrp(f->tty) == getpgrp())
		tcsetpgrp(f->tty, had);
	/* What continued us continued the child as well if it went to our process group. To do it
	 * twice would undo a Ctrl-Z that came since. */
	if (!moved_on(child))
		kill(child, SIGCONT);
}

/* A shell inside cannot hand the terminal back to us: our process group has no number there. */
static void take_terminal_back(const struct foreground *f, pid_t child)
{
	pid_t now = f->tty >= 0 ? tcgetpgrp(f->tty) : -1;

	if (now <= 0 || now == getpgrp())
		return;
	if (now == getpgid(child) || (kill(-now, 0) < 0 && errno == ESRCH))
		tcsetpgrp(f->tty, getpgrp());
}

/* True once the child has ended. */
static bool child_changed(const struct foreground *f, pid_t child, int *status)
{
	siginfo_t si = {0};

	/* It stays a zombie until its process group has been looked at. */
	if (waitid(P_PID, (id_t)child, &si, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 ||
	    si.si_pid != child)
		return false;
	if (si.si_code != CLD_STOPPED)
		take_terminal_back(f, child);
	if (waitpid(child, status, WUNTRACED | WNOHANG) != child)
		return false;
	if (!WIFSTOPPED(*status))
		return true;
	stop_too(f, child);
	return false;
}

int foreground_wait(const struct foreground *f, pid_t child)
{
	siginfo_t si;
	int status = 0;

	/* Looked at once before the first signal too: it may have ended before we asked. */
	while (!child_changed(f, child, &status)) {
		while (sigwaitinfo(&f->signals, &si) < 0)
			;
		/* The kernel's own are the terminal's, and went to the child as well. */
		if (si.si_signo != SIGCHLD && si.si_code != SI_KERNEL)
			kill(child, si.si_signo);
	}
	return status;
}
