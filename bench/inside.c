#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define CAPS 0xa80425fbULL /* what a container usually has */

static int to_parent = -1;
static double last;

static _Noreturn void fail(const char *what)
{
	struct failure f = {.error = errno};
	snprintf(f.what, sizeof f.what, "%s", what);
	_exit(write(to_parent, &f, sizeof f) < 0);
}

static void check(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static void child_done(enum step s)
{
	double t = now();
	child_time[s] = t - last;
	last = t;
}

static void await_parent(void)
{
	char c;
	if (read(to_parent, &c, 1) != 1)
		_exit(1);
	last = now();
}

static void mount_root(int number)
{
	char where[256], options[1024];
	check(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0, "slave");
	snprintf(where, sizeof where, "%s", root);
	if (parts & OVERLAY) {
		snprintf(where, sizeof where, "%s/%d/root", state, number);
		snprintf(options, sizeof options,
			 "lowerdir=%s,upperdir=%s/%d/upper,workdir=%s/%d/work%s", root, state,
			 number, state, number, parts & USER ? ",userxattr" : "");
		check(mount("overlay", where, "overlay", 0, options) == 0, "overlay");
	} else {
		check(mount(where, where, NULL, MS_BIND, NULL) == 0, "bind root");
	}
	check(chdir(where) == 0, "chdir root");
}

static void make_dev(void)
{
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const links[][2] = {{"pts/ptmx", "dev/ptmx"},
					       {"/proc/self/fd", "dev/fd"},
					       {"/proc/self/fd/0", "dev/stdin"},
					       {"/proc/self/fd/1", "dev/stdout"},
					       {"/proc/self/fd/2", "dev/stderr"}};
	check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k") == 0, "/dev");
	for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		char from[32], to[32];
		snprintf(from, sizeof from, "/dev/%s", nodes[i]);
		snprintf(to, sizeof to, "dev/%s", nodes[i]);
		close(open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
		check(mount(from, to, NULL, MS_BIND, NULL) == 0, to);
	}
	check(mkdir("dev/pts", 0755) == 0 && mkdir("dev/shm", 01777) == 0, "mkdir /dev/pts");
	check(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		    "newinstance,ptmxmode=0666,mode=0620") == 0,
	      "/dev/pts");
	for (unsigned i = 0; i < sizeof links / sizeof *links; i++)
		check(symlink(links[i][0], links[i][1]) == 0, links[i][1]);
}

static void set_network(int index)
{
	int sock = wire_open(NETLINK_ROUTE);
	wire_up(&wire, 1);
	if (parts & VETH) {
		wire_up(&wire, 2);
		wire_address(&wire, 2, htonl(ADDRESS_BASE + (uint32_t)index));
		wire_route(&wire, 2, 0, 0, htonl(GATEWAY));
	}
	int r = wire_send(&wire, sock, wire.last);
	errno = -r;
	check(r == 0, "network");
	close(sock);
}

/* What a denying filter of ordinary length costs: no libseccomp, the floor compiles nothing. */
static void load_filter(void)
{
	static const int denied[] = {
	    SYS_kexec_load,
	    SYS_open_by_handle_at,
	    SYS_init_module,
	    SYS_finit_module,
	    SYS_delete_module,
	    SYS_swapon,
	    SYS_swapoff,
	    SYS_reboot,
	    SYS_acct,
	    SYS_bpf,
	    SYS_perf_event_open,
	    SYS_keyctl,
	    SYS_add_key,
	    SYS_request_key,
	    SYS_move_pages,
	    SYS_userfaultfd,
	    SYS_quotactl,
	    SYS_settimeofday,
	    SYS_clock_settime,
	    SYS_clock_adjtime,
	    SYS_syslog,
	    SYS_kcmp,
	    SYS_io_uring_setup,
	    SYS_io_uring_enter,
	    SYS_io_uring_register,
	    SYS_fanotify_init,
	    SYS_pivot_root,
	    SYS_unshare,
	    SYS_setns,
	    SYS_mount,
	    SYS_umount2,
	    SYS_fsopen,
	    SYS_open_tree,
	    SYS_move_mount,
	};
	enum { N = sizeof denied / sizeof *denied };
	struct sock_filter f[N + 3];
	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					    offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < N; i++)
		f[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							(unsigned)denied[i], N - i, 0);
	f[N + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f[N + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	struct sock_fprog program = {.len = N + 3, .filter = f};
	check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

static void set_limits(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{(uint32_t)CAPS, (uint32_t)CAPS, 0}};
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(CAPS >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	load_filter();
	check(syscall(SYS_capset, &head, data) == 0, "capset");
}

_Noreturn void inside(int number, int index, int sock)
{
	to_parent = sock;
	last = now();
	if (parts & USER) {
		await_parent();
		check(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0, "setresuid");
	}
	child_done(IN_USER);
	mount_root(number);
	child_done(IN_ROOT);
	check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0, "/proc");
	child_done(IN_PROC);
	if (parts & NET)
		check(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
			    NULL) == 0,
		      "/sys");
	child_done(IN_SYS);
	make_dev();
	child_done(IN_DEV);
	check(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
		  chdir("/") == 0,
	      "pivot_root");
	child_done(IN_PIVOT);
	await_parent();
	if (parts & NET)
		set_network(index);
	child_done(IN_NET);
	sethostname("floor", 5);
	if (parts & FILTER)
		set_limits();
	child_done(IN_LIMITS);
	child_time[EXEC] = last;
	char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *argv[] = {(char *)(uintptr_t)command, NULL}, *env[] = {path, NULL};
	execve(command, argv, env);
	fail(command);
}
