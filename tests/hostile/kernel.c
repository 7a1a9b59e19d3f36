/* Parts of the kernel that a jail has no use for: each is reached for as a program would that means it,
 * so that a refusal is one, and not a matter of wrong arguments. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>

static long io_uring(void)
{
	struct io_uring_params p = {0};
	return syscall(SYS_io_uring_setup, 4, &p);
}

static long userfault(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

static long bpf(void)
{
	union bpf_attr a = {
	    .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	return syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a));
}

static long perf(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
				    .size = sizeof(a),
				    .config = PERF_COUNT_SW_DUMMY,
				    .exclude_kernel = 1};
	return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static long keyring(void)
{
	return syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* session */, 1);
}

static long file_system(void)
{
	return syscall(SYS_fsopen, "tmpfs", 0);
}

static long copy_of_mounts(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE);
}

/* open_tree(2) and mount_setattr(2) in one, since Linux 6.15. */
static long copy_with_attributes(void)
{
	struct mount_attr a = {.attr_clr = MOUNT_ATTR_RDONLY};
	return syscall(467, AT_FDCWD, "/", OPEN_TREE_CLONE, &a, sizeof(a));
}

static long user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

/* What it wants is in memory, where a filter cannot look. */
static long clone3_namespace(void)
{
	uint64_t args[11] = {CLONE_NEWUSER};
	long pid = syscall(SYS_clone3, args, sizeof(args));
	if (pid == 0)
		_exit(0);
	return pid;
}

static long packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long netfilter(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

static long crypto(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

/* In the kernel itself; it stands for SCTP, L2TP and what else would be loaded as a module. */
static long other_protocol(void)
{
	return socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
}

static int terminal(void)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
	if (fd < 0 || ioctl(fd, TIOCSPTLCK, &unlocked) < 0)
		broken("/dev/ptmx");
	fd = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (fd < 0)
		broken("TIOCGPTPEER");
	return fd;
}

static long line_discipline(void)
{
	int n_tty = 0;
	return ioctl(terminal(), TIOCSETD, &n_tty);
}

/* Onto a terminal of our own: what was lent by jexec would be the administrator's. */
static long typing(void)
{
	int fd = terminal();
	if (setsid() < 0 && errno != EPERM)
		broken("setsid");
	ioctl(fd, TIOCSCTTY, 0);
	return ioctl(fd, TIOCSTI, "x");
}

static long executable_memory(void)
{
	return personality(READ_IMPLIES_EXEC);
}

static long log_of_kernel(void)
{
	char buf[4096];
	return syscall(SYS_syslog, 3 /* SYSLOG_ACTION_READ_ALL */, buf, sizeof(buf));
}

static const struct {
	const char *name;
	long (*fn)(void);
} calls[] = {
    {"io_uring", io_uring},
    {"userfaultfd", userfault},
    {"bpf", bpf},
    {"perf", perf},
    {"keyring", keyring},
    {"fsopen", file_system},
    {"open_tree", copy_of_mounts},
    {"open_tree_attr", copy_with_attributes},
    {"user namespace", user_namespace},
    {"clone3", clone3_namespace},
    {"packet", packet},
    {"netfilter", netfilter},
    {"crypto", crypto},
    {"protocol", other_protocol},
    {"line discipline", line_discipline},
    {"typing", typing},
    {"executable memory", executable_memory},
    {"kernel log", log_of_kernel},
};

/* calls: those that there are, a line each. */
static void list(char **argv)
{
	(void)argv;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		puts(calls[i].name);
	fflush(stdout);
	_exit(WON);
}

/* call NAME */
static void call(char **argv)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (strcmp(calls[i].name, argv[0]))
			continue;
		if (calls[i].fn() >= 0)
			won("%s", argv[0]);
		lost("%s: %s", argv[0], strerror(errno));
	}
	broken("no call %s", argv[0]);
}

const struct attack kernel_attacks[] = {{"calls", 0, list}, {"call", 1, call}, {0}};
