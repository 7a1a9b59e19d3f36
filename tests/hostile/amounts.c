/* Taking so much that nothing is left for others. Those that hold what they took say how much it
 * is, then "ready", and wait to be ended. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/btrfs.h>

static void hold(const char *what, long n)
{
	printf("%s %ld\n", what, n);
	ready();
	for (;;)
		pause();
}

static void inotify(char **argv)
{
	long n = 0, most = number(argv[0]);
	while (n < most && inotify_init1(IN_CLOEXEC) >= 0)
		n++;
	hold("inotify", n);
}

/* By other users of the jail, too, each of which has a limit of his own. */
static void queued(char **argv)
{
	long most = number(argv[0]), n = 0;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	while (n < most && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)
		n++;
	hold("queued", n);
}

static void forks(char **argv)
{
	long most = number(argv[0]), n = 0;
	for (; n < most; n++) {
		pid_t pid = fork();
		if (pid < 0 && n % 2 == 0 && setuid((uid_t)n + 1000) == 0)
			pid = fork(); /* somebody else's account */
		if (pid < 0)
			break;
		if (pid == 0)
			for (;;)
				pause();
	}
	hold("forks", n);
}

static void ptys(char **argv)
{
	long n = 0;
	(void)argv;
	while (open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0)
		n++;
	hold("ptys", n);
}

/* fill DIR MEGABYTES: more memory than that in files there. */
static void fill(char **argv)
{
	char path[4096];
	off_t want = (off_t)number(argv[1]) << 20;
	struct statvfs fs;
	snprintf(path, sizeof(path), "%s/fill", argv[0]);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		broken("%s", path);
	if (statvfs(argv[0], &fs) < 0)
		broken("statvfs");
	/* Not for the memory itself, but for the right to it. */
	if (fallocate(fd, 0, 0, want) == 0) {
		unlink(path);
		won("%s holds %s MB", argv[0], argv[1]);
	}
	unlink(path);
	lost("%s: %s, it has %lu blocks and %lu files", argv[0], strerror(errno),
	     (unsigned long)fs.f_blocks, (unsigned long)fs.f_files);
}

/* files DIR COUNT: so many empty files. */
static void files(char **argv)
{
	char path[4096];
	long most = number(argv[1]);
	for (long n = 0; n < most; n++) {
		snprintf(path, sizeof(path), "%s/n%ld", argv[0], n);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0)
			lost("%ld files, then: %s", n, strerror(errno));
		close(fd);
	}
	won("%ld files", most);
}

/* subvolume DIR MEGABYTES: so much in a subvolume of our own making. */
static void subvolume(char **argv)
{
	static char piece[1 << 20];
	struct btrfs_ioctl_vol_args a = {.name = "evil"};
	int dir = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		broken("%s", argv[0]);
	if (ioctl(dir, BTRFS_IOC_SUBVOL_CREATE, &a) < 0)
		lost("BTRFS_IOC_SUBVOL_CREATE: %s", strerror(errno));
	int fd = openat(dir, "evil/fill", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		broken("%s/evil/fill", argv[0]);
	for (long i = 0; i < number(argv[1]); i++)
		if (write(fd, piece, sizeof(piece)) != sizeof(piece) || fsync(fd) < 0)
			lost("after %ld MB: %s", i, strerror(errno));
	won("%s MB", argv[1]);
}

const struct attack amount_attacks[] = {
    {"inotify", 1, inotify}, {"queued", 1, queued}, {"forks", 1, forks},         {"ptys", 0, ptys},
    {"fill", 2, fill},       {"files", 2, files},   {"subvolume", 2, subvolume}, {0},
};
