#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "netns.h"
#include "sys/caps.h"
#include "sys/fd.h"
#include "sys/ns.h"

static int status_of(int pidfd)
{
	siginfo_t info;
	assert_int_equal(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0);
	assert_int_equal(info.si_code, CLD_EXITED);
	return info.si_status;
}

static void test_fork_into_namespaces(void **state)
{
	(void)state;
	int ends[2];
	autoclose int pidfd = -1;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = ns_fork(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS |
				CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP,
			    -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		char c;
		struct stat st;
		CHECK(getpid() == 1);
		CHECK(read(ends[0], &c, 1) == 1); /* the maps are written */
		CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
		CHECK(getuid() == 0 && getgid() == 0);
		CHECK(stat("/proc/self/exe", &st) == 0);
		CHECK(setgid(65535) == 0 && setuid(65535) == 0);
		_exit(7);
	}
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(ns_map_ids(pid, 0x40000000, 65536), 0);
	char path[64], text[64];
	snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
	assert_true(fd_get(AT_FDCWD, path, text, sizeof text) > 0);
	unsigned from, to, count;
	assert_int_equal(sscanf(text, "%u %u %u", &from, &to, &count), 3);
	assert_true(from == 0 && to == 0x40000000 && count == 65536);
	/* Once only. */
	assert_int_equal(ns_map_ids(pid, 0x40000000, 65536), -EPERM);
	static const char *const kinds[] = {"user", "pid", "mnt", "uts", "ipc", "net", "cgroup"};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct stat theirs, ours;
		autoclose int a = ns_open(pid, kinds[i]), b = ns_open(getpid(), kinds[i]);
		assert_true(a >= 0 && b >= 0);
		assert_true(fstat(a, &theirs) == 0 && fstat(b, &ours) == 0);
		assert_true(theirs.st_ino != ours.st_ino);
	}
	assert_int_equal(ns_open(pid, "none"), -ENOENT);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(status_of(pidfd), 7);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(ns_map_ids(pid, 0x40000000, 65536), -ENOENT);
}

static void test_enter(void **state)
{
	(void)state;
	int ends[2], ready[2];
	autoclose int pidfd = -1, inside = -1;
	assert_true(pipe2(ends, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
	pid_t pid = ns_fork(CLONE_NEWUTS | CLONE_NEWNET, -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		char c;
		close(ends[1]);
		CHECK(sethostname("the-jail", 8) == 0);
		CHECK(write(ready[1], "x", 1) == 1);
		CHECK(read(ends[0], &c, 1) == 0);
		_exit(0);
	}
	char c;
	assert_int_equal(read(ready[0], &c, 1), 1);
	pid_t second = ns_fork(0, -1, &inside);
	assert_true(second >= 0);
	if (second == 0) {
		struct utsname u;
		CHECK(ns_enter(pidfd, CLONE_NEWUTS | CLONE_NEWNET) == 0);
		CHECK(uname(&u) == 0 && strcmp(u.nodename, "the-jail") == 0);
		_exit(0);
	}
	assert_int_equal(status_of(inside), 0);
	close(ends[1]);
	assert_int_equal(status_of(pidfd), 0);
	assert_int_equal(ns_enter(pidfd, CLONE_NEWUTS), -ESRCH);
	close(ends[0]);
	close(ready[0]);
	close(ready[1]);
}

static void test_user_namespace_by_descriptor(void **state)
{
	(void)state;
	autoclose int ns = ns_user_fd(100000, 1000);
	assert_true(ns >= 0);
	assert_int_equal(fcntl(ns, F_GETFD), FD_CLOEXEC);
	/* No child is left behind it, yet it is whole. */
	assert_int_equal(waitpid(-1, NULL, __WALL), -1);
	assert_int_equal(errno, ECHILD);
	autoclose int pidfd = -1;
	pid_t pid = ns_fork(0, -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		char text[64];
		unsigned from, to, count;
		CHECK(setns(ns, CLONE_NEWUSER) == 0);
		CHECK(fd_get(AT_FDCWD, "/proc/self/gid_map", text, sizeof text) > 0);
		/* Seen from within, the outside is the map's own first column. */
		CHECK(sscanf(text, "%u %u %u", &from, &to, &count) == 3);
		CHECK(from == 0 && count == 1000);
		CHECK(setgid(999) == 0 && setgid(1000) < 0);
		_exit(0);
	}
	assert_int_equal(status_of(pidfd), 0);
}

/* Capabilities */

static uint64_t status_caps(const char *field)
{
	char text[4096];
	unsigned long long v;
	CHECK(fd_get(AT_FDCWD, "/proc/thread-self/status", text, sizeof text) > 0);
	char *p = strstr(text, field);
	CHECK(p && sscanf(p + strlen(field), " %llx", &v) == 1);
	return v;
}

#define KEPT (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_NET_BIND_SERVICE) | CAP_BIT(CAP_BPF))

static void in_child(void (*fn)(void))
{
	autoclose int pidfd = -1;
	pid_t pid = ns_fork(CLONE_NEWUSER, -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(status_of(pidfd), 0);
}

static void check_limit(void)
{
	CHECK(caps_limit(KEPT) == 0);
	CHECK(status_caps("CapBnd:") == KEPT);
	CHECK(status_caps("CapPrm:") == KEPT);
	CHECK(status_caps("CapEff:") == KEPT);
	CHECK(status_caps("CapInh:") == 0);
	CHECK(status_caps("CapAmb:") == 0);
	CHECK(chown("/proc/self/none", 0, 0) < 0 && errno == ENOENT);
	/* Only ever less. */
	CHECK(caps_limit(KEPT | CAP_BIT(CAP_SYS_ADMIN)) == -EPERM);
	CHECK(status_caps("CapPrm:") == KEPT);
}

static void check_none(void)
{
	CHECK(caps_limit(0) == 0);
	CHECK(status_caps("CapBnd:") == 0);
	CHECK(status_caps("CapEff:") == 0);
}

/* Bits that this kernel does not know are not asked for. */
static void check_all(void)
{
	CHECK(caps_limit(~UINT64_C(0)) == 0);
	CHECK(status_caps("CapEff:") == status_caps("CapBnd:"));
	CHECK(status_caps("CapEff:") & CAP_BIT(CAP_SYS_ADMIN));
}

static void check_exec(void)
{
	CHECK(caps_limit(KEPT) == 0);
	execl("/bin/sh", "sh", "-c",
	      "grep -q \"CapEff:.*$1\\$\" /proc/self/status && "
	      "grep -q \"CapBnd:.*$1\\$\" /proc/self/status",
	      "sh", "0000008000000401", NULL);
	_exit(1);
}

static void test_caps_limit(void **state)
{
	(void)state;
	in_child(check_limit);
	in_child(check_none);
	in_child(check_all);
}

static int map_and_run(void (*fn)(void))
{
	int ends[2];
	autoclose int pidfd = -1;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = ns_fork(CLONE_NEWUSER, -1, &pidfd);
	assert_true(pid >= 0);
	if (pid == 0) {
		char c;
		CHECK(read(ends[0], &c, 1) == 1);
		CHECK(setresuid(0, 0, 0) == 0);
		fn();
	}
	assert_int_equal(ns_map_ids(pid, 0, 65536), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	close(ends[0]);
	close(ends[1]);
	return status_of(pidfd);
}

static void test_root_keeps_them_over_exec(void **state)
{
	(void)state;
	assert_int_equal(map_and_run(check_exec), 0);
}

static void test_caps_names(void **state)
{
	(void)state;
	assert_int_equal(caps_number("net_raw"), CAP_NET_RAW);
	assert_int_equal(caps_number("NET_RAW"), CAP_NET_RAW);
	assert_int_equal(caps_number("chown"), 0);
	assert_int_equal(caps_number("cap_chown"), -EINVAL);
	assert_int_equal(caps_number("all"), -EINVAL);
	assert_int_equal(caps_number(""), -EINVAL);
	assert_int_equal(caps_number("a_name_far_too_long_to_be_that_of_any_capability_ever_made"),
			 -EINVAL);
}

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fork_into_namespaces),         cmocka_unit_test(test_enter),
	    cmocka_unit_test(test_user_namespace_by_descriptor), cmocka_unit_test(test_caps_limit),
	    cmocka_unit_test(test_root_keeps_them_over_exec),    cmocka_unit_test(test_caps_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
