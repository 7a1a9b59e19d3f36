#include "store/export.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "store/changes.h"
#include "store/copy.h"
#include "store/measure.h"
#include "store/stream.h"
#include "store/unpack.h"
#include "store/walk.h"
#include "sys/path.h"

#define DATA_ROOM (256 * 1024)
#define LINK_ROOM 4096

struct exporting {
	const struct store *s;
	const struct export_how *how;
	struct stream_info info; /* borrowed strings */
	int root, old;           /* the tree; of changes what it was, else -1 */
	struct changes changes;
	size_t at; /* the first of changes.put that is not written yet */
	const struct stream_module *m;
	void *out;
	struct str name; /* "root/…" */
	struct walk_xattrs xattrs;
	struct stream_extent *extent;
	size_t nextents;
	char *data;
	uint64_t read;
	struct ng_err *err;
};

static void exporting_done(struct exporting *x)
{
	if (x->out)
		x->m->destroy(x->out);
	walk_xattrs_done(&x->xattrs);
	changes_done(&x->changes);
	str_done(&x->name);
	free(x->extent);
	free(x->data);
}

static int told(struct exporting *x)
{
	return err_set(x->err, EIO, "%s", x->m->write_fault(x->out));
}

static int fail(struct exporting *x, const struct walk_entry *e, int code)
{
	return err_sys(x->err, code, "reading %.1024s", *e->path ? e->path : "the top directory");
}

static void tell(struct exporting *x)
{
	const struct store *s = x->s;

	if (s->progress)
		s->progress(s->note_arg, x->info.jail, x->read, x->info.bytes);
}

/* Where its data are. A file system that does not tell says that all of it is. */
static int find_extents(struct exporting *x, int fd, int64_t size)
{
	int64_t at = 0;

	x->nextents = 0;
	while (at < size) {
		int64_t data = lseek(fd, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break;
		int64_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0 && errno != EINVAL && errno != EOPNOTSUPP)
			return -errno;
		if (hole < 0) {
			data = at;
			hole = size;
		}
		/* It may grow meanwhile. */
		if (data >= size)
			break;
		if (hole > size)
			hole = size;
		x->extent = mem_grow(x->extent, x->nextents, sizeof(*x->extent));
		x->extent[x->nextents++] = (struct stream_extent){data, hole - data};
		at = hole;
	}
	return 0;
}

static int put_data(struct exporting *x, const struct walk_entry *e, int fd)
{
	if (!x->data)
		x->data = mem_alloc(DATA_ROOM);
	for (size_t i = 0; i < x->nextents; i++) {
		int64_t at = x->extent[i].at, end = at + x->extent[i].len;
		while (at < end) {
			size_t want = end - at < DATA_ROOM ? (size_t)(end - at) : DATA_ROOM;
			ssize_t n = pread(fd, x->data, want, at);
			if (n < 0)
				return fail(x, e, -errno);
			/* Shortened meanwhile: the rest of what was announced is zero. */
			if (n == 0)
				memset(x->data, 0, want);
			n = n == 0 ? (ssize_t)want : n;
			if (x->m->write(x->out, x->data, (size_t)n) < 0)
				return told(x);
			at += n;
			x->read += (uint64_t)n;
			tell(x);
		}
	}
	return 0;
}

static struct archive_file describe(struct exporting *x, const struct walk_entry *e)
{
	x->name.len = 0;
	str_addf(&x->name, STREAM_ROOT "%s%s", *e->path ? "/" : "", e->path);
	return (struct archive_file){
	    .path = x->name.s,
	    .mode = e->st.stx_mode,
	    .uid = e->st.stx_uid,
	    .gid = e->st.stx_gid,
	    .mtime = {e->st.stx_mtime.tv_sec, e->st.stx_mtime.tv_nsec},
	};
}

/* A file or a folder, which have attributes. */
static int put_opened(struct exporting *x, const struct walk_entry *e, struct archive_file *f)
{
	autoclose int fd = openat(e->dir, *e->name ? e->name : ".",
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail(x, e, -errno);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return fail(x, e, -errno);
	if ((st.st_mode & S_IFMT) != (f->mode & S_IFMT))
		return fail(x, e, -EAGAIN); /* replaced by something else since */
	int rc = walk_read_xattrs(&x->xattrs, fd);
	x->nextents = 0;
	if (rc == 0 && S_ISREG(f->mode)) {
		f->size = st.st_size;
		rc = find_extents(x, fd, f->size);
	}
	if (rc < 0)
		return fail(x, e, rc);
	if (x->m->put(x->out, f, x->xattrs.v, x->xattrs.n, x->extent, x->nextents) < 0)
		return told(x);
	return put_data(x, e, fd);
}

static int put_named(struct exporting *x, const struct archive_file *f)
{
	return x->m->put(x->out, f, NULL, 0, NULL, 0) < 0 ? told(x) : 0;
}

static int put_link(struct exporting *x, const struct walk_entry *e, struct archive_file *f)
{
	char target[LINK_ROOM + 1];
	ssize_t n = readlinkat(e->dir, e->name, target, sizeof(target) - 1);

	if (n < 0)
		return errno == ENOENT ? 0 : fail(x, e, -errno);
	target[n] = '\0';
	f->link = target;
	return put_named(x, f);
}

static int put_again(struct exporting *x, const struct walk_entry *e, struct archive_file *f)
{
	struct str first autodone(str_done) = {0};

	str_addf(&first, STREAM_ROOT "/%s", e->first);
	f->link = first.s;
	f->hard = true;
	return put_named(x, f);
}

/* What is gone again since it was compared is passed over. */
static bool is_wanted(struct exporting *x, const char *path)
{
	const struct strv *put = &x->changes.put;
	int order = 1;

	if (x->old < 0)
		return true;
	while (x->at < put->n && (order = unpack_order(put->v[x->at], path)) < 0)
		x->at++;
	return x->at < put->n && order == 0;
}

static int put_entry(void *arg, const struct walk_entry *e)
{
	struct exporting *x = arg;
	struct archive_file f = describe(x, e);

	if (!is_wanted(x, e->path))
		return 0;
	if (S_ISCHR(f.mode) || S_ISBLK(f.mode) || S_ISSOCK(f.mode)) {
		strv_add(x->how->left_out, e->path);
		return 0;
	}
	if (e->first)
		return put_again(x, e, &f);
	if (S_ISLNK(f.mode))
		return put_link(x, e, &f);
	if (S_ISFIFO(f.mode))
		return put_named(x, &f);
	return put_opened(x, e, &f);
}

/* What newgate says itself. */
static int put_text(struct exporting *x, const char *name, const char *text, size_t len)
{
	const struct archive_file f = {
	    .path = name,
	    .mode = S_IFREG | 0644,
	    .size = (int64_t)len,
	    .mtime = {.tv_sec = x->info.made},
	};
	const struct stream_extent all = {0, (int64_t)len};

	if (x->m->put(x->out, &f, NULL, 0, &all, len > 0) < 0 || x->m->write(x->out, text, len) < 0)
		return told(x);
	return 0;
}

static int put_head(struct exporting *x)
{
	struct str text autodone(str_done) = {0};
	const char *conf = x->how->definition;

	stream_info_format(&text, &x->info);
	int rc = put_text(x, STREAM_INFO, text.s, text.len);
	if (rc == 0 && conf)
		rc = put_text(x, STREAM_CONF, conf, strlen(conf));
	if (rc < 0 || x->changes.removed.n == 0)
		return rc;
	text.len = 0;
	for (size_t i = 0; i < x->changes.removed.n; i++)
		str_addn(&text, x->changes.removed.v[i], strlen(x->changes.removed.v[i]) + 1);
	return put_text(x, STREAM_REMOVED, text.s, text.len);
}

static int export_tree(struct exporting *x, int fd)
{
	x->m = stream_load(x->err);
	if (!x->m)
		return -x->err->code;
	int rc = x->old < 0 ? measure_tree(x->root, &x->info.bytes, NULL)
			    : changes_find(x->m, x->old, x->root, &x->changes, x->err);
	if (rc < 0)
		return x->err->code ? rc : err_sys(x->err, rc, "measuring it");
	x->info.base = x->old < 0 ? NULL : x->changes.base;
	x->out = x->m->create(fd, x->how->zstd);
	if (!x->out)
		return err_sys(x->err, ENOMEM, "writing a stream");
	rc = put_head(x);
	if (rc == 0)
		rc = walk_tree(x->root, put_entry, x, x->err);
	if (rc == 0 && x->m->finish(x->out) < 0)
		rc = told(x);
	return rc;
}

/* Of a jail that newgate made, its view; else the directory. */
static int open_tree(struct store *s, const char *jail, const char *dir, const char *snap,
		     struct store_view *view, struct ng_err *err)
{
	if (store_has_jail(s, jail))
		return store_view(s, jail, snap, view, err);
	if (!dir)
		return err_set(err, ENOENT, "there is no tree of jail %s", jail);
	view->root = path_open_host(dir, O_RDONLY | O_DIRECTORY, 0);
	return view->root < 0 ? err_sys(err, view->root, "%s", dir) : 0;
}

static int export_root(struct store *s, const char *jail, int root, int old, char *backend,
		       const struct export_how *how, int fd, struct ng_err *err)
{
	autodone(exporting_done) struct exporting x = {
	    .s = s,
	    .how = how,
	    .info = {.jail = (char *)jail,
		     .backend = backend,
		     .path = (char *)how->path,
		     .snapshot = (char *)how->snap,
		     .since = (char *)how->since,
		     .host = (char *)how->host,
		     .made = time(NULL),
		     .live = how->live},
	    .root = root,
	    .old = old,
	    .err = err,
	};

	return export_tree(&x, fd);
}

int export_folder(struct store *s, const char *name, int root, const struct export_how *how, int fd,
		  struct ng_err *err)
{
	return export_root(s, name, root, -1, NULL, how, fd, err);
}

int export_jail(struct store *s, const char *jail, const char *dir, const struct export_how *how,
		int fd, struct ng_err *err)
{
	autodone(store_view_done) struct store_view view = STORE_VIEW_NONE, old = STORE_VIEW_NONE;
	autodone(store_jail_done) struct store_jail kept = {0};
	int rc = open_tree(s, jail, dir, how->snap, &view, err);

	if (rc == 0 && how->since)
		rc = store_view(s, jail, how->since, &old, err);
	if (rc == 0 && store_find_jail(s, jail, &kept, err) < 0)
		kept = (struct store_jail){0};
	if (rc == 0)
		rc = export_root(s, jail, view.root, old.root, kept.backend, how, fd, err);
	return rc < 0 ? err_prefix(err, "exporting %s", jail) : 0;
}
