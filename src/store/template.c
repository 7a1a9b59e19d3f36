/* Templates: complete trees that jails are cloned from. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/entry.h"
#include "store/stage.h"
#include "store/tools.h"

#define ROOT "root"

bool store_has_template(const struct store *s, const char *name)
{
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err ignored = {0};

	return thing_open(s, STORE_TEMPLATES, name, &t, &ignored) == 0;
}

static int make_copy(struct store *s, const char *from, int tree, struct ng_err *err)
{
	autoclose int src = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (src < 0)
		return err_sys(err, errno, "%s", from);
	autoclose int own = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc = copy_tree(src, tree, 0, own, err);
	return rc < 0 ? err_prefix(err, "copying %s", from) : 0;
}

static bool is_archive(const char *from)
{
	static const char *const ends[] = {".tar", ".tar.gz",  ".tgz",    ".tar.xz",
					   ".txz", ".tar.zst", ".tar.bz2"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_suffix(from, ends[i]))
			return true;
	return false;
}

/* Makes the tree that `from` describes in the stage's folder "root". */
static int make_tree(struct store *s, const char *from, const char *path, int tree,
		     struct ng_err *err)
{
	struct stat st;

	if (str_eq(from, "busybox"))
		return make_busybox(tree, err);
	if (str_prefix(from, "debian:"))
		return make_debian(s, from + strlen("debian:"), path, err);
	if (stat(from, &st) < 0)
		return errno == ENOENT
			   ? err_set(err, ENOENT,
				     "--from %s: no such file or directory; it is busybox, "
				     "debian:SUITE, "
				     "a directory, or a .tar, .tar.gz, .tar.xz or .tar.zst",
				     from)
			   : err_sys(err, errno, "--from %s", from);
	if (S_ISDIR(st.st_mode))
		return make_copy(s, from, tree, err);
	if (!is_archive(from))
		return err_set(err, EINVAL,
			       "--from %s: its name does not end as a tar archive's does "
			       "(.tar, .tar.gz, .tar.xz, .tar.zst)",
			       from);
	return make_unpacked(from, tree, err);
}

static int finish(struct thing *t, int tree, struct ng_err *err)
{
	int rc = finish_template(tree, err);

	if (rc < 0)
		return rc;
	rc = copy_size(tree, &t->e.bytes);
	if (rc == 0)
		rc = entry_write(t->dir, store_kind_file(STORE_TEMPLATES), &t->e);
	/* The name must not reach the disk before what it names. */
	if (rc == 0 && syncfs(tree) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "writing to disk") : 0;
}

/* An empty tree in the stage. */
static int begin(struct stage *st, const char *from, struct thing *t, struct ng_err *err)
{
	int rc = stage_thing(st, t, err);

	if (rc < 0)
		return rc;
	t->e = (struct entry){.from = mem_strdup(from), .made = time(NULL)};
	rc = backend_choose(NULL, t, err);
	if (rc < 0)
		return rc;
	rc = entry_write(t->dir, store_kind_file(STORE_TEMPLATES), &t->e);
	if (rc < 0)
		return err_sys(err, rc, "writing to %s/templates", st->s->dir);
	return t->b->fill(NULL, t, err);
}

static int create(struct store *s, const char *name, const char *from, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	autodone(thing_done) struct thing t = THING_NONE;
	autofree char *path = NULL;
	int rc = stage_begin(s, STORE_TEMPLATES, name, &st, err);

	if (rc < 0)
		return rc;
	if (store_has_template(s, name))
		return err_set(err, EEXIST,
			       "it exists already: newgate template destroy %s removes it", name);
	if (asprintf(&path, "%s/%s/.partial/%s/" ROOT, s->dir, store_kind_dir(STORE_TEMPLATES),
		     name) < 0)
		return err_sys(err, ENOMEM, "path");
	autoclose int tree = begin(&st, from, &t, err);
	if (tree < 0)
		return tree;
	rc = make_tree(s, from, path, tree, err);
	if (rc == 0)
		rc = finish(&t, tree, err);
	if (rc < 0)
		return rc;
	rc = stage_commit(&st);
	if (rc < 0)
		return err_sys(err, rc, "%s/templates/%s", s->dir, name);
	return t.b->place ? t.b->place(&t, err) : 0;
}

int store_template_create(struct store *s, const char *name, const char *from, struct ng_err *err)
{
	int rc = store_check_name(STORE_TEMPLATES, name, err);

	if (rc < 0)
		return rc;
	if (strchr(from, '\n')) /* it could not stand in a line of meta */
		return err_set(err, EINVAL, "--from: a name with a line break");
	rc = create(s, name, from, err);
	return rc < 0 ? err_prefix(err, "template %s", name) : 0;
}

struct dependants {
	const char *template;
	struct str names;
	unsigned n;
};

static void note_dependant(void *arg, const char *name, struct entry *e)
{
	struct dependants *d = arg;

	if (!e->lower || !str_eq(e->lower, d->template))
		return;
	d->n++;
	str_addf(&d->names, "%s%s", d->n > 1 ? ", " : "", name);
}

static int check_unused(const struct store *s, const char *name, struct ng_err *err)
{
	struct dependants d = {.template = name};
	int rc = store_each(s, STORE_JAILS, note_dependant, &d);
	autofree char *names = str_take(&d.names);

	if (rc < 0)
		return err_sys(err, rc, "%s/jails", s->dir);
	if (d.n > 0)
		return err_set(err, EBUSY, "%s %s cloned from it and need%s it: destroy %s first",
			       names, d.n > 1 ? "were" : "was", d.n > 1 ? "" : "s",
			       d.n > 1 ? "them" : "that one");
	return 0;
}

static int destroy(struct store *s, const char *name, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	autoclose int held = store_open_entry(s, STORE_TEMPLATES, name);

	if (held == -ENOENT)
		return err_set(err, ENOENT, "there is no such template (newgate template list)");
	if (held < 0)
		return err_sys(err, held, "%s/templates", s->dir);
	int rc = stage_begin(s, STORE_TEMPLATES, name, &st, err);
	if (rc < 0)
		return rc;
	/* While a clone of it is being made, this is held. */
	rc = stage_take_back(&st);
	if (rc == -EAGAIN)
		return err_set(err, EBUSY, "a jail is being cloned from it");
	if (rc < 0)
		return err_sys(err, rc, "%s/templates/%s", s->dir, name);
	rc = check_unused(s, name, err);
	if (rc == 0)
		return stage_drop(&st, err);
	int back = stage_commit(&st);
	return back < 0 ? err_sys(err, back, "%s/templates/%s", s->dir, name) : rc;
}

int store_template_destroy(struct store *s, const char *name, struct ng_err *err)
{
	int rc = check_unused(s, name, err);

	if (rc == 0)
		rc = destroy(s, name, err);
	return rc < 0 ? err_prefix(err, "template %s", name) : 0;
}

struct listing {
	struct store_template *v;
	size_t n;
};

static void list_template(void *arg, const char *name, struct entry *e)
{
	struct listing *l = arg;

	l->v = mem_grow(l->v, l->n, sizeof(*l->v));
	l->v[l->n++] = (struct store_template){
	    .name = mem_strdup(name),
	    .from = mem_strdup(e->from ? e->from : ""),
	    .bytes = e->bytes,
	    .made = e->made,
	};
}

static void count_clone(void *arg, const char *name, struct entry *e)
{
	struct listing *l = arg;

	(void)name;
	for (size_t i = 0; i < l->n; i++)
		if (e->lower && str_eq(e->lower, l->v[i].name))
			l->v[i].clones++;
}

static int compare_names(const void *a, const void *b)
{
	const struct store_template *x = a, *y = b;

	return strcmp(x->name, y->name);
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
