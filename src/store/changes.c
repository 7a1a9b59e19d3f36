#include "store/changes.h"

#include <fcntl.h>
#include <string.h>
#include "base/mem.h"
#include "store/unpack.h"
#include "store/walk.h"
#include "sys/path.h"

#define ROOM (128 * 1024)
#define LINK_ROOM 4096

/* An entry of the old tree. */
struct was {
	const char *path, *first;
	struct statx st;
};

struct finding {
	int old;
	struct arena arena;
	struct was *was;
	size_t nwas, at; /* `at`: the first that no entry of the new tree was held against */
	struct changes *out;
	struct walk_xattrs xattrs[2];
	char *buf[2]; /* ROOM each */
	struct ng_err *err;
};

static void finding_done(struct finding *f)
{
	arena_done(&f->arena);
	free(f->was);
	for (size_t i = 0; i < 2; i++) {
		walk_xattrs_done(&f->xattrs[i]);
		free(f->buf[i]);
	}
}

static bool carried(const struct statx *st)
{
	return !S_ISCHR(st->stx_mode) && !S_ISBLK(st->stx_mode) && !S_ISSOCK(st->stx_mode);
}

static int note_old(void *arg, const struct walk_entry *e)
{
	struct finding *f = arg;

	if (!carried(&e->st))
		return 0;
	f->was = mem_grow(f->was, f->nwas, sizeof(*f->was));
	f->was[f->nwas++] = (struct was){
	    .path = arena_strndup(&f->arena, e->path, strlen(e->path)),
	    .first = e->first ? arena_strndup(&f->arena, e->first, strlen(e->first)) : NULL,
	    .st = e->st,
	};
	return 0;
}

/* ---- is it the same? 1, 0, -errno ---- */

static bool same_time(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The same file of a file system that shares it between the trees, untouched. Some count whole
 * seconds, in which a file can change twice. */
static bool untouched(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && same_time(&a->stx_ctime, &b->stx_ctime) &&
	       a->stx_ctime.tv_nsec != 0;
}

static int same_bytes(struct finding *f, int a, int b)
{
	for (off_t at = 0;;) {
		ssize_t n = pread(a, f->buf[0], ROOM, at), m = pread(b, f->buf[1], ROOM, at);
		if (n < 0 || m < 0)
			return -errno;
		if (n != m || memcmp(f->buf[0], f->buf[1], (size_t)n) != 0)
			return 0;
		if (n == 0)
			return 1;
		at += n;
	}
}

static int same_xattrs(struct finding *f, int a, int b)
{
	int rc = walk_read_xattrs(&f->xattrs[0], a);

	if (rc == 0)
		rc = walk_read_xattrs(&f->xattrs[1], b);
	if (rc < 0)
		return rc;
	const struct walk_xattrs *x = &f->xattrs[0], *y = &f->xattrs[1];
	bool same = x->n == y->n;
	for (size_t i = 0; same && i < x->n; i++)
		same = str_eq(x->v[i].name, y->v[i].name) && x->v[i].len == y->v[i].len &&
		       memcmp(x->v[i].value, y->v[i].value, x->v[i].len) == 0;
	return same;
}

static int same_opened(struct finding *f, const struct was *w, const struct walk_entry *e)
{
	const int how = O_RDONLY | O_NONBLOCK | O_NOATIME;
	autoclose int a = path_open_nolink(f->old, *w->path ? w->path : ".", how, 0);
	if (a < 0)
		return a;
	autoclose int b = openat(e->dir, *e->name ? e->name : ".", how | O_NOFOLLOW | O_CLOEXEC);
	if (b < 0)
		return -errno;
	int rc = same_xattrs(f, a, b);
	return rc > 0 && S_ISREG(e->st.stx_mode) ? same_bytes(f, a, b) : rc;
}

static int same_target(struct finding *f, const struct was *w, const struct walk_entry *e)
{
	autoclose int a = path_open_nolink(f->old, w->path, O_PATH | O_NOFOLLOW, 0);
	if (a < 0)
		return a;
	ssize_t n = readlinkat(a, "", f->buf[0], LINK_ROOM);
	ssize_t m = readlinkat(e->dir, e->name, f->buf[1], LINK_ROOM);
	if (n < 0 || m < 0)
		return -errno;
	return n == m && memcmp(f->buf[0], f->buf[1], (size_t)n) == 0;
}

static int same(struct finding *f, const struct was *w, const struct walk_entry *e)
{
	const struct statx *a = &w->st, *b = &e->st;

	if (a->stx_mode != b->stx_mode || a->stx_uid != b->stx_uid || a->stx_gid != b->stx_gid ||
	    !same_time(&a->stx_mtime, &b->stx_mtime) || !w->first != !e->first ||
	    (w->first && !str_eq(w->first, e->first)))
		return 0;
	if (S_ISREG(b->stx_mode) && a->stx_size != b->stx_size)
		return 0;
	if (untouched(a, b) || S_ISFIFO(b->stx_mode))
		return 1;
	return S_ISLNK(b->stx_mode) ? same_target(f, w, e) : same_opened(f, w, e);
}

/* ---- the two trees, side by side ---- */

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* What is in a folder that goes need not be told. */
static void remove_one(struct finding *f, const char *path)
{
	struct strv *r = &f->out->removed;

	if (r->n == 0 || !is_below(path, r->v[r->n - 1]))
		strv_add(r, path);
}

static int by_order(const void *a, const void *b)
{
	return unpack_order(*(char *const *)a, *(char *const *)b);
}

/* A file that comes anew takes its other names with it. */
static bool first_is_put(const struct finding *f, const char *first)
{
	const struct strv *put = &f->out->put;

	return put->n > 0 && bsearch(&first, put->v, put->n, sizeof(*put->v), by_order);
}

static int compare_entry(void *arg, const struct walk_entry *e)
{
	struct finding *f = arg;
	int order = 1;

	if (!carried(&e->st))
		return 0;
	while (f->at < f->nwas && (order = unpack_order(f->was[f->at].path, e->path)) < 0)
		remove_one(f, f->was[f->at++].path);
	const struct was *w = f->at < f->nwas && order == 0 ? &f->was[f->at++] : NULL;
	if (w && S_ISDIR(w->st.stx_mode) != S_ISDIR(e->st.stx_mode))
		remove_one(f, e->path);
	if (!w || (e->first && first_is_put(f, e->first))) {
		strv_add(&f->out->put, e->path);
		return 0;
	}
	int rc = same(f, w, e);
	if (rc < 0)
		return err_sys(f->err, rc, "%.1024s", e->path);
	if (rc == 0)
		strv_add(&f->out->put, e->path);
	return 0;
}

/* Making and removing something changes the time of the folder it is in. */
static void add_folders(struct strv *put, const char *path)
{
	autofree char *folder = mem_strdup(path);

	for (char *slash; (slash = strrchr(folder, '/'));) {
		*slash = '\0';
		strv_add(put, folder);
	}
}

static void complete(struct changes *c)
{
	size_t n = c->put.n, kept = 0;

	for (size_t i = 0; i < n; i++)
		add_folders(&c->put, c->put.v[i]);
	for (size_t i = 0; i < c->removed.n; i++)
		add_folders(&c->put, c->removed.v[i]);
	strv_add(&c->put, "");
	qsort(c->put.v, c->put.n, sizeof(*c->put.v), by_order);
	for (size_t i = 0; i < c->put.n; i++) {
		if (kept > 0 && str_eq(c->put.v[kept - 1], c->put.v[i]))
			free(c->put.v[i]);
		else
			c->put.v[kept++] = c->put.v[i];
	}
	c->put.n = kept;
	c->put.v[kept] = NULL;
}

int changes_find(const struct stream_module *m, int old, int now, struct changes *out,
		 struct ng_err *err)
{
	autodone(finding_done) struct finding f = {
	    .old = old,
	    .out = out,
	    .buf = {mem_alloc(ROOM), mem_alloc(ROOM)},
	    .err = err,
	};
	int rc = walk_sum(m, old, out->base, err);

	if (rc == 0)
		rc = walk_tree(old, note_old, &f, err);
	if (rc == 0)
		rc = walk_tree(now, compare_entry, &f, err);
	if (rc < 0)
		return rc;
	while (f.at < f.nwas)
		remove_one(&f, f.was[f.at++].path);
	complete(out);
	return 0;
}

void changes_done(struct changes *c)
{
	strv_done(&c->put);
	strv_done(&c->removed);
}
