/* The theory of isolation.
 *
 * A jail is one child of newgate that gives up the host step by step. Each stage may do only what
 * the next one does not have to trust:
 *
 *  1. The parent, root of the host. It has claimed the jail's numbers and checked its
 *     configuration. It opens what the child will need and could not open itself: newgate-init,
 *     the jail's socket, its log. It makes nothing on the host yet that a crash would leave
 *     behind.
 *  2. clone3 into new user, mount, PID, UTS, IPC, cgroup and network namespaces, straight into
 *     the jail's cgroup, so that no moment exists in which a process of the jail is outside of it.
 *     The child holds every capability there and none on the host. It does nothing but wait until
 *     its ids are mapped: ids 0..65535 of the jail are a range of the host's that nobody else has.
 *     The user namespace belongs to the first of them, and so does what the kernel counts by user:
 *     processes, queued signals, inotify instances, message queues, locked memory, namespaces. A
 *     namespace of the host root's would draw all jails' from the one account that the host's own
 *     services live on.
 *  3. The parent maps them, and makes the mounts that need the host's rights: detached copies
 *     of the jail's tree, whose owners are mapped by the jail's user namespace, which may hold no
 *     device nodes (nodev) and which are private, so that nothing mounted on them travels back. It
 *     hands over descriptors, never names: the child looks up no path of the host.
 *  4. The child becomes the jail's root. It puts its file tree together (root.c), while the
 *     parent writes the record and connects the network. Up to here no program of the jail has
 *     run. Names within the jail's tree are the work of a stranger: they are opened by openat2(2)
 *     so that no link leads out, and never twice. pivot_root leaves nothing of the host's tree to
 *     return to.
 *  5. When the parent says so, the child configures its end of the network, loads the filter
 *     and drops capabilities, for good: whatever runs in the jail later, setuid programs included,
 *     has at most what is left. It executes newgate-init from a descriptor. Every other descriptor
 *     is closed by that exec, but for the socket and three that lead to /dev/null or the log.
 *
 * The jail's first own program is started by newgate-init on newgate's order. So no process of ours
 * that holds a descriptor of the host is ever visible to a program of the jail: the child is not
 * dumpable until its exec, and there is nobody in its PID namespace who could look. What enters
 * later (jexec, attach.c) has to take that care; see there.
 *
 * What is not closed off: the kernel itself, of which the filter hides what web and mail servers do
 * without; the host's clock, load and processor; and with ip4 = inherit the host's network, which
 * the jail shares. Its capabilities do not count there: it can neither bind ports below
 * net.ipv4.ip_unprivileged_port_start nor open raw sockets, and abstract unix sockets of the host
 * are within its reach. That is why inherit is never implied.
 *
 * If newgate dies before stage 5, the child reads the end of its socket and exits, and with it
 * everything it made. Later the jail exists and its record says so. */
#include "jail/spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/ctl.h"
#include "base/num.h"
#include "base/own.h"
#include "jail/control.h"
#include "sys/caps.h"
#include "sys/fd.h"
#include "sys/ns.h"

#define READY 'r' /* child: the next thing you hear is the end, or why the exec failed */
#define GO 'g'    /* parent: the record is written, the network is there */

/* Descriptors that both sides know by the child's copy of the parent's memory. */
struct ends {
	int init, listen, sock;
};

/* ---- the child ---- */

static int hostname(const struct spawn *sp, struct ng_err *err)
{
	const char *h = sp->record->hostname, *d = sp->domainname;
	if (h && sethostname(h, strlen(h)) < 0)
		return err_sys(err, errno, "host.hostname \"%s\"", h);
	if (d && setdomainname(d, strlen(d)) < 0)
		return err_sys(err, errno, "host.domainname \"%s\"", d);
	return 0;
}

/* In every id, and in the group: that is still root of the host, nobody here. */
static int become_root(struct ng_err *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return err_sys(err, errno, "cannot become the jail's root");
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || setsid() < 0)
		return err_sys(err, errno, "cannot leave the caller's session");
	int rc = ns_new_keyring();
	return rc < 0 ? err_sys(err, rc, "a session keyring of its own") : 0;
}

static int wait_for_go(int sock)
{
	char word;
	ssize_t n = fd_recv(sock, &word, 1, NULL, NULL);
	return n == 1 && word == GO ? 0 : -ECONNRESET;
}

/* 0, 1 and 2 lead to /dev/null or the log, 3 is the socket; the exec closes the rest. */
static int arrange(const struct spawn *sp, struct ends *e, struct ng_err *err)
{
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(err, errno, "/dev/null");
	int out = sp->log >= 0 ? sp->log : null;
	/* All of them above what is about to be replaced. */
	int fds[] = {null, out, e->listen, e->init, e->sock};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if ((fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 10)) < 0)
			return err_sys(err, errno, "descriptors");
	e->init = fds[3];
	e->sock = fds[4];
	if (fd_cloexec_from(4) < 0 || dup2(fds[0], 0) < 0 || dup2(fds[1], 1) < 0 ||
	    dup2(fds[1], 2) < 0 || dup2(fds[2], CTL_FD) < 0)
		return err_sys(err, errno, "descriptors");
	return 0;
}

static int isolate(const struct spawn *sp, struct ends *e, struct ng_err *err)
{
	int rc = mounts_receive(sp->mounts, e->sock);
	if (rc < 0)
		_exit(1); /* the parent failed, and says so */
	if ((rc = become_root(err)) < 0 || (rc = hostname(sp, err)) < 0 ||
	    (rc = mounts_enter(sp->mounts, err)) < 0)
		return rc;
	if (wait_for_go(e->sock) < 0)
		_exit(1);
	if (!sp->net->inherit && (rc = net_inside(sp->net, err)) < 0)
		return err_prefix(err, "network");
	if ((rc = arrange(sp, e, err)) < 0)
		return rc;
	rc = privs_apply(sp->privs);
	return rc < 0 ? err_sys(err, rc, "cannot limit capabilities and system calls") : 0;
}

static NORETURN void child(const struct spawn *sp, struct ends *e)
{
	struct ng_err err = {0};
	char ready = READY;
	char name[] = "newgate-init";
	char *argv[] = {name, sp->record->name, NULL}, *env[] = {NULL};
	if (isolate(sp, e, &err) == 0) {
		int rc = fd_send(e->sock, &ready, 1, NULL, 0);
		if (rc == 0) {
			fexecve(e->init, argv, env);
			rc = -errno;
		}
		err_sys(&err, rc, "cannot execute newgate-init");
	}
	_exit(fd_send(e->sock, &err, sizeof(err), NULL, 0) == 0 ? 1 : 2);
}

/* ---- the parent ---- */

static int open_init(struct ng_err *err)
{
	autofree char *path = own_file("src/init", NG_LIBEXECDIR, "newgate-init");
	int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "%s (is newgate installed as a whole?)", path) : fd;
}

/* The socket that PID 1 will listen on, and our connection, which waits in its backlog. */
static int open_ctl(struct state *s, int jid, int *listen, int *ctl, struct ng_err *err)
{
	char name[32];
	snprintf(name, sizeof(name), "ctl/%d", jid);
	unlinkat(s->dir, name, 0); /* of a jail that ended by itself: the number is ours now */
	*listen = fd_listen_at(s->dir, name, 64);
	if (*listen < 0)
		return err_sys(err, *listen, "%s/run/newgate/%s", s->root, name);
	*ctl = fd_connect_at(s->dir, name, CONTROL_PATIENCE);
	return *ctl < 0 ? err_sys(err, *ctl, "%s/run/newgate/%s", s->root, name) : 0;
}

/* One word of the child's: 0 when it has executed PID 1, 1 where it is about to. */
static int hear(int sock, bool *ready, struct ng_err *err)
{
	struct ng_err said;
	ssize_t n = fd_recv(sock, &said, sizeof(said), NULL, NULL);
	if (n == -ECONNRESET) /* it left something unread; its own words come after this */
		n = fd_recv(sock, &said, sizeof(said), NULL, NULL);
	if (n == 1) {
		*ready = true;
		return 1;
	}
	if (n == sizeof(said)) {
		said.text[sizeof(said.text) - 1] = '\0';
		return err_set(err, said.code > 0 ? said.code : EIO, "%s", said.text);
	}
	if (n == 0 && *ready)
		return 0;
	return err_set(err, ECHILD, "the jail's process was killed while it was being set up");
}

static int attach(struct state *s, struct net *n, const struct spawn *sp, int sock,
		  struct ng_err *err)
{
	struct record *r = sp->record;
	char go = GO;
	int rc = pid_start_time(r->pid, &r->pid_started);
	if (rc < 0)
		return rc; /* it is gone: hear() knows why */
	/* The record first: from here on there is something on the host to take back. */
	if ((rc = state_write(s, r, err)) < 0 ||
	    (rc = net_attach(n, sp->net, r->name, r->pid, err)) < 0)
		return rc;
	return fd_send(sock, &go, 1, NULL, 0);
}

/* The parent's side. The child may fail at any time: its word counts more than what we notice when
 * we talk to it. */
static int raise_child(struct state *s, struct net *n, const struct spawn *sp, int sock,
		       struct ng_err *err)
{
	struct record *r = sp->record;
	int rc = ns_map_ids(r->pid, SLOT_BASE + r->slot * SLOT_IDS, SLOT_IDS);
	if (rc < 0)
		return err_sys(err, rc, "cannot map user ids");
	autoclose int userns = ns_open(r->pid, "user");
	if (userns < 0)
		return err_sys(err, userns, "user namespace");
	if ((rc = privs_rlimits(sp->privs, r->pid)) < 0)
		return err_sys(err, rc, "resource limits");
	if ((rc = mounts_prepare(sp->mounts, s->dir, userns, err)) < 0)
		return rc;
	rc = mounts_send(sp->mounts, sock);
	if (rc == 0)
		rc = attach(s, n, sp, sock, err);
	struct pollfd spoken = {.fd = sock, .events = POLLIN};
	bool ready = false;
	if (rc == 0 || (err->code && poll(&spoken, 1, 0) != 1))
		return rc;
	/* If it lives it waits for us, and would for ever. */
	shutdown(sock, SHUT_WR);
	int said;
	while ((said = hear(sock, &ready, err)) > 0)
		;
	if (err->code == ECHILD && rc != -EPIPE && rc != -ECONNRESET && rc != -ESRCH)
		return err_sys(err, rc, "the jail's process cannot be told to go on");
	return said;
}

static void end(int pidfd)
{
	siginfo_t info;
	pidfd_signal(pidfd, SIGKILL);
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
}

/* Without maxproc as many as we may have ourselves, but half of all numbers at most: a jail that
 * forks without end shall leave some for who is to stop it. */
static rlim_t most_processes(const struct spawn *sp, rlim_t ours)
{
	char text[32];
	uint32_t numbers;
	if (sp->maxproc)
		return sp->maxproc;
	if (fd_get(AT_FDCWD, "/proc/sys/kernel/pid_max", text, sizeof(text)) < 0)
		return ours;
	text[strcspn(text, "\n")] = '\0';
	return num_u32(text, 2, INT32_MAX, &numbers) < 0 || numbers / 2 > ours ? ours : numbers / 2;
}

/* ns_fork() as the jail's own root, so that the user namespace is his, with a bound for how many
 * processes it may ever hold: the kernel takes the limit of who makes it. */
static pid_t fork_owned(const struct spawn *sp, uint64_t flags, int *pidfd)
{
	struct rlimit procs;
	if (getrlimit(RLIMIT_NPROC, &procs) < 0)
		return -errno;
	rlim_t most = most_processes(sp, procs.rlim_cur);
	struct rlimit bound = {most < procs.rlim_max ? most : procs.rlim_max, procs.rlim_max};
	if (setrlimit(RLIMIT_NPROC, &bound) < 0)
		return -errno;
	int rc = caps_act_as(SLOT_BASE + sp->record->slot * SLOT_IDS);
	pid_t pid = rc < 0 ? rc : ns_fork(flags, sp->cgroup, pidfd);
	if (pid == 0)
		return 0;
	rc = caps_act_as(0);
	if (setrlimit(RLIMIT_NPROC, &procs) < 0 && rc == 0)
		rc = -errno;
	if (pid > 0 && rc < 0)
		end(*pidfd);
	return rc < 0 ? rc : pid;
}

int spawn(struct state *s, struct net *n, const struct spawn *sp, struct process *out,
	  struct ng_err *err)
{
	autoclose int init = open_init(err), listen = -1, ctl = -1, pidfd = -1;
	if (init < 0)
		return init;
	int rc = open_ctl(s, sp->record->jid, &listen, &ctl, err);
	if (rc < 0)
		return rc;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, errno, "socketpair");
	autoclose int ours = pair[0], theirs = pair[1];
	uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
			 CLONE_NEWCGROUP | (sp->net->inherit ? 0 : CLONE_NEWNET);
	pid_t pid = fork_owned(sp, flags, &pidfd);
	if (pid == 0) {
		struct ends e = {.init = init, .listen = listen, .sock = theirs};
		close(ours);
		close(ctl);
		child(sp, &e);
	}
	if (pid == -ENOSPC || pid == -EPERM)
		return err_sys(
		    err, pid,
		    "this host refuses another namespace (see user.max_user_namespaces and "
		    "kernel.unprivileged_userns_clone)");
	if (pid < 0)
		return err_sys(err, pid, "clone3");
	close(take_fd(&theirs));
	sp->record->pid = pid;
	rc = raise_child(s, n, sp, ours, err);
	if (rc < 0) {
		end(pidfd);
		return rc;
	}
	*out = (struct process){
	    .pidfd = take_fd(&pidfd), .ctl = take_fd(&ctl), .setup = take_fd(&ours)};
	return 0;
}

int spawn_heard(struct process *p, struct ng_err *err)
{
	int rc = hear(p->setup, &p->ready, err);
	if (rc < 0) {
		end(p->pidfd);
		process_done(p);
	} else if (rc == 0) {
		close(take_fd(&p->setup));
	}
	return rc;
}

void process_done(struct process *p)
{
	macro_close(&p->pidfd);
	macro_close(&p->ctl);
	macro_close(&p->setup);
	*p = PROCESS_NONE;
}
