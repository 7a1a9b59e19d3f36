#include "host/inside.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "jail/attach.h"

/* In a child of its own, since the command gets our standard descriptors. */
static NORETURN void child(struct state *s, const struct record *r, const char *const *argv, int in,
			   int out)
{
	const struct attach a = {.argv = (char *const *)argv, .clean = true};
	struct ng_err err = {0};
	int status = -1;

	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(out, STDERR_FILENO) < 0)
		_exit(126);
	status = attach_run(s, r, &a, &err);
	if (status < 0) {
		dprintf(STDERR_FILENO, "%s\n", err.text);
		_exit(126);
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

/* Gives what it reads and takes what it says, neither waiting for the other. */
static void talk(int *in, const char *input, int out, struct str *said)
{
	size_t left = input ? strlen(input) : 0;
	char buf[4096];

	for (bool open = true; open;) {
		struct pollfd p[] = {{.fd = out, .events = POLLIN}, {.fd = *in, .events = POLLOUT}};

		if (left == 0)
			macro_close(in), *in = p[1].fd = -1;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[1].fd >= 0 && p[1].revents) {
			ssize_t n = write(*in, input, left);

			/* It need not read all. */
			left -= n > 0 ? (size_t)n : left;
			input += n > 0 ? n : 0;
		}
		if (p[0].revents) {
			ssize_t n = read(out, buf, sizeof(buf));

			if (n > 0 && said)
				str_addn(said, buf, (size_t)n);
			open = n > 0 || (n < 0 && errno == EINTR);
		}
	}
}

static int find(struct state *s, const char *jail, struct record *r, struct ng_err *err)
{
	int rc = state_find(s, jail, r, err);

	if (rc == -ENOENT || (rc == 0 && (r->dead || r->starting)))
		return err_set(err, ENOENT, "jail %s does not run: newgate up %s", jail, jail);
	return rc;
}

bool inside_runs(struct state *s, const char *jail)
{
	struct record r autodone(record_done) = {0};
	struct ng_err ignored = {0};

	return find(s, jail, &r, &ignored) == 0;
}

int inside_run(struct state *s, const char *jail, const char *const *argv, const char *input,
	       struct str *out, struct ng_err *err)
{
	struct record r autodone(record_done) = {0};
	int to[2], from[2], status = 0, rc = find(s, jail, &r, err);

	if (rc < 0)
		return rc;
	if (pipe2(to, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int to_rd = to[0], to_wr = to[1];
	if (pipe2(from, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int from_rd = from[0], from_wr = from[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "fork");
	if (pid == 0) {
		/* Else the command would never see the end of its input. */
		close(take_fd(&to_wr));
		close(take_fd(&from_rd));
		child(s, &r, argv, to_rd, from_wr);
	}
	close(take_fd(&to_rd));
	close(take_fd(&from_wr));
	sigset_t pipe, before;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe, &before);
	talk(&to_wr, input, from_rd, out);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	sigtimedwait(&pipe, NULL, &(struct timespec){0});
	sigprocmask(SIG_SETMASK, &before, NULL);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int inside_do(struct state *s, const char *jail, const char *const *argv, const char *input,
	      struct str *out, struct ng_err *err)
{
	struct str said autodone(str_done) = {0};
	int rc = inside_run(s, jail, argv, input, &said, err);

	if (rc < 0)
		return rc;
	if (out)
		str_add(out, str_text(&said));
	if (rc == 0)
		return 0;
	while (said.len && said.s[said.len - 1] == '\n')
		said.s[--said.len] = '\0';
	const char *last = said.len ? strrchr(said.s, '\n') : NULL;
	return err_set(err, EIO, "%s in jail %s failed with status %d: %.1024s", argv[0], jail, rc,
		       last ? last + 1 : str_text(&said));
}
