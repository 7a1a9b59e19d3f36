/* The filter, asked by real system calls. Each is made with arguments that would be refused anyhow
 * (all ones), so that nothing happens where the filter lets it through: EPERM or ENOSYS is then the
 * filter's word, anything else the kernel's. */
#include "unit.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "netns.h"
#include "sys/caps.h"
#include "sys/ns.h"
#include "sys/seccomp.h"

#define ONES -1L
#define CALL(name)                \
	{                         \
		SYS_##name, #name \
	}

struct call {
	long nr;
	const char *name;
};

static const struct call never[] = {
    CALL(reboot),
    CALL(kexec_load),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(swapon),
    CALL(swapoff),
    CALL(acct),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(io_uring_setup),
    CALL(io_uring_enter),
    CALL(io_uring_register),
    CALL(open_by_handle_at),
    CALL(quotactl),
    CALL(quotactl_fd),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(adjtimex),
    CALL(clock_adjtime),
    CALL(syslog),
    CALL(vhangup),
    CALL(nfsservctl),
    CALL(lookup_dcookie),
    CALL(fanotify_init),
    CALL(fanotify_mark),
    CALL(kcmp),
    CALL(add_key),
    CALL(request_key),
    CALL(keyctl),
    CALL(fspick),
    CALL(mount_setattr),
    CALL(mbind),
    CALL(move_pages),
    CALL(migrate_pages),
    CALL(set_mempolicy),
#ifdef SYS_kexec_file_load
    CALL(kexec_file_load),
#endif
#ifdef SYS_iopl
    CALL(iopl),
    CALL(ioperm),
    CALL(modify_ldt),
    CALL(uselib),
    CALL(sysfs),
    CALL(_sysctl),
    CALL(create_module),
    CALL(query_module),
    CALL(get_kernel_syms),
#endif
};

struct governed {
	unsigned bit;
	int denied;
	struct call call;
};

static const struct governed governed[] = {
    {SC_MOUNT, EPERM, CALL(umount2)},
    {SC_MOUNT, EPERM, CALL(pivot_root)},
    {SC_MOUNT, EPERM, CALL(fsopen)},
    {SC_MOUNT, EPERM, CALL(fsconfig)},
    {SC_MOUNT, EPERM, CALL(fsmount)},
    {SC_MOUNT, EPERM, CALL(open_tree)},
    {SC_MOUNT, EPERM, CALL(move_mount)},
    {SC_NAMESPACES, EPERM, CALL(unshare)},
    {SC_NAMESPACES, EPERM, CALL(setns)},
    {SC_NAMESPACES, ENOSYS, CALL(clone3)},
    {SC_SYSVIPC, ENOSYS, CALL(shmget)},
    {SC_SYSVIPC, ENOSYS, CALL(shmat)},
    {SC_SYSVIPC, ENOSYS, CALL(shmctl)},
    {SC_SYSVIPC, ENOSYS, CALL(shmdt)},
    {SC_SYSVIPC, ENOSYS, CALL(semget)},
    {SC_SYSVIPC, ENOSYS, CALL(semop)},
    {SC_SYSVIPC, ENOSYS, CALL(semtimedop)},
    {SC_SYSVIPC, ENOSYS, CALL(semctl)},
    {SC_SYSVIPC, ENOSYS, CALL(msgget)},
    {SC_SYSVIPC, ENOSYS, CALL(msgsnd)},
    {SC_SYSVIPC, ENOSYS, CALL(msgrcv)},
    {SC_SYSVIPC, ENOSYS, CALL(msgctl)},
    {SC_HOSTNAME, EPERM, CALL(sethostname)},
    {SC_HOSTNAME, EPERM, CALL(setdomainname)},
    {SC_PTRACE, EPERM, CALL(ptrace)},
    {SC_PTRACE, EPERM, CALL(process_vm_readv)},
    {SC_PTRACE, EPERM, CALL(process_vm_writev)},
    {SC_PTRACE, EPERM, CALL(pidfd_getfd)},
};

/* Runs fn in a child under the filter; true where it ended well. The child has an IPC namespace of
 * its own and no terminal. */
static int wait_status(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static pid_t child_under(unsigned allow, void (*fn)(unsigned allow))
{
	int pidfd;
	pid_t pid = ns_fork(CLONE_NEWIPC | CLONE_NEWUTS, -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		setsid();
		CHECK(seccomp_load(allow) == 0);
		fn(allow);
		_exit(0);
	}
	close(pidfd);
	return pid;
}

static void under(unsigned allow, void (*fn)(unsigned allow))
{
	assert_int_equal(wait_status(child_under(allow, fn)), 0);
}

static int errno_of(long nr)
{
	errno = 0;
	return syscall(nr, ONES, ONES, ONES, ONES, ONES, ONES) < 0 ? errno : 0;
}

static void expect(const struct call *c, int want)
{
	int got = errno_of(c->nr);
	if (got != want) {
		fprintf(stderr, "%s: %s, not %s\n", c->name, strerrorname_np(got),
			strerrorname_np(want));
		_exit(1);
	}
}

static void check_never(unsigned allow)
{
	(void)allow;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		expect(&never[i], EPERM);
}

static void test_some_calls_are_never_allowed(void **state)
{
	(void)state;
	under(0, check_never);
	under(SC_ALL, check_never);
}

static void check_governed(unsigned allow)
{
	for (size_t i = 0; i < ARRAY_SIZE(governed); i++) {
		const struct governed *g = &governed[i];
		if (!(allow & g->bit)) {
			expect(&g->call, g->denied);
			continue;
		}
		int got = errno_of(g->call.nr);
		if (got == g->denied) {
			fprintf(stderr, "%s: refused with permission %#x\n", g->call.name, allow);
			_exit(1);
		}
	}
}

static void test_each_permission_opens_exactly_its_calls(void **state)
{
	(void)state;
	under(0, check_governed);
	under(SC_ALL, check_governed);
	for (unsigned bit = 1; bit <= SC_PTRACE; bit <<= 1) {
		under(bit, check_governed);
		under(SC_ALL & ~bit, check_governed);
	}
}

static int socket_errno(int family, int type, int protocol)
{
	autoclose int fd = socket(family, type, protocol);
	return fd < 0 ? errno : 0;
}

/* UDP-Lite is in the kernel; what is not, would be loaded for who asks. */
static void check_protocols(unsigned allow)
{
	static const int types[] = {0, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET, 15};
	CHECK(socket_errno(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE) ==
	      (allow & SC_SOCKET_AF ? 0 : EPROTONOSUPPORT));
	if (allow & SC_SOCKET_AF)
		return;
	CHECK(socket_errno(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE) ==
	      EPROTONOSUPPORT);
	CHECK(socket_errno(AF_INET, SOCK_STREAM, IPPROTO_SCTP) == EPROTONOSUPPORT);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		CHECK(socket_errno(AF_INET, types[i], 0) == EPROTONOSUPPORT);
}

static void check_sockets(unsigned allow)
{
	int other = allow & SC_SOCKET_AF ? 0 : EAFNOSUPPORT;
	int ends[2];
	CHECK(socket_errno(AF_UNIX, SOCK_STREAM, 0) == 0);
	CHECK(socket_errno(AF_INET, SOCK_STREAM, 0) == 0);
	CHECK(socket_errno(AF_INET6, SOCK_DGRAM, 0) == 0);
	CHECK(socket_errno(AF_INET, SOCK_RAW, IPPROTO_ICMP) == 0); /* capabilities decide */
	CHECK(socket_errno(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP) == 0);
	CHECK(socket_errno(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP) == 0);
	check_protocols(allow);
	CHECK(socket_errno(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) == 0);
	CHECK(socket_errno(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) ==
	      (other ? EPROTONOSUPPORT : 0));
	CHECK(socket_errno(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT) ==
	      (other ? EPROTONOSUPPORT : 0));
	CHECK(socket_errno(AF_PACKET, SOCK_RAW, 0) == other);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	if (!other)
		return;
	/* Whatever this kernel has, one by one. */
	for (int f = 0; f < 64; f++)
		if (f != AF_UNIX && f != AF_INET && f != AF_INET6 && f != AF_NETLINK)
			CHECK(socket_errno(f, SOCK_DGRAM, 0) == EAFNOSUPPORT);
	CHECK(socketpair(AF_TIPC, SOCK_SEQPACKET, 0, ends) < 0 && errno == EAFNOSUPPORT);
	/* The upper half, which the kernel drops, does not help. */
	CHECK(syscall(SYS_socket, 0x100000000L | AF_PACKET, (long)SOCK_RAW, 0L) < 0);
	CHECK(syscall(SYS_socket, (long)AF_NETLINK, (long)SOCK_RAW,
		      0x100000000L | NETLINK_NETFILTER) < 0);
}

static void test_socket_families(void **state)
{
	(void)state;
	under(0, check_sockets);
	under(SC_SOCKET_AF, check_sockets);
	under(SC_ALL & ~SC_SOCKET_AF, check_sockets);
}

/* Forks by raw clone with the given flags; 0 or errno. */
static int clone_errno(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0L, 0L, 0L, 0L);
	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(0);
	CHECK(waitpid((pid_t)pid, NULL, 0) == pid);
	return 0;
}

static void check_clone(unsigned allow)
{
	static const unsigned long flags[] = {CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
					      CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
					      CLONE_NEWCGROUP};
	int want = allow & SC_NAMESPACES ? 0 : EPERM;
	CHECK(clone_errno(0) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		CHECK(clone_errno(flags[i]) == want);
	CHECK(clone_errno(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) == want);
}

static void test_clone_flags(void **state)
{
	(void)state;
	under(0, check_clone);
	under(SC_NAMESPACES, check_clone);
	under(SC_ALL & ~SC_NAMESPACES, check_clone);
}

static void check_terminal(unsigned allow)
{
	(void)allow;
	char c = 'x';
	autoclose int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK(ioctl(fd, TIOCSTI, &c) < 0 && errno == EPERM);
	CHECK(ioctl(fd, TIOCLINUX, &c) < 0 && errno == EPERM);
	CHECK(ioctl(fd, TIOCSETD, &c) < 0 && errno == EPERM);
	CHECK(ioctl(fd, FIONBIO, &(int){0}) == 0);
	/* The kernel looks at the lower half only. */
	CHECK(syscall(SYS_ioctl, (long)fd, 0x100000000L | TIOCSTI, &c) < 0 && errno == EPERM);
	CHECK(syscall(SYS_ioctl, (long)fd, 0xffffffff00000000L | TIOCLINUX, &c) < 0 &&
	      errno == EPERM);
	CHECK(ioctl(fd, TCGETS, &c) < 0 && errno == ENOTTY);
	CHECK(ioctl(fd, TIOCLINUX + 1, &c) < 0 && errno == ENOTTY);
	CHECK(ioctl(fd, TIOCSTI - 1, &c) < 0 && errno == ENOTTY);
}

static void test_terminal_injection(void **state)
{
	(void)state;
	under(SC_ALL, check_terminal);
}

/* A path of no memory: what passes the filter is EFAULT. */
static void check_mount(unsigned allow)
{
	int want = allow & SC_MOUNT ? EFAULT : EPERM;
	long flags[] = {0, MS_BIND, MS_RDONLY | MS_NOSUID, MS_REMOUNT, MS_REMOUNT | MS_BIND};
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		errno = 0;
		CHECK(syscall(SYS_mount, 0, ONES, 0, flags[i], 0) < 0);
		CHECK(errno == (flags[i] & MS_REMOUNT ? EPERM : want));
	}
}

static void test_no_mount_is_changed(void **state)
{
	(void)state;
	under(0, check_mount);
	under(SC_MOUNT, check_mount);
}

static void check_personality(unsigned allow)
{
	(void)allow;
	CHECK(personality(0xffffffff) >= 0);
	CHECK(personality(PER_LINUX) >= 0);
	CHECK(personality(UNAME26) >= 0);
	CHECK(personality(PER_LINUX) >= 0);
	CHECK(personality(ADDR_NO_RANDOMIZE) < 0 && errno == EPERM);
	CHECK(personality(READ_IMPLIES_EXEC) < 0 && errno == EPERM);
	CHECK(personality(PER_SVR4) < 0 && errno == EPERM);
}

static void test_personality(void **state)
{
	(void)state;
	under(SC_ALL, check_personality);
}

static void check_unknown(unsigned allow)
{
	(void)allow;
	for (long nr = 451; nr < 600; nr++)
		CHECK(errno_of(nr) == ENOSYS);
	CHECK(errno_of(0x7fffffff) == ENOSYS);
	CHECK(errno_of(-1) == ENOSYS);
}

static void test_what_is_newer_than_the_list(void **state)
{
	(void)state;
	under(SC_ALL, check_unknown);
}

#ifdef __x86_64__
static long int80(long nr)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr) : "memory", "r8", "r9", "r10", "r11");
	return r;
}

static void call_i386(unsigned allow)
{
	(void)allow;
	_exit(int80(20) == getpid() ? 0 : 1); /* getpid */
}

static void test_foreign_architecture(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		call_i386(0);
	if (wait_status(pid) != 0) {
		print_message("this kernel runs no i386 code\n");
		skip();
	}
	int status = wait_status(child_under(SC_ALL, call_i386));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}
#endif

static void *thread(void *arg)
{
	return arg;
}

static void run(const char *const *argv)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	if (status != 0)
		fprintf(stderr, "%s %s: %#x\n", argv[0], argv[2], status);
	CHECK(status == 0);
}

static void check_ordinary_programs(unsigned allow)
{
	(void)allow;
	pthread_t t;
	int token;
	void *result;
	CHECK(pthread_create(&t, NULL, thread, &token) == 0 && pthread_join(t, &result) == 0);
	CHECK(result == &token);
	run((const char *const[]){
	    "/bin/sh", "-c",
	    "ls -l /proc/self/fd | grep -q 0 && date | cat >/dev/null && "
	    "d=$(mktemp -d) && cp -a /etc/passwd $d && tar -C $d -cf $d/t passwd "
	    "&& rm -r $d",
	    NULL});
	run((const char *const[]){
	    "/usr/bin/python3", "-c",
	    "import subprocess, threading, socket, tempfile, os, select, multiprocessing as m\n"
	    "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
	    "assert subprocess.run(['true']).returncode == 0\n"
	    "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n"
	    "s = socket.create_server(('127.0.0.1', 0)); s.close()\n"
	    "p = m.Process(target=int); p.start(); p.join(); assert p.exitcode == 0\n"
	    "e = select.epoll(); e.close()\n"
	    "f = tempfile.TemporaryFile(); f.write(b'x'); f.flush(); os.fsync(f.fileno())\n",
	    NULL});
}

static void test_ordinary_programs_run(void **state)
{
	(void)state;
	under(0, check_ordinary_programs);
}

static void check_privileges(unsigned allow)
{
	(void)allow;
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	/* A filter of the jail's own is fine; ours stays in force beneath. */
	CHECK(seccomp_load(SC_ALL) == 0);
	CHECK(errno_of(SYS_mount) == EPERM);
	/* What comes after loading it when a jail is made. */
	CHECK(caps_limit(CAP_BIT(7)) == 0);
	CHECK(seccomp_load(SC_ALL) == -EACCES);
}

static void test_loads_without_no_new_privs(void **state)
{
	(void)state;
	under(0, check_privileges);
}

static void test_loads_in_a_user_namespace(void **state)
{
	(void)state;
	int pidfd;
	pid_t pid = ns_fork(CLONE_NEWUSER, -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		CHECK(seccomp_load(0) == 0);
		CHECK(errno_of(SYS_mount) == EPERM);
		_exit(0);
	}
	close(pidfd);
	assert_int_equal(wait_status(pid), 0);
}

int main(void)
{
	ENTER_NAMESPACES(CLONE_NEWNET);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_some_calls_are_never_allowed),
	    cmocka_unit_test(test_each_permission_opens_exactly_its_calls),
	    cmocka_unit_test(test_socket_families),
	    cmocka_unit_test(test_clone_flags),
	    cmocka_unit_test(test_terminal_injection),
	    cmocka_unit_test(test_no_mount_is_changed),
	    cmocka_unit_test(test_personality),
	    cmocka_unit_test(test_what_is_newer_than_the_list),
#ifdef __x86_64__
	    cmocka_unit_test(test_foreign_architecture),
#endif
	    cmocka_unit_test(test_ordinary_programs_run),
	    cmocka_unit_test(test_loads_without_no_new_privs),
	    cmocka_unit_test(test_loads_in_a_user_namespace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
