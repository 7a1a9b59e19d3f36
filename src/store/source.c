/* Finding and opening what is to be cloned. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/version.h"

void source_done(struct source *src)
{
	macro_close(&src->tree);
	macro_close(&src->upper);
	macro_close(&src->root);
	macro_close(&src->layer);
	macro_close(&src->lock);
	free(src->lower);
	free(src->volume);
	free(src->template);
	*src = SOURCE_NONE;
}

/* Opens a template's folder and keeps it from being destroyed while that is open. 1, 0, -errno. */
static int hold_template(const struct store *s, const char *name, int *lock, struct ng_err *err)
{
	struct stat held, now;

	*lock = store_open_entry(s, STORE_TEMPLATES, name);
	if (*lock == -ENOENT || *lock == -ENOTDIR)
		return 0;
	if (*lock < 0)
		return err_sys(err, *lock, "template %s", name);
	if (flock(*lock, LOCK_SH | LOCK_NB) < 0)
		return err_set(err, EBUSY, "template %s is being destroyed", name);
	/* It may have been taken away between the two calls. */
	autoclose int again = store_open_entry(s, STORE_TEMPLATES, name);
	if (again < 0 || fstat(*lock, &held) < 0 || fstat(again, &now) < 0)
		return 0;
	return held.st_ino == now.st_ino;
}

static int open_thing(const struct thing *t, struct source *out, struct ng_err *err)
{
	out->backend = t->b;
	if (t->e.volume)
		out->volume = mem_strdup(t->e.volume);
	return t->b->open(t, out, err);
}

int source_template(const struct store *s, const char *name, struct source *out, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = hold_template(s, name, &out->lock, err);

	if (rc <= 0)
		return rc;
	rc = thing_open(s, STORE_TEMPLATES, name, &t, err);
	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = open_thing(&t, out, err);
	if (rc < 0)
		return err_prefix(err, "template %s", name);
	out->lower = mem_strdup(name);
	out->template = mem_strdup(name);
	return 1;
}

static int source_jail(const struct store *s, const char *name, struct source *out,
		       struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = thing_open(s, STORE_JAILS, name, &t, err);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	out->jail = true;
	rc = t.e.lower ? hold_template(s, t.e.lower, &out->lock, err) : 1;
	if (rc == 0)
		rc = err_set(err, ENOENT, "its template %s is missing", t.e.lower);
	if (rc > 0)
		rc = open_thing(&t, out, err);
	if (rc < 0)
		return err_prefix(err, "jail %s", name);
	if (t.e.lower)
		out->lower = mem_strdup(t.e.lower);
	const char *template = t.e.template ? t.e.template : t.e.lower;
	if (template)
		out->template = mem_strdup(template);
	return 1;
}

int source_find(const struct store *s, const char *from, struct source *out, struct ng_err *err)
{
	autofree char *version = NULL;
	int rc = version_resolve(s, from, &version);

	if (rc < 0 && rc != -ENOENT)
		return err_sys(err, rc, "template %s", from);
	rc = version ? source_template(s, version, out, err) : 0;
	if (rc == 0) {
		source_done(out);
		rc = source_jail(s, from, out, err);
	}
	if (rc == 0)
		return err_set(
		    err, ENOENT,
		    "there is no template and no cloned jail \"%s\" (newgate template list "
		    "shows the templates; newgate template create %s --from busybox makes one)",
		    from, from);
	return rc < 0 ? rc : 0;
}

int source_dir(const char *path, struct source *out, struct ng_err *err)
{
	out->tree = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return out->tree < 0 ? err_sys(err, errno, "%s", path) : 0;
}
