#include "store/clone.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/entry.h"
#include "store/stage.h"
#include "sys/path.h"

/* An absolute path without a slash at its end, which can stand in a line of a file. */
static int clean_path(const char *path, char **out, struct ng_err *err)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	if (path[0] != '/' || n == 0 || strchr(path, '\n'))
		return err_set(err, EINVAL,
			       "path \"%s\" cannot hold a clone: it must be absolute, and not /",
			       path);
	*out = mem_strndup(path, n);
	return 0;
}

/* Nothing, or an empty directory, may be where a clone is to come. */
static int check_free(const char *path, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, EEXIST, "%s exists and is not a directory: remove it first",
			       path);
	autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = dir < 0 ? -errno : copy_names(dir, &names);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	if (names.n > 0)
		return err_set(err, EEXIST,
			       "%s exists and is not empty: it is a jail's root already, or "
			       "move it away",
			       path);
	return 0;
}

/* Opens a template and keeps it from being destroyed while `lock` is open. The finders return 1, 0
 * where there is none of that name, or -errno. */
static int hold_template(const struct store *s, const char *name, struct source *out,
			 struct ng_err *err)
{
	struct stat held, now;

	out->lock = store_open_entry(s, STORE_TEMPLATES, name);
	if (out->lock == -ENOENT || out->lock == -ENOTDIR)
		return 0;
	if (out->lock < 0)
		return err_sys(err, out->lock, "template %s", name);
	if (flock(out->lock, LOCK_SH | LOCK_NB) < 0)
		return err_set(err, EBUSY, "template %s is being destroyed", name);
	/* It may have been taken away between the two calls. */
	autoclose int again = store_open_entry(s, STORE_TEMPLATES, name);
	if (again < 0 || fstat(out->lock, &held) < 0 || fstat(again, &now) < 0)
		return 0;
	return held.st_ino == now.st_ino;
}

static int find_template(const struct store *s, const char *name, struct source *out,
			 struct ng_err *err)
{
	int rc = hold_template(s, name, out, err);

	if (rc <= 0)
		return rc;
	out->tree = template_open_root(s, name);
	out->layer = template_open_root(s, name);
	if (out->tree < 0 || out->layer < 0)
		return err_sys(err, out->tree < 0 ? out->tree : out->layer, "template %s", name);
	out->lower = mem_strdup(name);
	return 1;
}

static int open_jail(const struct store *s, int dir, const struct entry *e, struct source *out,
		     struct ng_err *err)
{
	int rc = e->lower ? hold_template(s, e->lower, out, err) : 1;

	if (rc == 0)
		return err_set(err, ENOENT, "its template %s is missing", e->lower);
	rc = rc < 0 ? rc : out->backend->open(s, dir, e, out, err);
	return rc < 0 ? rc : 1;
}

static int find_jail(const struct store *s, const char *name, struct source *out,
		     struct ng_err *err)
{
	autodone(entry_done) struct entry e = {0};
	autoclose int dir = store_open_entry(s, STORE_JAILS, name);
	int rc = dir < 0 ? dir : entry_read(dir, store_kind_file(STORE_JAILS), &e);

	if (rc == -ENOENT || rc == -ENOTDIR)
		return 0;
	if (rc < 0)
		return err_sys(err, rc, "jail %s", name);
	out->backend = backend_find(e.backend);
	if (!out->backend || !e.path || !out->backend->there(&e))
		return 0;
	rc = open_jail(s, dir, &e, out, err);
	return rc < 0 ? err_prefix(err, "jail %s", name) : rc;
}

static int find_source(const struct store *s, const char *from, struct source *out,
		       struct ng_err *err)
{
	int rc = find_template(s, from, out, err);

	if (rc == 0) {
		source_done(out);
		rc = find_jail(s, from, out, err);
	}
	if (rc == 0)
		return err_set(
		    err, ENOENT,
		    "there is no template and no cloned jail \"%s\" (newgate template list "
		    "shows the templates; newgate template create %s --from busybox makes one)",
		    from, from);
	return rc;
}

/* Removes jails/NAME, whatever state it is in. */
static int remove_entry(struct store *s, const char *jail, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	int rc = stage_begin(s, STORE_JAILS, jail, &st, err);

	if (rc < 0)
		return rc;
	rc = stage_take_back(&st);
	if (rc < 0 && rc != -ENOENT)
		return err_sys(err, rc, "%s/jails/%s", s->dir, jail);
	return stage_drop(&st, err);
}

static int fill_stage(struct store *s, const struct source *src, const char *from, const char *path,
		      const char *hostname, const struct stage *st,
		      const struct store_backend **out, struct ng_err *err)
{
	const struct store_backend *backend = NULL;
	int rc = backend_choose(src, st->dir, path, &backend, err);

	if (rc < 0)
		return rc;
	const struct entry e = {
	    .backend = (char *)backend->name,
	    .from = (char *)from,
	    .lower = backend->layered ? src->lower : NULL,
	    .path = (char *)path,
	    .made = time(NULL),
	};
	rc = entry_write(st->dir, store_kind_file(STORE_JAILS), &e);
	if (rc < 0)
		return err_sys(err, rc, "writing to %s/jails", s->dir);
	*out = backend;
	return backend->fill(src, st->dir, path, hostname, err);
}

static int make_clone(struct store *s, const struct source *src, const char *from, const char *jail,
		      const char *path, const char *hostname, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	const struct store_backend *backend = NULL;
	int rc = stage_begin(s, STORE_JAILS, jail, &st, err);

	if (rc == 0)
		rc = fill_stage(s, src, from, path, hostname, &st, &backend, err);
	if (rc < 0)
		return rc;
	rc = stage_commit(&st);
	if (rc < 0)
		return err_sys(err, rc, "renaming to %s/jails/%s", s->dir, jail);
	rc = backend->place ? backend->place(path, err) : 0;
	if (rc < 0) {
		struct ng_err ignored = {0};
		stage_done(&st);
		remove_entry(s, jail, &ignored);
	}
	return rc;
}

/* A path below the store is one of a jail that names none, or would be in its way. */
static int check_place(struct store *s, const char *path, struct ng_err *err)
{
	autodone(str_done) struct str roots = {0};
	size_t n = strlen(s->dir);

	if (strncmp(path, s->dir, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return 0;
	str_addf(&roots, "%s/%s/", s->dir, store_kind_dir(STORE_ROOTS));
	if (!str_prefix(path, roots.s))
		return err_set(err, EINVAL, "path %s is inside newgate's own folders", path);
	autoclose int dir = store_open_kind(s, STORE_ROOTS, true);
	return dir < 0 ? err_sys(err, dir, "%s", roots.s) : 0;
}

static int check_new(struct store *s, const char *jail, const char *path, struct ng_err *err)
{
	if (store_has_jail(s, jail))
		return err_set(err, EEXIST,
			       "jail %s has a tree already: newgate destroy %s removes it", jail,
			       jail);
	int rc = check_place(s, path, err);
	if (rc == 0)
		rc = check_free(path, err);
	/* What a killed run left under this name gives way. */
	autoclose int left = rc < 0 ? -ENOENT : store_open_entry(s, STORE_JAILS, jail);
	return left < 0 ? rc : remove_entry(s, jail, err);
}

int clone_source(struct store *s, const struct source *src, const char *from, const char *jail,
		 const char *path, const char *hostname, struct ng_err *err)
{
	autofree char *at = NULL;
	int rc = store_check_name(STORE_JAILS, jail, err);

	if (rc == 0)
		rc = clean_path(path, &at, err);
	if (rc == 0)
		rc = check_new(s, jail, at, err);
	if (rc == 0)
		rc = make_clone(s, src, from, jail, at, hostname, err);
	return rc;
}

static int clone_named(struct store *s, const struct source *src, const char *from,
		       const char *jail, const char *path, const char *hostname, struct ng_err *err)
{
	int rc = clone_source(s, src, from, jail, path, hostname ? hostname : jail, err);

	return rc < 0 ? err_prefix(err, "cloning %s to %s", from, jail) : 0;
}

int store_clone(struct store *s, const char *from, const char *jail, const char *path,
		const char *hostname, struct ng_err *err)
{
	autodone(source_done) struct source src = SOURCE_NONE;
	int rc = find_source(s, from, &src, err);

	return rc < 0 ? rc : clone_named(s, &src, from, jail, path, hostname, err);
}

int store_clone_dir(struct store *s, const char *dir, const char *from, const char *jail,
		    const char *path, const char *hostname, struct ng_err *err)
{
	autodone(source_done) struct source src = SOURCE_NONE;

	src.tree = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (src.tree < 0)
		return err_sys(err, errno, "%s", dir);
	return clone_named(s, &src, from, jail, path, hostname, err);
}

static int check_unmounted(const char *path, struct ng_err *err)
{
	autofree char *first = NULL;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s", path);
	if (S_ISLNK(st.st_mode))
		return err_set(err, ELOOP,
			       "%s is a symbolic link, which is not followed: remove it and "
			       "what it names by hand",
			       path);
	int rc = path_mounted_below(path, &first);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	if (rc > 0)
		return err_set(err, EBUSY, "something is mounted at %s: umount it first", first);
	return 0;
}

static int destroy_entry(struct store *s, const char *jail, const char *path, const struct entry *e,
			 struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	autofree char *own = NULL;

	if (path && !store_same_path(path, e->path))
		return err_set(
		    err, EINVAL,
		    "its tree was made at %s, but its path is now %s: set path back to remove it",
		    e->path, path);
	if (asprintf(&own, "%s/jails/%s", s->dir, jail) < 0)
		return err_sys(err, ENOMEM, "path");
	int rc = check_unmounted(e->path, err);
	if (rc == 0)
		rc = check_unmounted(own, err);
	if (rc == 0)
		rc = stage_begin(s, STORE_JAILS, jail, &st, err);
	if (rc == 0)
		rc = backend_find(e->backend)->displace(e->path, err);
	if (rc < 0)
		return rc;
	rc = stage_take_back(&st);
	return rc < 0 ? err_sys(err, rc, "%s", own) : stage_drop(&st, err);
}

int store_destroy(struct store *s, const char *jail, const char *path, struct ng_err *err)
{
	autodone(entry_done) struct entry e = {0};
	autoclose int dir = store_open_entry(s, STORE_JAILS, jail);
	int rc = dir < 0 ? dir : entry_read(dir, store_kind_file(STORE_JAILS), &e);

	if (rc == -ENOENT)
		return err_set(err, ENOENT, "destroying %s: newgate has made no tree for it", jail);
	if (rc == 0 && (!backend_find(e.backend) || !e.path || e.path[0] != '/'))
		rc = -EBADMSG;
	if (rc < 0)
		return err_sys(err, rc, "destroying %s: %s/jails/%s/origin", jail, s->dir, jail);
	rc = destroy_entry(s, jail, path, &e, err);
	return rc < 0 ? err_prefix(err, "destroying %s", jail) : 0;
}
