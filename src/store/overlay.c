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
#include "store/identity.h"
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

static int overlay_suits(const struct source *src, int stage, const char *path, struct ng_err *err)
{
	char pair[128], tried[128];

	(void)path;
	if (src->layer < 0)
		return 0;
	int rc = pair_of(src->layer, stage, pair, sizeof(pair));
	if (rc < 0)
		return err_sys(err, rc, "looking at the file systems");
	autoclose int partial = openat(stage, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (partial < 0)
		return err_sys(err, errno, "opening the store");
	if (fd_get(partial, TRIED, tried, sizeof(tried)) > 0 && str_eq(pair, tried))
		return 1;
	rc = try_layers(src->layer, stage, err);
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

static int overlay_fill(const struct source *src, int stage, const char *path, const char *hostname,
			struct ng_err *err)
{
	autoclose int upper = make_dir(stage, "upper", 0700);
	autoclose int work = make_dir(stage, "work", 0700);
	if (upper < 0 || work < 0)
		return err_sys(err, upper < 0 ? upper : work, "making the layers");
	/* A template lends its root's own attributes, a jail gives all that it changed. */
	int rc = src->backend ? copy_tree(src->tree, upper, COPY_UPPER, -1, err)
			      : copy_dir_attributes(src->layer, upper, 0, err);
	if (rc == 0)
		rc = identity_renew(upper, src->layer, hostname, err);
	if (rc < 0)
		return rc;
	rc = file_mkdirs(path, 0700);
	return rc < 0 ? err_sys(err, rc, "making %s", path) : 0;
}

static bool overlay_there(const struct entry *e)
{
	return e->lower != NULL;
}

static int overlay_open(const struct store *s, int entry, const struct entry *e, struct source *out,
			struct ng_err *err)
{
	out->tree = openat(entry, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out->tree < 0)
		return err_sys(err, errno, "opening its upper layer");
	out->layer = template_open_root(s, e->lower);
	if (out->layer < 0)
		return err_sys(err, out->layer, "opening its template %s", e->lower);
	out->lower = mem_strdup(e->lower);
	return 0;
}

static int overlay_layout(const struct store *s, const char *jail, const struct entry *e,
			  struct store_layout *out, struct ng_err *err)
{
	autodone(strv_done) struct strv lower = {0};

	/* The folder that the overlay is mounted on may have been tidied away. */
	int rc = file_mkdirs(e->path, 0700);
	if (rc < 0)
		return err_sys(err, rc, "making %s", e->path);
	if (!store_has_template(s, e->lower))
		return err_set(
		    err, ENOENT,
		    "its template %s is missing in %s/templates: put it back, or destroy the "
		    "jail",
		    e->lower, s->dir);
	strv_addf(&lower, "%s/templates/%s/root", s->dir, e->lower);
	out->lower = take_ptr(lower.v);
	lower.n = 0;
	if (asprintf(&out->upper, "%s/jails/%s/upper", s->dir, jail) < 0 ||
	    asprintf(&out->work, "%s/jails/%s/work", s->dir, jail) < 0)
		return err_sys(err, ENOMEM, "layers");
	return 0;
}

/* The folder at the path never held anything of the jail's: it goes if it is empty. */
static int overlay_displace(const char *path, struct ng_err *err)
{
	if (rmdir(path) < 0 && errno != ENOENT)
		return err_sys(err, errno, "%s was left", path);
	return 0;
}

const struct store_backend backend_overlay = {
    .name = "overlay",
    .layered = true,
    .suits = overlay_suits,
    .fill = overlay_fill,
    .there = overlay_there,
    .open = overlay_open,
    .layout = overlay_layout,
    .displace = overlay_displace,
};
