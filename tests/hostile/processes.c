/* Processes: of the host, of other jails, and those that come in. */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static void touch(pid_t pid)
{
	char byte, path[64];
	struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
	if (kill(pid, 0) == 0)
		won("signal to %d", (int)pid);
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
		won("ptrace of %d", (int)pid);
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 1)
		won("memory of %d", (int)pid);
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd >= 0)
		won("pidfd of %d", (int)pid);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (access(path, F_OK) == 0)
		won("%s", path);
}

/* foreign PID: a process that is none of ours, by its number on the host. */
static void foreign(char **argv)
{
	pid_t pid = (pid_t)number(argv[0]);
	touch(pid);
	lost("%d is not to be found", (int)pid);
}

/* setns FILE …: into another's namespace. */
static void enter_namespace(char **argv)
{
	unsigned tried = 0;
	for (; *argv; argv++, tried++) {
		int fd = open(*argv, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && setns(fd, 0) == 0)
			won("%s", *argv);
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0)
		won("new namespaces");
	lost("%u namespaces and unshare: %s", tried, strerror(errno));
}

/* ---- who comes in ---- */

static char secret[64];

static void look_for(const char *text, long len, const char *where)
{
	if (len > 0 && memmem(text, (size_t)len, secret, strlen(secret)))
		won("%s", where);
}

/* A process that came in: what is to be had of it before it is the jail's own program? */
static void inspect(const char *pid, const char *canary)
{
	static const char *const texts[] = {"environ", "mountinfo", "net/unix", "auxv"};
	static char buf[1 << 18];
	char path[4096];
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, texts[i]);
		look_for(buf, slurp(path, buf, sizeof(buf)), path);
	}
	snprintf(path, sizeof(path), "/proc/%s/root%s", pid, canary);
	if (access(path, F_OK) == 0)
		won("%s", path);
	snprintf(path, sizeof(path), "/proc/%s/cwd%s", pid, canary);
	if (access(path, F_OK) == 0)
		won("%s", path);
	for (int fd = 3; fd < 16; fd++) {
		snprintf(path, sizeof(path), "/proc/%s/fd/%d", pid, fd);
		ssize_t n = readlink(path, buf, sizeof(buf) - 1);
		look_for(buf, n, path);
	}
	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	ssize_t n = readlink(path, buf, sizeof(buf) - 1);
	if (n > 0) {
		buf[n] = '\0';
		if (strstr(buf, "/newgate") && !strstr(buf, "newgate-init"))
			won("%s -> %s", path, buf);
	}
}

/* ambush SECRET CANARY SECONDS: looks at every process that appears, for ever faster than it can
 * become harmless. SECRET is in its environment, in the host's mounts, unix sockets and in the
 * names of open files; CANARY is a file of the host's. */
static void ambush(char **argv)
{
	snprintf(secret, sizeof(secret), "%s", argv[0]);
	static bool known[1 << 22];
	pid_t last = 0;
	char pid[24];
	alarm((unsigned)number(argv[2]));
	ready();
	for (;;) {
		/* Numbers are given upwards: the next ones are tried blindly, without a directory
		 * to read. */
		for (pid_t p = last + 1; p < last + 8; p++) {
			snprintf(pid, sizeof(pid), "/proc/%d", (int)p);
			if (access(pid, F_OK) < 0 || known[p])
				continue;
			for (int i = 0; i < 40; i++)
				inspect(pid + 6, argv[1]);
			known[p] = true;
			last = p > last ? p : last;
		}
		/* We count along where numbers were used by threads or the jail's own. */
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		if (child > 0) {
			waitpid(child, NULL, 0);
			last = child > last + 7 ? child - 1 : last;
		}
	}
}

/* naive PID COMMAND …: what a careless jexec would do. Run on the host, to be ambushed. */
static void naive(char **argv)
{
	int fd = (int)syscall(SYS_pidfd_open, (pid_t)number(argv[0]), 0);
	if (fd < 0 || setns(fd, CLONE_NEWPID) < 0)
		broken("pid namespace of %s", argv[0]);
	pid_t child = fork();
	if (child == 0) {
		if (setns(fd, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS |
				  CLONE_NEWIPC | CLONE_NEWCGROUP) < 0)
			broken("namespaces of %s", argv[0]);
		execv(argv[1], argv + 1);
		broken("%s", argv[1]);
	}
	int status;
	waitpid(child, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN);
}

/* ---- PID 1 ---- */

/* suicide: PID 1, made to exit by whom it may be traced. */
static void suicide(char **argv)
{
	struct user_regs_struct regs;
	int status;
	(void)argv;
	kill(1, SIGKILL); /* without effect from inside */
	if (ptrace(PTRACE_ATTACH, 1, NULL, NULL) < 0)
		lost("ptrace of PID 1: %s", strerror(errno));
	if (waitpid(1, &status, __WALL) < 0 || ptrace(PTRACE_GETREGS, 1, NULL, &regs) < 0)
		broken("PID 1's registers");
	/* It sits in a system call: what it executes next is another, exit_group(0). */
	regs.rip -= 2;
	regs.orig_rax = (unsigned long long)-1;
	regs.rax = SYS_exit_group;
	regs.rdi = 0;
	if (ptrace(PTRACE_SETREGS, 1, NULL, &regs) < 0 || ptrace(PTRACE_DETACH, 1, NULL, NULL) < 0)
		broken("PID 1's registers");
	pause();
}

/* stubborn: ignores all that can be ignored, with children that do the same. */
static void stubborn(char **argv)
{
	(void)argv;
	for (int i = 0; i < 3 && fork() > 0; i++)
		setsid();
	for (int s = 1; s < 65; s++)
		signal(s, SIG_IGN);
	ready();
	for (;;)
		pause();
}

const struct attack process_attacks[] = {
    {"foreign", 1, foreign},
    {"setns", 1, enter_namespace},
    {"ambush", 3, ambush},
    {"naive", 2, naive},
    {"suicide", 0, suicide},
    {"stubborn", 0, stubborn},
    {0},
};
