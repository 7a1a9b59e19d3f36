/* Templates: complete trees that jails are cloned from. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/stage.h"
#include "store/version.h"

bool store_has_template(const struct store *s, const char *name)
{
	autofree char *folder = NULL;

	return version_resolve(s, name, &folder) == 0;
}

/* What cannot be without some versions, those versions themselves left out. */
struct dependants {
	const struct store *s;
	const struct strv *version;
	const char *what; /* "jail", "template" */
	struct str names;
	unsigned n;
};

static void note_dependant(void *arg, const char *name, struct entry *e)
{
	struct dependants *d = arg;
	bool template = str_eq(d->what, "template");

	if (template && strv_has(d->version, name))
		return;
	if ((!e->lower || !strv_has(d->version, e->lower)) &&
	    (template || !snapshot_needs(d->s, name, d->version)))
		return;
	d->n++;
	str_addf(&d->names, "%s%s%s", d->n > 1 ? ", " : "", template ? "template " : "", name);
}

static int check_unused(const struct store *s, const struct strv *version, struct ng_err *err)
{
	struct dependants d = {.s = s, .version = version, .what = "jail"};
	int rc = store_each(s, STORE_JAILS, note_dependant, &d);

	d.what = "template";
	if (rc == 0)
		rc = store_each(s, STORE_TEMPLATES, note_dependant, &d);
	autofree char *names = str_take(&d.names);
	if (rc < 0)
		return err_sys(err, rc, "%s", s->dir);
	if (d.n > 0)
		return err_set(err, EBUSY, "%s %s cloned from it and need%s it: destroy %s first",
			       names, d.n > 1 ? "were" : "was", d.n > 1 ? "" : "s",
			       d.n > 1 ? "them" : "that one");
	return 0;
}

/* What keeps it may know of more that need it than the entries here do. */
static int check_displaced(const struct stage *st, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = stage_thing(st, &t, err);

	if (rc == 0 && entry_read(t.dir, store_kind_file(STORE_TEMPLATES), &t.e) < 0)
		return 0;
	t.b = backend_find(t.e.backend);
	return rc == 0 && t.b ? t.b->displace(&t, err) : rc;
}

static int destroy(struct store *s, const char *name, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	autodone(strv_done) struct strv alone = {0};
	int rc = stage_begin(s, STORE_TEMPLATES, name, &st, err);

	if (rc < 0)
		return rc;
	/* While a clone of it is being made, this is held. */
	rc = stage_take_back(&st);
	if (rc == -EAGAIN)
		return err_set(err, EBUSY, "a jail is being cloned from it");
	if (rc < 0)
		return err_sys(err, rc, "%s/templates/%s", s->dir, name);
	strv_add(&alone, name);
	rc = check_unused(s, &alone, err);
	if (rc == 0)
		rc = check_displaced(&st, err);
	if (rc == 0)
		return stage_drop(&st, err);
	int back = stage_commit(&st);
	return back < 0 ? err_sys(err, back, "%s/templates/%s", s->dir, name) : rc;
}

struct versions {
	const char *name;
	struct strv found;
};

static void note_version(void *arg, const char *name, struct entry *e)
{
	struct versions *v = arg;
	size_t len;

	(void)e;
	version_of(v->name, &len);
	/* A version that is named is meant alone; NAME@1 is the folder NAME. */
	autofree char *only = version_folder(v->name, version_of(v->name, &len));
	if (v->name[len] == '\0' ? version_same(name, v->name) : str_eq(name, only))
		strv_add(&v->found, name);
}

static int newest_first(const void *a, const void *b)
{
	size_t n, m;
	unsigned x = version_of(*(char *const *)a, &n), y = version_of(*(char *const *)b, &m);

	return x < y ? 1 : x > y ? -1 : 0;
}

int store_template_destroy(struct store *s, const char *name, struct ng_err *err)
{
	struct versions v = {.name = name};
	int rc = store_each(s, STORE_TEMPLATES, note_version, &v);
	autodone(strv_done) struct strv found = v.found;

	if (rc < 0)
		return err_sys(err, rc, "%s/templates", s->dir);
	if (found.n == 0)
		return err_set(err, ENOENT,
			       "template %s: there is no such template (newgate template list)",
			       name);
	/* One version may be built on an earlier one. */
	qsort(found.v, found.n, sizeof(*found.v), newest_first);
	rc = check_unused(s, &found, err);
	for (size_t i = 0; rc == 0 && i < found.n; i++)
		rc = destroy(s, found.v[i], err);
	return rc < 0 ? err_prefix(err, "template %s", name) : 0;
}

struct listing {
	struct store_template *v;
	size_t n;
};

static void list_template(void *arg, const char *name, struct entry *e)
{
	struct listing *l = arg;
	size_t len;
	unsigned version = version_of(name, &len);

	l->v = mem_grow(l->v, l->n, sizeof(*l->v));
	l->v[l->n++] = (struct store_template){
	    .name = mem_strndup(name, len),
	    .version = version,
	    .from = mem_strdup(e->from ? e->from : ""),
	    .bytes = e->bytes,
	    .made = e->made,
	};
}

static void count_clone(void *arg, const char *name, struct entry *e)
{
	struct listing *l = arg;
	const char *of = e->template ? e->template : e->lower;
	size_t len;

	(void)name;
	for (size_t i = 0; of && i < l->n; i++)
		if (version_same(of, l->v[i].name) && version_of(of, &len) == l->v[i].version)
			l->v[i].clones++;
}

static int compare_names(const void *a, const void *b)
{
	const struct store_template *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : x->version < y->version ? -1 : x->version > y->version;
}

int store_templates(const struct store *s, struct store_template **out, size_t *n,
		    struct ng_err *err)
{
	struct listing l = {0};
	int rc = store_each(s, STORE_TEMPLATES, list_template, &l);

	if (rc == 0)
		rc = store_each(s, STORE_JAILS, count_clone, &l);
	if (rc < 0) {
		store_templates_free(l.v, l.n);
		return err_sys(err, rc, "reading %s", s->dir);
	}
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), compare_names);
	*out = l.v;
	*n = l.n;
	return 0;
}

void store_templates_free(struct store_template *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(t[i].name);
		free(t[i].from);
	}
	free(t);
}
