#include "store/measure.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "base/str.h"
#include "store/copy.h"
#include "sys/disk.h"

struct measure {
	uint64_t mount;
	bool looks; /* at what is shared */
	uint64_t own, shared;
};

static int look(int dir, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

	return statx(dir, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, st) < 0 ? -errno : 0;
}

static int add_file(struct measure *m, int dir, const char *name, const struct statx *st)
{
	uint64_t names = st->stx_nlink > 0 ? st->stx_nlink : 1;
	uint64_t bytes = st->stx_blocks * 512, shared = 0;

	if (m->looks && bytes > 0 && S_ISREG(st->stx_mode)) {
		autoclose int fd =
		    openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		int rc = fd < 0 ? -errno : disk_shared(fd, &shared);
		if (rc < 0)
			return rc == -ENOENT ? 0 : rc;
		/* Extents are rounded up. */
		if (shared > bytes)
			shared = bytes;
	}
	m->own += (bytes - shared) / names;
	m->shared += shared / names;
	return 0;
}

static int add(struct measure *m, int dir, const char *name)
{
	struct statx st;
	int rc = look(dir, name, &st);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (st.stx_mnt_id != m->mount)
		return 0;
	if (!S_ISDIR(st.stx_mode))
		return add_file(m, dir, name, &st);
	autoclose int sub =
	    openat(dir, name[0] ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autodone(strv_done) struct strv names = {0};
	if (sub < 0)
		return errno == ENOENT ? 0 : -errno;
	m->own += st.stx_blocks * 512;
	rc = copy_names(sub, &names);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = add(m, sub, names.v[i]);
	return rc;
}

int measure_tree(int dir, uint64_t *own, uint64_t *shared)
{
	struct measure m = {.looks = shared && disk_shares(dir)};
	struct statx st;
	int rc = look(dir, "", &st);

	m.mount = st.stx_mnt_id;
	/* What is not on disk yet has no blocks that could be told apart. */
	if (rc == 0 && m.looks && syncfs(dir) < 0)
		rc = -errno;
	if (rc == 0)
		rc = add(&m, dir, "");
	*own = m.own;
	if (shared)
		*shared = m.shared;
	return rc;
}
