#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "initbox.h"

#define PATIENCE 10000 /* ms */

int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void make_pipe(int p[2])
{
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
}

void fd_close(int *fd)
{
	assert_int_equal(close(*fd), 0);
	*fd = -1;
}

static void wait_readable(int fd, const char *for_what)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, PATIENCE) != 1)
		fail_msg("waited %d ms for %s", PATIENCE, for_what);
}

void read_line(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size - 1) {
		wait_readable(fd, "a line of output");
		if (read(fd, buf + n, 1) != 1 || buf[n] == '\n')
			break;
		n++;
	}
	buf[n] = 0;
}

static void put_file(pid_t pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* In the new namespaces; leaves by exec. */
static void become_init(int exe, int listener, int log, int go)
{
	char c;
	char *argv[] = {"newgate-init", NULL}, *env[] = {NULL};

	if (read(go, &c, 1) != 1 || setgroups(0, NULL) || setresgid(0, 0, 0) ||
	    setresuid(0, 0, 0) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		_exit(121);
	int null = open("/dev/null", O_RDWR);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		_exit(122);
	/* CTL_FD may be what any of these already is. */
	exe = fcntl(exe, F_DUPFD_CLOEXEC, 10);
	listener = fcntl(listener, F_DUPFD_CLOEXEC, 10);
	if (dup2(listener, CTL_FD) < 0)
		_exit(123);
	close_range(CTL_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	fexecve(exe, argv, env);
	_exit(124);
}

static int listen_at(struct box *b)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strcpy(b->dir, "/tmp/newgate-test-init-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/ctl", b->dir);
	strcpy(a.sun_path, b->path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 512), 0);
	return fd;
}

void box_start(struct box *b)
{
	const char *program = getenv("NEWGATE_INIT");
	int go[2], log[2];

	assert_non_null(program);
	int exe = open(program, O_RDONLY | O_CLOEXEC);
	assert_true(exe >= 0);
	int listener = listen_at(b);
	make_pipe(go);
	make_pipe(log);
	struct clone_args a = {.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_PIDFD,
			       .pidfd = (uintptr_t)&b->pidfd,
			       .exit_signal = SIGCHLD};
	b->pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	assert_true(b->pid >= 0);
	if (b->pid == 0)
		become_init(exe, listener, log[1], go[0]);
	put_file(b->pid, "uid_map", "0 1073741824 65536");
	put_file(b->pid, "gid_map", "0 1073741824 65536");
	assert_int_equal(write(go[1], "", 1), 1);
	b->log = log[0];
	close(log[1]);
	close(go[0]);
	close(go[1]);
	close(listener);
	close(exe);
}

int box_end(struct box *b)
{
	int status = -1;

	wait_readable(b->pidfd, "the end of the jail");
	assert_int_equal(waitpid(b->pid, &status, 0), b->pid);
	b->pid = 0;
	box_destroy(b);
	return status;
}

void box_destroy(struct box *b)
{
	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		waitpid(b->pid, NULL, 0);
		b->pid = 0;
	}
	if (b->pidfd > 0) {
		close(b->pidfd);
		close(b->log);
		unlink(b->path);
		rmdir(b->dir);
		b->pidfd = 0;
	}
}

int box_connect(const struct box *b)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, b->path);
	assert_int_equal(connect(fd, (void *)&a, sizeof(a)), 0);
	return fd;
}

void box_send(int fd, const void *data, size_t len, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} c = {0};
	struct iovec v = {(void *)(uintptr_t)data, len};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};

	if (nfds) {
		h.msg_control = &c;
		h.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c.head.cmsg_level = SOL_SOCKET;
		c.head.cmsg_type = SCM_RIGHTS;
		c.head.cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(&c.head), fds, nfds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &h, MSG_NOSIGNAL), (ssize_t)len);
}

bool box_recv(int fd, struct reply *r)
{
	wait_readable(fd, "an answer");
	ssize_t n = recv(fd, r, sizeof(*r), 0);
	if (n <= 0)
		return false;
	assert_true((size_t)n >= sizeof(r->head));
	assert_int_equal(r->head.len, (size_t)n - sizeof(r->head));
	return true;
}

void box_send_num(int fd, uint32_t type, uint32_t v)
{
	struct {
		struct ctl_head head;
		uint32_t v;
	} m = {{.type = type, .len = sizeof(v)}, v};
	box_send(fd, &m, sizeof(m), NULL, 0);
}

struct reply box_expect(int fd, uint32_t type)
{
	struct reply r;

	if (!box_recv(fd, &r))
		fail_msg("the connection ended instead of an answer of type %u", type);
	if (r.head.type == CTL_ERROR && type != CTL_ERROR)
		fail_msg("step %u failed: %s", r.body.error.step, strerror(r.body.error.code));
	assert_int_equal(r.head.type, type);
	return r;
}

uint32_t box_expect_num(int fd, uint32_t type)
{
	struct reply r = box_expect(fd, type);
	assert_int_equal(r.head.len, sizeof(uint32_t));
	return r.body.num;
}

void box_expect_error(int fd, enum ctl_step step, int code)
{
	struct reply r = box_expect(fd, CTL_ERROR);
	assert_int_equal(r.head.len, sizeof(r.body.error));
	assert_int_equal(r.body.error.code, code);
	assert_int_equal(r.body.error.step, step);
}

static char *pack_str(char *p, const char *s)
{
	size_t n = strlen(s ? s : "") + 1;
	memcpy(p, s ? s : "", n);
	return p + n;
}

size_t order_pack(const struct order *o, char *buf, size_t size)
{
	struct ctl_head h = {.type = o->type ? o->type : CTL_RUN, .flags = o->flags};
	struct ctl_exec e = {.uid = o->uid, .gid = o->gid, .ngroups = o->ngroups};
	char *p = buf + sizeof(h) + sizeof(e);

	memcpy(p, o->groups, o->ngroups * sizeof(uint32_t));
	p = pack_str(p + o->ngroups * sizeof(uint32_t), o->cwd);
	p = pack_str(p, o->tag);
	for (; o->argv[e.argc]; e.argc++)
		p = pack_str(p, o->argv[e.argc]);
	for (; o->env[e.envc]; e.envc++)
		p = pack_str(p, o->env[e.envc]);
	assert_true((size_t)(p - buf) <= size);
	h.len = (uint32_t)((size_t)(p - buf) - sizeof(h));
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &e, sizeof(e));
	return (size_t)(p - buf);
}

void order_send(int fd, const struct order *o)
{
	_Alignas(uint32_t) char buf[2048];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[3] = {o->in ? o->in : null, o->out ? o->out : null, null};

	box_send(fd, buf, order_pack(o, buf, sizeof(buf)), fds, 3);
	close(null);
}

/* What a test file of init works with */

struct box box;

int box_up(void **state)
{
	(void)state;
	box_start(&box);
	return 0;
}

int box_down(void **state)
{
	(void)state;
	box_destroy(&box);
	return 0;
}

int status_of(int fd, const struct order *o)
{
	order_send(fd, o);
	assert_true(box_expect_num(fd, CTL_STARTED) > 1);
	return (int)box_expect_num(fd, CTL_EXITED);
}

uint32_t start(int fd, const struct order *o)
{
	order_send(fd, o);
	return box_expect_num(fd, CTL_STARTED);
}

struct reply query(int fd)
{
	struct ctl_head h = {.type = CTL_QUERY};
	box_send(fd, &h, sizeof(h), NULL, 0);
	return box_expect(fd, CTL_STATUS);
}

void ends_well(void)
{
	assert_int_equal(box_end(&box), 0);
}
