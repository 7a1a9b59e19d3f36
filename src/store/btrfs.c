/* Trees as btrfs subvolumes: a clone and a snapshot are made in an instant, whatever their size. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/own.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/btrfs-module.h"
#include "store/copy.h"
#include "store/measure.h"
#include "store/stage.h"
#include "store/plain.h"
#include "sys/disk.h"
#include "sys/path.h"

static const struct btrfs_module *load(struct ng_err *err)
{
	static const struct btrfs_module *module;

	if (module)
		return module;
	autofree char *path = own_file("src/store", NG_LIBEXECDIR, BTRFS_MODULE);
	/* Never unloaded. */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	module = handle ? dlsym(handle, BTRFS_SYMBOL) : NULL;
	if (!module)
		err_set(err, ENOENT, "btrfs: %s (apt install libbtrfsutil1)", dlerror());
	return module;
}

static bool is_subvolume(int fd)
{
	struct ng_err ignored = {0};
	const struct btrfs_module *m = disk_is_btrfs(fd) ? load(&ignored) : NULL;

	return m && m->is_subvolume(fd) > 0;
}

/* Where the tree is made: of a template "root" in its folder, of a jail the twin of its path. */
static int open_place(const struct thing *t, char **name, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES) {
		*name = mem_strdup("root");
		return plain_open_dir(t->dir, ".", err);
	}
	*name = stage_twin_name(t->e.path);
	return plain_open_parent(t->e.path, err);
}

static int btrfs_suits(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autofree char *name = NULL;
	autoclose int place = open_place(t, &name, err);

	if (place < 0)
		return place;
	if (!disk_is_btrfs(place) || !disk_same_btrfs(place, t->dir)) {
		err_set(err, EOPNOTSUPP, "%s is not on btrfs together with %s",
			t->kind == STORE_JAILS ? t->e.path : t->s->dir, t->s->dir);
		return 0;
	}
	if (!load(err))
		return 0;
	/* A copy, although of shared blocks, is slower than an overlay. */
	if (src && src->root >= 0 && !src->full && !t->wanted && !is_subvolume(src->tree)) {
		err_set(err, EOPNOTSUPP, "the template is not a subvolume");
		return 0;
	}
	return 1;
}

static int make_empty(const struct btrfs_module *m, int place, const char *name, mode_t mode,
		      struct ng_err *err)
{
	int rc = m->create(place, name);

	if (rc < 0)
		return err_sys(err, rc, "making subvolume %s", name);
	autoclose int tree = plain_open_dir(place, name, err);
	if (tree >= 0 && fchmod(tree, mode) < 0)
		return err_sys(err, errno, "subvolume %s", name);
	return tree < 0 ? tree : take_fd(&tree);
}

static int btrfs_fill(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autofree char *name = NULL;
	const struct btrfs_module *m = load(err);
	autoclose int place = m ? open_place(t, &name, err) : -ENOENT;

	if (place < 0)
		return place;
	if (src && !src->full && is_subvolume(src->tree)) {
		int rc = m->snapshot(src->tree, place, name, false);
		if (rc == 0)
			return plain_open_dir(place, name, err);
		if (rc != -EXDEV)
			return err_sys(err, rc, "making subvolume %s", name);
	}
	autoclose int tree =
	    make_empty(m, place, name, t->kind == STORE_TEMPLATES ? 0755 : 0700, err);
	if (tree < 0)
		return tree;
	int rc = src ? thing_copy(t, src->tree, tree, src->full ? COPY_APART : 0, err) : 0;
	return rc < 0 ? rc : take_fd(&tree);
}

/* A subvolume, or whatever else is in its place; it need not be there. */
static int remove_at(int parent, const char *name, struct ng_err *err)
{
	const struct btrfs_module *m = load(err);
	autoclose int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc;

	if (!m)
		return -err->code;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0 && is_subvolume(fd))
		rc = m->remove(parent, name);
	else
		rc = path_remove_tree(parent, name);
	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "removing subvolume %s", name) : 0;
}

static int remove_twin(const char *path, struct ng_err *err)
{
	autofree char *twin = stage_twin_name(path);
	autoclose int parent = stage_open_parent(path, err);

	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	return remove_at(parent, twin, err);
}

static int btrfs_usage(const struct thing *t, struct store_usage *out, struct ng_err *err)
{
	autoclose int tree = plain_open_tree(t, err);

	if (tree < 0)
		return tree;
	int rc = measure_tree(tree, &out->own, &out->shared);
	return rc < 0 ? err_sys(err, rc, "measuring it") : 0;
}

static int btrfs_quota(struct thing *t, uint64_t bytes, struct ng_err *err)
{
	autoclose int tree = plain_open_tree(t, err);

	if (tree < 0)
		return tree;
	int rc = disk_limit_subvolume(tree, bytes);
	if (rc == -ENOTCONN)
		return err_set(err, EOPNOTSUPP,
			       "quotas are off on this btrfs: btrfs quota enable %s", t->s->dir);
	return rc < 0 ? err_sys(err, rc, "bounding subvolume %s", t->e.path) : 0;
}

static int btrfs_snapshot(const struct thing *t, const char *name, int folder, struct ng_err *err)
{
	const struct btrfs_module *m = load(err);
	autoclose int tree = m ? plain_open_tree(t, err) : -ENOENT;

	(void)name;
	if (tree < 0)
		return tree;
	int rc = m->snapshot(tree, folder, "root", true);
	return rc < 0 ? err_sys(err, rc, "snapshot of subvolume %s", t->e.path) : 0;
}

static int btrfs_forget(const struct thing *t, const char *name, int folder, struct ng_err *err)
{
	(void)t;
	(void)name;
	return remove_at(folder, "root", err);
}

static int btrfs_restore(struct thing *t, const char *name, int folder, bool later,
			 struct ng_err *err)
{
	autofree char *twin = NULL;
	const struct btrfs_module *m = load(err);
	autoclose int from = m ? plain_open_dir(folder, "root", err) : -ENOENT;
	autoclose int place = from < 0 ? from : open_place(t, &twin, err);

	(void)later;
	if (place < 0)
		return place;
	int rc = m->snapshot(from, place, twin, false);
	if (rc < 0)
		return err_sys(err, rc, "making subvolume %s", twin);
	return plain_exchange(t, name, remove_twin, err);
}

static int btrfs_mend(struct thing *t, struct ng_err *err)
{
	return t->kind == STORE_JAILS ? plain_mend(t, remove_twin, err) : 0;
}

static int drop_snapshots(const struct thing *t, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	autoclose int all = openat(t->dir, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (all < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "snapshots");
	int rc = copy_names(all, &names);
	if (rc < 0)
		return err_sys(err, rc, "snapshots");
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		autoclose int one = openat(all, names.v[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = one < 0 ? 0 : remove_at(one, "root", err);
	}
	return rc;
}

static int btrfs_drop(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_TEMPLATES)
		return remove_at(t->dir, "root", err);
	int rc = remove_twin(t->e.path, err);
	return rc < 0 ? rc : drop_snapshots(t, err);
}

const struct store_backend backend_btrfs = {
    .name = "btrfs",
    .suits = btrfs_suits,
    .fill = btrfs_fill,
    .place = plain_place,
    .there = plain_there,
    .open = plain_open,
    .layout = plain_layout,
    .view = plain_view,
    .usage = btrfs_usage,
    .quota = btrfs_quota,
    .snapshot = btrfs_snapshot,
    .forget = btrfs_forget,
    .snapshot_size = plain_snapshot_size,
    .restore = btrfs_restore,
    .mend = btrfs_mend,
    .displace = plain_displace,
    .drop = btrfs_drop,
};
