/* Writes the system call filter as C, when newgate is built.
 *
 * The list below says what may be called: what Linux 6.1 has, less what reaches beyond a jail, what
 * only attacks need and what jails have no use for. Anything else of that age is EPERM. Whatever is
 * newer than the list is ENOSYS, as on a kernel that has not got it, so that C libraries fall back.
 * Capabilities and namespaces are the first wall; this one keeps code of the kernel out of reach
 * that they would let be reached.
 *
 * libseccomp compiles the list into a binary search. In front come the few checks that it cannot
 * express or that need not be searched for. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#define seccomp_load libseccomp_load /* ours has the same name */
#include <seccomp.h>
#undef seccomp_load
#include "base/macro.h"
#include "sys/filter.h"
#include "sys/seccomp.h"

#define NEWEST 450 /* set_mempolicy_home_node; all architectures number alike here */

/* Names between blanks. One that this architecture lacks is skipped, one that none has stops the
 * build. */
static const char *const allowed[] = {
    /* files */
    "read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 open openat "
    "openat2 creat close close_range lseek _llseek dup dup2 dup3 fcntl flock fsync fdatasync "
    "sync syncfs sync_file_range truncate ftruncate fallocate fadvise64 readahead sendfile "
    "splice tee vmsplice copy_file_range stat lstat fstat newfstatat statx statfs fstatfs "
    "ustat access faccessat faccessat2 chmod fchmod fchmodat chown fchown lchown fchownat "
    "utime utimes futimesat utimensat umask getcwd chdir fchdir chroot mkdir mkdirat rmdir "
    "mknod mknodat link linkat symlink symlinkat readlink readlinkat unlink unlinkat rename "
    "renameat renameat2 getdents getdents64 setxattr lsetxattr fsetxattr getxattr lgetxattr "
    "fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr "
    "name_to_handle_at inotify_init inotify_init1 inotify_add_watch inotify_rm_watch "
    "memfd_create",
    /* waiting */
    "poll ppoll select _newselect pselect6 epoll_create epoll_create1 epoll_ctl epoll_ctl_old "
    "epoll_wait epoll_wait_old epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4 "
    "timerfd_create timerfd_settime timerfd_gettime io_setup io_submit io_getevents "
    "io_pgetevents io_cancel io_destroy pipe pipe2",
    /* sockets; socket and socketpair see below */
    "bind listen accept accept4 connect shutdown getsockname getpeername getsockopt "
    "setsockopt send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg",
    /* memory */
    "brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall "
    "munlock munlockall remap_file_pages membarrier pkey_alloc pkey_free pkey_mprotect",
    /* processes and threads; clone and clone3 see below */
    "fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid gettid "
    "getpgid setpgid getpgrp getsid setsid pidfd_open pidfd_send_signal process_madvise "
    "process_mrelease set_tid_address futex futex_waitv set_robust_list get_robust_list rseq "
    "arch_prctl set_thread_area get_thread_area prctl seccomp landlock_create_ruleset "
    "landlock_add_rule landlock_restrict_self riscv_flush_icache",
    /* identity */
    "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid "
    "setregid setresuid setresgid setfsuid setfsgid setgroups capget capset",
    /* signals */
    "kill tkill tgkill rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait "
    "rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend rt_sigreturn sigaltstack pause "
    "restart_syscall",
    /* time; setting the clock is the host's */
    "time gettimeofday clock_gettime clock_getres clock_nanosleep nanosleep alarm getitimer "
    "setitimer timer_create timer_settime timer_gettime timer_getoverrun timer_delete times",
    /* limits and scheduling */
    "getrlimit setrlimit prlimit64 getrusage getpriority setpriority ioprio_get ioprio_set "
    "sched_yield sched_getparam sched_setparam sched_getscheduler sched_setscheduler "
    "sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min "
    "sched_rr_get_interval sched_getaffinity sched_setaffinity getcpu",
    /* the rest */
    "uname sysinfo getrandom mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify "
    "mq_getsetattr",
};

struct permission {
	enum seccomp_allow bit;
	int denied; /* errno where it is not given */
	const char *names;
};

static const struct permission permissions[] = {
    {SC_MOUNT, EPERM,
     "mount umount umount2 pivot_root fsopen fspick fsconfig fsmount open_tree move_mount "
     "mount_setattr"},
    {SC_NAMESPACES, EPERM, "unshare setns"},
    /* Its flags are in memory, out of a filter's sight. C libraries go back to clone. */
    {SC_NAMESPACES, ENOSYS, "clone3"},
    /* As FreeBSD answers in a jail without System V IPC. */
    {SC_SYSVIPC, ENOSYS,
     "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl ipc"},
    {SC_HOSTNAME, EPERM, "sethostname setdomainname"},
    {SC_PTRACE, EPERM, "ptrace process_vm_readv process_vm_writev pidfd_getfd"},
};

static scmp_filter_ctx ctx;

static NORETURN void fail(const char *what, int r)
{
	fprintf(stderr, "mkseccomp: %s: %s\n", what, strerror(-r));
	exit(1);
}

static uint32_t mark(enum seccomp_allow bit, int denied)
{
	int index = __builtin_ctz(bit);
	if (index >= FILTER_BITS || denied >= FILTER_STEP)
		fail("mark", -EINVAL);
	return SCMP_ACT_ERRNO(FILTER_MARK + index * FILTER_STEP + denied);
}

static void rule(uint32_t action, const char *name, const struct scmp_arg_cmp *arg)
{
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR)
		fail(name, -ENOSYS);
	if (nr < 0) /* not on this architecture */
		return;
	int r = seccomp_rule_add_array(ctx, action, nr, arg ? 1 : 0, arg);
	if (r < 0)
		fail(name, r);
}

/* For every name of a list. */
static void rules(uint32_t action, const char *names)
{
	char name[64];
	int n;
	for (; sscanf(names, " %63s%n", name, &n) == 1; names += n)
		rule(action, name, NULL);
}

static void rule_if(uint32_t action, const char *name, struct scmp_arg_cmp arg)
{
	rule(action, name, &arg);
}

/* A comparison takes all 64 bits of an argument, the kernel often the lower half. That is safe
 * where equality allows; where it would deny, the upper half could be used to slip past. */

static void add_clone(void)
{
	static const uint64_t namespaces[] = {CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
					      CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
					      CLONE_NEWCGROUP};
	uint64_t all = 0;
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		all |= namespaces[i];
		rule_if(mark(SC_NAMESPACES, EPERM), "clone",
			SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	}
	rule_if(SCMP_ACT_ALLOW, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, all, 0));
}

/* Netlink: only protocol 0, NETLINK_ROUTE, which is the jail's own interfaces and routes. */
static void add_sockets(void)
{
	static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	uint32_t other = mark(SC_SOCKET_AF, EAFNOSUPPORT);
	unsigned family = 0;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		for (; family < families[i]; family++)
			rule_if(other, "socket", SCMP_A0(SCMP_CMP_EQ, family));
		if (family != AF_NETLINK)
			rule_if(SCMP_ACT_ALLOW, "socket", SCMP_A0(SCMP_CMP_EQ, family));
		family++;
	}
	rule_if(other, "socket", SCMP_A0(SCMP_CMP_GE, family));
	struct scmp_arg_cmp route[] = {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, 0)},
			    others[] = {SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_NE, 0)};
	int nr = seccomp_syscall_resolve_name("socket");
	int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, 2, route);
	if (r == 0)
		r = seccomp_rule_add_array(ctx, mark(SC_SOCKET_AF, EPROTONOSUPPORT), nr, 2, others);
	if (r < 0)
		fail("socket", r);
	rule_if(SCMP_ACT_ALLOW, "socketpair", SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	rule_if(other, "socketpair", SCMP_A0(SCMP_CMP_NE, AF_UNIX));
}

/* Plain, 32-bit, and the 2.6 version number with either; all ones only asks. Others switch off
 * randomisation or make memory executable. */
static void add_personality(void)
{
	static const uint64_t harmless[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		rule_if(SCMP_ACT_ALLOW, "personality", SCMP_A0(SCMP_CMP_EQ, harmless[i]));
}

static void add_rules(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		rules(SCMP_ACT_ALLOW, allowed[i]);
	for (size_t i = 0; i < ARRAY_SIZE(permissions); i++)
		rules(mark(permissions[i].bit, permissions[i].denied), permissions[i].names);
	add_clone();
	add_sockets();
	add_personality();
}

/* Output */

static void print(const struct sock_filter *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", f[i].code, f[i].jt, f[i].jf, f[i].k);
}

#define LOW_WORD (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4)
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))

/* ioctl is allowed but for two: pushing characters into a terminal's input, and the console's
 * selection, which does the same. Jumps are counted from the next instruction. */
static void print_prologue(void)
{
	int ioctl_nr = seccomp_syscall_resolve_name("ioctl");
	const struct sock_filter head[] = {
	    LOAD(offsetof(struct seccomp_data, arch)),
	    EQUAL(seccomp_arch_native(), 0, 9), /* the rest refuses a foreign one */
	    LOAD(offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST, 0, 1),
	    RETURN(SCMP_ACT_ERRNO(ENOSYS)),
	    EQUAL((uint32_t)ioctl_nr, 0, 5),
	    LOAD(offsetof(struct seccomp_data, args[1]) + LOW_WORD),
	    EQUAL(TIOCSTI, 2, 0),
	    EQUAL(TIOCLINUX, 1, 0),
	    RETURN(SCMP_ACT_ALLOW),
	    RETURN(SCMP_ACT_ERRNO(EPERM)),
	};
	print(head, ARRAY_SIZE(head));
}

static void print_compiled(void)
{
	FILE *f = tmpfile();
	if (!f)
		fail("tmpfile", -errno);
	int r = seccomp_export_bpf(ctx, fileno(f));
	if (r < 0)
		fail("seccomp_export_bpf", r);
	rewind(f);
	struct sock_filter insn;
	while (fread(&insn, sizeof insn, 1, f) == 1)
		print(&insn, 1);
	fclose(f);
}

int main(void)
{
	ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		fail("seccomp_init", -ENOMEM);
	int r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r < 0)
		fail("seccomp_attr_set", r);
	add_rules();
	puts("/* Written by mkseccomp. */\n"
	     "#include \"sys/filter.h\"\n\n"
	     "const struct sock_filter seccomp_program[] = {");
	print_prologue();
	print_compiled();
	puts("};\n\n"
	     "const unsigned seccomp_program_len = sizeof seccomp_program / sizeof "
	     "seccomp_program[0];");
	seccomp_release(ctx);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
