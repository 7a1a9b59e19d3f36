/* Stops a program at one of its steps: preloaded (ld.so(8)) into the executable as it is installed,
 * so that not a line of the program knows of it.
 *
 *   FAULT="error 17 /some/report"  the 17th step fails with EIO and does nothing
 *   FAULT="kill 17 /some/report"   the process ends before it, as by kill -9
 *
 * A step is a call that changes something outside of the process: a file, a mount, a link, a rule,
 * another process; for errors also one that only the process itself sees, such as a new socket. The
 * steps of a program and of its children count together, until they
 * execute something else: both variables are taken out of the environment at once. The report, a file
 * of at least SIZE bytes, is given the name of the call; if it stays empty there are not that many
 * steps. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 64

/* The report, shared with children. */
struct report {
	char call[SIZE - sizeof(long)];
	long count;
};

static struct report *report;
static bool kills;
static long stop_at;

__attribute__((constructor)) static void begin(void)
{
	const char *how = getenv("FAULT");
	char kind[8], path[512];
	if (!how || sscanf(how, "%7s %ld %511s", kind, &stop_at, path) != 3)
		return;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (report == MAP_FAILED)
		abort();
	close(fd);
	kills = strcmp(kind, "kill") == 0;
	unsetenv("FAULT");
	unsetenv("LD_PRELOAD");
}

/* Is this the one? lasts: somebody else sees what it does. */
static bool stops(const char *call, bool lasts)
{
	if (!report || (kills && !lasts) ||
	    __atomic_add_fetch(&report->count, 1, __ATOMIC_SEQ_CST) != stop_at)
		return false;
	memcpy(report->call, call, strlen(call));
	if (kills) {
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
		/* PID 1 of a namespace cannot be killed from inside; others cannot tell this. */
		syscall(SYS_exit_group, 128 + SIGKILL);
	}
	errno = EIO;
	return true;
}

#define NEXT(type, name, params)   \
	static type(*next) params; \
	if (!next)                 \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

/* A function that returns -1 where it fails. */
#define CALL(lasts, type, name, params, ...)                         \
	type name params                                             \
	{                                                            \
		NEXT(type, name, params);                            \
		return stops(#name, lasts) ? -1 : next(__VA_ARGS__); \
	}
#define STEP(...) CALL(true, __VA_ARGS__)
#define OWN_STEP(...) CALL(false, __VA_ARGS__)

/* ---- files ---- */

#define FROM_LIST(type, out, last)      \
	type out;                       \
	do {                            \
		va_list ap;             \
		va_start(ap, last);     \
		out = va_arg(ap, type); \
		va_end(ap);             \
	} while (0)

/* Opening alone changes nothing. */
int open64(const char *path, int flags, ...)
{
	NEXT(int, open64, (const char *, int, ...));
	FROM_LIST(mode_t, mode, flags);
	return flags & (O_CREAT | O_TRUNC) && stops("open", true) ? -1 : next(path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...)
{
	NEXT(int, openat64, (int, const char *, int, ...));
	FROM_LIST(mode_t, mode, flags);
	return flags & (O_CREAT | O_TRUNC) && stops("openat", true) ? -1
								    : next(dir, path, flags, mode);
}

/* What is said to the user is no step. */
ssize_t write(int fd, const void *data, size_t n)
{
	NEXT(ssize_t, write, (int, const void *, size_t));
	return fd > 2 && stops("write", true) ? -1 : next(fd, data, n);
}

STEP(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), fd, data, n, at)
STEP(int, ftruncate64, (int fd, off64_t len), fd, len)
OWN_STEP(int, fsync, (int fd), fd)
OWN_STEP(int, fdatasync, (int fd), fd)
OWN_STEP(int, syncfs, (int fd), fd)
STEP(int, fchmod, (int fd, mode_t mode), fd, mode)
STEP(int, fchmodat, (int dir, const char *path, mode_t mode, int flags), dir, path, mode, flags)
STEP(int, fchown, (int fd, uid_t uid, gid_t gid), fd, uid, gid)
STEP(int, fchownat, (int dir, const char *path, uid_t uid, gid_t gid, int flags), dir, path, uid,
     gid, flags)
OWN_STEP(int, flock, (int fd, int how), fd, how)
STEP(int, mkdir, (const char *path, mode_t mode), path, mode)
STEP(int, mkdirat, (int dir, const char *path, mode_t mode), dir, path, mode)
STEP(int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev), dir, path, mode, dev)
STEP(int, mkostemp64, (char *path, int flags), path, flags)
STEP(int, rmdir, (const char *path), path)
STEP(int, unlink, (const char *path), path)
STEP(int, unlinkat, (int dir, const char *path, int flags), dir, path, flags)
STEP(int, link, (const char *from, const char *to), from, to)
STEP(int, linkat, (int from, const char *path, int to, const char *new, int flags), from, path, to,
     new, flags)
STEP(int, symlink, (const char *target, const char *path), target, path)
STEP(int, symlinkat, (const char *target, int dir, const char *path), target, dir, path)
STEP(int, rename, (const char *from, const char *to), from, to)
STEP(int, renameat, (int from, const char *path, int to, const char *new), from, path, to, new)
STEP(int, renameat2, (int from, const char *path, int to, const char *new, unsigned flags), from,
     path, to, new, flags)

/* ---- mounts ---- */

STEP(int, mount,
     (const char *what, const char *path, const char *type, unsigned long flags, const void *data),
     what, path, type, flags, data)
STEP(int, umount2, (const char *path, int flags), path, flags)
OWN_STEP(int, open_tree, (int dir, const char *path, unsigned flags), dir, path, flags)
STEP(int, move_mount, (int from, const char *path, int to, const char *new, unsigned flags), from,
     path, to, new, flags)
STEP(int, mount_setattr,
     (int dir, const char *path, unsigned flags, struct mount_attr *a, size_t n), dir, path, flags,
     a, n)
OWN_STEP(int, fsopen, (const char *type, unsigned flags), type, flags)
OWN_STEP(int, fsconfig, (int fd, unsigned cmd, const char *key, const void *value, int aux), fd,
	 cmd, key, value, aux)
OWN_STEP(int, fsmount, (int fd, unsigned flags, unsigned attr), fd, flags, attr)

/* ---- sockets, netlink among them ---- */

OWN_STEP(int, socket, (int family, int type, int protocol), family, type, protocol)
OWN_STEP(int, socketpair, (int family, int type, int protocol, int pair[2]), family, type, protocol,
	 pair)
STEP(int, bind, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), fd, to, len)
OWN_STEP(int, connect, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), fd, to, len)
OWN_STEP(int, listen, (int fd, int n), fd, n)
STEP(ssize_t, sendto,
     (int fd, const void *data, size_t n, int flags, __CONST_SOCKADDR_ARG to, socklen_t len), fd,
     data, n, flags, to, len)
STEP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), fd, m, flags)

/* ---- processes and namespaces ---- */

STEP(pid_t, fork, (void), )
OWN_STEP(int, setns, (int fd, int type), fd, type)
OWN_STEP(int, unshare, (int flags), flags)
STEP(int, pidfd_send_signal, (int fd, int sig, siginfo_t *info, unsigned flags), fd, sig, info,
     flags)
STEP(int, sethostname, (const char *name, size_t n), name, n)
OWN_STEP(int, setgroups, (size_t n, const gid_t *groups), n, groups)
OWN_STEP(int, setresuid, (uid_t r, uid_t e, uid_t s), r, e, s)
OWN_STEP(int, setresgid, (gid_t r, gid_t e, gid_t s), r, e, s)
OWN_STEP(pid_t, setsid, (void), )
OWN_STEP(int, setrlimit64, (__rlimit_resource_t what, const struct rlimit64 *r), what, r)
STEP(int, prlimit64,
     (pid_t pid, enum __rlimit_resource what, const struct rlimit64 *set, struct rlimit64 *old),
     pid, what, set, old)

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	NEXT(int, posix_spawnp,
	     (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	      char *const[], char *const[]));
	return stops("posix_spawnp", true) ? EIO : next(pid, file, actions, attr, argv, env);
}

/* What the C library has no name for. */
long syscall(long number, ...)
{
	NEXT(long, syscall, (long, ...));
	long a[6];
	va_list ap;
	va_start(ap, number);
	for (size_t i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	bool step = number == SYS_clone3 || number == SYS_pivot_root || number == SYS_seccomp ||
		    number == SYS_keyctl;
	return step && stops(number == SYS_clone3 ? "clone3" : "syscall", number == SYS_clone3)
		   ? -1
		   : next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
