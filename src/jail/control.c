#include "jail/control.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "base/mem.h"
#include "sys/fd.h"

int control_open(struct state *s, int jid, bool wait)
{
	char name[32];
	snprintf(name, sizeof(name), "ctl/%d", jid);
	return fd_connect_at(s->dir, name, wait ? CONTROL_PATIENCE : 0);
}

static void add_strings(struct str *b, char *const *v, uint32_t *n)
{
	for (*n = 0; v && v[*n]; (*n)++)
		str_addn(b, v[*n], strlen(v[*n]) + 1);
}

int control_send(int sock, const struct control_command *c, struct ng_err *err)
{
	struct ctl_head head = {.type = c->type, .flags = c->flags};
	if (sock < 0)
		return err_sys(err, sock,
			       "cannot reach the jail's PID 1 (jail -R ends the jail without it)");
	struct ctl_exec exec = {0};
	struct str strings autodone(str_done) = {0}, packet autodone(str_done) = {0};
	if (c->user) {
		exec.uid = c->user->uid;
		exec.gid = c->user->gid;
		exec.ngroups = c->user->ngroups;
	}
	str_addn(&strings, c->cwd, strlen(c->cwd) + 1);
	str_addn(&strings, c->tag, strlen(c->tag) + 1);
	add_strings(&strings, c->argv, &exec.argc);
	add_strings(&strings, c->env, &exec.envc);
	head.len = (uint32_t)(sizeof(exec) + exec.ngroups * sizeof(uint32_t) + strings.len);
	str_addn(&packet, (const char *)&head, sizeof(head));
	str_addn(&packet, (const char *)&exec, sizeof(exec));
	if (c->user)
		str_addn(&packet, (const char *)c->user->groups, exec.ngroups * sizeof(uint32_t));
	str_addn(&packet, strings.s, strings.len);
	if (packet.len > CTL_MAX)
		return err_set(err, E2BIG,
			       "the command and its environment are larger than %d bytes", CTL_MAX);
	int rc = fd_send(sock, packet.s, packet.len, c->fds, 3);
	return rc < 0 ? err_sys(err, rc, "cannot reach the jail's PID 1") : 0;
}

int control_read(int sock, struct control_answer *out)
{
	struct {
		struct ctl_head head;
		uint32_t
		    body[64]; /* CTL_STATUS is longer and none of ours: it is cut off, an error */
	} m;
	*out = (struct control_answer){0};
	ssize_t n = fd_recv(sock, &m, sizeof(m), NULL, NULL);
	if (n == 0 || n == -ECONNRESET || n == -EPIPE)
		return 0;
	if (n < 0)
		return (int)n;
	if ((size_t)n < sizeof(m.head) || m.head.len != (size_t)n - sizeof(m.head))
		return -EBADMSG;
	switch (m.head.type) {
	case CTL_OK:
		break;
	case CTL_ERROR:
		if (m.head.len != sizeof(out->error))
			return -EBADMSG;
		memcpy(&out->error, m.body, sizeof(out->error));
		break;
	case CTL_STARTED:
	case CTL_EXITED:
		if (m.head.len != sizeof(out->number))
			return -EBADMSG;
		out->number = m.body[0];
		break;
	default:
		return -EBADMSG;
	}
	out->type = m.head.type;
	return 0;
}

static int send_number(int sock, enum ctl_type type, const uint32_t *number)
{
	struct {
		struct ctl_head head;
		uint32_t body;
	} m = {.head = {.type = type, .len = number ? sizeof(m.body) : 0}};
	struct timeval patience = {.tv_sec = CONTROL_PATIENCE / 1000};
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	if (number)
		m.body = *number;
	int rc = fd_send(sock, &m, sizeof(m.head) + m.head.len, NULL, 0);
	return rc == -EPIPE || rc == -ECONNRESET ? -ESRCH : rc;
}

int control_ask(int sock, enum ctl_type type, uint32_t number)
{
	struct control_answer a;
	int rc = send_number(sock, type, &number);
	if (rc == 0)
		rc = control_read(sock, &a);
	if (rc < 0)
		return rc;
	if (a.type == 0)
		return -ESRCH;
	return a.type == CTL_OK ? 0 : -EBADMSG;
}

int control_stop(int sock, uint32_t ms)
{
	return send_number(sock, CTL_STOP, &ms);
}

int control_leave(int sock)
{
	struct control_answer a;
	int rc = send_number(sock, CTL_LEAVE, NULL);
	if (rc == 0)
		rc = control_read(sock, &a);
	if (rc == -ESRCH)
		return 0;
	return rc < 0 ? rc : a.type == CTL_OK;
}

void control_explain(struct str *out, const struct ctl_error *e, const char *prog)
{
	const char *reason = strerror(e->code);
	switch (e->step) {
	case CTL_STEP_EXEC:
		str_addf(out, "exec %s: %s", prog, reason);
		break;
	case CTL_STEP_CWD:
		str_addf(out, "%s: cannot enter its folder: %s", prog, reason);
		break;
	case CTL_STEP_USER:
		str_addf(out, "%s: cannot become its user: %s%s", prog, reason,
			 e->code == EPERM ? " (allow.nosuser forbids it)" : "");
		break;
	default:
		str_addf(out, "%s: the jail's PID 1 cannot start it: %s", prog, reason);
	}
}
