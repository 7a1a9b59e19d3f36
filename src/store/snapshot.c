/* Snapshots of jails: folders in STORE/jails/JAIL/snapshots, whatever keeps the tree.
 *
 * One is made as .NAME, and goes by way of that name too, so that what a killed run leaves is known
 * by its dot; whoever comes next, holding the lock on the folder of all, removes it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "sys/path.h"

#define FOLDER "snapshots"
#define NAME_ROOM 100

int store_snapshot_check(const char *name, struct ng_err *err)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	    "_.:-";
	size_t n = strlen(name);

	if (n > 0 && n <= NAME_ROOM && strspn(name, letters) == n && !strchr("_.:-", name[0]))
		return 0;
	return err_set(err, EINVAL,
		       "a snapshot cannot be called \"%.300s\": letters, digits and \"_.:-\", at "
		       "most %d, a letter or digit first",
		       name, NAME_ROOM);
}

static int open_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Removes what is called `hidden`, begins with a dot, and was to be or was the snapshot. */
static int remove_hidden(const struct thing *t, int all, const char *hidden, struct ng_err *err)
{
	autoclose int folder = open_folder(all, hidden);
	int rc = 0;

	if (folder >= 0 && t->b->forget)
		rc = t->b->forget(t, hidden + 1, folder, err);
	if (rc < 0)
		return rc;
	rc = path_remove_tree(all, hidden);
	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "removing snapshots/%s", hidden) : 0;
}

static int sweep(const struct thing *t, int all, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(all, &names);

	if (rc < 0)
		return err_sys(err, rc, FOLDER);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		if (names.v[i][0] == '.')
			rc = remove_hidden(t, all, names.v[i], err);
	return rc;
}

/* The folder of all snapshots, locked and swept; -ENOENT where there is none (make: is made). */
static int open_all(struct thing *t, bool make, struct ng_err *err)
{
	if (make && mkdirat(t->dir, FOLDER, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "making " FOLDER);
	autoclose int all = open_folder(t->dir, FOLDER);
	if (all == -ENOENT)
		return -ENOENT;
	if (all < 0)
		return err_sys(err, all, FOLDER);
	if (flock(all, LOCK_EX) < 0)
		return err_sys(err, errno, FOLDER);
	int rc = sweep(t, all, err);
	if (rc == 0 && t->b->mend)
		rc = t->b->mend(t, err);
	return rc < 0 ? rc : take_fd(&all);
}

static int no_such(const struct thing *t, const char *name, int all, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	autofree const char **known = NULL;
	const char *near = NULL;

	if (all >= 0 && copy_names(all, &names) == 0 && names.n > 0) {
		known = mem_alloc(names.n * sizeof(*known));
		for (size_t i = 0; i < names.n; i++)
			known[i] = names.v[i];
		near = str_nearest(name, known, names.n);
	}
	return err_set(err, ENOENT, "it has no snapshot %s%s%s%s (newgate snapshot list %s)", name,
		       near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "",
		       t->name);
}

int snapshot_open(const struct thing *t, const char *name, struct ng_err *err)
{
	autoclose int all = open_folder(t->dir, FOLDER);
	int rc = store_snapshot_check(name, err);

	if (rc < 0)
		return rc;
	int fd = all < 0 ? all : open_folder(all, name);
	if (fd == -ENOENT)
		return no_such(t, name, all, err);
	return fd < 0 ? err_sys(err, fd, "snapshot %s", name) : fd;
}

static int open_jail(const struct store *s, const char *jail, struct thing *t, struct ng_err *err)
{
	int rc = thing_open(s, STORE_JAILS, jail, t, err);

	return rc == -ENOENT && !err->code
		   ? err_set(err, ENOENT,
			     "newgate has made no tree for it, so it can keep no snapshots")
		   : rc;
}

static int make(struct thing *t, const char *name, struct ng_err *err)
{
	autofree char *hidden = NULL;
	autoclose int all = open_all(t, true, err);
	struct stat st;

	if (all < 0)
		return all;
	if (fstatat(all, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, EEXIST, "it has a snapshot %s already", name);
	if (asprintf(&hidden, ".%s", name) < 0)
		return err_sys(err, ENOMEM, "name");
	if (mkdirat(all, hidden, 0700) < 0)
		return err_sys(err, errno, "making a folder");
	autoclose int folder = open_folder(all, hidden);
	struct entry e = t->e;
	e.made = time(NULL);
	int rc = folder < 0 ? folder : entry_write(folder, SNAPSHOT_META, &e);
	if (rc < 0)
		return err_sys(err, rc, "writing to " FOLDER);
	rc = t->b->snapshot(t, name, folder, err);
	/* The name must not reach the disk before what it names. */
	if (rc == 0 && syncfs(folder) < 0)
		rc = err_sys(err, errno, "writing to disk");
	if (rc == 0 && renameat(all, hidden, all, name) < 0)
		rc = err_sys(err, errno, "renaming %s", hidden);
	if (rc < 0) {
		struct ng_err ignored = {0};
		if (remove_hidden(t, all, hidden, &ignored) < 0)
			err_prefix(err, "(%s)", ignored.text);
	}
	return rc;
}

int store_snapshot(const struct store *s, const char *jail, const char *name, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = store_snapshot_check(name, err);

	if (rc == 0)
		rc = open_jail(s, jail, &t, err);
	if (rc == 0)
		rc = make(&t, name, err);
	return rc < 0 ? err_prefix(err, "snapshot %s@%s", jail, name) : 0;
}

static int destroy(struct thing *t, const char *name, struct ng_err *err)
{
	autofree char *hidden = NULL;
	autoclose int all = open_all(t, false, err);

	if (all < 0)
		return all == -ENOENT && !err->code ? no_such(t, name, all, err) : all;
	if (asprintf(&hidden, ".%s", name) < 0)
		return err_sys(err, ENOMEM, "name");
	if (renameat(all, name, all, hidden) < 0)
		return errno == ENOENT ? no_such(t, name, all, err)
				       : err_sys(err, errno, "renaming %s", name);
	int rc = remove_hidden(t, all, hidden, err);
	if (rc == -EBUSY && renameat(all, hidden, all, name) < 0)
		err_prefix(err, "(%s)", strerror(errno));
	return rc;
}

int store_snapshot_destroy(const struct store *s, const char *jail, const char *name,
			   struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = store_snapshot_check(name, err);

	if (rc == 0)
		rc = open_jail(s, jail, &t, err);
	if (rc == 0)
		rc = destroy(&t, name, err);
	return rc < 0 ? err_prefix(err, "destroying %s@%s", jail, name) : 0;
}

int snapshot_hide(const struct thing *t, const char *name, struct ng_err *err)
{
	autoclose int all = open_folder(t->dir, FOLDER);
	autofree char *hidden = NULL;

	if (asprintf(&hidden, ".%s", name) < 0)
		return err_sys(err, ENOMEM, "name");
	if (all >= 0 && renameat(all, name, all, hidden) < 0 && errno != ENOENT)
		return err_sys(err, errno, "snapshot %s", name);
	return 0;
}

int snapshot_origin(struct thing *t, const char *name, struct ng_err *err)
{
	autodone(entry_done) struct entry then = {0};
	autoclose int folder = snapshot_open(t, name, err);
	int rc = folder < 0 ? folder : entry_read(folder, SNAPSHOT_META, &then);

	if (rc < 0)
		return err->code ? rc : err_sys(err, rc, SNAPSHOT_META);
	free(t->e.from);
	free(t->e.lower);
	free(t->e.template);
	t->e.from = take_ptr(then.from);
	t->e.lower = take_ptr(then.lower);
	t->e.template = take_ptr(then.template);
	return 0;
}

bool snapshot_any(int dir)
{
	autodone(strv_done) struct strv names = {0};
	autoclose int all = open_folder(dir, FOLDER);
	bool any = false;

	if (all < 0 || copy_names(all, &names) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++)
		any = any || names.v[i][0] != '.';
	return any;
}

bool snapshot_needs(const struct store *s, const char *jail, const struct strv *templates)
{
	autodone(strv_done) struct strv names = {0};
	autoclose int dir = store_open_entry(s, STORE_JAILS, jail);
	autoclose int all = dir < 0 ? dir : open_folder(dir, FOLDER);
	bool needs = false;

	if (all < 0 || copy_names(all, &names) < 0)
		return false;
	for (size_t i = 0; i < names.n && !needs; i++) {
		autodone(entry_done) struct entry e = {0};
		autoclose int folder = open_folder(all, names.v[i]);
		needs = folder >= 0 && entry_read(folder, SNAPSHOT_META, &e) == 0 && e.lower &&
			strv_has(templates, e.lower);
	}
	return needs;
}

static int rollback(struct thing *t, const char *name, bool later, struct ng_err *err)
{
	autoclose int all = open_all(t, false, err);

	if (all < 0)
		return all == -ENOENT && !err->code ? no_such(t, name, all, err) : all;
	autoclose int folder = snapshot_open(t, name, err);
	if (folder < 0)
		return folder;
	int rc = snapshot_origin(t, name, err);
	if (rc == 0)
		rc = t->b->restore(t, name, folder, later, err);
	/* What took the place of a bounded tree is not bounded yet. */
	if (rc == 0 && t->e.quota > 0)
		rc = t->b->quota(t, t->e.quota, err);
	return rc < 0 ? rc : sweep(t, all, err);
}

int store_rollback(const struct store *s, const char *jail, const char *name, bool later,
		   struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = store_snapshot_check(name, err);

	if (rc == 0)
		rc = open_jail(s, jail, &t, err);
	if (rc == 0)
		rc = rollback(&t, name, later, err);
	return rc < 0 ? err_prefix(err, "rolling %s back to %s", jail, name) : 0;
}

int snapshot_change(const struct store *s, const char *jail, const char *name,
		    int (*change)(void *arg, int tree, struct ng_err *err), void *arg,
		    struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = open_jail(s, jail, &t, err);

	t.change = change;
	t.change_arg = arg;
	return rc < 0 ? rc : rollback(&t, name, false, err);
}

bool store_has_snapshot(const struct store *s, const char *jail, const char *name,
			struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = open_jail(s, jail, &t, err);
	autoclose int folder = rc < 0 ? rc : snapshot_open(&t, name, err);

	if (folder < 0)
		err_prefix(err, "jail %s", jail);
	return folder >= 0;
}

bool store_copies(const struct store *s, const char *jail)
{
	autodone(thing_done) struct thing t = THING_NONE;
	struct ng_err ignored = {0};

	return thing_open(s, STORE_JAILS, jail, &t, &ignored) == 0 && t.b->copies;
}

static int add_one(const struct thing *t, int all, const char *name, struct store_snapshot *out,
		   struct ng_err *err)
{
	autodone(entry_done) struct entry e = {0};
	autoclose int folder = open_folder(all, name);
	int rc = folder < 0 ? folder : entry_read(folder, SNAPSHOT_META, &e);

	if (rc < 0)
		return err_sys(err, rc, "snapshot %s@%s", t->name, name);
	*out = (struct store_snapshot){.made = e.made};
	rc = t->b->snapshot_size(t, name, folder, &out->bytes, err);
	if (rc == 0)
		out->name = mem_strdup(name);
	return rc;
}

static int compare(const void *a, const void *b)
{
	const struct store_snapshot *x = a, *y = b;

	return x->made != y->made ? (x->made > y->made) - (x->made < y->made)
				  : strcmp(x->name, y->name);
}

int store_snapshots(const struct store *s, const char *jail, struct store_snapshot **out, size_t *n,
		    struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	autodone(strv_done) struct strv names = {0};
	int rc = open_jail(s, jail, &t, err);

	*out = NULL;
	*n = 0;
	if (rc < 0)
		return err_prefix(err, "jail %s", jail);
	autoclose int all = open_folder(t.dir, FOLDER);
	if (all == -ENOENT)
		return 0;
	rc = all < 0 ? all : copy_names(all, &names);
	if (rc < 0)
		return err_sys(err, rc, "snapshots of %s", jail);
	struct store_snapshot *v = NULL;
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		if (names.v[i][0] == '.')
			continue;
		v = mem_grow(v, *n, sizeof(*v));
		rc = add_one(&t, all, names.v[i], &v[*n], err);
		*n += rc == 0;
	}
	if (rc < 0) {
		store_snapshots_free(v, *n);
		return rc;
	}
	if (*n > 1)
		qsort(v, *n, sizeof(*v), compare);
	*out = v;
	return 0;
}

void store_snapshots_free(struct store_snapshot *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}
