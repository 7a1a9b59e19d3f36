/* Clones as overlays: an empty upper layer over a template's root.
 *
 * The jail mounts the overlay itself, in its own user namespace, over layers that newgate hands it
 * with mapped owners; so the marks in the upper layer are `user.overlay.*` attributes. Whether the
 * kernel (5.19) and the file systems can do that is not looked up but tried, once a boot for each
 * pair of file systems. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/measure.h"
#include "store/plain.h"
#include "store/stage.h"
#include "sys/caps.h"
#include "sys/fd.h"
#include "sys/mount.h"
#include "sys/ns.h"
#include "sys/path.h"

#define TRIAL "trial"
#define TRIED "../.overlay" /* beside the stages: the pair that was tried last, with success */

/* "BOOT LOWERDEV UPPERDEV" */
static int pair_of(int layer, int stage, char *out, size_t size)
{
	struct stat low, high;
	char boot[64];
	ssize_t n = fd_get(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot));

	if (n < 36 || fstat(layer, &low) < 0 || fstat(stage, &high) < 0)
		return -EIO;
	snprintf(out, size, "%.36s %llx %llx\n", boot, (unsigned long long)low.st_dev,
		 (unsigned long long)high.st_dev);
	return 0;
}

/* In a process of its own, standing in the folder of the trial: kernels before 6.5 take only layers
 * that are attached somewhere in the mount namespace, and the host's is not to see them. `volatile`
 * keeps the end of the overlay from syncing the disk. */
static int try_attached(int layer, int trial)
{
	static const char *const opts[] = {"lowerdir=lower",   "upperdir=top/upper",
					   "workdir=top/work", "userxattr",
					   "volatile",         NULL};
	autoclose int userns = ns_user_fd(PROBE_BASE, PROBE_COUNT);
	if (userns < 0)
		return userns;
	autoclose int lower = backend_mapped(layer, userns);
	if (lower < 0)
		return lower;
	autoclose int top = backend_mapped(trial, userns);
	if (top < 0)
		return top;
	/* A descriptor would still mean the folder of the old namespace. */
	int rc = fchdir(trial) < 0 || unshare(CLONE_NEWNS) < 0 ? -errno : mount_private();
	if (rc < 0 || (rc = mount_attach(lower, AT_FDCWD, "lower")) < 0 ||
	    (rc = mount_attach(top, AT_FDCWD, "top")) < 0)
		return rc;
	/* Root here has no id in the mapped layers; the jail's root has. */
	if ((rc = caps_file_ids(PROBE_BASE)) < 0)
		return rc;
	autoclose int mnt = mount_new("overlay", "newgate", opts, 0);
	return mnt < 0 ? mnt : 0;
}

static int try_mapped(int layer, int trial)
{
	siginfo_t info;
	autoclose int pidfd = -1;
	pid_t pid = ns_fork(0, -1, &pidfd);
	if (pid < 0)
		return pid;
	if (pid == 0)
		_exit(-try_attached(layer, trial));
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	return info.si_code == CLD_EXITED ? -info.si_status : -EINTR;
}

static int try_layers(int layer, int stage, struct ng_err *err)
{
	if (mkdirat(stage, TRIAL, 0700) < 0)
		return err_sys(err, errno, "making a folder");
	autoclose int trial = openat(stage, TRIAL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static const char *const folders[] = {"upper", "work", "lower", "top"};
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (trial < 0 || mkdirat(trial, folders[i], 0755) < 0)
			return err_sys(err, errno, "making a folder");
	/* An overlay whose upper layer has no attributes mounts too, but forgets what it must know.
	 */
	int rc = fsetxattr(trial, "user.newgate", "", 0, 0) < 0 ? -errno : try_mapped(layer, trial);
	int removed = path_remove_tree(stage, TRIAL);
	if (removed < 0)
		return err_sys(err, removed, "removing a folder");
	return rc == 0;
}

static int overlay_suits(const struct source *src, const struct thing *t, struct ng_err *err)
{
	char pair[128], tried[128];
	int stage = t->dir;

	if (!src || src->root < 0 || src->full) {
		err_set(err, EINVAL, "an overlay is made of a template's tree and of what changes");
		return 0;
	}
	int rc = pair_of(src->root, stage, pair, sizeof(pair));
	if (rc < 0)
		return err_sys(err, rc, "looking at the file systems");
	autoclose int partial = openat(stage, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (partial < 0)
		return err_sys(err, errno, "opening the store");
	if (fd_get(partial, TRIED, tried, sizeof(tried)) > 0 && str_eq(pair, tried))
		return 1;
	rc = try_layers(src->root, stage, err);
	if (rc == 0)
		err_set(
		    err, EOPNOTSUPP,
		    "an overlay with mapped owners cannot be made here (it takes Linux 5.19, and "
		    "ext4, xfs or btrfs)");
	if (rc <= 0)
		return rc;
	autoclose int fd = openat(partial, TRIED, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : fd_write_all(fd, pair, strlen(pair));
	return rc < 0 ? err_sys(err, rc, "writing to the store") : 1;
}

static int make_dir(int at, const char *name, mode_t mode)
{
	if (mkdirat(at, name, mode) < 0)
		return -errno;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int overlay_plan(const struct source *src, struct thing *t, struct ng_err *err)
{
	(void)err;
	free(t->e.lower);
	t->e.lower = mem_strdup(src->lower);
	return 0;
}

/* The folder of a thing's own layer. */
static const char *upper_of(const struct thing *t)
{
	return t->kind == STORE_TEMPLATES ? "root" : t->e.upper ? t->e.upper : "upper";
}

static int overlay_fill(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autoclose int upper = make_dir(t->dir, upper_of(t), 0700);
	autoclose int work = make_dir(t->dir, "work", 0700);
	if (upper < 0 || work < 0)
		return err_sys(err, upper < 0 ? upper : work, "making the layers");
	/* A template lends its root's own attributes, a jail gives all that it changed. */
	int rc = src->upper >= 0 ? thing_copy(t, src->upper, upper, COPY_UPPER, err)
				 : copy_dir_attributes(src->layer, upper, 0, err);
	if (rc < 0)
		return rc;
	rc = t->kind == STORE_JAILS ? file_mkdirs(t->e.path, 0700) : 0;
	return rc < 0 ? err_sys(err, rc, "making %s", t->e.path) : take_fd(&upper);
}

static bool overlay_there(const struct thing *t)
{
	struct stat st;

	return t->e.lower && fstatat(t->dir, upper_of(t), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_upper(const struct thing *t, struct ng_err *err)
{
	int fd = openat(t->dir, upper_of(t), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "opening its own layer") : fd;
}

/* The root of the template right below. */
static int open_below(const struct thing *t, struct ng_err *err)
{
	autodone(strv_done) struct strv lower = {0};
	int rc = layers_of(t->s, t->e.lower, &lower, err);

	if (rc < 0)
		return rc;
	int fd = open(lower.v[0], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "%s", lower.v[0]) : fd;
}

static int overlay_open(const struct thing *t, struct source *out, struct ng_err *err)
{
	bool jail = t->kind == STORE_JAILS;
	autoclose int own = open_upper(t, err);
	if (own < 0)
		return own;
	out->tree = layers_view(t->s, t->e.lower, own, err);
	if (out->tree < 0)
		return out->tree;
	out->layer =
	    jail ? layers_view(t->s, t->e.lower, -1, err) : layers_view(t->s, t->name, -1, err);
	if (out->layer < 0)
		return out->layer;
	if (!jail) {
		out->root = take_fd(&own);
		return 0;
	}
	out->upper = take_fd(&own);
	out->root = open_below(t, err);
	return out->root < 0 ? out->root : 0;
}

static int overlay_layout(const struct thing *t, struct store_layout *out, struct ng_err *err)
{
	autodone(strv_done) struct strv lower = {0};
	autofree char *folder = NULL;
	/* The folder that the overlay is mounted on may have been tidied away. */
	int rc = t->kind == STORE_JAILS ? file_mkdirs(t->e.path, 0700) : 0;
	if (rc < 0)
		return err_sys(err, rc, "making %s", t->e.path);
	rc = layers_of(t->s, t->e.lower, &lower, err);
	if (rc < 0)
		return rc;
	out->lower = take_ptr(lower.v);
	lower.n = 0;
	if (asprintf(&out->upper, "%s/%s/%s/%s", t->s->dir, store_kind_dir(t->kind), t->name,
		     upper_of(t)) < 0 ||
	    asprintf(&out->work, "%s/%s/%s/work", t->s->dir, store_kind_dir(t->kind), t->name) < 0)
		return err_sys(err, ENOMEM, "layers");
	return 0;
}

static int overlay_view(const struct thing *t, const char *snap, struct store_view *out,
			struct ng_err *err)
{
	autodone(entry_done) struct entry then = {0};

	if (!snap) {
		autoclose int own = open_upper(t, err);
		out->root = own < 0 ? own : layers_view(t->s, t->e.lower, own, err);
		return out->root < 0 ? out->root : 0;
	}
	autoclose int folder = snapshot_open(t, snap, err);
	if (folder < 0)
		return folder;
	autoclose int own = plain_open_dir(folder, "root", err);
	int rc = own < 0 ? own : entry_read(folder, SNAPSHOT_META, &then);
	if (rc < 0)
		return err->code ? rc : err_sys(err, rc, SNAPSHOT_META);
	/* It may have stood on another template than now. */
	out->root = layers_view(t->s, then.lower, own, err);
	return out->root < 0 ? out->root : 0;
}

static int overlay_usage(const struct thing *t, struct store_usage *out, struct ng_err *err)
{
	autoclose int own = open_upper(t, err);
	autodone(strv_done) struct strv lower = {0};

	if (own < 0)
		return own;
	int rc = measure_tree(own, &out->own, &out->shared);
	if (rc == 0)
		rc = layers_of(t->s, t->e.lower, &lower, err);
	for (size_t i = 0; rc == 0 && i < lower.n; i++) {
		autoclose int fd = open(lower.v[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		uint64_t bytes = 0;
		rc = fd < 0 ? -errno : measure_tree(fd, &bytes, NULL);
		out->shared += bytes;
	}
	return rc < 0 && !err->code ? err_sys(err, rc, "measuring it") : rc;
}

/* What is copied up comes by way of the work folder. */
static int overlay_quota(struct thing *t, uint64_t bytes, struct ng_err *err)
{
	return quota_project(t, t->dir, (const char *const[]){upper_of(t), "work", NULL}, bytes,
			     err);
}

static int overlay_snapshot(const struct thing *t, const char *name, int folder, struct ng_err *err)
{
	autoclose int from = open_upper(t, err);
	autoclose int to = from < 0 ? from : make_dir(folder, "root", 0700);

	(void)name;
	if (to < 0)
		return err->code ? to : err_sys(err, to, "making a folder");
	return thing_copy(t, from, to, COPY_UPPER, err);
}

/* The entry names the upper layer, so replacing the entry is the one step that switches to the copy
 * and to the template that it stood on. There are two names for taking turns. */
static const char *const uppers[] = {"upper", "upper2"};

static int overlay_mend(struct thing *t, struct ng_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(uppers); i++) {
		if (str_eq(uppers[i], upper_of(t)))
			continue;
		int rc = path_remove_tree(t->dir, uppers[i]);
		if (rc < 0 && rc != -ENOENT)
			return err_sys(err, rc, "removing %s", uppers[i]);
	}
	return 0;
}

static int change_layer(const struct thing *t, int upper, struct ng_err *err)
{
	autoclose int work = plain_open_dir(t->dir, "work", err);
	autoclose int tree = work < 0 ? work : layers_write(t->s, t->e.lower, upper, work, err);

	return tree < 0 ? tree : t->change(t->change_arg, tree, err);
}

static int overlay_restore(struct thing *t, const char *name, int folder, bool later,
			   struct ng_err *err)
{
	const char *next = uppers[str_eq(upper_of(t), uppers[0])];
	autoclose int from = plain_open_dir(folder, "root", err);
	autoclose int to = from < 0 ? from : make_dir(t->dir, next, 0700);

	(void)name;
	(void)later;
	if (to < 0)
		return err->code ? to : err_sys(err, to, "making %s", next);
	int rc = thing_copy(t, from, to, COPY_UPPER, err);
	if (rc == 0 && t->change)
		rc = change_layer(t, to, err);
	/* The name must not reach the disk before what it names. */
	if (rc == 0 && syncfs(to) < 0)
		rc = err_sys(err, errno, "writing to disk");
	if (rc < 0) {
		struct ng_err left = {0};
		if (overlay_mend(t, &left) < 0)
			err_prefix(err, "(%s)", left.text);
		return rc;
	}
	free(t->e.upper);
	t->e.upper = mem_strdup(next);
	rc = entry_replace(t->dir, store_kind_file(t->kind), &t->e);
	return rc < 0 ? err_sys(err, rc, "writing its entry") : overlay_mend(t, err);
}

/* The folder at the path never held anything of the jail's: it goes if it is empty. */
static int overlay_displace(const struct thing *t, struct ng_err *err)
{
	if (t->kind != STORE_JAILS)
		return 0;
	autoclose int parent = stage_open_parent(t->e.path, err);
	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	if (unlinkat(parent, stage_name(t->e.path), AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, errno, "%s was left", t->e.path);
	return 0;
}

const struct store_backend backend_overlay = {
    .name = "overlay",
    .copies = true,
    .suits = overlay_suits,
    .plan = overlay_plan,
    .fill = overlay_fill,
    .there = overlay_there,
    .open = overlay_open,
    .layout = overlay_layout,
    .view = overlay_view,
    .usage = overlay_usage,
    .quota = overlay_quota,
    .snapshot = overlay_snapshot,
    .snapshot_size = plain_snapshot_size,
    .restore = overlay_restore,
    .mend = overlay_mend,
    .displace = overlay_displace,
};
