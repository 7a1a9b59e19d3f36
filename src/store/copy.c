#include "store/copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "base/mem.h"
#include "base/str.h"
#include "sys/disk.h"
#include "store/links.h"
#include "store/store.h"

#define XATTR_ROOM 65536 /* the kernel's limit for a list of names and for a value */
#define DATA_ROOM (256 * 1024)
#define RANGE_MAX (64 << 20) /* at once: between two, it can be told how far the copy is */

struct copy {
	unsigned flags;
	bool unshared;        /* its file system cannot share blocks with that of src */
	int root;             /* of the copy */
	uint64_t mount;       /* the mount that src is on */
	struct statx skip[2]; /* directories that are left empty: dst, and the caller's */
	struct str path;      /* of what is being copied, from the root on; "" is the root itself */
	struct links links;   /* by their path below the copy's root */
	char *names, *value;  /* XATTR_ROOM each */
	char *data;           /* DATA_ROOM, where copy_file_range cannot */
	const struct copy_watch *watch; /* or NULL */
	uint64_t moved;
	struct ng_err *err;
};

static void moved(struct copy *c, ssize_t bytes)
{
	c->moved += (uint64_t)bytes;
	if (c->watch && c->watch->s->progress)
		c->watch->s->progress(c->watch->s->note_arg, c->watch->what, c->moved,
				      c->watch->total);
}

static void copy_done(struct copy *c)
{
	str_done(&c->path);
	links_done(&c->links);
	free(c->names);
	free(c->value);
	free(c->data);
}

static int fail(struct copy *c, int code)
{
	const char *path = c->path.len > 0 ? str_text(&c->path) + 1 : "the top directory";

	if (code == EMFILE)
		return err_set(c->err, code, "%.1024s: folders are nested too deeply", path);
	return err_sys(c->err, code, "%.1024s", path);
}

static uint64_t device_of(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

static bool same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && device_of(a) == device_of(b);
}

static int look(int dir, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

	return statx(dir, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, st) < 0 ? -errno : 0;
}

int copy_names(int dir, struct strv *names)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *d = fdopendir(fd);
	if (!d) {
		int code = errno;
		close(fd);
		return -code;
	}
	struct dirent *e;
	while ((errno = 0, e = readdir(d)))
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			strv_add(names, e->d_name);
	int code = errno;
	closedir(d);
	return -code;
}

bool copy_wants_xattr(const char *name, unsigned flags)
{
	if (str_prefix(name, "user.overlay.") || str_prefix(name, "trusted.overlay."))
		return flags & COPY_UPPER;
	if (str_prefix(name, "trusted.newgate."))
		return false;
	/* What newgate notes for itself on the way. */
	if (str_prefix(name, "trusted.newgate."))
		return false;
	return str_prefix(name, "user.") || str_prefix(name, "trusted.") ||
	       str_prefix(name, "system.posix_acl_") || str_eq(name, "security.capability");
}

static int copy_xattrs(struct copy *c, int src, int dst)
{
	ssize_t all = flistxattr(src, c->names, XATTR_ROOM);

	if (all < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (char *name = c->names; name < c->names + all; name += strlen(name) + 1) {
		if (!copy_wants_xattr(name, c->flags))
			continue;
		ssize_t n = fgetxattr(src, name, c->value, XATTR_ROOM);
		if (n < 0 && errno == ENODATA)
			continue;
		if (n < 0 || fsetxattr(dst, name, c->value, (size_t)n, 0) < 0)
			return -errno;
	}
	return 0;
}

static void times_of(const struct statx *st, struct timespec out[static 2])
{
	out[0] = (struct timespec){st->stx_atime.tv_sec, st->stx_atime.tv_nsec};
	out[1] = (struct timespec){st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec};
}

/* The order matters: a new owner clears the setuid bits and capabilities, a mode changes an ACL's
 * mask, and all but the times change the times. */
static int copy_attributes(struct copy *c, int src, int dst, const struct statx *st)
{
	struct timespec times[2];

	if (fchown(dst, st->stx_uid, st->stx_gid) < 0 || fchmod(dst, st->stx_mode & 07777) < 0)
		return -errno;
	int rc = copy_xattrs(c, src, dst);
	if (rc < 0)
		return rc;
	times_of(st, times);
	return futimens(dst, times) < 0 ? -errno : 0;
}

/* The same for what has no descriptor of its own: links, pipes, whiteouts. */
static int copy_attributes_at(int dst, const char *name, const struct statx *st)
{
	struct timespec times[2];

	if (fchownat(dst, name, st->stx_uid, st->stx_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISLNK(st->stx_mode) && fchmodat(dst, name, st->stx_mode & 07777, 0) < 0)
		return -errno;
	times_of(st, times);
	return utimensat(dst, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Makes dst/name a link where the file was copied already (1), else remembers it (0). */
static int link_again(struct copy *c, int dst, const char *name, const struct statx *st)
{
	const char *first = links_first(&c->links, device_of(st), st->stx_ino, c->path.s + 1);

	if (!first)
		return 0;
	if (linkat(c->root, first, dst, name, 0) == 0)
		return 1;
	/* Too many links for this file system, or too long a path: a second copy then. */
	return errno == EMLINK || errno == ENAMETOOLONG ? 0 : -errno;
}

static int copy_bytes(struct copy *c, int in, int out, off_t at, off_t end)
{
	if (!c->data)
		c->data = mem_alloc(DATA_ROOM);
	while (at < end) {
		size_t want = end - at < DATA_ROOM ? (size_t)(end - at) : DATA_ROOM;
		ssize_t n = pread(in, c->data, want, at);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (ssize_t done = 0; done < n;) {
			ssize_t m = pwrite(out, c->data + done, (size_t)(n - done), at + done);
			if (m < 0)
				return -errno;
			done += m;
		}
		at += n;
		moved(c, n);
	}
	return 0;
}

/* copy_file_range(2) shares the blocks where the file system can. An end of file in the middle
 * means that somebody shortened the file meanwhile: the copy has the rest as a hole. */
static int copy_range(struct copy *c, int in, int out, off_t at, off_t end)
{
	if (c->flags & COPY_APART)
		return copy_bytes(c, in, out, at, end);
	while (at < end) {
		off_t from = at, to = at;
		size_t want = end - at < RANGE_MAX ? (size_t)(end - at) : RANGE_MAX;
		ssize_t n = copy_file_range(in, &from, out, &to, want, 0);
		if (n == 0)
			return 0;
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS ||
			      errno == EOPNOTSUPP || errno == ETXTBSY))
			return copy_bytes(c, in, out, at, end);
		if (n < 0)
			return -errno;
		at += n;
		moved(c, n);
	}
	return 0;
}

/* All of it at once, holes included: 1, 0 where the file systems cannot, which then holds for the
 * rest of the tree too. */
static int share_data(struct copy *c, int in, int out)
{
	if (c->unshared || c->flags & COPY_APART)
		return 0;
	int rc = disk_share(in, out);
	c->unshared = rc == -EOPNOTSUPP || rc == -EXDEV || rc == -ENOTTY;
	return rc == 0 ? 1 : rc == -EINVAL || c->unshared ? 0 : rc;
}

static int copy_data(struct copy *c, int in, int out, off_t size)
{
	off_t at = 0;
	int shared = size > 0 ? share_data(c, in, out) : 0;

	if (shared != 0)
		return shared < 0 ? shared : 0;
	while (at < size) {
		off_t data = lseek(in, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		off_t hole = data < 0 ? -1 : lseek(in, data, SEEK_HOLE);
		if (hole < 0) {
			if (errno != EINVAL && errno != EOPNOTSUPP)
				return -errno;
			data = at;
			hole = size;
		}
		int rc = copy_range(c, in, out, data, hole < size ? hole : size);
		if (rc < 0)
			return rc;
		at = hole;
	}
	return ftruncate(out, size) < 0 ? -errno : 0;
}

static int copy_file(struct copy *c, int src, int dst, const char *name)
{
	autoclose int in = openat(src, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct statx st;

	if (in < 0)
		return -errno;
	int rc = look(in, "", &st);
	if (rc < 0)
		return rc;
	if (!S_ISREG(st.stx_mode))
		return -EAGAIN; /* replaced by something else since we looked */
	autoclose int out = openat(dst, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	rc = copy_data(c, in, out, (off_t)st.stx_size);
	return rc < 0 ? rc : copy_attributes(c, in, out, &st);
}

static int copy_link(int src, int dst, const char *name, const struct statx *st)
{
	char target[4096 + 1];
	ssize_t n = readlinkat(src, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, dst, name) < 0)
		return -errno;
	return copy_attributes_at(dst, name, st);
}

static int copy_node(int dst, const char *name, const struct statx *st)
{
	if (mknodat(dst, name, st->stx_mode & (S_IFMT | 0700), 0) < 0)
		return -errno;
	return copy_attributes_at(dst, name, st);
}

static int copy_contents(struct copy *c, int src, int dst);

static int copy_dir(struct copy *c, int src, int dst, const char *name, const struct statx *st)
{
	autoclose int in = -1;
	autoclose int out = -1;

	if (mkdirat(dst, name, 0700) < 0)
		return fail(c, errno);
	in = openat(src, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		return fail(c, errno);
	out = openat(dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return fail(c, errno);
	bool foreign = st->stx_mnt_id != c->mount || same(st, &c->skip[0]) || same(st, &c->skip[1]);
	int rc = foreign ? 0 : copy_contents(c, in, out);
	if (rc < 0)
		return rc;
	/* Last: a default ACL set earlier would be inherited by the copies inside. */
	rc = copy_attributes(c, in, out, st);
	return rc < 0 ? fail(c, rc) : 0;
}

static int copy_entry(struct copy *c, int src, int dst, const char *name)
{
	struct statx st;
	int rc = look(src, name, &st);

	if (rc == -ENOENT)
		return 0; /* removed since the directory was read */
	if (rc < 0)
		return fail(c, rc);
	if (S_ISDIR(st.stx_mode))
		return copy_dir(c, src, dst, name, &st);
	if (st.stx_mnt_id != c->mount)
		return 0;
	if (st.stx_nlink > 1 && (S_ISREG(st.stx_mode) || S_ISLNK(st.stx_mode))) {
		rc = link_again(c, dst, name, &st);
		if (rc != 0)
			return rc < 0 ? fail(c, rc) : 0;
	}
	bool whiteout = S_ISCHR(st.stx_mode) && st.stx_rdev_major == 0 && st.stx_rdev_minor == 0;
	if (S_ISREG(st.stx_mode))
		rc = copy_file(c, src, dst, name);
	else if (S_ISLNK(st.stx_mode))
		rc = copy_link(src, dst, name, &st);
	else if (S_ISFIFO(st.stx_mode) || (whiteout && (c->flags & COPY_UPPER)))
		rc = copy_node(dst, name, &st);
	return rc < 0 ? fail(c, rc) : 0;
}

static int copy_contents(struct copy *c, int src, int dst)
{
	autodone(strv_done) struct strv names = {0};
	size_t here = c->path.len;
	int rc = copy_names(src, &names);

	if (rc < 0)
		return fail(c, rc);
	for (size_t i = 0; i < names.n; i++) {
		str_addc(&c->path, '/');
		str_add(&c->path, names.v[i]);
		rc = copy_entry(c, src, dst, names.v[i]);
		if (rc < 0)
			return rc;
		c->path.len = here;
		c->path.s[here] = '\0';
	}
	return 0;
}

static struct copy copy_make(int dst, unsigned flags, struct ng_err *err)
{
	return (struct copy){
	    .flags = flags,
	    .root = dst,
	    .names = mem_alloc(XATTR_ROOM),
	    .value = mem_alloc(XATTR_ROOM),
	    .err = err,
	};
}

int copy_tree(int src, int dst, unsigned flags, int skip, struct ng_err *err)
{
	return copy_tree_watched(src, dst, flags, skip, NULL, err);
}

int copy_tree_watched(int src, int dst, unsigned flags, int skip, const struct copy_watch *watch,
		      struct ng_err *err)
{
	autodone(copy_done) struct copy c = copy_make(dst, flags, err);
	struct statx st;
	int rc = look(src, "", &st);

	c.watch = watch;

	if (rc == 0)
		rc = look(dst, "", &c.skip[0]);
	if (rc == 0 && skip >= 0)
		rc = look(skip, "", &c.skip[1]);
	if (rc < 0)
		return fail(&c, rc);
	c.mount = st.stx_mnt_id;
	rc = copy_contents(&c, src, dst);
	if (rc < 0)
		return rc;
	rc = copy_attributes(&c, src, dst, &st);
	return rc < 0 ? fail(&c, rc) : 0;
}

int copy_one(int src, int dst, const char *name, struct ng_err *err)
{
	autodone(copy_done) struct copy c = copy_make(dst, 0, err);
	struct statx st;
	int rc = look(src, name, &st);

	str_addf(&c.path, "/%s", name);
	if (rc < 0)
		return fail(&c, rc);
	/* As what is mounted inside: a folder stays empty. */
	c.mount = S_ISDIR(st.stx_mode) ? st.stx_mnt_id + 1 : st.stx_mnt_id;
	return copy_entry(&c, src, dst, name);
}

int copy_dir_attributes(int src, int dst, unsigned flags, struct ng_err *err)
{
	autodone(copy_done) struct copy c = copy_make(dst, flags, err);
	struct statx st;
	int rc = look(src, "", &st);

	if (rc == 0)
		rc = copy_attributes(&c, src, dst, &st);
	return rc < 0 ? fail(&c, rc) : 0;
}
