#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "netns.h"
#include "sys/fd.h"

static char dir[] = "/tmp/newgate-fd-XXXXXX";
static int dirfd = -1;

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd < 0;
}

static int drop_dir(void **state)
{
	(void)state;
	close(dirfd);
	return rmdir(dir);
}

static void test_put_and_get(void **state)
{
	(void)state;
	char buf[8];
	assert_int_equal(fd_put(dirfd, "knob", "1"), -ENOENT); /* never made */
	autoclose int fd = openat(dirfd, "knob", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(fd_put(dirfd, "knob", "1234567"), 0);
	assert_int_equal(fd_get(dirfd, "knob", buf, sizeof buf), 7);
	assert_string_equal(buf, "1234567");
	assert_int_equal(fd_get(dirfd, "knob", buf, 7), -EFBIG);
	assert_int_equal(fd_get(dirfd, "none", buf, sizeof buf), -ENOENT);
	unlinkat(dirfd, "knob", 0);
}

static void test_write_all_to_a_full_pipe(void **state)
{
	(void)state;
	static char data[300000];
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(fd_write_all(ends[1], data, sizeof data) == 0 ? 0 : 1);
	}
	close(ends[1]);
	size_t total = 0;
	char buf[1000];
	for (ssize_t n; (n = read(ends[0], buf, sizeof buf)) > 0;)
		total += (size_t)n;
	close(ends[0]);
	assert_int_equal(total, sizeof data);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_close_from(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(dup2(0, 100) == 100 && dup2(0, 101) == 101);
		CHECK(fd_cloexec_from(101) == 0);
		CHECK(fcntl(100, F_GETFD) == 0 && fcntl(101, F_GETFD) == FD_CLOEXEC);
		CHECK(fd_close_from(101) == 0);
		CHECK(fcntl(100, F_GETFD) == 0 && fcntl(101, F_GETFD) < 0);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A directory whose path is longer than a socket address holds. */
static int deep_dir(int *parents)
{
	char name[60];
	memset(name, 'd', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	int at = dup(dirfd);
	for (*parents = 0; *parents < 4; ++*parents) {
		assert_int_equal(mkdirat(at, name, 0700), 0);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = next;
	}
	return at;
}

static void test_sockets_at_any_depth(void **state)
{
	(void)state;
	int parents;
	autoclose int deep = deep_dir(&parents);
	autoclose int server = fd_listen_at(deep, "ctl", 4);
	assert_true(server >= 0);
	assert_int_equal(fd_listen_at(deep, "ctl", 4), -EADDRINUSE);
	autoclose int client = fd_connect_at(deep, "ctl", 1000);
	assert_true(client >= 0);
	autoclose int conn = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(conn >= 0);
	assert_int_equal(fd_send(client, "hello", 5, NULL, 0), 0);
	char buf[8];
	assert_int_equal(fd_recv(conn, buf, sizeof buf, NULL, NULL), 5);
	close(take_fd(&server));
	assert_int_equal(fd_connect_at(deep, "ctl", 1000), -ECONNREFUSED);
	unlinkat(deep, "ctl", 0);
	assert_int_equal(fd_connect_at(deep, "ctl", 1000), -ENOENT);
	/* Who takes nothing is not waited for. */
	autoclose int deaf = fd_listen_at(deep, "ctl", 0);
	assert_true(deaf >= 0);
	autoclose int first = fd_connect_at(deep, "ctl", 0);
	assert_true(first >= 0);
	assert_int_equal(fd_connect_at(deep, "ctl", 0), -EAGAIN);
	assert_int_equal(fd_connect_at(deep, "ctl", 1), -EAGAIN);
	int sent = 0;
	while (sent == 0)
		sent = fd_send(first, buf, sizeof buf, NULL, 0);
	assert_int_equal(sent, -EAGAIN);
	unlinkat(deep, "ctl", 0);
	char name[200];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(fd_listen_at(deep, name, 1), -ENAMETOOLONG);
	name[59] = '\0';
	memset(name, 'd', 59);
	for (int i = parents; i > 0; i--) {
		autoclose int up = dup(dirfd);
		for (int k = 1; k < i; k++) {
			int next = openat(up, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close(up);
			up = next;
		}
		assert_int_equal(unlinkat(up, name, AT_REMOVEDIR), 0);
	}
}

static int count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_descriptors_travel(void **state)
{
	(void)state;
	int pair[2], fds[8], sent[9];
	unsigned n = 8;
	char buf[16];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	int before = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++)
		sent[i] = 0;
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 8), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof buf, fds, &n), 1);
	assert_int_equal(n, 8);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 9), -EINVAL);
	/* None came along. */
	n = 8;
	assert_int_equal(fd_send(pair[0], "x", 1, NULL, 0), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof buf, fds, &n), 1);
	assert_int_equal(n, 0);
	/* More than there is room for, none wanted at all, a packet too long: nothing is kept. */
	n = 1;
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 3), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof buf, fds, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 1), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof buf, NULL, NULL), -EMSGSIZE);
	n = 8;
	assert_int_equal(fd_send(pair[0], "twenty bytes of text", 20, sent, 2), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof buf, fds, &n), -EMSGSIZE);
	assert_int_equal(count_fds(), before);
	/* The end, and nobody there: no SIGPIPE. */
	close(pair[0]);
	assert_int_equal(fd_recv(pair[1], buf, sizeof buf, NULL, NULL), 0);
	assert_int_equal(fd_send(pair[1], "x", 1, NULL, 0), -EPIPE);
	close(pair[1]);
}

static void test_pidfd(void **state)
{
	(void)state;
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	autoclose int pidfd = pidfd_open_pid(pid);
	assert_true(pidfd >= 0);
	uint64_t ours, theirs, again;
	assert_int_equal(pid_start_time(getpid(), &ours), 0);
	assert_int_equal(pid_start_time(pid, &theirs), 0);
	assert_true(theirs >= ours && ours > 0);
	assert_int_equal(pid_start_time(pid, &again), 0);
	assert_int_equal(again, theirs);
	assert_int_equal(pidfd_signal(pidfd, SIGTERM), 0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	/* A zombie is as good as gone. */
	assert_int_equal(pid_start_time(pid, &again), -ESRCH);
	assert_int_equal(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED), 0);
	assert_int_equal(info.si_status, SIGTERM);
	assert_int_equal(pid_start_time(pid, &again), -ESRCH);
	assert_int_equal(pidfd_signal(pidfd, SIGTERM), -ESRCH);
	assert_int_equal(pidfd_open_pid(pid), -ESRCH);
}

/* The kernel prints a program's name as it is. */
static void test_start_time_of_an_oddly_named_process(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(fd_put(AT_FDCWD, "/proc/self/comm", ") Z 1 1 (") == 0);
		CHECK(write(ends[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	char c;
	assert_int_equal(read(ends[0], &c, 1), 1);
	uint64_t ticks = 0, ours;
	assert_int_equal(pid_start_time(pid, &ticks), 0);
	assert_int_equal(pid_start_time(getpid(), &ours), 0);
	assert_true(ticks >= ours);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ends[0]);
	close(ends[1]);
}

static void test_root_of_a_process(void **state)
{
	(void)state;
	uint64_t started;
	struct stat own, root;
	assert_int_equal(pid_start_time(getpid(), &started), 0);
	autoclose int fd = pid_open_root(getpid(), started);
	assert_true(fd >= 0 && fstat(fd, &own) == 0 && stat("/", &root) == 0);
	assert_true(own.st_ino == root.st_ino && own.st_dev == root.st_dev);
	/* The number of another one by now. */
	assert_int_equal(pid_open_root(getpid(), started - 1), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_put_and_get),
	    cmocka_unit_test(test_write_all_to_a_full_pipe),
	    cmocka_unit_test(test_close_from),
	    cmocka_unit_test(test_root_of_a_process),
	    cmocka_unit_test(test_sockets_at_any_depth),
	    cmocka_unit_test(test_descriptors_travel),
	    cmocka_unit_test(test_pidfd),
	    cmocka_unit_test(test_start_time_of_an_oddly_named_process),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
