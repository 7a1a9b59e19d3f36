/* Writes the system call filter as C, when newgate is built.
 *
 * The list below says what may be called: what Linux 6.1 has, less what reaches beyond a jail, what
 * only attacks need and what jails have no use for. Anything else of that age is EPERM. Whatever is
 * newer than the list is ENOSYS, as on a kernel that has not got it, so that C libraries fall back.
 * Capabilities and namespaces are the first wall; this one keeps code of the kernel out of reach
 * that they would let be reached.
 *
 * libseccomp knows the numbers of the names. The program is put together here, since neighbours of
 * one verdict make one interval: a search among eighty of those instead of among four hundred calls
 * takes half as long to load, and every jail and every jexec loads it. It is written from its end
 * to its beginning, so that where a jump leads is known when it is written. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/btrfs.h>
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
    /* Not fspick and mount_setattr, as mount not with MS_REMOUNT: what newgate mounted read-only
     * or without devices would stay so only by the jail's good will. */
    {SC_MOUNT, EPERM, "umount umount2 pivot_root fsopen fsconfig fsmount open_tree move_mount"},
    {SC_NAMESPACES, EPERM, "unshare setns"},
    /* Its flags are in memory, out of a filter's sight. C libraries go back to clone. */
    {SC_NAMESPACES, ENOSYS, "clone3"},
    /* As FreeBSD answers in a jail without System V IPC. */
    {SC_SYSVIPC, ENOSYS,
     "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl ipc"},
    {SC_HOSTNAME, EPERM, "sethostname setdomainname"},
    {SC_PTRACE, EPERM, "ptrace process_vm_readv process_vm_writev pidfd_getfd"},
};

static NORETURN void fail(const char *what, const char *why)
{
	fprintf(stderr, "mkseccomp: %s: %s\n", what, why);
	exit(1);
}

/* What becomes of each call: an action, or the place of the code that looks at its arguments. */
struct verdict {
	uint32_t action;
	unsigned check; /* 0: none */
};
static struct verdict verdicts[NEWEST + 1];

static uint32_t error(int code)
{
	return SECCOMP_RET_ERRNO | (uint32_t)code;
}

/* Left to the loader to decide. */
static uint32_t mark(enum seccomp_allow bit, int denied)
{
	int index = __builtin_ctz(bit);
	if (index >= FILTER_BITS || denied >= FILTER_STEP)
		fail("mark", "out of range");
	return error(FILTER_MARK + index * FILTER_STEP + denied);
}

static void set(const char *name, struct verdict v)
{
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR || nr > NEWEST)
		fail(name, "no such system call");
	if (nr >= 0) /* else not on this architecture */
		verdicts[nr] = v;
}

static void set_all(const char *names, uint32_t action)
{
	char name[64];
	int n;
	for (; sscanf(names, " %63s%n", name, &n) == 1; names += n)
		set(name, (struct verdict){.action = action});
}

/* The program, filled downwards. Every emitting function returns the place of what it wrote. */

static struct sock_filter program[1024];
static unsigned at = ARRAY_SIZE(program);

static unsigned emit(struct sock_filter f)
{
	if (at == 0)
		fail("program", "too long");
	program[--at] = f;
	return at;
}

/* The one return of that action, near enough to be jumped to. */
static unsigned give(uint32_t action)
{
	for (unsigned i = at; i < ARRAY_SIZE(program) && i - at < 250; i++)
		if (program[i].code == (BPF_RET | BPF_K) && program[i].k == action)
			return i;
	return emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static unsigned branch(unsigned test, uint32_t value, unsigned yes, unsigned no)
{
	if (yes - at > UINT8_MAX || no - at > UINT8_MAX)
		fail("program", "a jump is too far");
	return emit((struct sock_filter)BPF_JUMP((unsigned short)(BPF_JMP | test | BPF_K), value,
						 (uint8_t)(yes - at), (uint8_t)(no - at)));
}

/* Loads 32 bits of struct seccomp_data for what was written last. */
static unsigned load(size_t offset)
{
	return emit((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* The half of an argument that the kernel itself looks at, in the calls below. */
static unsigned load_arg(unsigned n)
{
	unsigned low = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4;
	return load(offsetof(struct seccomp_data, args) + 8 * n + low);
}

/* Is the value loaded one of these? */
static unsigned among(const uint32_t *values, size_t n, unsigned yes, unsigned no)
{
	for (size_t i = 0; i < n; i++)
		no = branch(BPF_JEQ, values[i], yes, no);
	return no;
}

/* Checks of arguments */

static unsigned check_clone(void)
{
	uint32_t namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
			      CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
	unsigned yes = give(mark(SC_NAMESPACES, EPERM)), no = give(SECCOMP_RET_ALLOW);
	branch(BPF_JSET, namespaces, yes, no);
	return load_arg(0);
}

static unsigned check_mount(void)
{
	unsigned yes = give(error(EPERM)), no = give(mark(SC_MOUNT, EPERM));
	branch(BPF_JSET, MS_REMOUNT, yes, no);
	return load_arg(3);
}

/* The internet's sockets: what servers and their clients speak, and raw ones, which the kernel gives
 * to whoever has the capability. Any other (SCTP, L2TP, DCCP) would have the kernel load a module for
 * whoever asks. */
static unsigned check_internet(unsigned allow, unsigned protocol)
{
	static const uint32_t protocols[] = {
	    0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_MPTCP};
	among(protocols, ARRAY_SIZE(protocols), allow, protocol);
	unsigned named = load_arg(2);
	unsigned raw = branch(BPF_JEQ, SOCK_RAW, allow, protocol);
	unsigned dgram = branch(BPF_JEQ, SOCK_DGRAM, named, raw);
	branch(BPF_JEQ, SOCK_STREAM, named, dgram);
	emit((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf)); /* without flags */
	return load_arg(1);
}

/* Netlink: only protocol 0, NETLINK_ROUTE, which is the jail's own interfaces and routes. */
static unsigned check_socket(void)
{
	static const uint32_t internet[] = {AF_INET, AF_INET6};
	unsigned allow = give(SECCOMP_RET_ALLOW), other = give(mark(SC_SOCKET_AF, EAFNOSUPPORT));
	unsigned protocol = give(mark(SC_SOCKET_AF, EPROTONOSUPPORT));
	unsigned inet = check_internet(allow, protocol);
	branch(BPF_JEQ, 0, allow, protocol);
	unsigned netlink = load_arg(2);
	other = branch(BPF_JEQ, AF_NETLINK, netlink, other);
	other = branch(BPF_JEQ, AF_UNIX, allow, other);
	among(internet, ARRAY_SIZE(internet), inet, other);
	return load_arg(0);
}

static unsigned check_socketpair(void)
{
	unsigned yes = give(SECCOMP_RET_ALLOW), no = give(mark(SC_SOCKET_AF, EAFNOSUPPORT));
	branch(BPF_JEQ, AF_UNIX, yes, no);
	return load_arg(0);
}

/* Plain, 32-bit, and the 2.6 version number with either; all ones only asks. Others switch off
 * randomisation or make memory executable. */
static unsigned check_personality(void)
{
	static const uint32_t harmless[] = {0, 0x8, 0x20000, 0x20008, 0xffffffff};
	unsigned yes = give(SECCOMP_RET_ALLOW), no = give(error(EPERM));
	among(harmless, ARRAY_SIZE(harmless), yes, no);
	return load_arg(0);
}

/* Pushing characters into a terminal's input, and the console's selection, which does the same; another
 * line discipline, which the kernel would load a module for. And subvolumes, which a bound on the disk
 * does not see: there the answer is that of other file systems, so that programs do without. */
static unsigned check_ioctl(void)
{
	static const uint32_t refused[] = {TIOCSTI, TIOCLINUX, TIOCSETD};
	static const uint32_t subvolumes[] = {BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SUBVOL_CREATE_V2,
					      BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_CREATE_V2};
	unsigned yes = give(error(EPERM)), absent = give(error(ENOTTY)),
		 no = give(SECCOMP_RET_ALLOW);
	no = among(subvolumes, ARRAY_SIZE(subvolumes), absent, no);
	among(refused, ARRAY_SIZE(refused), yes, no);
	return load_arg(1);
}

/* Searching */

static unsigned starts[NEWEST + 1]; /* the first call of each interval */

static unsigned target(const struct verdict *v)
{
	return v->check ? v->check : give(v->action);
}

/* A binary search among intervals first..last. */
static unsigned search(unsigned first, unsigned last)
{
	if (first == last)
		return target(&verdicts[starts[first]]);
	unsigned middle = (first + last + 1) / 2;
	unsigned upper = search(middle, last), lower = search(first, middle - 1);
	return branch(BPF_JGE, starts[middle], upper, lower);
}

static void decide(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		verdicts[i].action = error(EPERM);
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		set_all(allowed[i], SECCOMP_RET_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(permissions); i++)
		set_all(permissions[i].names, mark(permissions[i].bit, permissions[i].denied));
	set("clone", (struct verdict){.check = check_clone()});
	set("mount", (struct verdict){.check = check_mount()});
	set("socket", (struct verdict){.check = check_socket()});
	set("socketpair", (struct verdict){.check = check_socketpair()});
	set("personality", (struct verdict){.check = check_personality()});
	set("ioctl", (struct verdict){.check = check_ioctl()});
}

static void assemble(void)
{
	unsigned n = 0;
	decide();
	for (unsigned nr = 1; nr <= NEWEST; nr++)
		if (verdicts[nr].action != verdicts[nr - 1].action ||
		    verdicts[nr].check != verdicts[nr - 1].check)
			starts[++n] = nr;
	unsigned found = search(0, n);
	branch(BPF_JGT, NEWEST, give(error(ENOSYS)), found);
	load(offsetof(struct seccomp_data, nr));
	unsigned native = at, foreign = give(SECCOMP_RET_KILL_PROCESS);
	branch(BPF_JEQ, seccomp_arch_native(), native, foreign);
	load(offsetof(struct seccomp_data, arch));
}

int main(void)
{
	assemble();
	puts("/* Written by mkseccomp. */\n"
	     "#include \"sys/filter.h\"\n\n"
	     "const struct sock_filter seccomp_program[] = {");
	for (const struct sock_filter *f = program + at; f < program + ARRAY_SIZE(program); f++)
		printf("\t{0x%02x, %u, %u, 0x%08x},\n", f->code, f->jt, f->jf, f->k);
	puts("};\n\n"
	     "const unsigned seccomp_program_len = sizeof seccomp_program / sizeof "
	     "seccomp_program[0];");
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
