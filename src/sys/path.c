#include "sys/path.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "base/mem.h"
#include "sys/fd.h"
#include "sys/missing.h"

/* RESOLVE_IN_ROOT gives up with EAGAIN when something was renamed or mounted anywhere while it went
 * through "..". A busy host may do that a few times in a row, an attacker for ever. */
#define TRIES 128

static int open_how(int root, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
			       .resolve = resolve};
	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
		how.mode = mode;
	for (int i = 0; i < TRIES; i++) {
		int fd = missing_openat2(root, path, &how);
		if (fd >= 0)
			return fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int path_open(int root, const char *path, int flags, mode_t mode)
{
	return open_how(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int path_open_nolink(int root, const char *path, int flags, mode_t mode)
{
	return open_how(root, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

int path_open_beneath(int root, const char *path, int flags)
{
	return open_how(root, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int path_open_host(const char *path, int flags, mode_t mode)
{
	return open_how(AT_FDCWD, path, flags, mode, RESOLVE_NO_SYMLINKS);
}

/* Opens the leading `len` bytes of path as a directory. */
static int open_prefix(int root, const char *path, size_t len, int flags)
{
	char part[PATH_MAX];
	if (len >= sizeof part)
		return -ENAMETOOLONG;
	memcpy(part, path, len);
	part[len] = '\0';
	return path_open(root, len ? part : "/", flags | O_DIRECTORY, 0);
}

int path_open_dirs(int root, const char *path, mode_t mode)
{
	int fd = path_open(root, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd != -ENOENT || path[0] == '\0')
		return fd;
	/* Each prefix is looked up from the root again, so that a link on the way is resolved as
	 * the tree itself would; only its last component is ever made. */
	autoclose int parent = open_prefix(root, path, 0, O_PATH);
	for (size_t at = strspn(path, "/"), end; path[at]; at = end + strspn(path + end, "/")) {
		if (parent < 0)
			return parent;
		char name[NAME_MAX + 1];
		size_t len = strcspn(path + at, "/");
		end = at + len;
		if (len >= sizeof name)
			return -ENAMETOOLONG;
		int next = open_prefix(root, path, end, O_PATH);
		if (next == -ENOENT) {
			memcpy(name, path + at, len);
			name[len] = '\0';
			if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
				return -errno;
			next = open_prefix(root, path, end, O_PATH);
		}
		macro_close(&parent);
		parent = next;
	}
	return path_open(root, path, O_RDONLY | O_DIRECTORY, 0);
}

static int write_temporary(int dir, const char *name, const void *data, size_t len, mode_t mode)
{
	autoclose int fd =
	    openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, data, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, name, 0);
	return r;
}

int path_replace(int root, const char *path, const void *data, size_t len, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EISDIR;
	autoclose int dir = open_prefix(root, path, (size_t)(name - path), O_PATH);
	if (dir < 0)
		return dir;
	uint64_t random;
	char temporary[32];
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -errno;
	snprintf(temporary, sizeof temporary, ".newgate-%016llx", (unsigned long long)random);
	int r = write_temporary(dir, temporary, data, len, mode);
	if (r < 0)
		return r;
	if (renameat(dir, temporary, dir, name) < 0) {
		r = -errno;
		unlinkat(dir, temporary, 0);
	}
	return r;
}

/* A mountinfo field: blanks, newlines and backslashes are \ooo. Decodes in place. */
static void unescape(char *s)
{
	char *to = s;
	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* The mount point of one line (its fifth field; proc(5)), owned by the caller, or NULL. */
static char *mount_point(const char *line, size_t len)
{
	const char *p = line, *end = line + len;
	for (int field = 1; field < 5; field++) {
		p = memchr(p, ' ', (size_t)(end - p));
		if (!p)
			return NULL;
		p++;
	}
	const char *blank = memchr(p, ' ', (size_t)(end - p));
	char *s = mem_strndup(p, (size_t)((blank ? blank : end) - p));
	unescape(s);
	return s;
}

int path_find_mount(const char *mountinfo, size_t len, const char *path, char **first)
{
	size_t n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	const char *p = mountinfo, *end = mountinfo + len;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t line = (size_t)((nl ? nl : end) - p);
		autofree char *at = mount_point(p, line);
		if (at && strncmp(at, path, n) == 0 && (at[n] == '\0' || at[n] == '/')) {
			if (first)
				*first = take_ptr(at);
			return 1;
		}
		p += line + 1;
	}
	return 0;
}

/* /proc files have no size to ask for. */
static int read_mountinfo(char **out, size_t *len)
{
	autoclose int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	autofree char *buf = NULL;
	size_t n = 0, cap = 0;
	for (;;) {
		if (n == cap)
			buf = mem_resize(buf, cap = cap ? 2 * cap : 65536, 1);
		ssize_t r = read(fd, buf + n, cap - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	*out = take_ptr(buf);
	*len = n;
	return 0;
}

int path_mounted_below(const char *path, char **first)
{
	if (first)
		*first = NULL;
	autofree char *real = realpath(path, NULL);
	if (!real)
		return -errno;
	autofree char *text = NULL;
	size_t len = 0;
	int r = read_mountinfo(&text, &len);
	return r < 0 ? r : path_find_mount(text, len, real, first);
}

int path_rename_new(int fromdir, const char *from, int todir, const char *to)
{
	struct stat st;
	if (renameat2(fromdir, from, todir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	if (fstatat(todir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT)
		return -errno;
	return renameat(fromdir, from, todir, to) < 0 ? -errno : 0;
}
