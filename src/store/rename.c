/* A jail's tree under another name. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "sys/path.h"

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

/* The tree itself, from path to path. One that was moved already, by a run that was killed, is left
 * alone. */
static int move_tree(const char *from, const char *to, struct ng_err *err)
{
	autofree char *mounted = NULL;
	struct stat st;
	if (lstat(from, &st) < 0 && errno == ENOENT)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ENOTDIR, "%s is not a directory: it is yours to move", from);
	int rc = path_mounted_below(from, &mounted);
	if (rc != 0)
		return rc < 0 ? err_sys(err, rc, "%s", from)
			      : err_set(err, EBUSY, "something is mounted at %s: umount it first",
					mounted);
	autofree char *parent = mem_strndup(to, (size_t)(strrchr(to, '/') - to) + 1);
	rc = file_mkdirs(parent, 0700);
	if (rc < 0)
		return err_sys(err, rc, "making %s", parent);
	rc = path_rename_new(AT_FDCWD, from, AT_FDCWD, to);
	if (rc == 0)
		return 0;
	if (rc == -EXDEV)
		return err_set(err, EXDEV,
			       "%s would be on another file system than %s: write the path of the "
			       "jail out in jail.conf, or move the tree yourself",
			       to, from);
	return err_sys(err, rc, "renaming %s to %s", from, to);
}

/* As what keeps the jail's tree does it; one that is not of the store's is renamed. */
static int move(const struct store *s, const char *jail, const char *from, const char *to,
		struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = thing_open(s, STORE_JAILS, jail, &t, err);
	if (rc == 0 && t.b->move)
		return t.b->move(&t, to, err);
	return rc < 0 && rc != -ENOENT ? rc : move_tree(from, to, err);
}

static int write_origin(int dir, const struct entry *e, struct ng_err *err)
{
	static const char next[] = "origin.new";
	int rc = entry_write(dir, next, e);
	if (rc == 0 && renameat(dir, next, dir, store_kind_file(STORE_JAILS)) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "origin") : 0;
}

static int move_entry(const struct store *s, const char *from, const char *to, const char *path,
		      struct ng_err *err)
{
	autodone(entry_done) struct entry e = {0};
	autoclose int kind = store_open_kind(s, STORE_JAILS, false);
	if (kind == -ENOENT)
		return 0;
	if (kind < 0)
		return err_sys(err, kind, "%s/jails", s->dir);
	int rc = path_rename_new(kind, from, kind, to);
	if (rc < 0 && rc != -ENOENT)
		return err_sys(err, rc, "renaming %s/jails/%s to %s", s->dir, from, to);
	autoclose int dir = store_open_entry(s, STORE_JAILS, to);
	rc = dir < 0 ? dir : entry_read(dir, store_kind_file(STORE_JAILS), &e);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_sys(err, rc, "%s/jails/%s", s->dir, to);
	if (!e.path || store_same_path(e.path, path))
		return 0;
	free(e.path);
	e.path = mem_strdup(path);
	return write_origin(dir, &e, err);
}

int store_rename(struct store *s, const char *from, const char *to, const char *old_path,
		 const char *new_path, struct ng_err *err)
{
	struct ng_err ignored = {0};
	bool moves = !store_same_path(old_path, new_path);
	int rc = store_check_name(STORE_JAILS, to, err);
	if (rc == 0 && moves && is_there(old_path) && is_there(new_path))
		rc = err_set(err, EEXIST, "%s exists already: move it away", new_path);
	if (rc == 0 && moves)
		rc = move(s, from, old_path, new_path, err);
	if (rc < 0)
		return rc;
	rc = move_entry(s, from, to, new_path, err);
	if (rc == 0)
		return 0;
	if (move_entry(s, to, from, old_path, &ignored) < 0 ||
	    (moves && move(s, from, new_path, old_path, &ignored) < 0))
		err_prefix(err, "half done (%s)", ignored.text);
	return rc;
}
