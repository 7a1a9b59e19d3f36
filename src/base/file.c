#include "base/file.h"

#include <fcntl.h>
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

/* Written beside it, then put in its place in one step by `place`. */
static int write_beside(const char *path, const void *data, size_t len, mode_t mode,
			int (*place)(const char *temp, const char *path))
{
	autofree char *folder = folder_of(path);
	autodone(str_done) struct str temp = {0};
	/* A leading dot keeps it out of shell patterns, .include's among them. */
	str_addf(&temp, "%s.newgate-XXXXXX", folder);
	autoclose int fd = mkostemp(temp.s, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fill(fd, data, len, mode);
	if (r == 0 && place(temp.s, path) < 0)
		r = -errno;
	if (r < 0 || place != rename)
		unlink(temp.s);
	return r < 0 ? r : sync_folder(folder);
}

int file_replace(const char *path, const void *data, size_t len, mode_t mode)
{
	return write_beside(path, data, len, mode, rename);
}

int file_create(const char *path, const void *data, size_t len, mode_t mode)
{
	return write_beside(path, data, len, mode, link);
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
