#include "init/message.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

void message_done(struct message *m)
{
	for (unsigned i = 0; i < m->nfds; i++)
		close(m->fds[i]);
	if (m->head)
		munmap(m->head, m->size);
	*m = (struct message){0};
}

static void take_fds(struct message *m, struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	m->nfds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(m->fds, CMSG_DATA(c), m->nfds * sizeof(int));
}

/* A mapping of the message's own size: a jail that got a large one stays small afterwards. */
static int message_map(size_t size, struct message *m)
{
	if (size > CTL_MAX)
		return -EMSGSIZE;
	if (size < sizeof(*m->head))
		return -EBADMSG;
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	*m = (struct message){.head = map, .size = size};
	return 0;
}

int message_read(int sock, size_t size, struct message *m)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(m->fds))];
	} control;

	int r = message_map(size, m);
	if (r < 0) {
		recv(sock, NULL, 0, MSG_DONTWAIT);
		return r;
	}
	struct iovec v = {m->head, size};
	struct msghdr h = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   /* not CMSG_SPACE: its padding would take a fourth descriptor */
			   .msg_controllen = CMSG_LEN(sizeof(m->fds))};
	ssize_t got = recvmsg(sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	take_fds(m, &h);
	if ((size_t)got != size || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    m->head->len != size - sizeof(*m->head))
		return -EBADMSG;
	return 0;
}

int command_parse(const void *body, size_t len, struct command *out)
{
	const struct ctl_exec *e = body;
	const char *p, *end = (const char *)body + len;

	if (len < sizeof(*e) || e->argc == 0 || e->ngroups > (len - sizeof(*e)) / sizeof(uint32_t))
		return -EBADMSG;
	out->exec = e;
	out->groups = (const uint32_t *)(e + 1);
	p = out->cwd = (const char *)(out->groups + e->ngroups);
	if (p == end || end[-1])
		return -EBADMSG;
	uint64_t want = 2 + (uint64_t)e->argc + e->envc, n = 0;
	for (; p < end && n < want; n++) {
		if (n == 1)
			out->tag = p;
		if (n == 2)
			out->strings = (char *)(uintptr_t)p;
		p += strlen(p) + 1;
	}
	return n == want && p == end ? 0 : -EBADMSG;
}
