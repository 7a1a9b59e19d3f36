/* Plain copies, for file systems that can nothing else. Blocks are shared where the file system
 * shares them (btrfs, xfs). */
#include <fcntl.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/measure.h"
#include "store/stage.h"
#include "store/plain.h"

static int dir_suits(const struct source *src, const struct thing *t, struct ng_err *err)
{
	(void)src;
	if (t->kind == STORE_TEMPLATES)
		return 1;
	autoclose int parent = plain_open_parent(t->e.path, err);
	if (parent < 0)
		return parent;
	int rc = backend_check_idmap(parent, t->e.path, err);
	return rc < 0 ? rc : 1;
}

static int make_dir(int at, const char *name, mode_t mode, struct ng_err *err)
{
	if (mkdirat(at, name, mode) < 0)
		return err_sys(err, errno, "making %s", name);
	return plain_open_dir(at, name, err);
}

static int make_twin(const struct thing *t, struct ng_err *err)
{
	autofree char *twin = stage_twin_name(t->e.path);
	autoclose int parent = plain_open_parent(t->e.path, err);

	return parent < 0 ? parent : make_dir(parent, twin, 0700, err);
}

static int dir_fill(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autoclose int tree =
	    t->kind == STORE_TEMPLATES ? make_dir(t->dir, "root", 0755, err) : make_twin(t, err);

	if (tree < 0)
		return tree;
	int rc = src ? thing_copy(t, src->tree, tree, src->full ? COPY_APART : 0, err) : 0;
	return rc < 0 ? rc : take_fd(&tree);
}

static int dir_usage(const struct thing *t, struct store_usage *out, struct ng_err *err)
{
	autoclose int tree = plain_open_tree(t, err);

	if (tree < 0)
		return tree;
	int rc = measure_tree(tree, &out->own, &out->shared);
	return rc < 0 ? err_sys(err, rc, "measuring it") : 0;
}

static int dir_quota(struct thing *t, uint64_t bytes, struct ng_err *err)
{
	return quota_project(t, AT_FDCWD, (const char *const[]){t->e.path, NULL}, bytes, err);
}

static int dir_snapshot(const struct thing *t, const char *name, int folder, struct ng_err *err)
{
	autoclose int from = plain_open_tree(t, err);
	autoclose int to = from < 0 ? from : make_dir(folder, "root", 0700, err);

	(void)name;
	return to < 0 ? to : thing_copy(t, from, to, 0, err);
}

static int dir_restore(struct thing *t, const char *name, int folder, bool later,
		       struct ng_err *err)
{
	(void)later;
	autoclose int from = plain_open_dir(folder, "root", err);
	autoclose int to = from < 0 ? from : make_twin(t, err);
	if (to < 0)
		return to;
	int rc = thing_copy(t, from, to, 0, err);
	return rc < 0 ? rc : plain_exchange(t, name, stage_remove_twin, err);
}

static int dir_mend(struct thing *t, struct ng_err *err)
{
	return t->kind == STORE_JAILS ? plain_mend(t, stage_remove_twin, err) : 0;
}

static int dir_drop(const struct thing *t, struct ng_err *err)
{
	return t->kind == STORE_JAILS ? stage_remove_twin(t->e.path, err) : 0;
}

const struct store_backend backend_dir = {
    .name = "dir",
    .copies = true,
    .suits = dir_suits,
    .fill = dir_fill,
    .place = plain_place,
    .there = plain_there,
    .open = plain_open,
    .layout = plain_layout,
    .view = plain_view,
    .usage = dir_usage,
    .quota = dir_quota,
    .snapshot = dir_snapshot,
    .snapshot_size = plain_snapshot_size,
    .restore = dir_restore,
    .mend = dir_mend,
    .displace = plain_displace,
    .drop = dir_drop,
};
