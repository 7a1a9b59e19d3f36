/* What `newgate init --store` said, in STORE/store: lines "backend" and "volume". */
#include <fcntl.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/plain.h"
#include "store/zfs.h"
#include "sys/disk.h"

#define FILE_NAME "store"

int store_told(const struct store *s, struct entry *out, struct ng_err *err)
{
	autoclose int dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = dir < 0 ? -errno : entry_read(dir, FILE_NAME, out);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return err_sys(err, rc, "%s/" FILE_NAME, s->dir);
	return out->backend && !backend_find(out->backend)
		   ? err_set(err, EINVAL, "%s/" FILE_NAME ": \"%s\" is no way of keeping trees",
			     s->dir, out->backend)
		   : 0;
}

/* Can the store's folder be used so? */
static int check(const struct store *s, const struct entry *e, int dir, struct ng_err *err)
{
	if (str_eq(e->backend, backend_zfs.name))
		return zfs_prepare(s, e->volume, err);
	if (str_eq(e->backend, backend_btrfs.name) && !disk_is_btrfs(dir))
		return err_set(err, EOPNOTSUPP, "%s is not on btrfs", s->dir);
	return backend_check_idmap(dir, s->dir, err);
}

static int parse(const char *how, struct entry *e, struct ng_err *err)
{
	size_t n = strcspn(how, ":");

	e->backend = mem_strndup(how, n);
	if (!backend_find(e->backend))
		return err_set(err, EINVAL, "\"%s\" is none of zfs[:DATASET], btrfs, overlay, dir",
			       how);
	if (how[n] != ':')
		return 0;
	e->volume = mem_strdup(how + n + 1);
	if (!str_eq(e->backend, backend_zfs.name) || !*e->volume || strchr(e->volume, '\n'))
		return err_set(err, EINVAL, "\"%s\": only zfs takes a data set, as POOL/NAME", how);
	return 0;
}

int store_choose(const struct store *s, const char *how, struct ng_err *err)
{
	autodone(entry_done) struct entry e = {0};
	int rc = parse(how, &e, err);

	if (rc < 0)
		return rc;
	rc = file_mkdirs(s->dir, 0755);
	if (rc < 0)
		return err_sys(err, rc, "making %s", s->dir);
	autoclose int dir = plain_open_dir(AT_FDCWD, s->dir, err);
	if (dir < 0)
		return dir;
	rc = check(s, &e, dir, err);
	if (rc < 0)
		return rc;
	rc = entry_replace(dir, FILE_NAME, &e);
	return rc < 0 ? err_sys(err, rc, "%s/" FILE_NAME, s->dir) : 0;
}
