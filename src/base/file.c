#include "base/file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

#define READ_MAX (64u << 20)

/* Reads to the end into b. */
static int read_all(int fd, struct str *b)
{
	char chunk[16384];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n == 0)
			return 0;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (b->len + (size_t)n > READ_MAX)
			return -EFBIG;
		str_addn(b, chunk, (size_t)n);
	}
}

int file_read(const char *path, char **out, size_t *len)
{
	autoclose int opened = -1;
	int fd = STDIN_FILENO;
	if (!str_eq(path, "-")) {
		opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (opened < 0)
			return -errno;
		fd = opened;
	}
	autodone(str_done) struct str b = {0};
	int r = read_all(fd, &b);
	if (r < 0)
		return r;
	*len = b.len;
	*out = str_take(&b);
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The folder of `path`, with its slash; "" where the path has none. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return mem_strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

/* A rename lasts only once its folder is on the disk too. */
static int sync_folder(const char *folder)
{
	autoclose int fd = open(*folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int fill(int fd, const void *data, size_t len, mode_t mode)
{
	int r = write_all(fd, data, len);
	if (r < 0)
		return r;
	/* Not open()'s mode: the umask has no say in what the caller asked for. */
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* The file of no name takes the path. Replacing needs a name in between: it is always the same for a
 * path, so that what a killed process left goes with the next. */
static int place_unnamed(int fd, const char *folder, const char *path, bool over)
{
	char from[32];
	autodone(str_done) struct str temp = {0};
	const int how = AT_SYMLINK_FOLLOW;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (!over)
		return linkat(AT_FDCWD, from, AT_FDCWD, path, how) < 0 ? -errno : 0;
	/* A leading dot keeps it out of shell patterns, .include's among them. */
	str_addf(&temp, "%s.newgate-%s", folder, path + strlen(folder));
	for (;;) {
		if (linkat(AT_FDCWD, from, AT_FDCWD, temp.s, how) == 0) {
			if (rename(temp.s, path) == 0)
				return 0;
			int code = errno;
			unlink(temp.s);
			/* Another process that replaces the same file took it for a leftover. */
			if (code != ENOENT)
				return -code;
		} else if (errno != EEXIST || (unlink(temp.s) < 0 && errno != ENOENT)) {
			return -errno;
		}
	}
}

/* The same where the file system knows no files without a name. */
static int write_named(const char *folder, const char *path, const void *data, size_t len,
		       mode_t mode, bool over)
{
	autodone(str_done) struct str temp = {0};

	str_addf(&temp, "%s.newgate-XXXXXX", folder);
	autoclose int fd = mkostemp(temp.s, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fill(fd, data, len, mode);
	if (r == 0 && (over ? rename(temp.s, path) : link(temp.s, path)) < 0)
		r = -errno;
	if (r < 0 || !over)
		unlink(temp.s);
	return r;
}

/* Written aside, then put in its place in one step. */
static int write_whole(const char *path, const void *data, size_t len, mode_t mode, bool over)
{
	autofree char *folder = folder_of(path);
	autoclose int fd = open(*folder ? folder : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : fill(fd, data, len, mode);

	if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL)
		r = write_named(folder, path, data, len, mode, over);
	else if (r == 0)
		r = place_unnamed(fd, folder, path, over);
	return r < 0 ? r : sync_folder(folder);
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
	return write_whole(path, data, len, mode, true);
}

int file_create(const char *path, const void *data, size_t len, mode_t mode)
{
	return write_whole(path, data, len, mode, false);
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;
	if (mkdir(path, mode) == 0)
		return 0;
	int code = errno;
	/* A folder that is there is fine, also where mkdir says EROFS or EACCES about it. */
	if (stat(path, &st) < 0)
		return -code;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_mkdirs(const char *path, mode_t mode)
{
	autofree char *p = mem_strdup(path);
	for (char *s = p; *s; s++) {
		if (*s != '/' || s == p)
			continue;
		*s = '\0';
		int r = make_one(p, mode);
		*s = '/';
		if (r < 0)
			return r;
	}
	return make_one(p, mode);
}
