/* Bounds on what jails' trees take.
 *
 * Where the file system has nothing better (dir, overlay on ext4 and xfs) by a project quota: all
 * files of the jail's are marked with a number, which new ones inherit and a jail's root, not being
 * the host's, cannot change; what is marked so is counted together. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/plain.h"
#include "sys/disk.h"

#define FIRST_PROJECT 0x6e670000u /* far from what people give by hand */

struct numbers {
	uint32_t next;
};

static void note_project(void *arg, const char *name, struct entry *e)
{
	struct numbers *n = arg;

	(void)name;
	if (e->project >= n->next)
		n->next = (uint32_t)e->project + 1;
}

/* Gives the jail a number that no other has, and keeps it. */
static int claim_project(struct thing *t, struct ng_err *err)
{
	struct numbers n = {FIRST_PROJECT};
	autoclose int all = store_open_kind(t->s, STORE_JAILS, false);

	if (t->e.project)
		return 0;
	if (all < 0 || flock(all, LOCK_EX) < 0)
		return err_sys(err, all < 0 ? all : errno, "%s/jails", t->s->dir);
	int rc = store_each(t->s, STORE_JAILS, note_project, &n);
	if (rc == 0) {
		t->e.project = n.next;
		rc = entry_replace(t->dir, store_kind_file(t->kind), &t->e);
	}
	return rc < 0 ? err_sys(err, rc, "writing its entry") : 0;
}

/* Links, devices and pipes have no descriptor to be marked by, and no blocks worth counting. */
static int mark(int dir, const char *name, uint32_t project)
{
	autodone(strv_done) struct strv names = {0};
	autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENXIO ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	int rc = disk_set_project(fd, project, S_ISDIR(st.st_mode));
	if (rc < 0 || !S_ISDIR(st.st_mode))
		return rc;
	rc = copy_names(fd, &names);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = mark(fd, names.v[i], project);
	return rc;
}

static int refuse(int dir, const char *what, struct ng_err *err)
{
	char fs[64];

	backend_fs_name(dir, fs, sizeof(fs));
	return err_set(
	    err, EOPNOTSUPP,
	    "%s is on %s without project quotas: mount it with the option prjquota (ext4 "
	    "also takes tune2fs -O project,quota -Q prjquota first), or keep the jail on "
	    "zfs or btrfs",
	    what, fs);
}

int quota_project(struct thing *t, int at, const char *const *dirs, uint64_t bytes,
		  struct ng_err *err)
{
	autoclose int top = plain_open_dir(at, dirs[0], err);

	if (top < 0)
		return top;
	/* Nothing was ever marked. */
	if (bytes == 0 && t->e.project == 0)
		return 0;
	/* A file system without quotas says so before a number is given. */
	uint32_t probe = t->e.project ? (uint32_t)t->e.project : FIRST_PROJECT - 1;
	int rc = disk_limit_project(top, probe, t->e.project ? bytes : 0);
	if (rc == -ESRCH || rc == -ENOSYS || rc == -EINVAL || rc == -EOPNOTSUPP || rc == -ENOTBLK ||
	    rc == -ENODEV)
		return refuse(top, t->e.path, err);
	if (rc == 0)
		rc = claim_project(t, err);
	if (rc == 0)
		rc = disk_limit_project(top, (uint32_t)t->e.project, bytes);
	for (size_t i = 0; rc == 0 && bytes > 0 && dirs[i]; i++)
		rc = mark(at, dirs[i], (uint32_t)t->e.project);
	return rc < 0 && !err->code ? err_sys(err, rc, "bounding %s by project %llu", t->e.path,
					      (unsigned long long)t->e.project)
				    : rc;
}

static int set_quota(struct thing *t, uint64_t bytes, struct ng_err *err)
{
	if (t->e.quota == bytes)
		return 0;
	int rc = t->b->quota(t, bytes, err);
	if (rc < 0)
		return rc;
	t->e.quota = bytes;
	rc = entry_replace(t->dir, store_kind_file(t->kind), &t->e);
	return rc < 0 ? err_sys(err, rc, "writing its entry") : 0;
}

int store_set_quota(const struct store *s, const char *jail, const char *path, uint64_t bytes,
		    struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	int rc = thing_open(s, STORE_JAILS, jail, &t, err);

	if (rc == 0 && store_same_path(t.e.path, path))
		return set_quota(&t, bytes, err);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	return bytes == 0 ? 0
			  : err_set(err, EOPNOTSUPP,
				    "%s is a folder that newgate did not make, and so cannot be "
				    "bounded: clone the jail from it (newgate clone)",
				    path);
}
