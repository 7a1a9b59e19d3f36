/* System calls that the C library of Debian 12 has no wrapper for. They return what the kernel
 * does: a value, or -1 with errno. */
#ifndef NG_SYS_MISSING_H
#define NG_SYS_MISSING_H

#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

static inline int missing_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dirfd, path, how, sizeof *how);
}

static inline pid_t missing_clone3(struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof *args);
}

static inline int missing_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int missing_seccomp(unsigned op, unsigned flags, const struct sock_fprog *prog)
{
	return (int)syscall(SYS_seccomp, op, flags, prog);
}

static inline long missing_keyctl(int op, unsigned long arg)
{
	return syscall(SYS_keyctl, op, arg, 0, 0, 0);
}

#endif
