/* What enters a jail is a process of ours until it executes a program of the jail, and the jail's
 * root, who may look at and trace every process of the jail, can see it from its first moment there.
 *
 * - At that moment nothing of the host is left around it. /proc/PID shows the mounts and the network
 *   of a process to everybody who sees the process, so it is born in the jail: an usher, which the
 *   jail does not see, enters all its namespaces, becomes its root, and forks.
 * - Until the exec it is not dumpable, and its memory belongs to the host's user namespace (the
 *   kernel keeps that with the memory, not with the process): no capability of the jail lets anyone
 *   attach to it or read its /proc/PID/{fd,exe,root,mem}. The flag is set again behind each change
 *   of credentials, since the kernel then puts fs.suid_dumpable in its place.
 * - Every descriptor but 0, 1, 2 closes at the exec. A directory among those three would be a way
 *   out of the jail's root, so it is refused.
 * - From the moment it is in the jail's mount namespace it opens nothing but what the jail's root
 *   could have opened himself: it is the jail's root by then. The host's name service is asked
 *   before, the jail's passwd(5) is read by ourselves (user.c).
 * - A console (console.h) opens /dev/ptmx inside, as the user; the host's side gets a descriptor,
 *   never a name.
 * - It gets PID 1's capabilities, filter and limits before it becomes the user, and a session
 *   keyring of its own: the caller's would come along, with the host's keys on it.
 * - Should the command be /proc/self/exe, our executable runs inside; writing to it takes rights
 *   over the host's ids, which no jail maps. What the terminal could be made to do by its descriptor
 *   (TIOCSTI) the filter refuses. */
#include "jail/attach.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/ctl.h"
#include "base/mem.h"
#include "jail/control.h"
#include "jail/foreground.h"
#include "jail/privs.h"
#include "sys/cgroup.h"
#include "sys/fd.h"
#include "sys/ns.h"
#include "sys/path.h"

/* What the child needs. */
struct entry {
	const struct attach *a;
	struct privs privs;
	struct jail_user user;
	bool have_user;
	int pidfd;  /* the jail's PID 1 */
	int report; /* one struct ng_err goes here if the command cannot be started */
	struct foreground fg;
};

/* ---- in the usher ---- */

static int hide(struct ng_err *err)
{
	return prctl(PR_SET_DUMPABLE, 0) < 0 ? err_sys(err, errno, "PR_SET_DUMPABLE") : 0;
}

static int enter(const struct entry *e, struct ng_err *err)
{
	int r = privs_rlimits(&e->privs, 0);

	if (r < 0)
		return err_sys(err, r, "resource limits");
	r = ns_enter(e->pidfd, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
				   CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP);
	if (r < 0)
		return err_sys(err, r, "setns");
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "cannot become the jail's root");
	r = ns_new_keyring();
	if (r < 0)
		return err_sys(err, r, "a session keyring of its own");
	return hide(err);
}

/* To `report`. Shorter than PIPE_BUF: it arrives whole, or nobody is there to read it. */
static NORETURN void fail(const struct entry *e, const struct ng_err *err)
{
	_exit(write(e->report, err, sizeof(*err)) == sizeof(*err) ? 1 : 2);
}

/* Returns in the child alone, which is our parent's; its pid goes to `to`. */
static void usher(const struct entry *e, int to)
{
	struct ng_err err = {0};
	int r = fd_cloexec_from(3), fd = -1;

	if (r < 0)
		r = err_sys(&err, r, "close_range");
	else
		r = enter(e, &err);
	if (r < 0)
		fail(e, &err);
	pid_t pid = ns_fork(CLONE_PARENT, -1, &fd);
	if (pid < 0) {
		err_sys(&err, pid, "clone3");
		fail(e, &err);
	}
	if (pid > 0)
		_exit(write(to, &pid, sizeof(pid)) != sizeof(pid));
	close(to);
}

/* ---- in the child ---- */

static int find_user(struct entry *e, struct ng_err *err)
{
	const char *name = e->a->jail_user ? e->a->jail_user : "root";
	autoclose int root = -1;

	/* -l without a user needs root's home and shell. */
	if (e->have_user || (!e->a->jail_user && !e->a->clean))
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "/");
	e->have_user = true;
	return user_lookup(root, name, &e->user, err);
}

/* The filter and the capabilities come first, while there are the rights to set them. */
static int become(struct entry *e, struct ng_err *err)
{
	const struct jail_user *u = &e->user;
	int r = privs_apply(&e->privs);

	if (r < 0)
		return err_sys(err, r, "cannot limit privileges");
	if (!e->have_user)
		return 0;
	if (setgroups(u->ngroups, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return err_sys(err, errno, "cannot become user %s", u->name);
	return hide(err);
}

static void set_environment(const struct entry *e)
{
	struct strv env = {0}; /* the process's own from now on */

	if (e->a->clean) {
		clean_env(&env, &e->user);
		environ = env.v;
	}
	for (char *const *v = e->a->env; v && *v; v++)
		putenv(*v);
}

static int change_dir(const struct entry *e, struct ng_err *err)
{
	const char *dir = e->a->dir ? e->a->dir : e->a->clean ? e->user.home : "/";

	return chdir(dir) < 0 ? err_sys(err, errno, "chdir: %s", dir) : 0;
}

/* The command goes when we do: for the caller the two are one. The kernel forgets this at a change
 * of credentials, hence so late, and hence a look whether we are alone already. */
static void follow_parent(const struct entry *e)
{
	struct pollfd p = {.fd = e->report};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLERR))
		_exit(1);
}

static int execute(const struct entry *e, struct ng_err *err)
{
	const char *shell = getenv("SHELL");

	if (e->a->argv) {
		execvp(e->a->argv[0], e->a->argv);
		return err_sys(err, errno, "execvp: %s", e->a->argv[0]);
	}
	if (!shell || !*shell)
		shell = "/bin/sh";
	execlp(shell, shell, "-i", NULL);
	/* $SHELL may be the host's taste; a jail that lacks it has a shell all the same. */
	if (errno == ENOENT)
		execlp("/bin/sh", "/bin/sh", "-i", NULL);
	return err_sys(err, errno, "execlp: %s", shell);
}

static void NORETURN child(struct entry *e)
{
	struct ng_err err = {0};
	int r = find_user(e, &err);

	if (r == 0)
		r = become(e, &err);
	if (r == 0)
		r = change_dir(e, &err);
	if (r == 0 && e->a->console) {
		r = console_child(e->a->console, &err);
	} else if (r == 0) {
		follow_parent(e);
		foreground_child(&e->fg);
	}
	if (r == 0) {
		set_environment(e);
		execute(e, &err);
	}
	fail(e, &err);
}

/* ---- in the parent ---- */

static int check_descriptors(struct ng_err *err)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
			return err_set(err, EINVAL,
				       "descriptor %d is a directory of the host, a way out of the "
				       "jail: redirect it",
				       fd);
	}
	return 0;
}

/* A connection to the jail's PID 1: as long as it is open, the jail does not end by itself. The
 * answer shows that PID 1 has put its root and its limits in place; before, entering would lead to
 * the host's root. What it says is of no interest. */
static int hold(struct state *s, const struct record *r, int *out, struct ng_err *err)
{
	struct ctl_head query = {.type = CTL_QUERY};
	autofree char *answer = mem_alloc(CTL_MAX);
	autoclose int sock = -1;
	ssize_t n = 0;

	sock = control_open(s, r->jid, true);
	if (sock < 0)
		return err_sys(err, sock, "cannot reach the jail's PID 1");
	n = fd_send(sock, &query, sizeof(query), NULL, 0);
	if (n == 0 &&
	    poll(&(struct pollfd){.fd = sock, .events = POLLIN}, 1, CONTROL_PATIENCE) == 0)
		n = -ETIMEDOUT;
	if (n == 0)
		n = fd_recv(sock, answer, CTL_MAX, NULL, NULL);
	if (n <= 0)
		return n == 0 ? err_set(err, ESRCH, "the jail is ending")
			      : err_sys(err, (int)n, "the jail's PID 1 does not answer");
	*out = take_fd(&sock);
	return 0;
}

/* The process of the record, and no other that got its number since. */
static int open_init(const struct record *r, int *out, struct ng_err *err)
{
	autoclose int pidfd = pidfd_open_pid(r->pid);
	uint64_t started = 0;

	if (pidfd < 0 && pidfd != -ESRCH)
		return err_sys(err, pidfd, "pidfd_open");
	if (pidfd < 0 || pid_start_time(r->pid, &started) < 0 || started != r->pid_started)
		return err_set(err, ESRCH, "the jail is ending");
	*out = take_fd(&pidfd);
	return 0;
}

/* -1 where the host has no cgroup v2, and so the jail none. */
static int open_cgroup(struct state *s, const struct record *r, int *out, struct ng_err *err)
{
	autofree char *name = state_name(r->name);

	*out = cgroup_open(s->cgroup, name);
	if (*out < 0 && *out != -ENOENT)
		return err_sys(err, *out, "cgroup %s/%s", s->cgroup, name);
	return 0;
}

/* What the usher says before it goes: our new child's pid. */
static pid_t hear_usher(int from, int usher_fd)
{
	pid_t pid = 0;
	ssize_t n = 0;

	do
		n = read(from, &pid, sizeof(pid));
	while (n < 0 && errno == EINTR);
	while (waitid(P_PIDFD, (id_t)usher_fd, &(siginfo_t){0}, WEXITED) < 0 && errno == EINTR)
		;
	return n == sizeof(pid) ? pid : -ECHILD;
}

/* The pid of a child inside and its pidfd, 0 in that child. -ECHILD without a word: the report has
 * it. */
static pid_t fork_inside(const struct entry *e, int cgroup, int *child_fd, struct ng_err *err)
{
	int ends[2];
	pid_t pid = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int from = ends[0], to = ends[1], usher_fd = -1;
	pid = ns_fork(0, cgroup, &usher_fd);
	if (pid == 0) {
		close(take_fd(&from));
		usher(e, take_fd(&to));
		return 0;
	}
	if (pid < 0)
		return err_sys(err, pid, "clone3");
	close(take_fd(&to));
	pid = hear_usher(from, usher_fd);
	if (pid > 0 && (*child_fd = pidfd_open_pid(pid)) < 0)
		return err_sys(err, *child_fd, "pidfd_open");
	return pid;
}

/* The child's complaint, or 0 where the exec closed the pipe. */
static int read_report(int fd, struct ng_err *err)
{
	struct ng_err said;
	ssize_t n = 0;

	do
		n = read(fd, &said, sizeof(said));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != sizeof(said))
		return err_set(err, EIO, "the entering process ended without a word");
	*err = said;
	return -said.code;
}

static int run(struct entry *e, int cgroup, struct ng_err *err)
{
	int ends[2], status = 0, r = 0;
	pid_t pid = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int from = ends[0], to = ends[1], child_fd = -1;
	e->report = to;
	pid = fork_inside(e, cgroup, &child_fd, err);
	if (pid == 0)
		child(e);
	if (pid < 0 && err->code)
		return pid;
	close(take_fd(&to));
	r = read_report(from, err);
	if (pid < 0)
		return r < 0 ? r : err_set(err, EIO, "the entering process ended without a word");
	if (!e->a->console)
		status = foreground_wait(&e->fg, pid);
	else if (r == 0)
		return console_relay(e->a->console, pid, child_fd, err);
	else
		waitpid(pid, &status, 0);
	return r < 0 ? r : status;
}

int attach_run(struct state *s, const struct record *r, const struct attach *a, struct ng_err *err)
{
	autoclose int held = -1, pidfd = -1, cgroup = -1;
	struct entry e = {.a = a};
	const char *privs = record_param(r, PRIVS_PARAM);
	int rc = check_descriptors(err);

	if (rc < 0)
		return rc;
	if (!privs || privs_parse(privs, &e.privs) < 0)
		return err_set(err, EINVAL, "the record does not say what the jail may do");
	rc = hold(s, r, &held, err);
	if (rc == 0)
		rc = open_init(r, &pidfd, err);
	if (rc == 0)
		rc = open_cgroup(s, r, &cgroup, err);
	if (rc == 0 && a->host_user) {
		rc = user_lookup_host(a->host_user, &e.user, err);
		e.have_user = true;
	}
	if (rc == 0)
		rc = hide(err);
	if (rc < 0)
		return rc;
	e.pidfd = pidfd;
	if (a->console) {
		rc = console_begin(a->console, err);
		if (rc == 0)
			rc = run(&e, cgroup, err);
		console_end(a->console);
		return rc;
	}
	foreground_begin(&e.fg, a->mask);
	rc = run(&e, cgroup, err);
	foreground_end(&e.fg);
	return rc;
}
