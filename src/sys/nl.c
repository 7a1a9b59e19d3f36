#include "sys/nl.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "base/mem.h"
#include "sys/nlread.h"

#define BATCH_FIRST 4096    /* what a batch starts with */
#define RECEIVE (64 * 1024) /* the kernel fills at most half of it at a time */
#define SEND_DEFAULT 100000 /* more needs a larger send buffer than the default one */
#define SENTENCE 256
#define HOLDER_STACK (32 * 1024)

int nl_open(struct nl *nl, int proto)
{
	nl->fd = -1;
	nl->seq = 0;
	autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, proto);
	if (fd < 0)
		return -errno;
	if (fd == 0) { /* somebody closed stdin; 0 means closed here */
		int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (up < 0)
			return -errno;
		close(fd);
		fd = up;
	}
	static const int wanted[] = {NETLINK_CAP_ACK, NETLINK_EXT_ACK};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (setsockopt(fd, SOL_NETLINK, wanted[i], &(int){1}, sizeof(int)) < 0)
			return -errno;
	/* Dumps then honour the filter in their request. */
	if (proto == NETLINK_ROUTE &&
	    setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &(int){1}, sizeof(int)) < 0)
		return -errno;
	nl->fd = take_fd(&fd);
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl->fd > 0)
		close(nl->fd);
	nl->fd = -1;
}

/* Building */

void nl_begin(struct nl_batch *b)
{
	b->len = 0;
	b->msg = NULL;
	b->overflow = false;
}

void nl_batch_done(struct nl_batch *b)
{
	free(b->buf);
	*b = (struct nl_batch){0};
}

/* Room for len more bytes, padded to 4 and zeroed; counted in the message being built. */
static void *extend(struct nl_batch *b, size_t len)
{
	size_t padded = NLMSG_ALIGN(len), at = b->len;
	if (b->cap - at < padded) {
		size_t msg = b->msg ? (size_t)((char *)b->msg - b->buf) : 0;
		size_t cap = b->cap ? b->cap : BATCH_FIRST;
		while (cap - at < padded)
			cap *= 2;
		b->buf = mem_resize(b->buf, cap, 1);
		b->cap = cap;
		if (b->msg)
			b->msg = (struct nlmsghdr *)(void *)(b->buf + msg);
	}
	memset(b->buf + at, 0, padded);
	b->len += padded;
	return b->buf + at;
}

static void count(struct nl_batch *b)
{
	b->msg->nlmsg_len = (uint32_t)(b->len - (size_t)((char *)b->msg - b->buf));
}

void *nl_message(struct nl_batch *b, uint16_t type, uint16_t flags, const void *head, size_t len)
{
	b->msg = NULL;
	struct nlmsghdr *h = extend(b, NLMSG_HDRLEN + len);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	if (len)
		memcpy(NLMSG_DATA(h), head, len);
	b->msg = h;
	count(b);
	return NLMSG_DATA(h);
}

void nl_attr(struct nl_batch *b, uint16_t type, const void *data, size_t len)
{
	if (len > UINT16_MAX - NLA_HDRLEN) {
		b->overflow = true;
		return;
	}
	struct nlattr *a = extend(b, NLA_HDRLEN + len);
	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	if (len)
		memcpy((char *)a + NLA_HDRLEN, data, len);
	count(b);
}

void nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v)
{
	nl_attr(b, type, &v, sizeof v);
}

void nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v)
{
	nl_attr(b, type, &v, sizeof v);
}

void nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v)
{
	nl_attr(b, type, &v, sizeof v);
}

void nl_attr_str(struct nl_batch *b, uint16_t type, const char *s)
{
	nl_attr(b, type, s, strlen(s) + 1);
}

void nl_raw(struct nl_batch *b, const void *data, size_t len)
{
	memcpy(extend(b, len), data, len);
	count(b);
}

size_t nl_nest(struct nl_batch *b, uint16_t type)
{
	size_t at = b->len;
	nl_attr(b, type | NLA_F_NESTED, NULL, 0);
	return at;
}

void nl_nest_end(struct nl_batch *b, size_t nest)
{
	size_t len = b->len - nest;
	if (len > UINT16_MAX)
		b->overflow = true;
	((struct nlattr *)(void *)(b->buf + nest))->nla_len = (uint16_t)len;
}

/* Sending */

struct answers {
	uint32_t first, count, last; /* sequence numbers: ours, and the one that ends the batch */
	bool ended, lost;
	int code;       /* of the first failure */
	uint32_t index; /* of the message that failed */
	char text[SENTENCE];
	/* queries */
	int (*fn)(const struct nlmsghdr *h, void *arg);
	void *arg;
	int result; /* of fn, once it is not 0 */
	bool changed;
};

static void number(struct nl *nl, struct nl_batch *b, struct answers *a)
{
	a->first = nl->seq + 1;
	for (size_t at = 0; at < b->len;) {
		struct nlmsghdr *h = (struct nlmsghdr *)(void *)(b->buf + at);
		h->nlmsg_seq = ++nl->seq;
		if (h == b->msg)
			a->last = h->nlmsg_seq;
		a->count++;
		at += NLMSG_ALIGN(h->nlmsg_len);
	}
}

static int transmit(struct nl *nl, const struct nl_batch *b)
{
	if (b->overflow)
		return -EMSGSIZE;
	/* A message must fit into the send buffer as a whole, and the kernel's books count more
	 * than its bytes. Without the privilege the system's limit decides: send() then says so. */
	if (b->len > SEND_DEFAULT && b->len < INT32_MAX / 2)
		(void)setsockopt(nl->fd, SOL_SOCKET, SO_SNDBUFFORCE, &(int){(int)b->len * 2},
				 sizeof(int));
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;
	do
		n = sendto(nl->fd, b->buf, b->len, 0, (const struct sockaddr *)&kernel,
			   sizeof kernel);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The kernel works on a request while it is being sent, so answers are there or will never be:
 * nothing here waits. */
static int receive(struct nl *nl, struct answers *a,
		   int (*each)(const struct nlmsghdr *h, void *arg))
{
	_Alignas(struct nlmsghdr) char buf[RECEIVE];
	while (!a->ended) {
		struct sockaddr_nl from = {0};
		socklen_t fromlen = sizeof from;
		ssize_t n = recvfrom(nl->fd, buf, sizeof buf, MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&from, &fromlen);
		if (n < 0) {
			/* Many failures at once may be more than the queue holds: the first count.
			 */
			if (errno == ENOBUFS)
				a->lost = true;
			else if (errno != EINTR)
				return errno == EAGAIN ? 0 : -errno;
			continue;
		}
		if (from.nl_pid != 0)
			continue;
		if ((size_t)n > sizeof buf)
			return -EMSGSIZE;
		int r = nlread_each(buf, (size_t)n, each, a);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool ours(const struct answers *a, const struct nlmsghdr *h)
{
	return h->nlmsg_seq - a->first < a->count;
}

static void keep_failure(struct answers *a, const struct nlmsghdr *h)
{
	char text[SENTENCE];
	int code = nlread_error(h, text, sizeof text);
	if (code == 0 || a->code)
		return;
	a->code = code;
	a->index = h->nlmsg_seq - a->first;
	memcpy(a->text, text, sizeof text);
}

static int batch_answer(const struct nlmsghdr *h, void *arg)
{
	struct answers *a = arg;
	if (!ours(a, h) || h->nlmsg_type != NLMSG_ERROR)
		return 0;
	keep_failure(a, h);
	if (h->nlmsg_seq == a->last)
		a->ended = true;
	return 0;
}

static int query_answer(const struct nlmsghdr *h, void *arg)
{
	struct answers *a = arg;
	if (!ours(a, h))
		return 0;
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		a->changed = true;
	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		keep_failure(a, h);
		a->ended = true;
	} else if (h->nlmsg_type >= NLMSG_MIN_TYPE && a->result == 0) {
		/* The rest of a dump is read all the same, lest the next request find it. */
		a->result = a->fn(h, a->arg);
	}
	return 0;
}

static int tell(const struct answers *a, int r, struct ng_err *err)
{
	if (a->code)
		return err_set(err, a->code, "%s", a->text[0] ? a->text : strerror(-a->code));
	if (r < 0)
		return err_sys(err, r, "netlink");
	if (a->ended && !a->lost)
		return 0;
	return a->lost ? err_set(err, ENOBUFS, "netlink: answers were lost")
		       : err_set(err, EPROTO, "netlink: the kernel did not answer");
}

int nl_send(struct nl *nl, struct nl_batch *b, unsigned *failed, struct ng_err *err)
{
	if (!b->msg)
		return 0;
	b->msg->nlmsg_flags |= NLM_F_ACK;
	struct answers a = {0};
	number(nl, b, &a);
	int r = transmit(nl, b);
	if (r == 0)
		r = receive(nl, &a, batch_answer);
	if (failed)
		*failed = a.index;
	return tell(&a, r, err);
}

int nl_query(struct nl *nl, struct nl_batch *b, int (*fn)(const struct nlmsghdr *h, void *arg),
	     void *arg, struct ng_err *err)
{
	/* A dump ends by itself, the answer to a get is followed by the acknowledgement. */
	if ((b->msg->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		b->msg->nlmsg_flags |= NLM_F_ACK;
	struct answers a = {.fn = fn, .arg = arg};
	number(nl, b, &a);
	int r = transmit(nl, b);
	if (r == 0)
		r = receive(nl, &a, query_answer);
	r = tell(&a, r, err);
	if (r < 0 || a.result)
		return r < 0 ? r : a.result;
	return a.changed ? err_set(err, EAGAIN, "it changed while it was read") : 0;
}

/* Closing later */

static void close_all_but(unsigned a, unsigned b)
{
	unsigned low = a < b ? a : b, high = a < b ? b : a;
	if (low > 0)
		close_range(0, low - 1, 0);
	if (high - low > 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}

struct holder {
	int sock, pipe_rd;
};

/* Keeps the socket until the other end of the pipe is gone: with the caller's own reference, or
 * with the caller. It runs in the caller's memory, its errno included: none of this can fail. */
static int hold(void *arg)
{
	const struct holder *h = arg;
	char c;
	close_all_but((unsigned)h->sock, (unsigned)h->pipe_rd);
	(void)!read(h->pipe_rd, &c, 1);
	_exit(0);
}

/* A process of its own on a stack of its own, which it keeps. Without a signal at its end it is
 * nobody's business: init's, once the caller is gone. No signal reaches it either. */
static void make_holder(int sock, int pipe_rd)
{
	char *stack = mmap(NULL, HOLDER_STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return;
	struct holder *h = (struct holder *)(void *)stack;
	*h = (struct holder){sock, pipe_rd};
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if (clone(hold, stack + HOLDER_STACK, CLONE_VM, h) < 0)
		munmap(stack, HOLDER_STACK);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

void nl_close_later(struct nl *nl)
{
	int ends[2];
	if (nl->fd <= 0)
		return;
	/* Where no process can be made, closing just waits. */
	if (pipe2(ends, O_CLOEXEC) == 0) {
		make_holder(nl->fd, ends[0]);
		close(ends[0]);
	} else {
		ends[1] = -1;
	}
	nl_close(nl);
	if (ends[1] >= 0)
		close(ends[1]);
}
