#include "store/walk.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "base/str.h"
#include "store/copy.h"
#include "store/links.h"

#define XATTR_ROOM 65536 /* the kernel's limit for a list of names and for a value */
#define LINK_ROOM 4096

struct walk {
	uint64_t mount;
	struct links links;
	struct str path;
	int (*fn)(void *arg, const struct walk_entry *e);
	void *arg;
	struct ng_err *err;
};

static int fail(struct walk *w, int code)
{
	if (code == -EMFILE)
		return err_set(w->err, EMFILE, "%.1024s: folders are nested too deeply", w->path.s);
	return err_sys(w->err, code, "%.1024s", w->path.len ? w->path.s : "the top directory");
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int walk_dir(struct walk *w, int dir);

static int walk_entry(struct walk *w, int dir, const char *name)
{
	const int how = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
	struct walk_entry e = {.path = str_text(&w->path), .dir = dir, .name = name};

	if (statx(dir, name, how, STATX_BASIC_STATS | STATX_MNT_ID, &e.st) < 0)
		return errno == ENOENT ? 0 : fail(w, -errno); /* removed since it was listed */
	bool folder = S_ISDIR(e.st.stx_mode), foreign = e.st.stx_mnt_id != w->mount;
	if (foreign && !folder)
		return 0;
	if (!folder && e.st.stx_nlink > 1)
		e.first = links_first(&w->links, makedev(e.st.stx_dev_major, e.st.stx_dev_minor),
				      e.st.stx_ino, e.path);
	int rc = w->fn(w->arg, &e);
	if (rc < 0 || !folder || foreign)
		return rc;
	autoclose int sub =
	    openat(dir, *name ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail(w, -errno);
	return walk_dir(w, sub);
}

static int walk_dir(struct walk *w, int dir)
{
	autodone(strv_done) struct strv names = {0};
	size_t here = w->path.len;
	int rc = copy_names(dir, &names);

	if (rc < 0)
		return fail(w, rc);
	if (names.n > 0)
		qsort(names.v, names.n, sizeof(*names.v), compare);
	for (size_t i = 0; i < names.n && rc == 0; i++) {
		if (here > 0)
			str_addc(&w->path, '/');
		str_add(&w->path, names.v[i]);
		rc = walk_entry(w, dir, names.v[i]);
		w->path.len = here;
		w->path.s[here] = '\0';
	}
	return rc;
}

int walk_tree(int root, int (*fn)(void *arg, const struct walk_entry *e), void *arg,
	      struct ng_err *err)
{
	struct walk w = {.fn = fn, .arg = arg, .err = err};
	struct statx st;

	str_add(&w.path, "");
	int rc = statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 ? -errno : 0;
	w.mount = rc < 0 ? 0 : st.stx_mnt_id;
	rc = rc < 0 ? fail(&w, rc) : walk_entry(&w, root, "");
	links_done(&w.links);
	str_done(&w.path);
	return rc;
}

/* ---- extended attributes ---- */

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct stream_xattr *)a)->name,
		      ((const struct stream_xattr *)b)->name);
}

/* Values of all of one file are there at the same time: at offsets first, since they may move. */
static int read_values(struct walk_xattrs *x, int fd, ssize_t names)
{
	size_t used = 0;

	for (char *name = x->names; name < x->names + names; name += strlen(name) + 1) {
		if (!copy_wants_xattr(name, 0))
			continue;
		if (x->room - used < XATTR_ROOM) {
			x->room += 2 * XATTR_ROOM;
			x->values = mem_resize(x->values, x->room, 1);
		}
		ssize_t n = fgetxattr(fd, name, x->values + used, XATTR_ROOM);
		if (n < 0 && errno == ENODATA)
			continue;
		if (n < 0)
			return -errno;
		x->v = mem_grow(x->v, x->n, sizeof(*x->v));
		x->v[x->n++] = (struct stream_xattr){name, NULL, (size_t)n};
		used += (size_t)n;
	}
	for (size_t i = 0, at = 0; i < x->n; at += x->v[i++].len)
		x->v[i].value = x->values + at;
	return 0;
}

int walk_read_xattrs(struct walk_xattrs *x, int fd)
{
	x->n = 0;
	if (!x->names)
		x->names = mem_alloc(XATTR_ROOM);
	ssize_t n = flistxattr(fd, x->names, XATTR_ROOM);
	if (n <= 0)
		return n < 0 && errno != EOPNOTSUPP ? -errno : 0;
	int rc = read_values(x, fd, n);
	if (x->n > 0)
		qsort(x->v, x->n, sizeof(*x->v), compare_xattrs);
	return rc;
}

void walk_xattrs_done(struct walk_xattrs *x)
{
	free(x->v);
	free(x->names);
	free(x->values);
	*x = (struct walk_xattrs){0};
}

/* ---- the sum ---- */

struct summing {
	const struct stream_module *m;
	void *sum;
	struct walk_xattrs xattrs;
	struct str line;
	struct ng_err *err;
};

static int sum_target(struct summing *s, const struct walk_entry *e)
{
	char target[LINK_ROOM + 1];
	ssize_t n = readlinkat(e->dir, e->name, target, sizeof(target));

	if (n < 0)
		return -errno;
	s->m->sum_add(s->sum, target, (size_t)n);
	return 0;
}

static int sum_xattrs(struct summing *s, const struct walk_entry *e)
{
	autoclose int fd = openat(e->dir, *e->name ? e->name : ".",
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = walk_read_xattrs(&s->xattrs, fd);
	for (size_t i = 0; i < s->xattrs.n && rc == 0; i++) {
		const struct stream_xattr *x = &s->xattrs.v[i];
		s->line.len = 0;
		str_addf(&s->line, "%s %zu ", x->name, x->len);
		s->m->sum_add(s->sum, s->line.s, s->line.len);
		s->m->sum_add(s->sum, x->value, x->len);
	}
	return rc;
}

static int sum_entry(void *arg, const struct walk_entry *e)
{
	struct summing *s = arg;
	const struct statx *st = &e->st;
	mode_t type = st->stx_mode & S_IFMT;
	int rc = 0;

	/* What a stream does not carry. */
	if (type == S_IFSOCK || type == S_IFCHR || type == S_IFBLK)
		return 0;
	s->line.len = 0;
	str_addf(&s->line, "%o %u %u %llu %lld.%09u %zu ", st->stx_mode, st->stx_uid, st->stx_gid,
		 type == S_IFREG ? (unsigned long long)st->stx_size : 0,
		 (long long)st->stx_mtime.tv_sec, st->stx_mtime.tv_nsec, strlen(e->path));
	s->m->sum_add(s->sum, s->line.s, s->line.len);
	s->m->sum_add(s->sum, e->path, strlen(e->path));
	if (e->first)
		s->m->sum_add(s->sum, e->first, strlen(e->first));
	else if (type == S_IFLNK)
		rc = sum_target(s, e);
	else if (type != S_IFIFO)
		rc = sum_xattrs(s, e);
	return rc < 0 ? err_sys(s->err, rc, "%.1024s", e->path) : 0;
}

int walk_sum(const struct stream_module *m, int root, char hex[static STREAM_SUM_HEX],
	     struct ng_err *err)
{
	struct summing s = {.m = m, .sum = m->sum_begin(), .err = err};

	if (!s.sum)
		return err_sys(err, ENOMEM, "a checksum");
	int rc = walk_tree(root, sum_entry, &s, err);
	m->sum_end(s.sum, hex);
	walk_xattrs_done(&s.xattrs);
	str_done(&s.line);
	return rc;
}
