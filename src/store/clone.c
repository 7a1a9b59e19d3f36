#include "store/clone.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/copy.h"
#include "store/entry.h"
#include "store/identity.h"
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

/* Fills the stage and, where it is to have a host name, gives what is there an identity of its own.
 */
static int fill_stage(const struct source *from, const char *hostname, struct thing *t,
		      struct ng_err *err)
{
	const struct source *src = from->make ? NULL : from;
	int rc = backend_choose(src, t, err);

	if (rc == 0)
		rc = entry_write(t->dir, store_kind_file(STORE_JAILS), &t->e);
	if (rc < 0)
		return err->code ? rc : err_sys(err, rc, "writing to %s/jails", t->s->dir);
	autoclose int tree = t->b->fill(src, t, err);
	if (tree < 0)
		return tree;
	bool layered = t->b == &backend_overlay;
	if (from->make)
		rc = from->make(from->make_arg, tree, err);
	if (rc == 0 && hostname)
		rc = identity_renew(tree, layered ? src->layer : -1, hostname, err);
	/* The name must not reach the disk before what it names. */
	if (rc == 0 && !layered && syncfs(tree) < 0)
		rc = err_sys(err, errno, "writing to disk");
	return rc;
}

static int make_clone(struct store *s, const struct source *src, const char *from, const char *jail,
		      const char *path, const char *hostname, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = stage_begin(s, STORE_JAILS, jail, &st, err);

	/* Only now is nothing there that a killed run left. */
	if (rc == 0)
		rc = check_free(path, err);
	if (rc < 0)
		return rc;
	rc = stage_thing(&st, &t, err);
	if (rc < 0)
		return rc;
	t.e =
	    (struct entry){.from = mem_strdup(from), .path = mem_strdup(path), .made = time(NULL)};
	if (src->template)
		t.e.template = mem_strdup(src->template);
	rc = fill_stage(src, hostname, &t, err);
	if (rc < 0)
		return rc;
	rc = stage_commit(&st);
	if (rc < 0)
		return err_sys(err, rc, "renaming to %s/jails/%s", s->dir, jail);
	rc = t.b->place ? t.b->place(&t, err) : 0;
	if (rc < 0) {
		struct ng_err ignored = {0};
		thing_done(&t);
		stage_done(&st);
		remove_entry(s, jail, &ignored);
	}
	return rc;
}

int store_clear(struct store *s, const char *jail, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err ignored = {0};

	/* One that tells what keeps its tree may only be out of reach. */
	if (thing_open(s, STORE_JAILS, jail, &t, &ignored) != -ENOENT || t.b || t.dir < 0)
		return 0;
	int rc = remove_entry(s, jail, err);
	return rc < 0 ? rc : 1;
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
	/* What a killed run left under this name gives way. */
	autoclose int left = rc < 0 ? -ENOENT : store_open_entry(s, STORE_JAILS, jail);
	if (left < 0)
		return rc;
	if (snapshot_any(left))
		return err_set(err, EEXIST,
			       "the tree of jail %s is missing, but its snapshots are there: is "
			       "something not mounted? (newgate destroy %s removes them)",
			       jail, jail);
	return remove_entry(s, jail, err);
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
	int rc = source_find(s, from, &src, err);

	src.full = s->full;
	return rc < 0 ? rc : clone_named(s, &src, from, jail, path, hostname, err);
}

int store_clone_dir(struct store *s, const char *dir, const char *from, const char *jail,
		    const char *path, const char *hostname, struct ng_err *err)
{
	autodone(source_done) struct source src = SOURCE_NONE;
	int rc = source_dir(dir, &src, err);

	src.full = s->full;
	return rc < 0 ? rc : clone_named(s, &src, from, jail, path, hostname, err);
}

int store_sync(const struct store *s, const char *jail, struct ng_err *err)
{
	autoclose int dir = store_open_entry(s, STORE_JAILS, jail);
	autoclose int file =
	    dir < 0 ? dir : openat(dir, store_kind_file(STORE_JAILS), O_RDONLY | O_CLOEXEC);
	autoclose int all = store_open_kind(s, STORE_JAILS, false);

	if (file < 0 || all < 0 || fsync(file) < 0 || fsync(dir) < 0 || fsync(all) < 0)
		return err_sys(err, errno, "%s/jails/%s: writing to disk", s->dir, jail);
	return 0;
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

static int destroy_thing(struct store *s, const char *path, struct thing *t, struct ng_err *err)
{
	autodone(stage_done) struct stage st = STAGE_NONE;
	autofree char *own = NULL;

	if (path && !store_same_path(path, t->e.path))
		return err_set(
		    err, EINVAL,
		    "its tree was made at %s, but its path is now %s: set path back to remove it",
		    t->e.path, path);
	if (asprintf(&own, "%s/jails/%s", s->dir, t->name) < 0)
		return err_sys(err, ENOMEM, "path");
	int rc = t->b->mounts ? 0 : check_unmounted(t->e.path, err);
	if (rc == 0)
		rc = check_unmounted(own, err);
	if (rc == 0)
		rc = stage_begin(s, STORE_JAILS, t->name, &st, err);
	if (rc == 0 && t->b->mend)
		rc = t->b->mend(t, err);
	if (rc == 0)
		rc = t->b->displace(t, err);
	if (rc < 0)
		return rc;
	rc = stage_take_back(&st);
	return rc < 0 ? err_sys(err, rc, "%s", own) : stage_drop(&st, err);
}

int store_destroy(struct store *s, const char *jail, const char *path, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = thing_open(s, STORE_JAILS, jail, &t, err);

	if (rc == -ENOENT && !t.b)
		return err_set(err, ENOENT, "destroying %s: newgate has made no tree for it", jail);
	/* An entry whose tree is gone goes too. */
	if (rc == 0 || rc == -ENOENT)
		rc = destroy_thing(s, path, &t, err);
	return rc < 0 ? err_prefix(err, "destroying %s", jail) : 0;
}
