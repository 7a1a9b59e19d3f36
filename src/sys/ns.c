#include "sys/ns.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <linux/keyctl.h>
#include "sys/fd.h"
#include "sys/missing.h"

pid_t ns_fork(uint64_t flags, int cgroup, int *pidfd)
{
	int fd = -1;
	struct clone_args args = {
	    .flags = flags | CLONE_PIDFD,
	    .pidfd = (uintptr_t)&fd,
	    .exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD, /* then it is the caller's own */
	};
	if (cgroup >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	pid_t pid = missing_clone3(&args);
	if (pid < 0)
		return -errno;
	if (pid > 0)
		*pidfd = fd;
	return pid;
}

static int put_map(pid_t pid, const char *file, uint32_t base, uint32_t count)
{
	char path[64], text[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	snprintf(text, sizeof text, "0 %u %u\n", base, count);
	return fd_put(AT_FDCWD, path, text);
}

int ns_map_ids(pid_t pid, uint32_t base, uint32_t count)
{
	int r = put_map(pid, "uid_map", base, count);
	return r < 0 ? r : put_map(pid, "gid_map", base, count);
}

int ns_open(pid_t pid, const char *which)
{
	char path[64];
	int n = snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, which);
	if (n < 0 || (size_t)n >= sizeof path)
		return -EINVAL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int ns_enter(int pidfd, uint64_t flags)
{
	return setns(pidfd, (int)flags) < 0 ? -errno : 0;
}

int ns_user_fd(uint32_t base, uint32_t count)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	autoclose int rd = ends[0], wr = ends[1];
	autoclose int pidfd = -1;
	pid_t pid = ns_fork(CLONE_NEWUSER, -1, &pidfd);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		/* A namespace lives while somebody is in it: stay until the parent has its
		 * descriptor, or is gone. */
		char c;
		close(wr);
		while (read(rd, &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	autoclose int ns = -1;
	int r = ns_map_ids(pid, base, count);
	if (r == 0)
		ns = r = ns_open(pid, "user");
	close(take_fd(&wr));
	while (waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){0}, WEXITED) < 0 && errno == EINTR)
		;
	return r < 0 ? r : take_fd(&ns);
}

int ns_new_keyring(void)
{
	if (missing_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0) >= 0 || errno == ENOSYS)
		return 0;
	return -errno;
}
