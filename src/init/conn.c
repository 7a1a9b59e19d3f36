#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "init/init.h"

enum { ACCEPT_RETRY = 1000 }; /* ms until the next try when descriptors ran out */

void listen_again(void)
{
	if (me.deaf && watch(CTL_FD, ON_LISTEN, 0) == 0)
		me.deaf = false;
	me.listen_at = me.deaf ? now_ms() + ACCEPT_RETRY : 0;
}

/* Its command, if one runs, goes on without a listener. */
static void conn_close(struct conn *c)
{
	for (size_t i = 0; i < CTL_SERVICES; i++)
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

void answer_num(struct conn *c, uint32_t type, uint32_t v)
{
	answer(c, type, &v, sizeof(v));
}

void answer_error(struct conn *c, struct ctl_error e)
{
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

bool accept_one(void)
{
	size_t slot = 0;
	while (slot < CTL_CONNECTIONS && me.conns[slot].fd)
		slot++;
	if (slot == CTL_CONNECTIONS) {
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

void run_reported(struct conn *c)
{
	if (!c->report)
		return;
	struct ctl_error e = take_report(&c->report);
	uint32_t pid = (uint32_t)c->pid;
	if (e.code || c->background)
		c->pid = 0;
	if (e.code)
		answer_error(c, e);
	else
		answer_num(c, CTL_STARTED, pid);
}

void run_ended(struct conn *c, int status)
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
		answer_error(c, (struct ctl_error){EBADMSG, CTL_STEP_MESSAGE});
		return;
	}
	if (c->pid || me.stopping) {
		answer_error(c,
			     (struct ctl_error){me.stopping ? ESHUTDOWN : EBUSY, CTL_STEP_MESSAGE});
		return;
	}
	c->background = m->head->flags & CTL_F_BACKGROUND;
	pid_t pid =
	    start(&cmd, m, c->background, &c->report, ON_RUN_REPORT, (size_t)(c - me.conns));
	if (pid < 0)
		answer_error(c, (struct ctl_error){-pid, CTL_STEP_FORK});
	else
		c->pid = pid;
}

static void on_query(struct conn *c)
{
	struct ctl_status status = {.persist = me.persist, .nservices = me.nservices};
	struct ctl_service list[CTL_SERVICES];
	struct ctl_head head = {.type = CTL_STATUS, .len = sizeof(status)};
	struct iovec v[2 + 2 * CTL_SERVICES] = {{&head, sizeof(head)}, {&status, sizeof(status)}};
	size_t n = 2;

	for (size_t i = 0; i < CTL_SERVICES; i++) {
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

static void on_number(struct conn *c, const struct message *m)
{
	uint32_t v;

	if (m->head->len != sizeof(v)) {
		answer_error(c, (struct ctl_error){EBADMSG, CTL_STEP_MESSAGE});
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

/* Whoever started the jail learns at once whether it was over with that, without having to watch a
 * process that may live for years. */
static void on_leave(struct conn *c)
{
	me.said = true;
	me.nconns--;
	if (over())
		_exit(0);
	me.nconns++;
	answer(c, CTL_OK, NULL, 0);
	if (c->fd)
		conn_close(c);
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
	case CTL_LEAVE:
		on_leave(c);
		break;
	case CTL_QUERY:
		on_query(c);
		break;
	default:
		answer_error(c, (struct ctl_error){EBADMSG, CTL_STEP_MESSAGE});
	}
}

void on_conn(struct conn *c)
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
		answer_error(c, (struct ctl_error){-r, CTL_STEP_MESSAGE});
	else
		on_message(c, &m);
	message_done(&m);
}
