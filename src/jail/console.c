#include "jail/console.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "sys/fd.h"

/* ---- begin and end ---- */

int console_begin(struct console *c, struct ng_err *err)
{
	static const int taken[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM,
				    SIGTSTP, SIGCONT, SIGWINCH, SIGPIPE};
	struct sigaction standard = {.sa_handler = SIG_DFL};
	int pair[2];

	c->ours = c->theirs = -1;
	if (tcgetattr(STDIN_FILENO, &c->terminal) < 0 || !isatty(STDOUT_FILENO))
		return err_set(err, ENOTTY,
			       "standard input and output must be a terminal; without one, use "
			       "jexec");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "socketpair");
	c->ours = pair[0];
	c->theirs = pair[1];
	sigemptyset(&c->signals);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&c->signals, taken[i]);
	sigprocmask(SIG_BLOCK, &c->signals, &c->mask);
	/* A caller that ignores SIGCHLD has its children reaped by the kernel, unseen. */
	sigaction(SIGCHLD, &standard, &c->on_child);
	return 0;
}

void console_end(struct console *c)
{
	if (c->ours < 0)
		return;
	sigaction(SIGCHLD, &c->on_child, NULL);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	macro_close(&c->ours);
	macro_close(&c->theirs);
	c->ours = c->theirs = -1;
}

/* ---- the child ---- */

/* Its other side, without a name that could mean something else by now. */
static int open_peer(int master)
{
	int unlocked = 0, peer = -1;

	if (ioctl(master, TIOCSPTLCK, &unlocked) == 0)
		peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return peer < 0 ? -errno : peer;
}

int console_child(struct console *c, struct ng_err *err)
{
	struct winsize size;
	autoclose int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (master < 0)
		return err_sys(err, errno, "/dev/ptmx in the jail");
	autoclose int peer = open_peer(master);
	if (peer < 0)
		return err_sys(err, peer, "/dev/ptmx in the jail makes no terminal");
	tcsetattr(peer, TCSANOW, &c->terminal);
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(peer, TIOCSWINSZ, &size);
	if (setsid() < 0 || ioctl(peer, TIOCSCTTY, 0) < 0)
		return err_sys(err, errno, "cannot make the jail's terminal a controlling one");
	int r = fd_send(c->theirs, "m", 1, &master, 1);
	if (r < 0)
		return err_sys(err, r, "cannot hand over the jail's terminal");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(peer, fd) < 0)
			return err_sys(err, errno, "dup2");
	sigaction(SIGCHLD, &c->on_child, NULL);
	sigprocmask(SIG_SETMASK, &c->mask, NULL);
	return 0;
}

/* ---- the parent: what is typed ---- */

#define ROOM 65536
#define CONTROL_Z 0x1a

/* What was typed and not taken inside yet. As long as there is room, we listen: a program that does
 * not read cannot keep the user from leaving. */
struct relay {
	struct console *c;
	int master, signals;
	bool line_start, escaped;
	size_t n;
	char typed[ROOM];
};

enum verdict { GO_ON, LEAVE, SUSPEND };

static void pass(struct relay *r, char byte)
{
	r->typed[r->n++] = byte;
	r->line_start = byte == '\r' || byte == '\n';
}

static enum verdict type(struct relay *r, char byte)
{
	char escape = (char)r->c->escape;

	if (!r->escaped) {
		r->escaped = r->c->escape >= 0 && r->line_start && byte == escape;
		if (!r->escaped)
			pass(r, byte);
		return GO_ON;
	}
	r->escaped = false;
	if (byte == '.')
		return LEAVE;
	if (byte == CONTROL_Z)
		return SUSPEND;
	r->line_start = false;
	if (byte != escape)
		r->typed[r->n++] = escape;
	pass(r, byte);
	return GO_ON;
}

/* ---- the caller's terminal ---- */

/* Only the foreground may: from the background it would stop us, and is not ours to change. */
static void set_terminal(const struct termios *t)
{
	if (tcgetpgrp(STDIN_FILENO) == getpgrp())
		while (tcsetattr(STDIN_FILENO, TCSADRAIN, t) < 0 && errno == EINTR)
			;
}

static void make_raw(const struct relay *r)
{
	struct termios raw = r->c->terminal;
	struct winsize size;

	cfmakeraw(&raw);
	set_terminal(&raw);
	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(r->master, TIOCSWINSZ, &size);
}

/* SIGCONT, which ends it, makes the terminal raw again. `all`: the whole process group, as Ctrl-Z
 * does; what called us may be a script. */
static void suspend(const struct relay *r, bool all)
{
	set_terminal(&r->c->terminal);
	kill(all ? 0 : getpid(), SIGSTOP);
}

static enum verdict take_typed(struct relay *r)
{
	char in[1024];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));

	if (n <= 0) /* the terminal is gone */
		return n < 0 && errno == EINTR ? GO_ON : LEAVE;
	for (ssize_t i = 0; i < n; i++) {
		enum verdict v = type(r, in[i]);
		if (v == LEAVE)
			return LEAVE;
		if (v == SUSPEND)
			suspend(r, true);
	}
	return GO_ON;
}

static enum verdict take_signal(struct relay *r)
{
	struct signalfd_siginfo si;
	struct winsize size;

	if (read(r->signals, &si, sizeof(si)) != sizeof(si))
		return GO_ON;
	switch (si.ssi_signo) {
	case SIGWINCH:
		if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
			ioctl(r->master, TIOCSWINSZ, &size);
		return GO_ON;
	case SIGCONT:
		make_raw(r);
		return GO_ON;
	case SIGTSTP:
		suspend(r, false);
		return GO_ON;
	case SIGPIPE:
		return GO_ON;
	default:
		r->c->signal = (int)si.ssi_signo;
		return LEAVE;
	}
}

/* ---- the jail's terminal ---- */

/* Passes on what there is, once. 1: there may be more, 0: not now, -EIO: its other side is closed
 * by everyone, -EPIPE: nobody is there to see it. */
static int take_printed(const struct relay *r)
{
	char out[16384];
	ssize_t n = read(r->master, out, sizeof(out));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EIO;
	if (n == 0)
		return -EIO;
	return fd_write_all(STDOUT_FILENO, out, (size_t)n) < 0 ? -EPIPE : 1;
}

static void give_typed(struct relay *r)
{
	ssize_t n = write(r->master, r->typed, r->n);

	if (n > 0) {
		memmove(r->typed, r->typed + n, r->n - (size_t)n);
		r->n -= (size_t)n;
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		r->n = 0; /* nobody will ever read it */
	}
}

/* What the command printed last. Another process may go on printing: it is not waited for. */
static void drain(const struct relay *r)
{
	for (int i = 0; i < 64 && take_printed(r) > 0; i++)
		;
}

/* ---- together ---- */

/* Until the child has ended (GO_ON) or is left. */
static enum verdict join(struct relay *r, int pidfd)
{
	enum { TYPED, PRINTED, ENDED, SIGNAL };
	struct pollfd p[] = {[TYPED] = {.fd = STDIN_FILENO},
			     [PRINTED] = {.fd = r->master},
			     [ENDED] = {.fd = pidfd, .events = POLLIN},
			     [SIGNAL] = {.fd = r->signals, .events = POLLIN}};

	for (;;) {
		/* Each byte typed may come to be two. */
		p[TYPED].events = r->n + 2 * 1024 <= ROOM ? POLLIN : 0;
		p[PRINTED].events = POLLIN | (r->n ? POLLOUT : 0);
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (p[SIGNAL].revents && take_signal(r) == LEAVE)
			return LEAVE;
		if (p[TYPED].revents && take_typed(r) == LEAVE)
			return LEAVE;
		if (p[PRINTED].revents & POLLOUT)
			give_typed(r);
		int n = p[PRINTED].revents & (POLLIN | POLLHUP) ? take_printed(r) : 0;
		if (n == -EPIPE)
			return LEAVE;
		if (n < 0)
			p[PRINTED].fd = -1; /* the command goes on without its terminal */
		if (p[ENDED].revents)
			return GO_ON;
	}
}

/* The master, as the child sent it, if it is one. */
static int receive(const struct console *c, struct ng_err *err)
{
	autoclose int master = -1;
	unsigned n = 1, number;
	char word;
	ssize_t got = fd_recv(c->ours, &word, 1, &master, &n);

	if (got < 0 || n != 1)
		return err_set(err, EIO, "the entering process handed over no terminal");
	if (ioctl(master, TIOCGPTN, &number) < 0)
		return err_sys(err, errno, "/dev/ptmx in the jail makes no terminal");
	int flags = fcntl(master, F_GETFL);
	if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, errno, "the jail's terminal");
	return take_fd(&master);
}

int console_relay(struct console *c, pid_t child, int pidfd, struct ng_err *err)
{
	autofree struct relay *r = mem_alloc(sizeof(*r));
	autoclose int master = receive(c, err);
	autoclose int signals = signalfd(-1, &c->signals, SFD_CLOEXEC);
	int status = 0;

	if (master < 0)
		return master;
	if (signals < 0)
		return err_sys(err, errno, "signalfd");
	*r = (struct relay){.c = c, .master = master, .signals = signals, .line_start = true};
	make_raw(r);
	c->left = join(r, pidfd) == LEAVE;
	if (!c->left) {
		drain(r);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	set_terminal(&c->terminal);
	return status;
}
