/* Clones as plain copies, on file systems that cannot carry an overlay. Blocks are shared where the
 * file system shares them (btrfs, xfs). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/stage.h"

/* Closed to others: they shall not come near what a jail's root makes setuid. */
static int open_parent(const char *path, struct ng_err *err)
{
	autofree char *parent = mem_strndup(path, (size_t)(strrchr(path, '/') - path) + 1);
	int rc = file_mkdirs(parent, 0700);

	if (rc < 0)
		return err_sys(err, rc, "making %s", parent);
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "%s", parent) : fd;
}

static int open_dir(int at, const char *path, struct ng_err *err)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "%s", path) : fd;
}

static int dir_suits(const struct source *src, const struct thing *t, struct ng_err *err)
{
	(void)src;
	if (t->kind == STORE_TEMPLATES)
		return 1;
	autoclose int parent = open_parent(t->e.path, err);
	if (parent < 0)
		return parent;
	int rc = backend_check_idmap(parent, t->e.path, err);
	return rc < 0 ? rc : 1;
}

static int make_place(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES) {
		if (mkdirat(t->dir, "root", 0755) < 0)
			return err_sys(err, errno, "making a folder");
		return open_dir(t->dir, "root", err);
	}
	autofree char *twin = stage_twin(t->e.path);
	autoclose int parent = open_parent(t->e.path, err);
	if (parent < 0)
		return parent;
	if (mkdir(twin, 0700) < 0)
		return err_sys(err, errno, "making %s", twin);
	return open_dir(AT_FDCWD, twin, err);
}

static int dir_fill(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autoclose int tree = make_place(t, err);

	if (tree < 0)
		return tree;
	int rc = src ? copy_tree(src->tree, tree, src->full ? COPY_APART : 0, -1, err) : 0;
	return rc < 0 ? rc : take_fd(&tree);
}

static int dir_place(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES)
		return 0;
	autofree char *twin = stage_twin(t->e.path);
	/* Over nothing or over an empty folder. */
	if (rename(twin, t->e.path) < 0)
		return err_sys(err, errno, "renaming %s to %s", twin, t->e.path);
	return 0;
}

static bool dir_there(const struct thing *t)
{
	autofree char *tree = thing_tree(t);
	struct stat st;

	return lstat(tree, &st) == 0;
}

static int open_tree_of(const struct thing *t, struct ng_err *err)
{
	autofree char *tree = thing_tree(t);

	return open_dir(AT_FDCWD, tree, err);
}

static int dir_open(const struct thing *t, struct source *out, struct ng_err *err)
{
	out->tree = open_tree_of(t, err);
	if (out->tree < 0)
		return out->tree;
	if (t->kind == STORE_JAILS)
		return 0;
	/* A complete tree can be the layer below those of its clones. */
	out->root = open_tree_of(t, err);
	out->layer = open_tree_of(t, err);
	return out->root < 0 ? out->root : out->layer < 0 ? out->layer : 0;
}

static int dir_layout(const struct thing *t, struct store_layout *out, struct ng_err *err)
{
	(void)err;
	out->path = thing_tree(t);
	return 0;
}

static int dir_view(const struct thing *t, const char *snap, struct store_view *out,
		    struct ng_err *err)
{
	if (snap)
		return err_set(err, ENOENT, "it has no snapshot %s", snap);
	out->root = open_tree_of(t, err);
	return out->root < 0 ? out->root : 0;
}

static int dir_usage(const struct thing *t, struct store_usage *out, struct ng_err *err)
{
	autoclose int tree = open_tree_of(t, err);

	if (tree < 0)
		return tree;
	int rc = copy_size(tree, &out->own);
	return rc < 0 ? err_sys(err, rc, "measuring it") : 0;
}

static int dir_displace(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES)
		return 0;
	autofree char *twin = stage_twin(t->e.path);
	if (rename(t->e.path, twin) < 0 && errno != ENOENT)
		return err_sys(err, errno, "renaming %s", t->e.path);
	return 0;
}

static int dir_drop(const struct thing *t, struct ng_err *err)
{
	return t->kind == STORE_JAILS ? stage_remove_twin(t->e.path, err) : 0;
}

const struct store_backend backend_dir = {
    .name = "dir",
    .suits = dir_suits,
    .fill = dir_fill,
    .place = dir_place,
    .there = dir_there,
    .open = dir_open,
    .layout = dir_layout,
    .view = dir_view,
    .usage = dir_usage,
    .displace = dir_displace,
    .drop = dir_drop,
};
