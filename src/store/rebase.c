#include "store/rebase.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "conf/map.h"
#include "store/backend.h"
#include "store/merge.h"
#include "store/version.h"
#include "sys/fd.h"
#include "sys/path.h"

#define MARK REBASE_MARK /* "PHASE SNAPSHOT" */
#define MARK_ROOM 512

void rebase_done(struct rebase *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i].path);
	free(r->v);
	free(r->jail);
	free(r->from);
	free(r->to);
	*r = (struct rebase){0};
}

/* ---- what is to be done ---- */

/* Paths, and for each what happened to it. */
struct paths {
	struct arena arena;
	struct map map;
};

static void paths_done(struct paths *p)
{
	map_done(&p->map);
	arena_done(&p->arena);
}

static void put_path(void *arg, enum diff_what what, const char *path)
{
	struct paths *p = arg;
	size_t n = strlen(path);

	map_put(&p->map, arena_strndup(&p->arena, path, n), n, what);
}

static const size_t *find_path(const struct paths *p, const char *path, size_t n)
{
	return map_get(&p->map, path, n);
}

static void list_change(void *arg, enum diff_what what, const char *path)
{
	struct rebase *r = arg;

	r->v = mem_grow(r->v, r->n, sizeof(*r->v));
	r->v[r->n++] = (struct rebase_change){.path = mem_strdup(path), .what = what};
}

/* The three trees, and what differs between them. */
struct trees {
	struct source old, fresh;
	struct store_view jail;
	struct paths own;    /* what the jail changed */
	struct paths above;  /* folders in which it added or changed something */
	struct paths differ; /* what the jail has otherwise than the new version */
};

static void trees_done(struct trees *t)
{
	source_done(&t->old);
	source_done(&t->fresh);
	store_view_done(&t->jail);
	paths_done(&t->own);
	paths_done(&t->above);
	paths_done(&t->differ);
}

static void put_own(void *arg, enum diff_what what, const char *path)
{
	struct trees *t = arg;

	put_path(&t->own, what, path);
	for (const char *end = path; what != DIFF_REMOVED && (end = strchr(end + 1, '/'));) {
		size_t n = (size_t)(end - path);
		if (!find_path(&t->above, path, n))
			map_put(&t->above.map, arena_strndup(&t->above.arena, path, n), n, 1);
	}
}

static bool is_dir(int tree, const char *path, size_t n)
{
	autofree char *name = mem_strndup(path, n);
	autoclose int fd = path_open_nolink(tree, name, O_PATH | O_DIRECTORY, 0);

	return fd >= 0;
}

/* Did the jail take away a folder on the way to it, or put something else there? */
static bool way_is_gone(const struct trees *t, const char *path)
{
	for (const char *end = path; (end = strchr(end + 1, '/'));) {
		size_t n = (size_t)(end - path);
		if (find_path(&t->own, path, n) && !is_dir(t->jail.root, path, n))
			return true;
	}
	return false;
}

static bool is_conflict(const struct trees *t, const struct rebase_change *c)
{
	size_t n = strlen(c->path);

	/* Changed on both sides, but alike. */
	if (!find_path(&t->differ, c->path, n))
		return false;
	if (find_path(&t->own, c->path, n) || way_is_gone(t, c->path))
		return true;
	/* What the jail has in a folder cannot stay where that becomes something else. */
	return c->what == DIFF_CHANGED && find_path(&t->above, c->path, n) &&
	       !is_dir(t->fresh.tree, c->path, n);
}

static int open_version(const struct store *s, const char *name, struct source *out,
			struct ng_err *err)
{
	int rc = source_template(s, name, out, err);

	if (rc == 0)
		return err_set(err, ENOENT,
			       "version %s of its template is not there any more, so nobody can "
			       "tell what the jail itself changed",
			       name);
	return rc < 0 ? rc : 0;
}

static int compare(const struct store *s, struct trees *t, struct rebase *r, struct ng_err *err)
{
	int rc = open_version(s, r->from, &t->old, err);

	if (rc == 0)
		rc = open_version(s, r->to, &t->fresh, err);
	if (rc == 0)
		rc = store_view(s, r->jail, NULL, &t->jail, err);
	if (rc == 0)
		rc = diff_trees(t->old.tree, t->fresh.tree, false, list_change, r, err);
	if (rc == 0)
		rc = diff_trees(t->old.tree, t->jail.root, false, put_own, t, err);
	if (rc == 0)
		rc = diff_trees(t->jail.root, t->fresh.tree, false, put_path, &t->differ, err);
	for (size_t i = 0; rc == 0 && i < r->n; i++) {
		r->v[i].conflict = is_conflict(t, &r->v[i]);
		r->conflicts += r->v[i].conflict;
	}
	return rc;
}

static int find_versions(const struct thing *t, const char *to, struct rebase *r,
			 struct ng_err *err)
{
	const char *from = t->e.template ? t->e.template : t->e.lower;
	size_t len;

	if (!from)
		return err_set(err, EINVAL, "it was not made from a template");
	version_of(from, &len);
	autofree char *own = mem_strndup(from, len);
	int rc = version_resolve(t->s, to ? to : own, &r->to);
	if (rc == -ENOENT)
		return err_set(err, ENOENT, "there is no template %s (newgate template list)",
			       to ? to : own);
	if (rc < 0)
		return err_sys(err, rc, "%s/templates", t->s->dir);
	r->from = mem_strdup(from);
	return str_eq(r->from, r->to) ? err_set(err, EALREADY, "it is on %s already", r->to) : 0;
}

static int open_jail(const struct store *s, const char *jail, struct thing *t, struct ng_err *err)
{
	int rc = thing_open(s, STORE_JAILS, jail, t, err);

	return rc == -ENOENT && !err->code
		   ? err_set(err, ENOENT, "newgate has made no tree for it, from no template")
		   : rc;
}

static int plan(const struct store *s, const char *jail, const char *to, struct rebase *r,
		struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	autodone(trees_done) struct trees trees = {
	    .old = SOURCE_NONE, .fresh = SOURCE_NONE, .jail = STORE_VIEW_NONE};
	int rc = open_jail(s, jail, &t, err);

	r->jail = mem_strdup(jail);
	if (rc == 0)
		rc = find_versions(&t, to, r, err);
	return rc < 0 ? rc : compare(s, &trees, r, err);
}

int rebase_plan(const struct store *s, const char *jail, const char *to, struct rebase *out,
		struct ng_err *err)
{
	int rc = plan(s, jail, to, out, err);

	return rc < 0 && rc != -EALREADY ? err_prefix(err, "%s", jail) : rc;
}

/* ---- the mark ---- */

enum phase { PHASE_APPLY, PHASE_TRY };
static const char *const phases[] = {"apply", "try"};

static int write_mark(const struct thing *t, enum phase phase, const char *snapshot,
		      struct ng_err *err)
{
	autodone(str_done) struct str text = {0};

	str_addf(&text, "%s %s\n", phases[phase], snapshot);
	int rc = path_replace(t->dir, MARK, text.s, text.len, 0600);
	if (rc == 0 && syncfs(t->dir) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "writing to %s/jails/%s", t->s->dir, t->name) : 0;
}

/* 1, 0 where there is none, -errno. The caller frees *snapshot. */
static int read_mark(const struct thing *t, enum phase *phase, char **snapshot, struct ng_err *err)
{
	char buf[MARK_ROOM];
	ssize_t n = fd_get(t->dir, MARK, buf, sizeof(buf));

	if (n == -ENOENT)
		return 0;
	if (n < 0)
		return err_sys(err, (int)n, "%s/jails/%s/" MARK, t->s->dir, t->name);
	buf[strcspn(buf, "\n")] = '\0';
	char *name = strchr(buf, ' ');
	*phase = str_prefix(buf, "try ") ? PHASE_TRY : PHASE_APPLY;
	*snapshot = mem_strdup(name ? name + 1 : "");
	return 1;
}

static int remove_mark(const struct thing *t, struct ng_err *err)
{
	if (unlinkat(t->dir, MARK, 0) < 0 || fsync(t->dir) < 0)
		return err_sys(err, errno, "%s/jails/%s/" MARK, t->s->dir, t->name);
	return 0;
}

/* ---- doing it ---- */

static int take(const struct merge *m, const struct rebase_change *c, bool overwrite)
{
	if (c->conflict && !overwrite)
		return 0;
	int rc = c->conflict && c->what != DIFF_REMOVED ? merge_make_way(m, c->path) : 0;
	return rc < 0 ? rc : merge_take(m, c->what, c->path);
}

static int take_all(const struct merge *m, const struct rebase *r, bool overwrite)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->n; i++)
		if (r->v[i].what != DIFF_REMOVED)
			rc = take(m, &r->v[i], overwrite);
	/* A folder goes when it is empty. */
	for (size_t i = r->n; rc == 0 && i-- > 0;)
		if (r->v[i].what == DIFF_REMOVED)
			rc = take(m, &r->v[i], overwrite);
	return rc;
}

static int change_tree(struct thing *t, const struct rebase *r, bool overwrite, struct ng_err *err)
{
	autodone(source_done) struct source jail = SOURCE_NONE, fresh = SOURCE_NONE;
	int rc = t->b->open(t, &jail, err);

	if (rc == 0)
		rc = open_version(t->s, r->to, &fresh, err);
	if (rc < 0)
		return rc;
	bool layer = jail.upper >= 0;
	/* What an overlay joined must not be read while a layer of it changes. */
	if (layer)
		close(take_fd(&jail.tree));
	const struct merge m = {.tree = layer ? jail.upper : jail.tree,
				.fresh = fresh.tree,
				.layer = layer,
				.err = err};
	rc = take_all(&m, r, overwrite);
	if (rc == 0 && syncfs(m.tree) < 0)
		rc = err_sys(err, errno, "writing to disk");
	if (rc < 0)
		return rc;
	free(t->e.template);
	t->e.template = mem_strdup(r->to);
	if (layer) {
		free(t->e.lower);
		t->e.lower = mem_strdup(r->to);
	}
	/* While `fresh` holds its template. */
	rc = entry_replace(t->dir, store_kind_file(t->kind), &t->e);
	return rc < 0 ? err_sys(err, rc, "writing its entry") : 0;
}

static int go_back(const struct thing *t, const char *snapshot, struct ng_err *err)
{
	int rc = store_rollback(t->s, t->name, snapshot, true, err);

	if (rc == 0)
		rc = remove_mark(t, err);
	return rc < 0 ? rc : store_snapshot_destroy(t->s, t->name, snapshot, err);
}

int rebase_apply(const struct store *s, const struct rebase *r, const char *snapshot,
		 bool overwrite, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err back = {0};
	int rc = open_jail(s, r->jail, &t, err);

	if (rc == 0)
		rc = store_snapshot(s, r->jail, snapshot, err);
	if (rc < 0)
		return rc;
	rc = write_mark(&t, PHASE_APPLY, snapshot, err);
	if (rc == 0)
		rc = change_tree(&t, r, overwrite, err);
	if (rc == 0)
		return 0;
	if (go_back(&t, snapshot, &back) < 0)
		err_prefix(err, "(and going back failed: %.512s)", back.text);
	return err_prefix(err, "%s", r->jail);
}

static int with_mark(const struct store *s, const char *jail,
		     int (*fn)(const struct thing *t, const char *snapshot, struct ng_err *err),
		     struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	autofree char *snapshot = NULL;
	enum phase phase;
	int rc = open_jail(s, jail, &t, err);

	if (rc == 0)
		rc = read_mark(&t, &phase, &snapshot, err);
	if (rc == 0)
		return err_set(err, ENOENT, "%s: no rebase of it is under way", jail);
	if (rc > 0)
		rc = fn(&t, snapshot, err);
	return rc < 0 ? err_prefix(err, "%s", jail) : 0;
}

static int try(const struct thing *t, const char *snapshot, struct ng_err *err)
{
	return write_mark(t, PHASE_TRY, snapshot, err);
}

static int commit(const struct thing *t, const char *snapshot, struct ng_err *err)
{
	(void)snapshot;
	return remove_mark(t, err);
}

int rebase_try(const struct store *s, const char *jail, struct ng_err *err)
{
	return with_mark(s, jail, try, err);
}

int rebase_commit(const struct store *s, const char *jail, struct ng_err *err)
{
	return with_mark(s, jail, commit, err);
}

int rebase_back(const struct store *s, const char *jail, struct ng_err *err)
{
	return with_mark(s, jail, go_back, err);
}

/* Opens the jail where it has a mark of that phase: 1. */
static int find_mark(const struct store *s, const char *jail, enum phase wanted, struct thing *t,
		     char **snapshot, struct ng_err *err)
{
	enum phase phase;
	int rc = thing_open(s, STORE_JAILS, jail, t, err);

	if (rc == -ENOENT && !err->code)
		return 0;
	if (rc == 0)
		rc = read_mark(t, &phase, snapshot, err);
	return rc > 0 ? phase == wanted : rc;
}

int rebase_heal(const struct store *s, const char *jail, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	autofree char *snapshot = NULL;
	int rc = find_mark(s, jail, PHASE_APPLY, &t, &snapshot, err);

	if (rc <= 0)
		return rc;
	rc = go_back(&t, snapshot, err);
	return rc < 0 ? err_prefix(err, "%s: its rebase was cut off", jail) : 1;
}

int rebase_left(const struct store *s, const char *jail, char **snapshot, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	autofree char *name = NULL;
	int rc = find_mark(s, jail, PHASE_TRY, &t, &name, err);

	if (rc > 0)
		rc = remove_mark(&t, err) < 0 ? -err->code : 1;
	if (rc > 0)
		*snapshot = take_ptr(name);
	return rc;
}
