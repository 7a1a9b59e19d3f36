/* newgate-init itself, as PID 1, by its protocol. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/pidfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "initbox.h"
#include "init/spawn.h"

/* Running */

static void test_status(void **state)
{
	(void)state;
	int fd = box_connect(&box);

	assert_int_equal(status_of(fd, &(struct order){SH("exit 7")}), 7 << 8);
	assert_int_equal(status_of(fd, &(struct order){SH("kill -9 $$")}), 9);
	fd_close(&fd);
	ends_well();
}

static void test_environment(void **state)
{
	(void)state;
	char line[100];
	int out[2], fd = box_connect(&box);

	make_pipe(out);
	assert_int_equal(status_of(fd, &(struct order){.cwd = "/usr",
						       .out = out[1],
						       .argv = {"sh", "-c", "pwd; echo $A; umask"},
						       .env = {"PATH=/usr/bin:/bin", "A=b c"}}),
			 0);
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "/usr");
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "b c");
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "0022");
	fd_close(&out[0]);
	fd_close(&out[1]);
	fd_close(&fd);
	ends_well();
}

static void test_user(void **state)
{
	(void)state;
	char line[100];
	int out[2], fd = box_connect(&box);
	struct order o = {
	    .uid = 1000, .gid = 1001, .groups = {5, 60}, .ngroups = 2, SH("id -u; id -g; id -G")};

	make_pipe(out);
	o.out = out[1];
	assert_int_equal(status_of(fd, &o), 0);
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "1000");
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "1001");
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "1001 5 60");
	fd_close(&out[0]);
	fd_close(&out[1]);
	fd_close(&fd);
	ends_well();
}

static void test_signals_are_reset(void **state)
{
	(void)state;
	int fd = box_connect(&box);

	/* Blocked or ignored, these would not end the shell. */
	assert_int_equal(status_of(fd, &(struct order){SH("kill -TERM $$; exit 1")}), SIGTERM);
	assert_int_equal(status_of(fd, &(struct order){SH("kill -PIPE $$; exit 1")}), SIGPIPE);
	/* And this would reach PID 1, were the process group its own. */
	assert_int_equal(status_of(fd, &(struct order){SH("kill -TERM 0; exit 1")}), SIGTERM);
	query(fd);
	fd_close(&fd);
	ends_well();
}

static void test_start_failures(void **state)
{
	(void)state;
	int fd = box_connect(&box);

	order_send(fd, &(struct order){.argv = {"/no/such/program"}});
	box_expect_error(fd, CTL_STEP_EXEC, ENOENT);
	order_send(fd, &(struct order){.argv = {"no-such-program"}, .env = {"PATH=/usr/bin:/bin"}});
	box_expect_error(fd, CTL_STEP_EXEC, ENOENT);
	order_send(fd, &(struct order){.argv = {"/etc/passwd"}});
	box_expect_error(fd, CTL_STEP_EXEC, EACCES);
	order_send(fd, &(struct order){.argv = {"/bin/true"}, .cwd = "/no/such/folder"});
	box_expect_error(fd, CTL_STEP_CWD, ENOENT);
	order_send(fd, &(struct order){.argv = {"/bin/true"}, .uid = 70000});
	box_expect_error(fd, CTL_STEP_USER, EINVAL);
	order_send(fd,
		   &(struct order){.type = CTL_SERVICE, .tag = "s", .argv = {"/no/such/program"}});
	box_expect_error(fd, CTL_STEP_EXEC, ENOENT);
	assert_int_equal(query(fd).body.status.nservices, 0);
	fd_close(&fd);
	ends_well();
}

static void test_one_at_a_time(void **state)
{
	(void)state;
	int in[2], fd = box_connect(&box), other = box_connect(&box);

	make_pipe(in);
	start(fd, &(struct order){.in = in[0], SH("cat")});
	order_send(fd, &(struct order){SH("true")});
	box_expect_error(fd, CTL_STEP_MESSAGE, EBUSY);
	assert_int_equal(status_of(other, &(struct order){SH("exit 4")}), 4 << 8);
	fd_close(&in[0]);
	fd_close(&in[1]);
	assert_int_equal(box_expect_num(fd, CTL_EXITED), 0);
	fd_close(&fd);
	fd_close(&other);
	ends_well();
}

/* Reaping and ending. A zombie that was not reaped would keep the jail from ending. */

static void test_forks(void **state)
{
	(void)state;
	int fd = box_connect(&box);
	const char *text = "i=0; while [ $i -lt 200 ]; do (:) & i=$((i+1)); done";

	assert_int_equal(status_of(fd, &(struct order){SH(text)}), 0);
	query(fd);
	fd_close(&fd);
	ends_well();
}

static void test_orphans(void **state)
{
	(void)state;
	int in[2], fd = box_connect(&box);
	const char *text = "for i in 1 2 3 4 5; do (cat <&3; exit 3) 3<&0 & done";

	make_pipe(in);
	assert_int_equal(status_of(fd, &(struct order){.in = in[0], SH(text)}), 0);
	fd_close(&in[0]);
	fd_close(&fd);
	fd = box_connect(&box); /* five orphans keep it alive */
	query(fd);
	fd_close(&fd);
	fd_close(&in[1]);
	ends_well();
}

static void test_starter_died(void **state)
{
	(void)state;
	int fd = box_connect(&box);
	fd_close(&fd);
	ends_well();
}

static void test_closed_early(void **state)
{
	(void)state;
	char line[20];
	int in[2], out[2], fd = box_connect(&box);

	make_pipe(in);
	make_pipe(out);
	order_send(fd, &(struct order){.in = in[0], .out = out[1], SH("read x; echo got $x")});
	fd_close(&fd);
	assert_int_equal(write(in[1], "it\n", 3), 3);
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "got it");
	ends_well();
	fd_close(&in[0]);
	fd_close(&in[1]);
	fd_close(&out[0]);
	fd_close(&out[1]);
}

static void test_background(void **state)
{
	(void)state;
	int in[2], fd = box_connect(&box);

	make_pipe(in);
	start(fd, &(struct order){.flags = CTL_F_BACKGROUND, .in = in[0], SH("cat")});
	fd_close(&in[0]);
	/* The connection is free for the next at once, and hears of the first no more. */
	assert_int_equal(status_of(fd, &(struct order){SH("exit 2")}), 2 << 8);
	start(fd, &(struct order){.flags = CTL_F_BACKGROUND, SH("exit 9")});
	assert_int_equal(status_of(fd, &(struct order){SH("exit 3")}), 3 << 8);
	fd_close(&fd);
	fd = box_connect(&box);
	query(fd);
	fd_close(&fd);
	fd_close(&in[1]);
	ends_well();
}

static void test_persist(void **state)
{
	(void)state;
	int fd = box_connect(&box);

	assert_int_equal(query(fd).body.status.persist, 0);
	box_send_num(fd, CTL_PERSIST, 1);
	box_expect(fd, CTL_OK);
	assert_int_equal(status_of(fd, &(struct order){SH("true")}), 0);
	fd_close(&fd);
	for (int i = 0; i < 5; i++) {
		fd = box_connect(&box);
		assert_int_equal(query(fd).body.status.persist, 1);
		fd_close(&fd);
	}
	fd = box_connect(&box);
	box_send_num(fd, CTL_PERSIST, 0);
	box_expect(fd, CTL_OK);
	assert_int_equal(query(fd).body.status.persist, 0);
	fd_close(&fd);
	ends_well();
}

static void test_leave(void **state)
{
	(void)state;
	int fd = box_connect(&box), other = box_connect(&box);
	struct reply r;

	box_send_num(fd, CTL_LEAVE, 0); /* a body it has not: all the same */
	box_expect(fd, CTL_OK);
	assert_false(box_recv(fd, &r));
	fd_close(&fd);
	struct ctl_head leave = {.type = CTL_LEAVE};
	box_send(other, &leave, sizeof(leave), NULL, 0);
	assert_false(box_recv(other, &r));
	fd_close(&other);
	ends_well();
}

/* Services */

static void test_pauses(void **state)
{
	(void)state;
	const uint32_t want[] = {1, 2, 4, 8, 16, 32, 60, 60};
	uint32_t pause = 0;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		pause = spawn_pause(pause, i % 2 ? 59 : 0);
		assert_int_equal(pause, want[i]);
	}
	assert_int_equal(spawn_pause(60, 60), 1);
	assert_int_equal(spawn_pause(60, UINT32_MAX), 1);
	assert_int_equal(spawn_pause(31, 0), 60);
	assert_int_equal(spawn_pause(30, 0), 60);
}

static void test_service_restarts(void **state)
{
	(void)state;
	char line[100];
	int out[2], fd = box_connect(&box);
	struct ctl_service s;

	make_pipe(out);
	const struct order o = {
	    .type = CTL_SERVICE, .tag = "web", .out = out[1], SH("echo up; exit 3")};
	start(fd, &o);
	read_line(out[0], line, sizeof(line));
	int64_t first = now_ms();
	read_line(box.log, line, sizeof(line));
	assert_string_equal(line, "newgate-init: service web exited with status 3, again in 1 s");
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "up");
	assert_true(now_ms() - first >= 900);
	read_line(box.log, line, sizeof(line));
	assert_string_equal(line, "newgate-init: service web exited with status 3, again in 2 s");
	struct reply r = query(fd);
	assert_int_equal(r.body.status.nservices, 1);
	assert_int_equal(r.head.len, sizeof(r.body.status) + sizeof(s) + sizeof("web"));
	memcpy(&s, r.body.bytes + sizeof(r.body.status), sizeof(s));
	assert_string_equal(r.body.bytes + sizeof(r.body.status) + sizeof(s), "web");
	assert_int_equal(s.pid, 0);
	assert_int_equal(s.restarts, 1);
	assert_int_equal(s.last_status, 3 << 8);
	assert_int_equal(s.last_lived, 0);
	/* The waiting service keeps the jail alive; its second start comes no more after a stop. */
	fd_close(&fd);
	fd = box_connect(&box);
	box_send_num(fd, CTL_STOP, 10000);
	ends_well();
	fd_close(&out[1]);
	read_line(out[0], line, sizeof(line));
	assert_string_equal(line, "");
	fd_close(&out[0]);
	fd_close(&fd);
}

static void test_service_rules(void **state)
{
	(void)state;
	char tag[CTL_TAG_MAX + 2];
	int in[2], fd = box_connect(&box);
	struct order o = {.type = CTL_SERVICE, SH("cat")};

	make_pipe(in);
	o.in = in[0];
	order_send(fd, &o); /* no tag */
	box_expect_error(fd, CTL_STEP_MESSAGE, EBADMSG);
	memset(tag, 'x', sizeof(tag) - 1);
	tag[sizeof(tag) - 1] = 0;
	o.tag = tag;
	order_send(fd, &o);
	box_expect_error(fd, CTL_STEP_MESSAGE, EBADMSG);
	for (int i = 0; i < CTL_SERVICES; i++) {
		snprintf(tag, sizeof(tag), "s%d", i);
		start(fd, &o);
	}
	order_send(fd, &o);
	box_expect_error(fd, CTL_STEP_MESSAGE, EEXIST);
	o.tag = "one too many";
	order_send(fd, &o);
	box_expect_error(fd, CTL_STEP_MESSAGE, ENOSPC);
	assert_int_equal(query(fd).body.status.nservices, CTL_SERVICES);
	box_send_num(fd, CTL_STOP, 10000);
	ends_well();
	fd_close(&in[0]);
	fd_close(&in[1]);
	fd_close(&fd);
}

/* Nobody reads the log: its pipe is full. */
static void test_log_does_not_block(void **state)
{
	(void)state;
	char path[64];
	int out[2], fd = box_connect(&box);

	query(fd); /* it runs: its standard error is in place */
	snprintf(path, sizeof(path), "/proc/%d/fd/2", box.pid);
	int log = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(log >= 0);
	while (write(log, path, 1) == 1)
		;
	close(log);
	make_pipe(out);
	start(fd,
	      &(struct order){.type = CTL_SERVICE, .tag = "s", .out = out[1], SH("echo; exit 1")});
	fd_close(&out[1]);
	read_line(out[0], path, sizeof(path));
	assert_int_equal(status_of(fd, &(struct order){SH("exit 5")}), 5 << 8);
	read_line(out[0], path, sizeof(path)); /* restarted all the same */
	fd_close(&out[0]);
	box_send_num(fd, CTL_STOP, 0);
	ends_well();
	fd_close(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pauses),
	    IN_BOX(test_status),
	    IN_BOX(test_environment),
	    IN_BOX(test_user),
	    IN_BOX(test_signals_are_reset),
	    IN_BOX(test_start_failures),
	    IN_BOX(test_one_at_a_time),
	    IN_BOX(test_forks),
	    IN_BOX(test_orphans),
	    IN_BOX(test_starter_died),
	    IN_BOX(test_closed_early),
	    IN_BOX(test_background),
	    IN_BOX(test_persist),
	    IN_BOX(test_leave),
	    IN_BOX(test_service_restarts),
	    IN_BOX(test_service_rules),
	    IN_BOX(test_log_does_not_block),
	};
	if (geteuid() != 0) {
		print_message("newgate-init is tested as root only\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
