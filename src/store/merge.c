#include "store/merge.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/copy.h"
#include "sys/path.h"

static int fail(const struct merge *m, const char *path, int code)
{
	return err_sys(m->err, code, "%.1024s", path);
}

/* The folder that a path is in, and its last name. Nobody else writes to these trees, but nothing in
 * them is followed all the same. */
static int open_folder(int tree, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = mem_strndup(path, (size_t)(slash - path));

	*name = slash + 1;
	return path_open_nolink(tree, *folder ? folder : "/", O_RDONLY | O_DIRECTORY, 0);
}

static bool is_opaque(int dir)
{
	char value;

	return fgetxattr(dir, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* Would what lies below be seen at the path, if the layer had nothing there? A folder that the jail
 * removed and made again hides what is below it. -errno or 0, 1. */
static int shows_below(const struct merge *m, const char *path)
{
	const char *end = path;

	while ((end = strchr(end + 1, '/'))) {
		autofree char *folder = mem_strndup(path, (size_t)(end - path));
		autoclose int dir = path_open_nolink(m->tree, folder, O_RDONLY | O_DIRECTORY, 0);
		if (dir == -ENOENT)
			return 1;
		if (dir < 0)
			return dir;
		if (is_opaque(dir))
			return 0;
	}
	return 1;
}

static int make_like(const struct merge *m, const char *path)
{
	const char *name, *also;
	autoclose int to = open_folder(m->tree, path, &name);
	autoclose int from = open_folder(m->fresh, path, &also);
	struct stat st;

	if (to < 0 || from < 0)
		return fail(m, path, to < 0 ? to : from);
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(m, path, -errno);
	int rc = copy_one(from, to, name, m->err);
	return rc < 0 ? err_prefix(m->err, "%.1024s", path) : 0;
}

/* 1 where both are folders, and the tree's has got the attributes. */
static int meet_folders(const struct merge *m, const char *path)
{
	autoclose int to = path_open_nolink(m->tree, path, O_RDONLY | O_DIRECTORY, 0);
	autoclose int from = path_open_nolink(m->fresh, path, O_RDONLY | O_DIRECTORY, 0);

	if (to < 0 || from < 0)
		return 0;
	int rc = copy_dir_attributes(from, to, 0, m->err);
	return rc < 0 ? rc : 1;
}

/* What stands in the way; 0 also where nothing does. */
static int clear(const struct merge *m, const char *path)
{
	const char *name;
	autoclose int dir = open_folder(m->tree, path, &name);

	if (dir < 0)
		return dir == -ENOENT || dir == -ENOTDIR ? 0 : fail(m, path, dir);
	int rc = path_remove_tree(dir, name);
	return rc < 0 && rc != -ENOENT ? fail(m, path, rc) : 0;
}

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* Marks in a layer's folder that hide what is not below any more. */
static int remove_whiteouts(int at, const char *name)
{
	autodone(strv_done) struct strv names = {0};
	autoclose int dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = dir < 0 ? -errno : copy_names(dir, &names);
	struct stat st;

	for (size_t i = 0; rc == 0 && i < names.n; i++)
		if (fstatat(dir, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(&st) &&
		    unlinkat(dir, names.v[i], 0) < 0)
			rc = -errno;
	return rc;
}

/* A folder that still holds something is the jail's by now. */
static int remove_folder(const struct merge *m, int dir, const char *name)
{
	int rc = m->layer ? remove_whiteouts(dir, name) : 0;

	if (rc == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
	    errno != EEXIST)
		rc = -errno;
	return rc;
}

static int remove_one(const struct merge *m, const char *path)
{
	const char *name;
	autoclose int dir = open_folder(m->tree, path, &name);
	struct stat st;

	if (dir < 0)
		return dir == -ENOENT || dir == -ENOTDIR ? 0 : fail(m, path, dir);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail(m, path, -errno);
	int rc = S_ISDIR(st.st_mode)          ? remove_folder(m, dir, name)
		 : unlinkat(dir, name, 0) < 0 ? -errno
					      : 0;
	return rc < 0 ? fail(m, path, rc) : 0;
}

/* One folder on the way to what the template has: as it has it, but empty, so in a layer closed to
 * what is below. */
static int make_folder(const struct merge *m, int at, const char *name, const char *path)
{
	int rc = path_remove_tree(at, name);

	if (rc < 0 && rc != -ENOENT)
		return fail(m, path, rc);
	if (mkdirat(at, name, 0700) < 0)
		return fail(m, path, -errno);
	autoclose int to = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int from = path_open_nolink(m->fresh, path, O_RDONLY | O_DIRECTORY, 0);
	if (to < 0 || from < 0)
		return fail(m, path, to < 0 ? -errno : from);
	if (m->layer && fsetxattr(to, "user.overlay.opaque", "y", 1, 0) < 0)
		return fail(m, path, -errno);
	return copy_dir_attributes(from, to, 0, m->err);
}

int merge_make_way(const struct merge *m, const char *path)
{
	const char *end = path;

	while ((end = strchr(end + 1, '/'))) {
		autofree char *folder = mem_strndup(path, (size_t)(end - path));
		const char *name;
		autoclose int at = open_folder(m->tree, folder, &name);
		/* A layer has no folders but those in which something changed. */
		if (at == -ENOENT && m->layer)
			return 0;
		if (at < 0)
			return fail(m, folder, at);
		struct stat st;
		bool there = fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (there ? S_ISDIR(st.st_mode) : m->layer)
			continue;
		int rc = make_folder(m, at, name, folder);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int merge_take(const struct merge *m, enum diff_what what, const char *path)
{
	if (what == DIFF_REMOVED)
		return remove_one(m, path);
	int rc = meet_folders(m, path);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = clear(m, path);
	if (rc < 0)
		return rc;
	rc = m->layer ? shows_below(m, path) : 0;
	if (rc < 0)
		return fail(m, path, rc);
	return rc > 0 ? 0 : make_like(m, path);
}
