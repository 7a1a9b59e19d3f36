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
 * the two questions: is something due? is it over? So no event can refer to what another one
 * removed.
 * - Nothing here waits for the jail: a child reports its exec over a pipe that is polled like the
 *   rest (a process of the jail may stop the child between setuid and exec), an answer that a
 *   peer does not take is that peer's end, the log is skipped when it would block.
 * - No malloc, no stdio. A message is read into a mapping of its own size, which goes away with it;
 *   a service keeps the mapping it came in. What is left is a few pages per jail.
 * - No error ends the process: it is answered, logged or waited out. It ends by CTL_STOP, by a
 * signal that asks for the same, or when nothing is left that it would be needed for. The kernel
 * then kills whoever remains, before the exit is seen outside.
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
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include "init/log.h"
#include "init/spawn.h"

enum {
	CONNS = CTL_CONNECTIONS,
	SERVICES = CTL_SERVICES,
	STOP_MS = 10000,    /* what a stop by signal grants */
	ACCEPT_RETRY = 1000 /* ms until the next try when descriptors ran out */
};

/* What an event is about: its kind, and a slot of the table of its kind. */
enum kind { ON_SIGNAL, ON_LISTEN, ON_CONN, ON_RUN_REPORT, ON_SERVICE_REPORT };

/* Descriptors 0 to 3 are taken from the start, so 0 stands for "none" and zeroed slots are free. */
struct conn {
	int fd;
	int report; /* of the command's start */
	pid_t pid;  /* the command that runs on its behalf */
	bool background;
};

struct service {
	struct message def; /* size 0: free slot */
	struct command cmd; /* within def */
	struct conn *asker; /* waits to hear how the first start went */
	int report;
	pid_t pid;
	int failed; /* errno of a start that failed, until its process is reaped */
	uint32_t restarts, last_status, last_lived;
	uint32_t pause;        /* seconds before the next start */
	uint64_t started, due; /* ms; due 0: not waiting */
};

/* All that changes is one object, in this order, and (by its section's name) behind whatever the C
 * library has: a jail of ordinary size touches the first page only.
 */
static struct {
	int epfd, sigfd;
	unsigned nconns, nservices;
	bool said; /* a starter came and went: from now on an empty jail is over */
	bool persist, stopping;
	bool deaf;          /* connections are left in the backlog for now */
	uint64_t listen_at; /* ms; when to try again, 0: when a connection ends */
	uint64_t stop_at;   /* ms */
	struct service services[SERVICES];
	struct conn conns[CONNS];
} me __attribute__((section(".bss.zz")));

static uint64_t now_ms(void)
{
	struct timespec t;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t); /* the vdso's way costs a page of code */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Descriptors and connections */

static int watch(int fd, enum kind kind, size_t slot)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | slot};
	return epoll_ctl(me.epfd, EPOLL_CTL_ADD, fd, &e);
}

/* Takes it off epoll by name: a child between fork and exec may still hold the file open. */
static void unwatch(int *fd)
{
	if (*fd) {
		epoll_ctl(me.epfd, EPOLL_CTL_DEL, *fd, NULL);
		close(*fd);
	}
	*fd = 0;
}

static void listen_again(void)
{
	if (me.deaf && watch(CTL_FD, ON_LISTEN, 0) == 0)
		me.deaf = false;
	me.listen_at = me.deaf ? now_ms() + ACCEPT_RETRY : 0;
}

/* Its command, if one runs, goes on without a listener. */
static void conn_close(struct conn *c)
{
	for (size_t i = 0; i < SERVICES; i++)
		if (me.services[i].asker == c)
			me.services[i].asker = NULL;
	unwatch(&c->fd);
	unwatch(&c->report);
	c->pid = 0;
	me.nconns--;
	me.said = true;
	listen_again();
}

static void answer_iov(struct conn *c, struct iovec *v, size_t n)
{
	struct msghdr m = {.msg_iov = v, .msg_iovlen = n};

	if (c->fd && sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		conn_close(c);
}

static void answer(struct conn *c, uint32_t type, const void *body, uint32_t len)
{
	struct ctl_head h = {.type = type, .len = len};
	struct iovec v[] = {{&h, sizeof(h)}, {(void *)(uintptr_t)body, len}};
	answer_iov(c, v, ARRAY_SIZE(v));
}

static void answer_num(struct conn *c, uint32_t type, uint32_t v)
{
	answer(c, type, &v, sizeof(v));
}

static void answer_error(struct conn *c, enum ctl_step step, int code)
{
	struct ctl_error e = {.code = code, .step = step};
	answer(c, CTL_ERROR, &e, sizeof(e));
}

static bool from_outside(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == 0;
}

/* Out of descriptors or slots, the rest waits in the backlog: until one is free, or for a moment.
 */
static void accept_later(uint64_t at)
{
	epoll_ctl(me.epfd, EPOLL_CTL_DEL, CTL_FD, NULL);
	me.deaf = true;
	me.listen_at = at;
}

/* Takes a connection from the backlog; false where there was none. */
static bool accept_one(void)
{
	size_t slot = 0;
	while (slot < CONNS && me.conns[slot].fd)
		slot++;
	if (slot == CONNS) {
		accept_later(0);
		return false;
	}
	int fd = accept4(CTL_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			accept_later(now_ms() + ACCEPT_RETRY);
		return false;
	}
	if (!from_outside(fd) || watch(fd, ON_CONN, slot) < 0) {
		close(fd);
		return false;
	}
	me.conns[slot] = (struct conn){.fd = fd};
	me.nconns++;
	return true;
}

/* Commands */

/* The report of a child comes as an event of (kind, slot). Returns its pid or -errno. */
static pid_t start(const struct command *c, const struct message *m, bool session, int *report,
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
static struct ctl_error take_report(int *report)
{
	struct ctl_error e = spawn_report(*report);
	unwatch(report);
	return e;
}

static void run_reported(struct conn *c)
{
	if (!c->report)
		return;
	struct ctl_error e = take_report(&c->report);
	uint32_t pid = (uint32_t)c->pid;
	if (e.code || c->background)
		c->pid = 0;
	if (e.code)
		answer(c, CTL_ERROR, &e, sizeof(e));
	else
		answer_num(c, CTL_STARTED, pid);
}

static void run_ended(struct conn *c, int status)
{
	run_reported(c);
	if (!c->pid)
		return;
	c->pid = 0;
	answer_num(c, CTL_EXITED, (uint32_t)status);
}

static void on_run(struct conn *c, const struct message *m)
{
	struct command cmd;

	if (command_parse(m->head + 1, m->head->len, &cmd) < 0 || m->nfds != 3 ||
	    (m->head->flags & ~(uint32_t)CTL_F_BACKGROUND)) {
		answer_error(c, CTL_STEP_MESSAGE, EBADMSG);
		return;
	}
	if (c->pid || me.stopping) {
		answer_error(c, CTL_STEP_MESSAGE, me.stopping ? ESHUTDOWN : EBUSY);
		return;
	}
	c->background = m->head->flags & CTL_F_BACKGROUND;
	pid_t pid =
	    start(&cmd, m, c->background, &c->report, ON_RUN_REPORT, (size_t)(c - me.conns));
	if (pid < 0)
		answer_error(c, CTL_STEP_FORK, -pid);
	else
		c->pid = pid;
}

/* Services */

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

static void service_start(struct service *s)
{
	s->due = 0;
	s->started = now_ms();
	pid_t pid =
	    start(&s->cmd, &s->def, true, &s->report, ON_SERVICE_REPORT, (size_t)(s - me.services));
	if (pid > 0) {
		s->pid = pid;
	} else if (s->asker) {
		answer_error(s->asker, CTL_STEP_FORK, -pid);
		service_drop(s);
	} else {
		s->failed = -pid;
		service_down(s, 127 << 8);
	}
}

static void service_reported(struct service *s)
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
		answer(asker, CTL_ERROR, &e, sizeof(e));
	else if (asker)
		answer_num(asker, CTL_STARTED, pid);
}

static void service_ended(struct service *s, int status)
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
	for (size_t i = 0; i < SERVICES; i++)
		if (me.services[i].def.size && strcmp(me.services[i].cmd.tag, cmd->tag) == 0)
			return EEXIST;
	return me.nservices == SERVICES ? ENOSPC : 0;
}

static void on_service(struct conn *c, struct message *m)
{
	struct command cmd;
	int code = service_check(m, &cmd);
	if (code) {
		answer_error(c, CTL_STEP_MESSAGE, code);
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

/* State */

static void on_query(struct conn *c)
{
	struct ctl_status status = {.persist = me.persist, .nservices = me.nservices};
	struct ctl_service list[SERVICES];
	struct ctl_head head = {.type = CTL_STATUS, .len = sizeof(status)};
	struct iovec v[2 + 2 * SERVICES] = {{&head, sizeof(head)}, {&status, sizeof(status)}};
	size_t n = 2;

	for (size_t i = 0; i < SERVICES; i++) {
		const struct service *s = &me.services[i];
		if (!s->def.size)
			continue;
		const char *tag = s->cmd.tag;
		list[i] = (struct ctl_service){(uint32_t)s->pid, s->restarts, s->last_status,
					       s->last_lived};
		v[n++] = (struct iovec){&list[i], sizeof(list[i])};
		v[n++] = (struct iovec){(void *)(uintptr_t)tag, strlen(tag) + 1};
		head.len += (uint32_t)(v[n - 2].iov_len + v[n - 1].iov_len);
	}
	answer_iov(c, v, n);
}

/* SIGCONT goes along: who is stopped could not end otherwise. */
static void stop(uint32_t ms)
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

static void on_number(struct conn *c, const struct message *m)
{
	uint32_t v;

	if (m->head->len != sizeof(v)) {
		answer_error(c, CTL_STEP_MESSAGE, EBADMSG);
		return;
	}
	memcpy(&v, m->head + 1, sizeof(v));
	if (m->head->type == CTL_STOP) {
		stop(v);
		return;
	}
	me.persist = v;
	answer(c, CTL_OK, NULL, 0);
}

static void on_message(struct conn *c, struct message *m)
{
	switch (m->head->type) {
	case CTL_RUN:
		on_run(c, m);
		break;
	case CTL_SERVICE:
		on_service(c, m);
		break;
	case CTL_PERSIST:
	case CTL_STOP:
		on_number(c, m);
		break;
	case CTL_QUERY:
		on_query(c);
		break;
	default:
		answer_error(c, CTL_STEP_MESSAGE, EBADMSG);
	}
}

static void on_conn(struct conn *c)
{
	struct message m = {0};
	ssize_t size = recv(c->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);

	if (size <= 0) {
		if (size == 0 || (errno != EAGAIN && errno != EINTR))
			conn_close(c);
		return;
	}
	int r = message_read(c->fd, (size_t)size, &m);
	if (r < 0)
		answer_error(c, CTL_STEP_MESSAGE, -r);
	else
		on_message(c, &m);
	message_done(&m);
}

/* Events */

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < CONNS; i++)
			if (me.conns[i].fd && me.conns[i].pid == pid)
				run_ended(&me.conns[i], status);
		for (size_t i = 0; i < SERVICES; i++)
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
	for (size_t i = 0; i < SERVICES && !me.stopping; i++) {
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

static bool over(void)
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
		line_add(
		    &l,
		    "newgate-init: is PID 1 of a jail, started by jail(8); it does nothing here");
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
