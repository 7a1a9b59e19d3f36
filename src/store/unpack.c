#include "store/unpack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "base/mem.h"
#include "store/copy.h"
#include "store/tools.h"
#include "sys/path.h"

struct attribute {
	const char *name;
	void *value;
	size_t len;
};

/* A directory gets its attributes when everything else is in place: times would change, and a
 * default ACL would be inherited. */
struct late_dir {
	char *path;
	struct archive_file file;
	struct attribute *attribute;
	size_t nattributes;
};

void unpack_done(struct unpack *u)
{
	free(u->late);
	arena_done(&u->arena);
	str_done(&u->last);
	map_done(&u->made);
}

int unpack_component(const char **p, char name[static NAME_MAX + 1])
{
	for (;;) {
		*p += strspn(*p, "/");
		size_t n = strcspn(*p, "/");
		if (n == 0)
			return 0;
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, *p, n);
		name[n] = '\0';
		*p += n;
		if (str_eq(name, ".."))
			return -EXDEV;
		if (!str_eq(name, "."))
			return 1;
	}
}

/* One may write below a name that an earlier layer made a link. */
static int open_linked(struct unpack *u, const char *path, const char *end)
{
	autofree char *folder = mem_strndup(path, (size_t)(end - path));
	int fd = path_open_beneath(u->tree, folder, O_RDONLY | O_DIRECTORY);

	return fd == -ENOTDIR || fd == -ENOENT ? -ELOOP : fd;
}

static int open_next(struct unpack *u, int dir, const char *name, const char *path, const char *end)
{
	int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (sub >= 0)
		return sub;
	if (errno != ENOTDIR && errno != ELOOP)
		return -errno;
	return u->flags & UNPACK_LAYER ? open_linked(u, path, end) : -ELOOP;
}

int unpack_open_folder(struct unpack *u, const char *path, bool make,
		       char name[static NAME_MAX + 1])
{
	autoclose int dir = openat(u->tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char next[NAME_MAX + 1];
	const char *at = path, *end;

	if (dir < 0)
		return -errno;
	if (path[0] == '/')
		return -EXDEV;
	int rc = unpack_component(&at, name);
	if (rc == 0)
		name[0] = '\0';
	while (rc > 0 && (end = at, rc = unpack_component(&at, next)) > 0) {
		if (make && mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		int sub = open_next(u, dir, name, path, end);
		if (sub < 0)
			return sub;
		macro_close(&dir);
		dir = sub;
		strcpy(name, next);
	}
	return rc < 0 ? rc : take_fd(&dir);
}

static void tell(struct unpack *u)
{
	off_t at = u->store && u->store->progress ? lseek(u->fd, 0, SEEK_CUR) : -1;

	if (at >= 0)
		u->store->progress(u->store->note_arg, u->what, u->before + (uint64_t)at, u->total);
}

static int fail(struct unpack *u, const char *path, int code)
{
	if (!*path)
		path = "the top directory";
	if (code == -EXDEV)
		return err_set(u->err, EXDEV, "%.1024s: this name leads out of the tree", path);
	if (code == -ELOOP)
		return err_set(u->err, ELOOP, "%.1024s: goes through a link or a file", path);
	if (code == -EEXIST)
		return err_set(u->err, EEXIST, "%.1024s: is in it twice", path);
	if (code == -ENODEV)
		return err_set(u->err, ENODEV, "%.1024s: is a device", path);
	return err_sys(u->err, code, "%.1024s", path);
}

static int file_attributes(struct unpack *u, int fd, const struct archive_file *f)
{
	const char *name;
	const void *value;
	size_t len;

	if (fchown(fd, f->uid, f->gid) < 0 || fchmod(fd, f->mode & 07777) < 0)
		return -errno;
	while (u->module->xattr(u->archive, &name, &value, &len) > 0)
		if (copy_wants_xattr(name, 0) && fsetxattr(fd, name, value, len, 0) < 0)
			return -errno;
	const struct timespec times[2] = {f->mtime, f->mtime};
	return futimens(fd, times) < 0 ? -errno : 0;
}

static int write_data(struct unpack *u, int fd)
{
	const void *piece;
	size_t len;
	int64_t offset;
	int rc;

	while ((rc = u->module->data(u->archive, &piece, &len, &offset)) > 0) {
		const char *p = piece;
		while (len > 0) {
			ssize_t n = pwrite(fd, p, len, offset);
			if (n < 0)
				return -errno;
			p += n;
			offset += n;
			len -= (size_t)n;
		}
		tell(u);
	}
	return rc < 0 ? -EBADMSG : 0;
}

static int make_file(struct unpack *u, int dir, const char *name, const struct archive_file *f)
{
	autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	int rc = write_data(u, fd);
	if (rc == 0 && ftruncate(fd, f->size) < 0)
		rc = -errno;
	return rc < 0 ? rc : file_attributes(u, fd, f);
}

static int make_hard_link(struct unpack *u, int dir, const char *name, const struct archive_file *f)
{
	char first[NAME_MAX + 1];
	autoclose int at = unpack_open_folder(u, f->link, false, first);

	if (at < 0)
		return at;
	return linkat(at, first, dir, name, 0) < 0 ? -errno : 0;
}

static int make_link(int dir, const char *name, const struct archive_file *f)
{
	const struct timespec times[2] = {f->mtime, f->mtime};

	if (symlinkat(f->link, dir, name) < 0 ||
	    fchownat(dir, name, f->uid, f->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int make_fifo(int dir, const char *name, const struct archive_file *f)
{
	const struct timespec times[2] = {f->mtime, f->mtime};

	if (mkfifoat(dir, name, 0600) < 0 ||
	    fchownat(dir, name, f->uid, f->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name, f->mode & 07777, 0) < 0 ||
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static void remember_dir(struct unpack *u, const struct archive_file *f)
{
	const char *name;
	const void *value;
	size_t len;

	u->late = mem_grow(u->late, u->nlate, sizeof(*u->late));
	struct late_dir *d = &u->late[u->nlate++];
	*d = (struct late_dir){.path = arena_strndup(&u->arena, f->path, strlen(f->path)),
			       .file = *f};
	while (u->module->xattr(u->archive, &name, &value, &len) > 0) {
		if (!copy_wants_xattr(name, 0))
			continue;
		struct attribute *v = arena_alloc(&u->arena, (d->nattributes + 1) * sizeof(*v));
		if (d->nattributes > 0)
			memcpy(v, d->attribute, d->nattributes * sizeof(*v));
		void *copy = arena_alloc(&u->arena, len + 1);
		memcpy(copy, value, len);
		v[d->nattributes++] =
		    (struct attribute){arena_strndup(&u->arena, name, strlen(name)), copy, len};
		d->attribute = v;
	}
}

static int make_dir(struct unpack *u, int dir, const char *name, const struct archive_file *f)
{
	/* Rooms for its entries first; "" is the tree itself. */
	if (name[0] != '\0' && mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	remember_dir(u, f);
	return 0;
}

/* A later entry replaces an earlier one, as when tar appended it; in a stream, what the tree had. */
static int make_way(int dir, const char *name, bool for_dir, unsigned flags)
{
	struct stat st;

	if (name[0] == '\0')
		return for_dir ? 0 : -EISDIR;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if ((flags & UNPACK_STRICT) && !(flags & UNPACK_OVER))
		return -EEXIST;
	if (S_ISDIR(st.st_mode) && !for_dir)
		return flags & UNPACK_LAYER ? path_remove_tree(dir, name) : -EISDIR;
	if (S_ISDIR(st.st_mode))
		return 0;
	return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

static int make_entry(struct unpack *u, int dir, const char *name, const struct archive_file *f)
{
	if (f->hard)
		return make_hard_link(u, dir, name, f);
	if (S_ISDIR(f->mode))
		return make_dir(u, dir, name, f);
	if (S_ISREG(f->mode))
		return make_file(u, dir, name, f);
	if (S_ISLNK(f->mode))
		return make_link(dir, name, f);
	if (S_ISFIFO(f->mode))
		return make_fifo(dir, name, f);
	/* Devices and sockets are left out: a jail has a /dev of its own. */
	return u->flags & UNPACK_STRICT ? -ENODEV : 0;
}

int unpack_order(const char *a, const char *b)
{
	while (*a == *b && *a)
		a++, b++;
	/* A slash ends a name: it comes before every byte that a name can have. */
	int x = *a == '/' ? 1 : (unsigned char)*a + (*a ? 1 : 0);
	int y = *b == '/' ? 1 : (unsigned char)*b + (*b ? 1 : 0);
	return x - y;
}

/* In order each name comes once, and no folder can become something else behind its entry. */
static int check_order(struct unpack *u, const char *path)
{
	int rc = unpack_order(str_text(&u->last), path);

	if (rc == 0 && u->late)
		return err_set(u->err, EBADMSG, "%.1024s: is in it twice", path);
	if (rc > 0)
		return err_set(u->err, EBADMSG, "%.1024s: is not in its place, behind %.512s", path,
			       str_text(&u->last));
	u->last.len = 0;
	str_add(&u->last, path);
	return 0;
}

int unpack_entry(struct unpack *u, const struct archive_file *f)
{
	bool strict = u->flags & UNPACK_STRICT;
	char name[NAME_MAX + 1];
	bool layer = u->flags & UNPACK_LAYER;
	int rc = strict ? check_order(u, f->path) : 0;
	if (rc < 0)
		return rc;
	if (layer && (rc = layer_whiteout(u, f->path)) != 0)
		return rc < 0 ? fail(u, f->path, rc) : 0;
	autoclose int dir = unpack_open_folder(u, f->path, !strict, name);
	rc = dir < 0 ? dir : make_way(dir, name, S_ISDIR(f->mode) && !f->hard, u->flags);
	if (rc == 0)
		rc = make_entry(u, dir, name, f);
	if (rc == 0 && layer)
		layer_made(u, f->path);
	if (rc == -EBADMSG)
		return err_set(u->err, EBADMSG, "%.1024s: %s", f->path,
			       u->module->error(u->archive));
	return rc < 0 ? fail(u, f->path, rc) : 0;
}

/* What an earlier layer, or an earlier state of the tree, gave the directory. */
static int forget_attributes(int fd)
{
	char names[65536]; /* the kernel's limit */
	ssize_t all = flistxattr(fd, names, sizeof(names));

	if (all < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (const char *name = names; name < names + all; name += strlen(name) + 1)
		if (copy_wants_xattr(name, 0) && fremovexattr(fd, name) < 0 && errno != ENODATA)
			return -errno;
	return 0;
}

static int finish_dir(struct unpack *u, const struct late_dir *d)
{
	char name[NAME_MAX + 1];
	autoclose int dir = unpack_open_folder(u, d->path, false, name);
	if (dir < 0)
		return dir;
	autoclose int fd =
	    openat(dir, name[0] ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = u->flags & (UNPACK_LAYER | UNPACK_OVER) ? forget_attributes(fd) : 0;
	if (rc < 0)
		return rc;
	if (fchown(fd, d->file.uid, d->file.gid) < 0 || fchmod(fd, d->file.mode & 07777) < 0)
		return -errno;
	for (size_t i = 0; i < d->nattributes; i++)
		if (fsetxattr(fd, d->attribute[i].name, d->attribute[i].value, d->attribute[i].len,
			      0) < 0)
			return -errno;
	const struct timespec times[2] = {d->file.mtime, d->file.mtime};
	return futimens(fd, times) < 0 ? -errno : 0;
}

int unpack_remove(struct unpack *u, const char *path)
{
	char name[NAME_MAX + 1];
	autoclose int dir = unpack_open_folder(u, path, false, name);
	int rc = dir < 0 ? dir : name[0] ? path_remove_detached(dir, name) : -EINVAL;

	return rc < 0 ? fail(u, path, rc) : 0;
}

int unpack_finish(struct unpack *u)
{
	for (size_t i = u->nlate; i-- > 0;) {
		int rc = finish_dir(u, &u->late[i]);
		bool gone = rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP;
		if (rc < 0 && (!gone || (u->flags & UNPACK_STRICT)))
			return fail(u, u->late[i].path, rc);
	}
	return 0;
}

int unpack_all(struct unpack *u)
{
	struct archive_file f;
	size_t entries = 0;
	int rc;

	while ((rc = u->module->next(u->archive, &f)) > 0) {
		entries++;
		tell(u);
		rc = unpack_entry(u, &f);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return err_set(u->err, EBADMSG, "%s", u->module->error(u->archive));
	if (entries == 0 && !(u->flags & UNPACK_LAYER))
		return err_set(u->err, EBADMSG, "it holds no files");
	return unpack_finish(u);
}

int make_unpacked(struct store *s, const char *file, int tree, struct ng_err *err)
{
	autoclose int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", file);
	autodone(unpack_done) struct unpack u = {
	    .module = archive_load(err),
	    .tree = tree,
	    .err = err,
	    .store = s,
	    .what = file,
	    .fd = fd,
	    .total = (uint64_t)st.st_size,
	};
	if (!u.module)
		return -err->code;
	u.archive = u.module->open(fd);
	if (!u.archive)
		return err_sys(err, ENOMEM, "%s", file);
	int rc = unpack_all(&u);
	u.module->close(u.archive);
	return rc < 0 ? err_prefix(err, "unpacking %s", file) : 0;
}
