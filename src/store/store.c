#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/entry.h"
#include "store/rebase.h"
#include "store/zfs.h"

int store_open(struct store *s, const char *root, struct ng_err *err)
{
	*s = (struct store){.root = mem_strdup(root)};
	if (asprintf(&s->dir, "%s/var/lib/newgate", root) >= 0)
		return 0;
	s->dir = NULL;
	return err_sys(err, ENOMEM, "store");
}

void store_done(struct store *s)
{
	free(s->root);
	free(s->dir);
	*s = (struct store){0};
}

bool store_has_jail(const struct store *s, const char *jail)
{
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err ignored = {0};

	return thing_open(s, STORE_JAILS, jail, &t, &ignored) == 0;
}

int store_find_jail(const struct store *s, const char *jail, struct store_jail *out,
		    struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = thing_open(s, STORE_JAILS, jail, &t, err);

	if (rc < 0)
		return rc;
	*out = (struct store_jail){.backend = take_ptr(t.e.backend),
				   .from = take_ptr(t.e.from),
				   .path = take_ptr(t.e.path)};
	return 0;
}

void store_jail_done(struct store_jail *j)
{
	free(j->backend);
	free(j->from);
	free(j->path);
	*j = (struct store_jail){0};
}

bool store_same_path(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	while (n > 1 && a[n - 1] == '/')
		n--;
	while (m > 1 && b[m - 1] == '/')
		m--;
	return n == m && memcmp(a, b, n) == 0;
}

int store_each(const struct store *s, enum store_kind kind,
	       void (*fn)(void *arg, const char *name, struct entry *e), void *arg)
{
	autodone(strv_done) struct strv names = {0};
	autoclose int dir = store_open_kind(s, kind, false);

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	int rc = copy_names(dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		autodone(entry_done) struct entry e = {0};
		autoclose int one = store_open_entry(s, kind, names.v[i]);
		if (one >= 0 && entry_read(one, store_kind_file(kind), &e) == 0)
			fn(arg, names.v[i], &e);
	}
	return rc;
}

static void add_name(void *arg, const char *name, struct entry *e)
{
	(void)e;
	strv_add(arg, name);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_jails(const struct store *s, struct strv *out, struct ng_err *err)
{
	int rc = store_each(s, STORE_JAILS, add_name, out);

	if (rc < 0)
		return err_sys(err, rc, "%s/jails", s->dir);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), compare_names);
	return 0;
}

struct claim {
	const char *path;
	char *jail; /* whose clone it is */
};

static void note_claim(void *arg, const char *name, struct entry *e)
{
	struct claim *c = arg;

	if (e->path && store_same_path(e->path, c->path) && !c->jail)
		c->jail = mem_strdup(name);
}

/* An overlay is put together for the jail that it was cloned to: to any other its path is an empty
 * directory. One that is not empty costs no look at the clones. */
static int check_unclaimed(const struct store *s, const char *path, const char *said,
			   struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	struct claim c = {.path = path};
	autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || copy_names(dir, &names) < 0 || names.n > 0)
		return 0;
	int rc = store_each(s, STORE_JAILS, note_claim, &c);
	autofree char *jail = c.jail;
	if (rc < 0)
		return err_sys(err, rc, "%s/jails", s->dir);
	return jail ? err_set(err, EBUSY,
			      "path %s is the clone of jail %s, which no other can have: give it "
			      "another path and clone it there (newgate clone)",
			      said, jail)
		    : 0;
}

static int plain_layout(const struct store *s, const char *jail, const char *path,
			struct store_layout *out, struct ng_err *err)
{
	size_t root = strlen(s->root);
	struct stat st;
	int rc = stat(path, &st);
	const char *said = strncmp(path, s->root, root) == 0 ? path + root : path;

	if (rc < 0 && errno == ENOENT && *jail) /* one without a name cannot be cloned to */
		return err_set(err, ENOENT,
			       "path %s: No such file or directory (to make it: newgate clone "
			       "TEMPLATE %s)",
			       said, jail);
	if (rc < 0)
		return err_sys(err, errno, "path %s", said);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR,
			       "path %s: Not a directory (it is to be the jail's root)", said);
	out->path = mem_strdup(path);
	return check_unclaimed(s, path, said, err);
}

int store_layout(const struct store *s, const char *jail, const char *path,
		 struct store_layout *out, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;

	*out = (struct store_layout){0};
	int rc = thing_open(s, STORE_JAILS, jail, &t, err);
	if (rc == 0 && faccessat(t.dir, REBASE_MARK, F_OK, 0) == 0) {
		thing_done(&t);
		rc = rebase_heal(s, jail, err);
		if (rc >= 0)
			rc = thing_open(s, STORE_JAILS, jail, &t, err);
	}
	/* The configuration says where the jail is; a clone made for another path is not it. */
	if (rc == -ENOENT || (rc == 0 && !store_same_path(t.e.path, path)))
		return plain_layout(s, jail, path, out, err);
	if (rc == 0)
		rc = t.b->layout(&t, out, err);
	if (rc < 0)
		store_layout_done(out);
	return rc;
}

void store_layout_done(struct store_layout *l)
{
	for (size_t i = 0; l->lower && l->lower[i]; i++)
		free(l->lower[i]);
	free(l->lower);
	free(l->path);
	free(l->upper);
	free(l->work);
	*l = (struct store_layout){0};
}

static int open_jail(const struct store *s, const char *jail, struct thing *out, struct ng_err *err)
{
	int rc = thing_open(s, STORE_JAILS, jail, out, err);

	return rc == -ENOENT && !err->code
		   ? err_set(err, ENOENT, "newgate has made no tree for jail %s", jail)
		   : rc;
}

int store_view(const struct store *s, const char *jail, const char *snap, struct store_view *out,
	       struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;

	*out = STORE_VIEW_NONE;
	int rc = open_jail(s, jail, &t, err);
	if (rc < 0)
		return rc;
	rc = t.b->view(&t, snap, out, err);
	return rc < 0 ? err_prefix(err, "jail %s", jail) : 0;
}

int store_view_origin(const struct store *s, const char *jail, struct store_view *out,
		      struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE, origin = THING_NONE;

	*out = STORE_VIEW_NONE;
	int rc = open_jail(s, jail, &t, err);
	if (rc < 0)
		return rc;
	const char *from = t.e.template ? t.e.template
			   : t.e.lower  ? t.e.lower
			   : t.e.from   ? t.e.from
					: "";
	rc = thing_open(s, STORE_TEMPLATES, from, &origin, err);
	if (rc == -ENOENT && !err->code)
		return err_set(err, ENOENT,
			       "jail %s was made from %s, and there is no template of that name: "
			       "name a snapshot (%s@NAME)",
			       jail, from, jail);
	if (rc == 0)
		rc = origin.b->view(&origin, NULL, out, err);
	return rc < 0 ? err_prefix(err, "template %s", from) : 0;
}

void store_view_done(struct store_view *v)
{
	struct ng_err ignored = {0};

	macro_close(&v->root);
	/* What stays is removed before the next snapshot of the jail. */
	if (v->volume && zfs_destroy(v->volume, &ignored) == 0)
		(void)!rmdir(v->at);
	free(v->volume);
	free(v->at);
	*v = STORE_VIEW_NONE;
}

int store_usage(const struct store *s, const char *jail, struct store_usage *out,
		struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;

	*out = (struct store_usage){0};
	int rc = open_jail(s, jail, &t, err);
	if (rc < 0)
		return rc;
	rc = t.b->usage(&t, out, err);
	if (rc == 0 && out->quota == 0)
		out->quota = t.e.quota;
	return rc < 0 ? err_prefix(err, "jail %s", jail) : 0;
}
