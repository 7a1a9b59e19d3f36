#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include "store/tools.h"
#include "sys/mount.h"

#define STEP_NAMESPACE 1
#define STEP_EXEC 2

struct failure {
	int step, code;
};

static void child(const char *const *argv, int out, int report)
{
	struct failure f = {STEP_NAMESPACE, 0};

	if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
	    unshare(CLONE_NEWNS) < 0) {
		f.code = errno;
	} else {
		f.code = -mount_private();
	}
	if (f.code == 0) {
		setenv("LC_ALL", "C", 1);
		execvp(argv[0], (char *const *)argv);
		f = (struct failure){STEP_EXEC, errno};
	}
	if (write(report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/* Splits what comes into lines: noted or collected; the last one is kept for an error's text. */
struct listener {
	struct store *s;
	struct str *out;
	struct str line, last;
};

static void end_line(struct listener *l)
{
	if (l->line.len == 0)
		return;
	if (l->s && l->s->note)
		l->s->note(l->s->note_arg, l->line.s);
	str_done(&l->last);
	l->last = l->line;
	l->line = (struct str){0};
}

static void hear(struct listener *l, const char *data, size_t n)
{
	if (l->out)
		str_addn(l->out, data, n);
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n' || data[i] == '\r')
			end_line(l);
		else
			str_addc(&l->line, data[i]);
	}
}

static void listener_done(struct listener *l)
{
	str_done(&l->line);
	str_done(&l->last);
}

static int conclude(const char *const *argv, const char *package, int status,
		    const struct failure *f, const struct listener *l, struct ng_err *err)
{
	if (f->code == ENOENT && f->step == STEP_EXEC)
		return err_set(err, ENOENT, "%s is missing: apt install %s", argv[0], package);
	if (f->code != 0)
		return err_sys(err, f->code, "starting %s", argv[0]);
	if (WIFSIGNALED(status))
		return err_set(err, EINTR, "%s was ended by signal %d", argv[0], WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, EIO, "%s failed with status %d: %.1024s", argv[0],
			       WEXITSTATUS(status), str_text(&l->last));
	return 0;
}

int tools_run(struct store *s, const char *const *argv, const char *package, struct str *out,
	      struct ng_err *err)
{
	int said[2], told[2];

	if (pipe2(said, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int said_rd = said[0], said_wr = said[1];
	if (pipe2(told, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int told_rd = told[0], told_wr = told[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0)
		child(argv, said_wr, told_wr);
	close(take_fd(&said_wr));
	close(take_fd(&told_wr));

	autodone(listener_done) struct listener l = {.s = s, .out = out};
	char buf[4096];
	for (ssize_t n; (n = read(said_rd, buf, sizeof(buf))) != 0;) {
		if (n > 0)
			hear(&l, buf, (size_t)n);
		else if (errno != EINTR)
			break;
	}
	end_line(&l);
	struct failure f = {0};
	if (read(told_rd, &f, sizeof(f)) < (ssize_t)sizeof(f))
		f = (struct failure){0};
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return conclude(argv, package, status, &f, &l, err);
}
