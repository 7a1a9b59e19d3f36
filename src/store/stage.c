#include "store/stage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "sys/path.h"

#define PARTIAL ".partial"

const char *stage_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

char *stage_twin_name(const char *path)
{
	autodone(str_done) struct str b = {0};

	str_addf(&b, ".%s.newgate", stage_name(path));
	return str_take(&b);
}

int stage_open_parent(const char *path, struct ng_err *err)
{
	autofree char *folder = mem_strndup(path, (size_t)(stage_name(path) - path));
	int fd = path_open_host(folder, O_RDONLY | O_DIRECTORY, 0);

	if (fd == -ELOOP)
		return err_set(
		    err, ELOOP,
		    "%s is reached by a symbolic link, which whoever can write there may "
		    "turn elsewhere: write where it leads to",
		    folder);
	return fd < 0 && fd != -ENOENT ? err_sys(err, fd, "%s", folder) : fd;
}

int stage_remove_twin(const char *path, struct ng_err *err)
{
	autofree char *twin = stage_twin_name(path);
	autoclose int parent = stage_open_parent(path, err);

	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	int rc = path_remove_tree(parent, twin);
	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "removing %s", twin) : 0;
}

/* What belongs to a stage beyond its folder, as its entry says. */
static int drop_tree(const struct store *s, enum store_kind kind, const char *name, int dir,
		     struct ng_err *err)
{
	struct thing t = {.s = s, .kind = kind, .name = name, .dir = dir};
	int rc = entry_read(dir, store_kind_file(kind), &t.e);

	if (rc < 0)
		return rc == -ENOENT ? 0 : err_sys(err, rc, "reading what a stopped run left");
	t.b = backend_find(t.e.backend);
	if (t.b && t.b->drop && (kind != STORE_JAILS || (t.e.path && t.e.path[0] == '/')))
		rc = t.b->drop(&t, err);
	entry_done(&t.e);
	return rc;
}

static int remove_stage(const struct store *s, enum store_kind kind, int partial, const char *name,
			int dir, struct ng_err *err)
{
	int rc = drop_tree(s, kind, name, dir, err);

	if (rc < 0)
		return rc;
	rc = path_remove_tree(partial, name);
	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "removing " PARTIAL "/%s", name) : 0;
}

/* Removes what nobody holds. Called with .partial locked, so none of it is just being begun. What
 * cannot be removed matters only to the one who wants that name. */
static int sweep(const struct store *s, enum store_kind kind, int partial, const char *wanted,
		 struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(partial, &names);

	if (rc < 0)
		return err_sys(err, rc, "reading " PARTIAL);
	for (size_t i = 0; i < names.n; i++) {
		autoclose int dir =
		    openat(partial, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
			continue;
		struct ng_err failed = {0};
		rc = remove_stage(s, kind, partial, names.v[i], dir, &failed);
		if (rc < 0 && str_eq(names.v[i], wanted)) {
			*err = failed;
			return rc;
		}
	}
	return 0;
}

static int make_locked(int partial, const char *name)
{
	if (mkdirat(partial, name, 0700) < 0)
		return errno == EEXIST ? -EBUSY : -errno;
	autoclose int dir = openat(partial, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return take_fd(&dir);
}

int stage_begin(struct store *s, enum store_kind kind, const char *name, struct stage *out,
		struct ng_err *err)
{
	*out = STAGE_NONE;
	autoclose int at = store_open_kind(s, kind, true);
	if (at < 0)
		return err_sys(err, at, "%s/%s", s->dir, store_kind_dir(kind));
	if (mkdirat(at, PARTIAL, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "%s/%s/" PARTIAL, s->dir, store_kind_dir(kind));
	autoclose int partial =
	    openat(at, PARTIAL, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (partial < 0 || flock(partial, LOCK_EX) < 0)
		return err_sys(err, errno, "%s/%s/" PARTIAL, s->dir, store_kind_dir(kind));
	int rc = sweep(s, kind, partial, name, err);
	if (rc < 0)
		return rc;
	int dir = make_locked(partial, name);
	if (dir == -EBUSY)
		return err_set(err, EBUSY, "another newgate is making or removing %s: wait for it",
			       name);
	if (dir < 0)
		return err_sys(err, dir, "%s/%s/" PARTIAL "/%s", s->dir, store_kind_dir(kind),
			       name);
	flock(partial, LOCK_UN);
	*out = (struct stage){s, kind, take_fd(&partial), dir, mem_strdup(name), false};
	return 0;
}

int stage_thing(const struct stage *st, struct thing *out, struct ng_err *err)
{
	*out = (struct thing){.s = st->s, .kind = st->kind, .name = st->name};
	out->dir = fcntl(st->dir, F_DUPFD_CLOEXEC, 0);
	return out->dir < 0 ? err_sys(err, errno, "opening a stage") : 0;
}

static void forget(struct stage *st)
{
	/* A child that closes something of its own for us may have it too, for a moment. */
	if (st->dir >= 0) {
		flock(st->dir, LOCK_UN);
		close(st->dir);
	}
	if (st->partial >= 0)
		close(st->partial);
	free(st->name);
	*st = STAGE_NONE;
}

int stage_commit(struct stage *st)
{
	autofree char *to = NULL;

	if (asprintf(&to, "../%s", st->name) < 0)
		return -ENOMEM;
	int rc = path_rename_new(st->partial, st->name, st->partial, to);
	if (rc < 0)
		return rc;
	st->committed = true;
	return 0;
}

int stage_take_back(struct stage *st)
{
	autofree char *from = NULL;

	if (asprintf(&from, "../%s", st->name) < 0)
		return -ENOMEM;
	/* The empty, locked folder gives way; what takes its place is locked first. */
	autoclose int dir =
	    openat(st->partial, from, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (renameat(st->partial, from, st->partial, st->name) < 0)
		return -errno;
	close(st->dir);
	st->dir = take_fd(&dir);
	return 0;
}

int stage_drop(struct stage *st, struct ng_err *err)
{
	int rc = remove_stage(st->s, st->kind, st->partial, st->name, st->dir, err);

	forget(st);
	return rc;
}

void stage_done(struct stage *st)
{
	/* What cannot be removed now is left, unlocked, to the next run, which tells why. */
	struct ng_err ignored = {0};

	if (st->dir >= 0 && !st->committed)
		stage_drop(st, &ignored);
	forget(st);
}
