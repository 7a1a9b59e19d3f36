/* newgate-init: PID 1 of a jail.
 *
 * The kernel gives PID 1 three duties that nobody else can take: it inherits every orphan and must
 * reap it, it is the one process without which the namespace ends, and it gets no signal that it
 * did not ask for. newgate adds a fourth: commands and services are its children, so that the jail
 * needs no monitor outside. All orders come from the host, over the socket at CTL_FD (base/ctl.h).
 *
 * Rules, in the order in which they are needed:
 * - All signals are blocked before anything else and read from a descriptor: no handler, no race.
 * - One event at a time is taken from epoll, handled to its end without blocking, and followed by
 *   the two questions: is something due? is it over? So no event can refer to what another removed.
 * - Nothing here waits for the jail: a child reports its exec over a pipe that is polled like the
 *   rest (a process of the jail may stop the child between setuid and exec), an answer that a peer
 *   does not take is that peer's end, the log is skipped when it would block.
 * - No malloc, no stdio. A message is read into a mapping of its own size, which goes away with it;
 *   a service keeps the mapping it came in. What is left is a few pages per jail.
 * - No error ends the process: it is answered, logged or waited out. It ends by CTL_STOP, by a
 *   signal that asks for the same, or when nothing is left that it would be needed for. The kernel
 *   then kills whoever remains, before the exit is seen outside.
 *
 * Who may speak: those outside. SO_PEERCRED tells the peer's ids as this user namespace sees them,
 * where host root is the overflow uid like everybody unmapped: that proves nothing. Its pid however
 * is 0 exactly when the peer lives outside this PID namespace, and no process of the jail can forge
 * that. Which of those outside is the matter of the path's permissions. The process is undumpable,
 * so that root of the jail without CAP_SYS_PTRACE cannot take its descriptors either. Signals are
 * open to root of the jail: it may stop its own jail.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "init/init.h"
#include "init/log.h"
#include "init/spawn.h"

enum { STOP_MS = 10000 }; /* what a stop by signal grants */

/* By its section's name behind the C library's: a jail of ordinary size touches one page. */
struct init me __attribute__((section(".bss.zz")));

uint64_t now_ms(void)
{
	struct timespec t;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); /* the vdso's way costs a page of code */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int watch(int fd, enum kind kind, size_t slot)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | slot};
	return epoll_ctl(me.epfd, EPOLL_CTL_ADD, fd, &e);
}

/* Takes it off epoll by name: a child between fork and exec may still hold the file open. */
void unwatch(int *fd)
{
	if (*fd) {
		epoll_ctl(me.epfd, EPOLL_CTL_DEL, *fd, NULL);
		close(*fd);
	}
	*fd = 0;
}

pid_t start(const struct command *c, const struct message *m, bool session, int *report,
	    enum kind kind, size_t slot)
{
	pid_t pid = spawn(c, m->fds, session, report);

	if (pid > 0 && watch(*report, kind, slot) < 0) {
		int code = errno;
		kill(pid, SIGKILL);
		unwatch(report);
		return -code;
	}
	return pid;
}

/* Does not block: it was announced, or its writer is dead. */
struct ctl_error take_report(int *report)
{
	struct ctl_error e = spawn_report(*report);
	unwatch(report);
	return e;
}

/* SIGCONT goes along: who is stopped could not end otherwise. */
void stop(uint32_t ms)
{
	uint64_t at = now_ms() + ms;

	if (me.stopping) {
		me.stop_at = at < me.stop_at ? at : me.stop_at;
		return;
	}
	me.stopping = true;
	me.stop_at = at;
	if (ms) {
		kill(-1, SIGTERM);
		kill(-1, SIGCONT);
	}
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < CTL_CONNECTIONS; i++)
			if (me.conns[i].fd && me.conns[i].pid == pid)
				run_ended(&me.conns[i], status);
		for (size_t i = 0; i < CTL_SERVICES; i++)
			if (me.services[i].pid == pid)
				service_ended(&me.services[i], status);
	}
}

static void on_signal(void)
{
	struct signalfd_siginfo s;

	if (read(me.sigfd, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGCHLD)
		reap();
	else
		stop(STOP_MS);
}

static void dispatch(uint64_t what)
{
	size_t slot = (uint32_t)what;

	switch ((enum kind)(what >> 32)) {
	case ON_SIGNAL:
		on_signal();
		break;
	case ON_LISTEN:
		accept_one();
		break;
	case ON_CONN:
		on_conn(&me.conns[slot]);
		break;
	case ON_RUN_REPORT:
		run_reported(&me.conns[slot]);
		break;
	case ON_SERVICE_REPORT:
		service_reported(&me.services[slot]);
		break;
	}
}

/* What is due is done; returns the ms until the next thing is, or -1. */
static int due(void)
{
	uint64_t now = now_ms(), next = UINT64_MAX;

	if (me.stopping && now >= me.stop_at) {
		kill(-1, SIGKILL);
		_exit(0);
	}
	if (me.stopping)
		next = me.stop_at;
	if (me.listen_at && now >= me.listen_at)
		listen_again();
	if (me.listen_at && me.listen_at < next)
		next = me.listen_at;
	for (size_t i = 0; i < CTL_SERVICES && !me.stopping; i++) {
		struct service *s = &me.services[i];
		if (s->due && now >= s->due) {
			s->restarts++;
			service_start(s);
		}
		if (s->due && s->due < next)
			next = s->due;
	}
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now);
}

/* No process is left, neither child nor one that came in from outside (those are not our children;
 * their connection's end is what wakes us). Asking for children first spares a walk over all. */
static bool alone(void)
{
	siginfo_t i;
	if (waitid(P_ALL, 0, &i, WEXITED | WNOHANG | WNOWAIT) == 0)
		return false;
	return kill(-1, 0) < 0 && errno == ESRCH;
}

bool over(void)
{
	if (me.stopping)
		return alone();
	return me.said && !me.persist && !me.nconns && !me.nservices && alone() && !accept_one();
}

static int set_up(void)
{
	sigset_t all, mine;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (int s = 1; s < NSIG; s++) /* an ignored SIGCHLD or SIGPIPE would be inherited */
		signal(s, SIG_DFL);
	setsid();
	umask(022);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NAME, "newgate-init");
	for (int fd = 0; fd < 3; fd++) /* the lowest free number each time */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			open("/", O_PATH);
	sigemptyset(&mine);
	sigaddset(&mine, SIGCHLD);
	sigaddset(&mine, SIGTERM);
	sigaddset(&mine, SIGINT);
	sigaddset(&mine, SIGPWR);
	if (fcntl(CTL_FD, F_SETFD, FD_CLOEXEC) < 0 || fcntl(CTL_FD, F_SETFL, O_NONBLOCK) < 0 ||
	    (me.epfd = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
	    (me.sigfd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK)) < 0 ||
	    watch(me.sigfd, ON_SIGNAL, 0) < 0 || watch(CTL_FD, ON_LISTEN, 0) < 0)
		return -errno;
	return 0;
}

int main(void)
{
	struct line l = {0};

	if (getpid() != 1) {
		line_add(&l, "newgate-init: is PID 1 of a jail, started by jail(8)");
		line_write(&l);
		return 1;
	}
	int r = set_up();
	if (r < 0) {
		line_add(&l, "newgate-init: descriptor 3 should be a listening socket: ");
		line_error(&l, -r);
		line_write(&l);
		return 1;
	}
	while (!over()) {
		struct epoll_event e;
		if (epoll_wait(me.epfd, &e, 1, due()) == 1)
			dispatch(e.data.u64);
	}
	return 0;
}
