/* The child's half: a file tree out of the mounts that the parent made and those that a user
 * namespace may make itself. Everything is put together below a scratch tmpfs over /tmp (any folder
 * that is sure to exist would do) and then becomes the root; the host's tree falls off with it.
 *
 * No name of the jail's tree is trusted: each target is opened from the new root without following
 * a link, and what is mounted is attached to that descriptor. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "jail/mounts.h"
#include "net/net.h"
#include "sys/mount.h"
#include "sys/path.h"

#define SCRATCH "/tmp"
#define QUIET (MS_NOSUID | MS_NODEV | MS_NOEXEC)

static int scratch(struct mounts *m, struct ng_err *err)
{
	if (mount("newgate", SCRATCH, "tmpfs", QUIET, "mode=755,size=64k") < 0 ||
	    chdir(SCRATCH) < 0)
		return err_sys(err, errno, "a scratch tmpfs over " SCRATCH);
	char name[24];
	if (mkdir("root", 0755) < 0 || mkdir("base", 0755) < 0 || mkdir("empty", 0555) < 0)
		return err_sys(err, errno, SCRATCH);
	for (size_t i = 0; i < m->nlower; i++) {
		snprintf(name, sizeof(name), "l%zu", i);
		if (mkdir(name, 0755) < 0)
			return err_sys(err, errno, SCRATCH);
	}
	return 0;
}

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* The layers' names are ours, so that no character of a path needs escaping. */
static int overlay(struct mounts *m, struct ng_err *err)
{
	struct str o autodone(str_done) = {0};
	int rc = 0;
	str_add(&o, "userxattr,lowerdir=");
	for (size_t i = 0; i < m->nlower && rc == 0; i++) {
		char name[24];
		snprintf(name, sizeof(name), "l%zu", i);
		str_addf(&o, "%s%s", i ? ":" : "", name);
		rc = mount_attach(m->lower[i], AT_FDCWD, name);
	}
	if (rc == 0)
		rc = mount_attach(m->base, AT_FDCWD, "base");
	if (rc < 0)
		return err_sys(err, rc, "overlay's layers");
	str_addf(&o, ",upperdir=base/%s,workdir=base/%s", base_name(m->layout->upper),
		 base_name(m->layout->work));
	if (mount("overlay", "root", "overlay", MS_NODEV, o.s) < 0)
		return err_sys(err, errno, "overlay of %s on %s", m->layout->upper,
			       m->layout->lower[0]);
	return 0;
}

/* Opens the topmost mount of the new root. */
static int open_root(int top)
{
	int fd = openat(top, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Opens a folder of the new root that newgate mounts on, making it where the tree lacks it. */
static int open_place(int root, const char *name, struct ng_err *err)
{
	if (mkdirat(root, name, 0755) < 0 && errno != EEXIST && errno != EROFS)
		return err_sys(err, errno, "/%s in the jail's root", name);
	int fd = path_open_nolink(root, name, O_PATH | O_DIRECTORY, 0);
	if (fd == -ENOENT)
		return err_set(err, ENOENT, "the jail's root is read-only and has no folder /%s",
			       name);
	return fd < 0 ? err_sys(err, fd, "/%s in the jail's root", name) : fd;
}

/* ---- /proc and /sys ---- */

/* Puts something harmless over an entry of the current folder; entries a kernel lacks do not
 * matter. */
static int mask(const char *what, const char *entry)
{
	return mount(what, entry, NULL, MS_BIND, NULL) < 0 && errno != ENOENT ? -errno : 0;
}

static int freeze(const char *entry)
{
	if (mount(entry, entry, NULL, MS_BIND | MS_REC, NULL) < 0)
		return errno == ENOENT ? 0 : -errno;
	return mount(NULL, entry, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | QUIET, NULL) < 0 ? -errno
											    : 0;
}

/* vnet: the jail's own network is its own to tune; the rest of /proc/sys is not. */
static int freeze_sysctl(bool net_writable)
{
	char path[32];
	autoclose int net = net_writable ? open("sys/net", O_PATH | O_CLOEXEC) : -1;
	int rc = freeze("sys");
	if (rc < 0 || net < 0)
		return rc;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", net);
	return mount(path, "sys/net", NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int proc(struct mounts *m, int root, struct ng_err *err)
{
	static const char *const files[] = {"kcore", "keys", "timer_list", "sched_debug",
					    "latency_stats"};
	static const char *const folders[] = {"acpi", "asound", "scsi"};
	static const char *const frozen[] = {"bus", "fs", "irq", "pressure", "sysrq-trigger"};
	autoclose int place = open_place(root, "proc", err);
	if (place < 0)
		return place;
	autoclose int fd =
	    mount_new("proc", "proc", NULL, MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC);
	int rc = fd < 0 ? fd : mount_attach(fd, place, "");
	if (rc == -EPERM)
		return err_set(
		    err, EPERM,
		    "/proc: the kernel refuses a new one because this host's own /proc is partly "
		    "covered (newgate runs in a container?)");
	if (rc == 0 && fchdir(fd) < 0)
		rc = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(files) && rc == 0; i++)
		rc = mask("/dev/null", files[i]);
	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc == 0; i++)
		rc = mask(SCRATCH "/empty", folders[i]);
	for (size_t i = 0; i < ARRAY_SIZE(frozen) && rc == 0; i++)
		rc = freeze(frozen[i]);
	if (rc == 0)
		rc = freeze_sysctl(m->net_sysctl);
	return rc < 0 ? err_sys(err, rc, "/proc") : 0;
}

static int sys(struct mounts *m, int root, struct ng_err *err)
{
	static const char *const folders[] = {"firmware", "devices/virtual/powercap"};
	autoclose int place = open_place(root, "sys", err);
	if (place < 0)
		return place;
	if (m->sys < 0)
		m->sys = mount_new("sysfs", "sysfs", NULL,
				   MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC);
	int rc = m->sys < 0 ? m->sys : mount_attach(m->sys, place, "");
	if (rc == 0 && fchdir(m->sys) < 0)
		rc = -errno;
	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc == 0; i++)
		rc = mask(SCRATCH "/empty", folders[i]);
	return rc < 0 ? err_sys(err, rc, "/sys") : 0;
}

/* ---- /dev ---- */

/* In the current folder: the host's node, bound over an empty file. */
static int node(const char *host)
{
	const char *name = base_name(host);
	if (mknod(name, S_IFREG | 0666, 0) < 0 || mount(host, name, NULL, MS_BIND, NULL) < 0)
		return -errno;
	return 0;
}

static int dev_entries(void)
{
	static const char *const nodes[] = {"/dev/null",   "/dev/zero",    "/dev/full",
					    "/dev/random", "/dev/urandom", "/dev/tty"};
	static const char *const links[][2] = {{"pts/ptmx", "ptmx"},
					       {"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"}};
	int rc = 0;
	for (size_t i = 0; i < ARRAY_SIZE(nodes) && rc == 0; i++)
		rc = node(nodes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(links) && rc == 0; i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			rc = -errno;
	if (rc < 0)
		return rc;
	if (mkdir("shm", 01777) < 0 || mkdir("pts", 0755) < 0 ||
	    mount("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC,
		  "newinstance,ptmxmode=0666,mode=0620,gid=5,max=512") < 0)
		return -errno;
	return 0;
}

/* What is put there, shared memory above all, is memory that no process can be ended to free: one jail
 * gets a part of it (a line `tmpfs $path/dev/shm tmpfs size=…` in mount gives more). */
static int dev(int root, struct ng_err *err)
{
	static const char *const opts[] = {"mode=755", "size=10%", "nr_inodes=16384", NULL};
	autoclose int place = open_place(root, "dev", err);
	if (place < 0)
		return place;
	autoclose int fd = mount_new("tmpfs", "dev", opts, MOUNT_NOSUID | MOUNT_NOEXEC);
	int rc = fd < 0 ? fd : mount_attach(fd, place, "");
	if (rc == 0 && fchdir(fd) < 0)
		rc = -errno;
	if (rc == 0)
		rc = dev_entries();
	return rc < 0 ? err_sys(err, rc, "/dev") : 0;
}

/* ---- lines ---- */

static int attach_line(struct mount_line *l, int root, struct ng_err *err)
{
	autoclose int at = path_open_nolink(root, l->target, O_PATH, 0);
	if (at == -ELOOP)
		return err_set(err, ELOOP,
			       "%s: %s: a mount point may not be reached by a symbolic link",
			       l->what, l->target);
	if (at == -ENOENT)
		return err_set(err, ENOENT,
			       "%s: there is no mount point %s in the jail's root: make it there",
			       l->what, l->target);
	if (at < 0)
		return err_sys(err, at, "%s: mount point %s", l->what, l->target);
	if (l->kind == MOUNT_TMPFS)
		l->fd = mount_new("tmpfs", "tmpfs", (const char *const *)l->opts.v, l->attr);
	if (l->kind == MOUNT_AGAIN) {
		autoclose int from = path_open_nolink(root, l->source, O_PATH, 0);
		l->fd = from < 0 ? from : mount_clone(from, "", true);
	}
	int rc = l->fd < 0 ? l->fd : mount_attach(l->fd, at, "");
	if (rc == -ENOTDIR || rc == -EINVAL)
		return err_set(err, ENOTDIR, "%s: %s and %s are not both directories or both files",
			       l->what, l->source, l->target);
	return rc < 0 ? err_sys(err, rc, "%s: %s %s", l->what, l->target, mount_reason()) : 0;
}

static int lines(struct mounts *m, int root, bool of_root, struct ng_err *err)
{
	for (size_t i = 0; i < m->n; i++) {
		struct mount_line *l = &m->line[i];
		if (str_eq(l->target, "/") != of_root)
			continue;
		int rc = attach_line(l, root, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- /etc ---- */

/* A link that leads to nothing (Debian's resolv.conf points into /run) is replaced by a file: the
 * tree is the jail's own. */
static int open_file(int etc, int root, const char *name)
{
	struct str path autodone(str_done) = {0};
	str_addf(&path, "etc/%s", name);
	int fd = path_open(root, path.s, O_PATH, 0);
	if (fd != -ENOENT)
		return fd;
	if (unlinkat(etc, name, 0) < 0 && errno != ENOENT)
		return -errno;
	autoclose int made = openat(etc, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (made < 0)
		return -errno;
	fd = openat(etc, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int etc_file(int root, int fd, const char *name, struct ng_err *err)
{
	if (fd < 0)
		return 0;
	autoclose int etc = path_open(root, "etc", O_PATH | O_DIRECTORY, 0);
	if (etc == -ENOENT)
		return 0; /* a root without /etc asks for no names */
	autoclose int at = etc < 0 ? etc : open_file(etc, root, name);
	if (at == -EROFS)
		return 0;
	int rc = at < 0 ? at : mount_attach(fd, at, "");
	return rc < 0 ? err_sys(err, rc, "/etc/%s in the jail's root", name) : 0;
}

int mounts_enter(struct mounts *m, struct ng_err *err)
{
	umask(0);
	int rc = scratch(m, err);
	if (rc < 0)
		return rc;
	autoclose int top = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return err_sys(err, errno, SCRATCH);
	if (m->nlower)
		rc = overlay(m, err);
	else if ((rc = mount_attach(m->base, top, "root")) < 0)
		rc = err_sys(err, rc, "%s", m->layout->path);
	if (rc < 0)
		return rc;
	autoclose int first = open_root(top);
	rc = first < 0 ? err_sys(err, first, SCRATCH "/root") : lines(m, first, true, err);
	if (rc < 0)
		return rc;
	autoclose int root = open_root(top);
	if (root < 0)
		return err_sys(err, root, SCRATCH "/root");
	if ((rc = proc(m, root, err)) < 0 || (rc = sys(m, root, err)) < 0 ||
	    (rc = dev(root, err)) < 0 || (rc = lines(m, root, false, err)) < 0 ||
	    (rc = etc_file(root, m->hosts, NET_HOSTS, err)) < 0 ||
	    (rc = etc_file(root, m->resolv, NET_RESOLV, err)) < 0)
		return rc;
	/* What masks share the scratch tmpfs: now nobody writes to it any more. */
	if (mount(NULL, SCRATCH, NULL, MS_REMOUNT | MS_RDONLY | QUIET, "size=64k") < 0)
		return err_sys(err, errno, SCRATCH);
	/* Last, since mount points that the tree lacks are made until here. */
	if (m->readonly && (rc = mount_restrict(root, MOUNT_RO, false)) < 0)
		return err_sys(err, rc, "path.readonly");
	rc = mount_pivot(root);
	umask(022);
	return rc < 0 ? err_sys(err, rc, "pivot_root") : 0;
}
