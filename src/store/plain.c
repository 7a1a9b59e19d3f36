#include "store/plain.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/measure.h"
#include "store/stage.h"
#include "sys/path.h"

/* On the top of a tree that took another one's place: the snapshot's name, until the entry says so
 * too. */
#define MARK "trusted.newgate.restored"

int plain_open_dir(int at, const char *path, struct ng_err *err)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "%s", path) : fd;
}

static int open_parent(const char *path, struct ng_err *err)
{
	int fd = stage_open_parent(path, err);

	return fd == -ENOENT ? err_sys(err, fd, "%s", path) : fd;
}

int plain_open_tree(const struct thing *t, struct ng_err *err)
{
	autofree char *tree = thing_tree(t);

	if (t->kind == STORE_TEMPLATES)
		return plain_open_dir(AT_FDCWD, tree, err);
	autoclose int parent = open_parent(tree, err);
	return parent < 0 ? parent : plain_open_dir(parent, stage_name(tree), err);
}

int plain_open_parent(const char *path, struct ng_err *err)
{
	autofree char *parent = mem_strndup(path, (size_t)(stage_name(path) - path));
	int rc = file_mkdirs(parent, 0700);

	return rc < 0 ? err_sys(err, rc, "making %s", parent) : open_parent(path, err);
}

bool plain_there(const struct thing *t)
{
	autofree char *tree = thing_tree(t);
	struct stat st;

	return lstat(tree, &st) == 0;
}

int plain_open(const struct thing *t, struct source *out, struct ng_err *err)
{
	out->tree = plain_open_tree(t, err);
	if (out->tree < 0)
		return out->tree;
	if (t->kind == STORE_JAILS)
		return 0;
	/* A complete tree can be the layer below those of its clones. */
	out->root = plain_open_tree(t, err);
	out->layer = plain_open_tree(t, err);
	return out->root < 0 ? out->root : out->layer < 0 ? out->layer : 0;
}

int plain_layout(const struct thing *t, struct store_layout *out, struct ng_err *err)
{
	(void)err;
	out->path = thing_tree(t);
	return 0;
}

int plain_view(const struct thing *t, const char *snap, struct store_view *out, struct ng_err *err)
{
	if (!snap) {
		out->root = plain_open_tree(t, err);
	} else {
		autoclose int folder = snapshot_open(t, snap, err);
		out->root = folder < 0 ? folder : plain_open_dir(folder, "root", err);
	}
	return out->root < 0 ? out->root : 0;
}

int plain_place(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES)
		return 0;
	autofree char *twin = stage_twin_name(t->e.path);
	autoclose int parent = open_parent(t->e.path, err);
	if (parent < 0)
		return parent;
	/* Over nothing or over an empty folder. */
	if (renameat(parent, twin, parent, stage_name(t->e.path)) < 0)
		return err_sys(err, errno, "renaming %s to %s", twin, t->e.path);
	return 0;
}

int plain_displace(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES)
		return 0;
	autofree char *twin = stage_twin_name(t->e.path);
	autoclose int parent = stage_open_parent(t->e.path, err);
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	if (renameat(parent, stage_name(t->e.path), parent, twin) < 0 && errno != ENOENT)
		return err_sys(err, errno, "renaming %s", t->e.path);
	return 0;
}

static int write_entry(struct thing *t, struct ng_err *err)
{
	int rc = entry_replace(t->dir, store_kind_file(t->kind), &t->e);

	return rc < 0 ? err_sys(err, rc, "%s/%s/%s", t->s->dir, store_kind_dir(t->kind), t->name)
		      : 0;
}

int plain_exchange(struct thing *t, const char *snap, plain_remover *remove, struct ng_err *err)
{
	autofree char *twin = stage_twin_name(t->e.path);
	autoclose int parent = open_parent(t->e.path, err);
	autoclose int tree = parent < 0 ? parent : plain_open_dir(parent, twin, err);

	if (tree < 0)
		return tree;
	if (t->change && t->change(t->change_arg, tree, err) < 0) {
		struct ng_err left = {0};
		if (remove(t->e.path, &left) < 0)
			err_prefix(err, "(%s)", left.text);
		return -err->code;
	}
	if (fsetxattr(tree, MARK, snap, strlen(snap), 0) < 0)
		return err_sys(err, errno, "marking %s", twin);
	/* The name must not reach the disk before what it names. */
	if (syncfs(tree) < 0)
		return err_sys(err, errno, "writing to disk");
	if (renameat2(parent, twin, parent, stage_name(t->e.path), RENAME_EXCHANGE) < 0)
		return err_sys(err, errno, "putting %s in the place of %s", twin, t->e.path);
	int rc = write_entry(t, err);
	if (rc < 0)
		return rc;
	if (fremovexattr(tree, MARK) < 0)
		return err_sys(err, errno, "%s", t->e.path);
	return remove(t->e.path, err);
}

int plain_mend(struct thing *t, plain_remover *remove, struct ng_err *err)
{
	char snap[256];
	autoclose int tree = path_open_host(t->e.path, O_RDONLY | O_DIRECTORY, 0);
	ssize_t n = tree < 0 ? -1 : fgetxattr(tree, MARK, snap, sizeof(snap) - 1);

	if (n > 0) {
		snap[n] = '\0';
		int rc = snapshot_origin(t, snap, err);
		if (rc == 0)
			rc = write_entry(t, err);
		if (rc == 0 && fremovexattr(tree, MARK) < 0)
			rc = err_sys(err, errno, "%s", t->e.path);
		if (rc < 0)
			return rc;
	}
	return remove(t->e.path, err);
}

int plain_snapshot_size(const struct thing *t, const char *name, int folder, uint64_t *bytes,
			struct ng_err *err)
{
	uint64_t shared;
	autoclose int root = plain_open_dir(folder, "root", err);

	(void)t;
	if (root < 0)
		return root;
	int rc = measure_tree(root, bytes, &shared);
	return rc < 0 ? err_sys(err, rc, "measuring snapshot %s", name) : 0;
}
