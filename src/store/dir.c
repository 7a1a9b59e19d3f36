/* Clones as plain copies, on file systems that cannot carry an overlay. Blocks are shared where the
 * file system shares them (btrfs, xfs). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/identity.h"
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

static int dir_suits(const struct source *src, int stage, const char *path, struct ng_err *err)
{
	(void)src;
	(void)stage;
	autoclose int parent = open_parent(path, err);
	if (parent < 0)
		return parent;
	int rc = backend_check_idmap(parent, path, err);
	return rc < 0 ? rc : 1;
}

static int dir_fill(const struct source *src, int stage, const char *path, const char *hostname,
		    struct ng_err *err)
{
	autofree char *twin = stage_twin(path);

	(void)stage;
	autoclose int parent = open_parent(path, err);
	if (parent < 0)
		return parent;
	if (mkdir(twin, 0700) < 0)
		return err_sys(err, errno, "making %s", twin);
	autoclose int tree = open(twin, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (tree < 0)
		return err_sys(err, errno, "%s", twin);
	int rc = src->make ? src->make(src->make_arg, tree, err)
			   : copy_tree(src->tree, tree, 0, -1, err);
	if (rc == 0 && hostname)
		rc = identity_renew(tree, -1, hostname, err);
	/* The name must not reach the disk before what it names. */
	if (rc == 0 && syncfs(tree) < 0)
		rc = err_sys(err, errno, "writing to disk");
	return rc;
}

static int dir_place(const char *path, struct ng_err *err)
{
	autofree char *twin = stage_twin(path);

	/* Over nothing or over an empty folder. */
	if (rename(twin, path) < 0)
		return err_sys(err, errno, "renaming %s to %s", twin, path);
	return 0;
}

static bool dir_there(const struct entry *e)
{
	struct stat st;

	return e->path && lstat(e->path, &st) == 0;
}

static int dir_open(const struct store *s, int entry, const struct entry *e, struct source *out,
		    struct ng_err *err)
{
	(void)s;
	(void)entry;
	out->tree = open(e->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return out->tree < 0 ? err_sys(err, errno, "%s", e->path) : 0;
}

static int dir_layout(const struct store *s, const char *jail, const struct entry *e,
		      struct store_layout *out, struct ng_err *err)
{
	(void)s;
	(void)jail;
	(void)err;
	out->path = mem_strdup(e->path);
	return 0;
}

static int dir_displace(const char *path, struct ng_err *err)
{
	autofree char *twin = stage_twin(path);

	if (rename(path, twin) < 0 && errno != ENOENT)
		return err_sys(err, errno, "renaming %s", path);
	return 0;
}

const struct store_backend backend_dir = {
    .name = "dir",
    .suits = dir_suits,
    .fill = dir_fill,
    .place = dir_place,
    .there = dir_there,
    .open = dir_open,
    .layout = dir_layout,
    .displace = dir_displace,
};
