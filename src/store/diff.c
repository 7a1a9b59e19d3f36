#include "store/diff.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/copy.h"

#define ROOM (128 * 1024)
#define XATTR_ROOM 65536

struct diff {
	bool quick;
	void (*fn)(void *arg, enum diff_what what, const char *path);
	void *arg;
	struct str path;
	char *buf[2]; /* ROOM each */
	struct ng_err *err;
};

static void diff_done(struct diff *d)
{
	str_done(&d->path);
	free(d->buf[0]);
	free(d->buf[1]);
}

static int fail(struct diff *d, int code)
{
	return err_sys(d->err, code, "%.1024s", d->path.len > 0 ? d->path.s : "/");
}

static int open_at(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* 1: the same, 0, -errno. */
static int same_bytes(struct diff *d, int a, int b)
{
	for (;;) {
		ssize_t n = read(a, d->buf[0], ROOM), got = 0;
		if (n < 0)
			return -errno;
		while (got < n || n == 0) {
			ssize_t m = read(b, d->buf[1] + got, n == 0 ? 1 : (size_t)(n - got));
			if (m < 0)
				return -errno;
			if (m == 0)
				break;
			got += m;
			if (n == 0)
				return 0;
		}
		if (got != n || memcmp(d->buf[0], d->buf[1], (size_t)n) != 0)
			return 0;
		if (n == 0)
			return 1;
	}
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "name=value" of what counts, in order; the value may hold NUL, and so is measured. */
static int read_xattrs(int fd, struct str *out)
{
	autofree char *list = mem_alloc(XATTR_ROOM), *value = mem_alloc(XATTR_ROOM);
	autodone(strv_done) struct strv names = {0};
	ssize_t all = flistxattr(fd, list, XATTR_ROOM);

	if (all < 0)
		return errno == EOPNOTSUPP || errno == EBADF ? 0 : -errno;
	for (char *name = list; name < list + all; name += strlen(name) + 1)
		if (copy_wants_xattr(name, 0))
			strv_add(&names, name);
	if (names.n > 1)
		qsort(names.v, names.n, sizeof(*names.v), compare_text);
	for (size_t i = 0; i < names.n; i++) {
		ssize_t n = fgetxattr(fd, names.v[i], value, XATTR_ROOM);
		if (n < 0 && errno != ENODATA)
			return -errno;
		str_addf(out, "%s=%zd:", names.v[i], n);
		str_addn(out, value, n < 0 ? 0 : (size_t)n);
	}
	return 0;
}

static int same_xattrs(int a, int b)
{
	autodone(str_done) struct str x = {0}, y = {0};
	int rc = read_xattrs(a, &x);

	if (rc == 0)
		rc = read_xattrs(b, &y);
	if (rc < 0)
		return rc;
	return x.len == y.len && (x.len == 0 || memcmp(x.s, y.s, x.len) == 0);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Some file systems count whole seconds, in which a file can change twice. */
static bool is_untouched(const struct diff *d, const struct stat *a, const struct stat *b)
{
	if (same_time(&a->st_ctim, &b->st_ctim) && a->st_ctim.tv_nsec != 0)
		return true;
	return d->quick && same_time(&a->st_mtim, &b->st_mtim);
}

static int same_file(struct diff *d, int before, int after, const char *name, const struct stat *a,
		     const struct stat *b)
{
	if (a->st_size != b->st_size)
		return 0;
	autoclose int x = open_at(before, name, O_RDONLY);
	autoclose int y = open_at(after, name, O_RDONLY);
	if (x < 0 || y < 0)
		return x < 0 ? x : y;
	int rc = same_xattrs(x, y);
	return rc <= 0 || is_untouched(d, a, b) ? rc : same_bytes(d, x, y);
}

static int same_link(struct diff *d, int before, int after, const char *name)
{
	ssize_t n = readlinkat(before, name, d->buf[0], ROOM);
	ssize_t m = readlinkat(after, name, d->buf[1], ROOM);

	if (n < 0 || m < 0)
		return -errno;
	return n == m && memcmp(d->buf[0], d->buf[1], (size_t)n) == 0;
}

static int same_dir(int before, int after, const char *name)
{
	autoclose int x = open_at(before, name, O_RDONLY | O_DIRECTORY);
	autoclose int y = open_at(after, name, O_RDONLY | O_DIRECTORY);

	return x < 0 ? x : y < 0 ? y : same_xattrs(x, y);
}

/* 1, 0, -errno. Both are there. */
static int same_entry(struct diff *d, int before, int after, const char *name, const struct stat *a,
		      const struct stat *b)
{
	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		return 0;
	switch (a->st_mode & S_IFMT) {
	case S_IFREG:
		return same_file(d, before, after, name, a, b);
	case S_IFLNK:
		return same_link(d, before, after, name);
	case S_IFDIR:
		return same_dir(before, after, name);
	case S_IFCHR:
	case S_IFBLK:
		return a->st_rdev == b->st_rdev;
	default:
		return 1;
	}
}

static int walk(struct diff *d, int before, int after);

/* Folders of the name on both sides, or on the one where it is one. */
static int descend(struct diff *d, int before, int after, const char *name, bool in_before,
		   bool in_after)
{
	autoclose int x = in_before ? open_at(before, name, O_RDONLY | O_DIRECTORY) : -ENOENT;
	autoclose int y = in_after ? open_at(after, name, O_RDONLY | O_DIRECTORY) : -ENOENT;

	if ((in_before && x < 0) || (in_after && y < 0))
		return fail(d, in_before && x < 0 ? x : y);
	return walk(d, x, y);
}

static int compare_entry(struct diff *d, int before, int after, const char *name)
{
	struct stat a, b;
	bool in_before = before >= 0 && fstatat(before, name, &a, AT_SYMLINK_NOFOLLOW) == 0;
	bool in_after = after >= 0 && fstatat(after, name, &b, AT_SYMLINK_NOFOLLOW) == 0;
	/* A file that became a folder is changed, and what is in it is added. */
	bool dir_before = in_before && S_ISDIR(a.st_mode),
	     dir_after = in_after && S_ISDIR(b.st_mode);
	int same = in_before && in_after ? same_entry(d, before, after, name, &a, &b) : 0;

	if (same == -ENOENT || (!in_before && !in_after))
		return 0; /* removed since its folder was read */
	if (same < 0)
		return fail(d, same);
	if (!same)
		d->fn(d->arg,
		      !in_before ? DIFF_ADDED
		      : in_after ? DIFF_CHANGED
				 : DIFF_REMOVED,
		      d->path.s);
	if (!dir_before && !dir_after)
		return 0;
	return descend(d, before, after, name, dir_before, dir_after);
}

static int all_names(struct diff *d, int before, int after, struct strv *names)
{
	int rc = before >= 0 ? copy_names(before, names) : 0;

	if (rc == 0 && after >= 0)
		rc = copy_names(after, names);
	if (rc < 0)
		return fail(d, rc);
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(*names->v), compare_text);
	return 0;
}

static int walk(struct diff *d, int before, int after)
{
	autodone(strv_done) struct strv names = {0};
	size_t here = d->path.len;
	int rc = all_names(d, before, after, &names);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		if (i > 0 && str_eq(names.v[i], names.v[i - 1]))
			continue;
		str_addc(&d->path, '/');
		str_add(&d->path, names.v[i]);
		rc = compare_entry(d, before, after, names.v[i]);
		d->path.len = here;
		d->path.s[here] = '\0';
	}
	return rc;
}

int diff_trees(int before, int after, bool quick,
	       void (*fn)(void *arg, enum diff_what what, const char *path), void *arg,
	       struct ng_err *err)
{
	autodone(diff_done) struct diff d = {
	    .quick = quick,
	    .fn = fn,
	    .arg = arg,
	    .buf = {mem_alloc(ROOM), mem_alloc(ROOM)},
	    .err = err,
	};

	return walk(&d, before, after);
}
