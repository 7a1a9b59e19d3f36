/* A jail's root may trace the jail's PID 1, and so take the socket that newgate speaks to. What it
 * answers then is his to choose; what newgate makes of it, is tested. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CTL_FD 3
#define CTL_MAX (160 * 1024)

static char packet[CTL_MAX + 4096];

/* Stops PID 1 and takes its listening socket. */
static int steal(void)
{
	int status;
	if (ptrace(PTRACE_SEIZE, 1, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, 1, NULL, NULL) < 0)
		lost("ptrace of PID 1: %s", strerror(errno));
	if (waitpid(1, &status, __WALL) < 0)
		broken("PID 1 does not stop");
	int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);
	int fd = (int)syscall(SYS_pidfd_getfd, pidfd, CTL_FD, 0);
	if (fd < 0)
		lost("pidfd_getfd: %s", strerror(errno));
	return fd;
}

static void forever(void)
{
	ready();
	for (;;)
		pause();
}

/* silent: newgate's connections lie in the backlog, unanswered. */
static void silent(char **argv)
{
	(void)argv;
	steal();
	forever();
}

/* crowded: nor is there room in the backlog. */
static void crowded(char **argv)
{
	(void)argv;
	if (listen(steal(), 0) < 0)
		broken("listen");
	forever();
}

/* With as many descriptors as fit: whoever takes them is soon out of them. */
static void send_files(int s, size_t len)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(253 * sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(253 * sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec v = {packet, len};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < 253; i++)
		memcpy(CMSG_DATA(&control.head) + i * sizeof(fd), &fd, sizeof(fd));
	for (int i = 0; i < 20; i++)
		sendmsg(s, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void answer(int s, const char *how)
{
	static const int types[] = {0, 1, 64, 65, 66, 67, 68, 69, -1};
	uint32_t *head = (uint32_t *)packet;
	size_t len = 0;
	if (strcmp(how, "noise") == 0) {
		len = (size_t)rand() % 300;
		for (size_t i = 0; i < len; i++)
			packet[i] = (char)rand();
	} else if (strcmp(how, "huge") == 0) {
		len = sizeof(packet);
		head[0] = 68;
		head[2] = (uint32_t)len;
	} else if (strcmp(how, "status") == 0) {
		/* More services than there are, with names that do not end. */
		memset(packet, 'A', 4096);
		head[0] = 68;
		head[1] = 0;
		head[2] = 4096 - 12;
		head[3] = 1;
		head[4] = 0xffffffff;
		len = 4096;
	} else if (strcmp(how, "files") == 0) {
		head[0] = 64;
		head[1] = head[2] = 0;
		send_files(s, 12);
		return;
	} else { /* well-formed, of any type, of any length */
		head[0] = (uint32_t)types[rand() % 9];
		head[1] = 0;
		head[2] = (uint32_t)(rand() % 40);
		for (unsigned i = 0; i < 10; i++)
			head[3 + i] = (uint32_t)rand();
		len = 12 + head[2];
	}
	send(s, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* liar HOW: answers every message, and before any. */
static void liar(char **argv)
{
	struct pollfd p[64] = {{.fd = steal(), .events = POLLIN}};
	static char in[CTL_MAX];
	nfds_t n = 1;
	ready();
	for (;;) {
		if (poll(p, n, -1) < 0)
			broken("poll");
		for (nfds_t i = n; i-- > 1;) {
			if (!p[i].revents)
				continue;
			if (recv(p[i].fd, in, sizeof(in), MSG_DONTWAIT) <= 0) {
				close(p[i].fd);
				p[i] = p[--n];
				continue;
			}
			answer(p[i].fd, argv[0]);
		}
		if (p[0].revents && n < 64) {
			p[n] = (struct pollfd){.fd = accept(p[0].fd, NULL, NULL), .events = POLLIN};
			if (p[n].fd >= 0)
				answer(p[n++].fd, argv[0]);
		}
	}
}

const struct attack control_attacks[] = {
    {"silent", 0, silent}, {"crowded", 0, crowded}, {"liar", 1, liar}, {0}};
