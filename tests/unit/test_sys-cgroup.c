#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "netns.h"
#include "sys/cgroup.h"
#include "sys/fd.h"
#include "sys/ns.h"

static char name[32];
static int base = -1;

static void test_make_find_remove(void **state)
{
	(void)state;
	autoclose int a = cgroup_make(base, "web");
	assert_true(a >= 0);
	autoclose int again = cgroup_make(base, "web");
	assert_true(again >= 0);
	assert_int_equal(cgroup_populated(a), 0);
	assert_int_equal(cgroup_wait_empty(a, 0), 0);
	assert_int_equal(mkdirat(a, "below", 0755), 0);
	assert_int_equal(mkdirat(a, "below/deep", 0755), 0);
	assert_int_equal(cgroup_remove(base, "web"), 0);
	assert_int_equal(cgroup_remove(base, "web"), -ENOENT);
}

/* A child that does nothing, in the group from its first moment. */
static pid_t child_in(int cg, int *pidfd)
{
	pid_t pid = ns_fork(0, cg, pidfd);
	assert_true(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static void test_kill_everyone_inside(void **state)
{
	(void)state;
	autoclose int cg = cgroup_make(base, "mail");
	autoclose int first = -1, second = -1;
	assert_true(cg >= 0);
	pid_t a = child_in(cg, &first), b = child_in(cg, &second);
	assert_int_equal(cgroup_populated(cg), 1);
	assert_int_equal(cgroup_wait_empty(cg, 0), -ETIMEDOUT);
	assert_int_equal(cgroup_make(base, "mail"), -EBUSY);
	autoclose int found = cgroup_open(name, "mail");
	assert_int_equal(cgroup_populated(found), 1);
	assert_int_equal(cgroup_open(name, "web"), -ENOENT);
	assert_int_equal(cgroup_open("no-such-newgate", "mail"), -ENOENT);
	assert_int_equal(cgroup_remove(base, "mail"), -EBUSY);
	assert_int_equal(cgroup_kill(cg), 0);
	assert_int_equal(cgroup_wait_empty(cg, 5000), 0);
	int status;
	assert_int_equal(waitpid(a, &status, 0), a);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(waitpid(b, &status, 0), b);
	assert_int_equal(cgroup_remove(base, "mail"), 0);
}

static void test_knobs(void **state)
{
	(void)state;
	autoclose int cg = cgroup_make(base, "db");
	char text[64];
	assert_int_equal(cgroup_set(cg, "cgroup.max.depth", "7"), 0);
	assert_true(fd_get(cg, "cgroup.max.depth", text, sizeof text) > 0);
	assert_string_equal(text, "7\n");
	assert_int_equal(cgroup_set(cg, "cgroup.max.depth", "seven"), -EINVAL);
	assert_int_equal(cgroup_set(cg, "no.such.knob", "1"), -ENOENT);
	assert_false(cgroup_has(cg, "no-such-controller"));
	assert_false(cgroup_has(cg, ""));
	/* What the group says it has are exactly the files that are there. */
	static const struct {
		const char *controller, *file;
	} known[] = {{"memory", "memory.max"}, {"pids", "pids.max"}, {"cpu", "cpu.max"}};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		assert_int_equal(cgroup_has(cg, known[i].controller),
				 faccessat(cg, known[i].file, F_OK, 0) == 0);
	assert_int_equal(cgroup_remove(base, "db"), 0);
}

static int find_base(void **state)
{
	(void)state;
	base = cgroup_open_base(name);
	return base < 0;
}

static int drop_base(void **state)
{
	(void)state;
	close(base);
	autoclose int top = open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		top = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cgroup_remove(top, name);
}

int main(void)
{
	if (geteuid() != 0)
		SKIP_ALL("needs root to make cgroups");
	snprintf(name, sizeof name, "newgate-test-%d", (int)getpid());
	int fd = cgroup_open_base(name);
	if (fd == -ENOENT)
		SKIP_ALL("no cgroup v2 is mounted");
	if (fd >= 0)
		close(fd);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_make_find_remove),
	    cmocka_unit_test(test_kill_everyone_inside),
	    cmocka_unit_test(test_knobs),
	};
	return cmocka_run_group_tests(tests, find_base, drop_base);
}
