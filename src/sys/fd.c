#include "sys/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <linux/close_range.h>

#define FD_MAX 8 /* descriptors in one packet */

int fd_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_put(int dirfd, const char *path, const char *text)
{
	autoclose int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	/* Knobs take a value as one write or not at all; a second write would be a second value. */
	size_t len = strlen(text);
	ssize_t n = write(fd, text, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

ssize_t fd_get(int dirfd, const char *path, char *buf, size_t size)
{
	autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	size_t len = 0;
	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (n == 0) {
			buf[len] = '\0';
			return (ssize_t)len;
		}
		len += (size_t)n;
	}
	return -EFBIG;
}

int fd_cloexec_from(unsigned first)
{
	return close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

int fd_close_from(unsigned first)
{
	return close_range(first, ~0U, 0) < 0 ? -errno : 0;
}

/* sun_path is short and has no *at form, but an open directory has a short name of its own. */
static int socket_at(int dirfd, const char *name, struct sockaddr_un *sa)
{
	int n;
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (dirfd == AT_FDCWD || name[0] == '/')
		n = snprintf(sa->sun_path, sizeof sa->sun_path, "%s", name);
	else
		n = snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/%s", dirfd, name);
	if (n < 0 || (size_t)n >= sizeof sa->sun_path)
		return -ENAMETOOLONG;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int fd_listen_at(int dirfd, const char *name, int backlog)
{
	struct sockaddr_un sa;
	autoclose int fd = socket_at(dirfd, name, &sa);
	if (fd < 0)
		return fd;
	if (bind(fd, (const struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return take_fd(&fd);
}

static int set_patience(int fd, int ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	if (ms == 0)
		return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
	return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t) < 0 ? -errno : 0;
}

int fd_connect_at(int dirfd, const char *name, int ms)
{
	struct sockaddr_un sa;
	autoclose int fd = socket_at(dirfd, name, &sa);
	int r = fd < 0 ? fd : set_patience(fd, ms);
	if (r < 0)
		return r;
	while (connect(fd, (const struct sockaddr *)&sa, sizeof sa) < 0)
		if (errno != EINTR)
			return -errno;
	return take_fd(&fd);
}

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FD_MAX * sizeof(int))];
};

int fd_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds)
{
	if (nfds > FD_MAX)
		return -EINVAL;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};
	if (nfds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	ssize_t n;
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

ssize_t fd_recv(int sock, void *data, size_t size, int *fds, unsigned *nfds)
{
	unsigned room = nfds ? *nfds : 0, got = 0;
	if (room > FD_MAX)
		room = FD_MAX;
	struct iovec iov = {.iov_base = data, .iov_len = size};
	union control control = {0};
	/* Exactly the room asked for: the kernel closes what does not fit and sets MSG_CTRUNC. */
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = room ? control.bytes : NULL,
			     .msg_controllen = room ? CMSG_LEN(room * sizeof(int)) : 0};
	if (nfds)
		*nfds = 0;
	ssize_t n;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		got = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), got * sizeof(int));
	}
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (got > 0)
			close(fds[--got]);
		return -EMSGSIZE;
	}
	if (nfds)
		*nfds = got;
	return n;
}

int pidfd_open_pid(pid_t pid)
{
	int fd = pidfd_open(pid, 0);
	return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int sig)
{
	return pidfd_send_signal(pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

#define EXITING 0x4 /* PF_EXITING of the kernel's flags, see proc_pid_stat(5) */

int pid_start_time(pid_t pid, uint64_t *ticks)
{
	char path[32], buf[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	/* The kernel gives the whole line at once: who asks of many processes need not ask for its end. */
	ssize_t n = read(fd, buf, sizeof buf - 1);
	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	buf[n] = '\0';
	/* The second field is the program's name in parentheses and may hold anything. */
	char *p = strrchr(buf, ')');
	char state;
	unsigned flags;
	unsigned long long start;
	if (!p || sscanf(p + 1,
			 " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			 "%*d %llu",
			 &state, &flags, &start) != 3)
		return -EPROTO;
	if (state == 'Z' || state == 'X' || state == 'x')
		return -ESRCH;
	*ticks = start;
	return flags & EXITING ? 1 : 0;
}

int pid_open_root(pid_t pid, uint64_t started)
{
	char path[32];
	uint64_t now;
	snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
	autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* If it is alive now, it was when we opened. */
	int r = pid_start_time(pid, &now);
	if (r >= 0 && now != started)
		r = -ESRCH;
	return r < 0 ? r : take_fd(&fd);
}
