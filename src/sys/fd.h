/* Descriptors: whole reads and writes, sockets that carry descriptors, pidfds. */
#ifndef NG_SYS_FD_H
#define NG_SYS_FD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/macro.h"

int fd_write_all(int fd, const void *data, size_t len) MUST_CHECK; /* 0 or -errno */
/* Writes `text` to an existing file (a /proc or cgroup knob) in one write. dirfd may be AT_FDCWD.
 */
int fd_put(int dirfd, const char *path, const char *text) MUST_CHECK;
/* Reads a small file whole into buf, NUL-terminated; its length or -errno (-EFBIG: does not fit).
 */
ssize_t fd_get(int dirfd, const char *path, char *buf, size_t size) MUST_CHECK;

/* Every descriptor >= first becomes close-on-exec / is closed. */
int fd_cloexec_from(unsigned first);
int fd_close_from(unsigned first);

/* SOCK_SEQPACKET unix sockets at a path of any length: bound and reached through an open directory.
 * ms: how long connecting and each later send may wait for a peer that takes nothing, 0: not at all;
 * -EAGAIN then. */
int fd_listen_at(int dirfd, const char *name, int backlog) MUST_CHECK; /* the socket or -errno */
int fd_connect_at(int dirfd, const char *name, int ms) MUST_CHECK;     /* the socket or -errno */
/* One packet with up to 8 descriptors. Send: 0 or -errno. Receive: its length, 0 at the end of the
 * connection, or -errno; descriptors arrive close-on-exec, *nfds in: room, out: how many. */
int fd_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds) MUST_CHECK;
ssize_t fd_recv(int sock, void *data, size_t size, int *fds, unsigned *nfds) MUST_CHECK;

/* pidfd_open(2), pidfd_send_signal(2). */
int pidfd_open_pid(pid_t pid) MUST_CHECK;
int pidfd_signal(int pidfd, int sig);
/* When the process started, in clock ticks since boot (/proc/PID/stat, field 22): with the pid it
 * names a process for ever. 1 where it is on its way out already (a PID 1 is until the last process of
 * its namespace has gone), -ESRCH where it is gone or a zombie. */
int pid_start_time(pid_t pid, uint64_t *ticks) MUST_CHECK;
/* The root directory (O_PATH) of the process that started then; -ESRCH where its number is another's
 * by now, whose root is not to be mistaken for its own. */
int pid_open_root(pid_t pid, uint64_t started) MUST_CHECK;

#endif
