#include "host/inside.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include "base/mem.h"
#include "jail/attach.h"
#include "sys/path.h"

#define NOT_YET 75              /* EX_TEMPFAIL */
#define PATIENCE INT64_C(20000) /* ms for a service to start */

/* In a child of its own, since the command gets our standard descriptors. */
static NORETURN void child(struct state *s, const struct record *r, const char *const *argv, int in,
			   int out)
{
	/* Whatever the caller holds back. */
	sigset_t none;
	sigemptyset(&none);
	const struct attach a = {.argv = (char *const *)argv, .clean = true, .mask = &none};
	struct ng_err err = {0};
	int status = -1;

	/* Where the caller is killed, nobody is to hold its locks on. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
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

/* With what the command said last. */
static int failed(const char *jail, const char *what, int status, struct str *said,
		  struct ng_err *err)
{
	while (said->len && said->s[said->len - 1] == '\n')
		said->s[--said->len] = '\0';
	const char *last = said->len ? strrchr(said->s, '\n') : NULL;
	return err_set(err, EIO, "%s in jail %s failed with status %d: %.1024s", what, jail, status,
		       last ? last + 1 : str_text(said));
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
	return rc == 0 ? 0 : failed(jail, argv[0], rc, &said, err);
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the file in the folder has something in it. */
static int wait_filled(int folder, const char *name)
{
	char path[64], events[4096];
	int64_t until = clock_ms() + PATIENCE;
	autoclose int notify = inotify_init1(IN_CLOEXEC);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", folder);
	if (notify < 0 ||
	    inotify_add_watch(notify, path, IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE) <
		0)
		return -errno;
	for (;;) {
		struct pollfd p = {.fd = notify, .events = POLLIN};
		int64_t left = until - clock_ms();
		struct stat st;

		if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0)
			return 0;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) > 0 && read(notify, events, sizeof(events)) < 0)
			return -errno;
	}
}

/* A file of the jail, by its path there. */
static int wait_file(struct state *s, const char *jail, const char *file, struct ng_err *err)
{
	struct record r autodone(record_done) = {0};
	const char *slash = strrchr(file, '/');
	char top[64];
	int rc = find(s, jail, &r, err);

	if (rc < 0)
		return rc;
	if (*file != '/' || !slash[1])
		return err_set(err, EINVAL, "jail %s: /etc/host/reload names no file to wait for",
			       jail);
	snprintf(top, sizeof(top), "/proc/%d/root", r.pid);
	autofree char *folder = mem_strndup(file, (size_t)(slash - file));
	autoclose int root = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int dir = root < 0 ? -errno : path_open(root, folder, O_RDONLY | O_DIRECTORY, 0);
	rc = dir < 0 ? dir : wait_filled(dir, slash + 1);
	if (rc == -ETIMEDOUT)
		return err_set(err, ETIMEDOUT,
			       "jail %s: its service does not start: newgate logs %s", jail, jail);
	return rc < 0 ? err_sys(err, rc, "jail %s: %s", jail, file) : 0;
}

int inside_reload(struct state *s, const char *jail, struct ng_err *err)
{
	static const char *const argv[] = {"/etc/host/reload", NULL};
	struct str said autodone(str_done) = {0};
	int rc = inside_run(s, jail, argv, NULL, &said, err);

	if (rc == NOT_YET) {
		const char *text = str_text(&said);
		autofree char *file = mem_strndup(text, strcspn(text, "\n"));

		rc = wait_file(s, jail, file, err);
		if (rc < 0)
			return rc;
		return inside_do(s, jail, argv, NULL, NULL, err);
	}
	return rc > 0 ? failed(jail, argv[0], rc, &said, err) : rc;
}
