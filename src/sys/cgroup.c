#include "sys/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include "sys/fd.h"

static int open_dir(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_open_top(void)
{
	static const char *const usual[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		struct statfs fs;
		autoclose int fd = open_dir(AT_FDCWD, usual[i]);
		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return take_fd(&fd);
	}
	return -ENOENT;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = list; *p; p += strspn(p, " \n")) {
		size_t n = strcspn(p, " \n");
		if (n == len && memcmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* One by one: a controller that refuses (cpu, with real-time processes about) must not keep the
 * others from being handed down. */
static void hand_down(int cg, const char *const *controller, size_t n)
{
	char given[512], add[64];
	if (fd_get(cg, "cgroup.subtree_control", given, sizeof given) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (has_word(given, controller[i]))
			continue;
		snprintf(add, sizeof add, "+%s", controller[i]);
		(void)!fd_put(cg, "cgroup.subtree_control", add);
	}
}

int cgroup_open_base(const char *name)
{
	static const char *const always[] = {"memory", "pids"};
	autoclose int top = cgroup_open_top();
	if (top < 0)
		return top;
	if (mkdirat(top, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	autoclose int base = open_dir(top, name);
	if (base < 0)
		return base;
	hand_down(top, always, ARRAY_SIZE(always));
	hand_down(base, always, ARRAY_SIZE(always));
	return take_fd(&base);
}

int cgroup_make(int base, const char *name)
{
	bool found = mkdirat(base, name, 0755) < 0;
	if (found && errno != EEXIST)
		return -errno;
	autoclose int cg = open_dir(base, name);
	if (cg < 0)
		return cg;
	int populated = found ? cgroup_populated(cg) : 0;
	if (populated)
		return populated < 0 ? populated : -EBUSY;
	return take_fd(&cg);
}

int cgroup_open(const char *base, const char *name)
{
	autoclose int top = cgroup_open_top();
	if (top < 0)
		return top;
	autoclose int dir = open_dir(top, base);
	return dir < 0 ? dir : open_dir(dir, name);
}

bool cgroup_has(int cg, const char *controller)
{
	char have[512];
	return fd_get(cg, "cgroup.controllers", have, sizeof have) >= 0 &&
	       has_word(have, controller);
}

bool cgroup_want(int cg, const char *controller)
{
	if (cgroup_has(cg, controller))
		return true;
	autoclose int base = open_dir(cg, ".."), top = open_dir(cg, "../..");
	if (top < 0)
		return false;
	hand_down(top, &controller, 1);
	hand_down(base, &controller, 1);
	return cgroup_has(cg, controller);
}

int cgroup_set(int cg, const char *file, const char *value)
{
	return fd_put(cg, file, value);
}

int cgroup_kill(int cg)
{
	return fd_put(cg, "cgroup.kill", "1");
}

/* A line of cgroup.events, "populated 1": its value. */
static int parse_event(const char *events, const char *key)
{
	size_t len = strlen(key);
	for (const char *p = events; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, key, len) == 0 && p[len] == ' ')
			return p[len + 1] == '1';
	return -EPROTO;
}

int cgroup_populated(int cg)
{
	char events[256];
	ssize_t n = fd_get(cg, "cgroup.events", events, sizeof events);
	return n < 0 ? (int)n : parse_event(events, "populated");
}

static int wait_event(int cg, const char *key, int wanted, int ms)
{
	autoclose int fd = openat(cg, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		char events[256];
		ssize_t n = pread(fd, events, sizeof events - 1, 0);
		if (n < 0)
			return -errno;
		events[n] = '\0';
		int is = parse_event(events, key);
		if (is < 0 || is == wanted)
			return is < 0 ? is : 0;
		/* The kernel reports a change of what was read last. */
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		int r = poll(&p, 1, ms);
		if (r == 0)
			return -ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

int cgroup_wait_empty(int cg, int ms)
{
	return wait_event(cg, "populated", 0, ms);
}

int cgroup_freeze(int cg, bool still)
{
	int rc = fd_put(cg, "cgroup.freeze", still ? "1" : "0");
	return rc < 0 ? rc : wait_event(cg, "frozen", still, 10000);
}

static void dir_done(DIR **d)
{
	if (*d)
		closedir(*d);
}

int cgroup_remove(int base, const char *name)
{
	/* Nothing below, as a rule. The kernel says EBUSY for folders and for processes alike. */
	if (unlinkat(base, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != EBUSY)
		return -errno;
	int fd = open_dir(base, name);
	if (fd < 0)
		return fd;
	autodone(dir_done) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	struct dirent *e;
	while ((e = readdir(d))) {
		if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0)
			continue;
		int r = cgroup_remove(fd, e->d_name);
		if (r < 0)
			return r;
	}
	return unlinkat(base, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}
