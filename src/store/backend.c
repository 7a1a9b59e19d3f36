#include "store/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/copy.h"
#include "sys/mount.h"
#include "sys/ns.h"

static const struct store_backend *const backends[] = {&backend_zfs, &backend_btrfs,
						       &backend_overlay, &backend_dir};

const struct store_backend *backend_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (name && str_eq(backends[i]->name, name))
			return backends[i];
	return NULL;
}

static int adopt(const struct store_backend *b, const struct source *src, struct thing *t,
		 struct ng_err *err)
{
	t->b = b;
	free(t->e.backend);
	t->e.backend = mem_strdup(b->name);
	return b->plan ? b->plan(src, t, err) : 0;
}

/* The one that the store was told to use. */
static int choose_wanted(const struct store_backend *b, const struct source *src, struct thing *t,
			 struct ng_err *err)
{
	t->wanted = true;
	/* An overlay is always one over something; what is complete lies below it as files. */
	if (b == &backend_overlay && (!src || src->root < 0 || src->full))
		b = &backend_dir;
	int rc = b->suits(src, t, err);
	if (rc == 0)
		rc = err_prefix(err, "the store is to use %s", b->name);
	return rc < 0 ? rc : adopt(b, src, t, err);
}

int backend_choose(const struct source *src, struct thing *t, struct ng_err *err)
{
	autodone(entry_done) struct entry told = {0};

	if (src && src->jail && src->backend && !src->full)
		return adopt(src->backend, src, t, err);
	int rc = store_told(t->s, &told, err);
	if (rc < 0)
		return rc;
	if (told.backend)
		return choose_wanted(backend_find(told.backend), src, t, err);
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		rc = backends[i]->suits(src, t, err);
		if (rc < 0)
			return rc;
		if (rc > 0) {
			*err = (struct ng_err){0};
			return adopt(backends[i], src, t, err);
		}
	}
	return -err->code; /* the last one's reason */
}

void thing_done(struct thing *t)
{
	macro_close(&t->dir);
	entry_done(&t->e);
	*t = THING_NONE;
}

int thing_copy(const struct thing *t, int from, int to, unsigned flags, struct ng_err *err)
{
	const struct copy_watch watch = {.s = t->s, .what = t->name};

	return copy_tree_watched(from, to, flags, -1, &watch, err);
}

char *thing_tree(const struct thing *t)
{
	autodone(str_done) struct str b = {0};

	if (t->kind == STORE_JAILS)
		return mem_strdup(t->e.path);
	str_addf(&b, "%s/%s/%s/root", t->s->dir, store_kind_dir(t->kind), t->name);
	return str_take(&b);
}

int thing_open(const struct store *s, enum store_kind kind, const char *name, struct thing *out,
	       struct ng_err *err)
{
	*out = (struct thing){.s = s, .kind = kind, .name = name};
	out->dir = store_open_entry(s, kind, name);
	int rc = out->dir < 0 ? out->dir : entry_read(out->dir, store_kind_file(kind), &out->e);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return -ENOENT;
	if (rc < 0)
		return err_sys(err, rc, "%s/%s/%s/%s", s->dir, store_kind_dir(kind), name,
			       store_kind_file(kind));
	/* Power was lost before store_sync. */
	if (kind == STORE_JAILS && !out->e.backend && !out->e.path)
		return -ENOENT;
	if (kind == STORE_TEMPLATES && !out->e.backend)
		out->e.backend = mem_strdup(backend_dir.name);
	out->b = backend_find(out->e.backend);
	if (!out->b || (kind == STORE_JAILS && (!out->e.path || out->e.path[0] != '/')))
		return err_set(err, EBADMSG, "%s/%s/%s/%s: not as newgate writes it", s->dir,
			       store_kind_dir(kind), name, store_kind_file(kind));
	return out->b->there(out) ? 0 : -ENOENT;
}

/* The name of the file system that holds `fd`, by its mount in /proc/self/mountinfo: "ID PARENT
 * MAJ:MIN ROOT POINT OPTIONS [FIELDS] - TYPE SOURCE SUPER". */
void backend_fs_name(int fd, char *out, size_t size)
{
	struct statx st;
	autofree char *text = NULL;
	size_t len;

	snprintf(out, size, "a file system");
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 ||
	    file_read("/proc/self/mountinfo", &text, &len) < 0)
		return;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *type = strstr(line, " - ");
		if (type && strtoull(line, NULL, 10) == st.stx_mnt_id)
			snprintf(out, size, "%.*s", (int)strcspn(type + 3, " "), type + 3);
	}
}

int backend_mapped(int dir, int userns)
{
	autoclose int mnt = mount_clone(dir, "", false);

	if (mnt < 0)
		return mnt;
	int rc = mount_idmap(mnt, userns, false);
	return rc < 0 ? rc : take_fd(&mnt);
}

int backend_check_idmap(int dir, const char *what, struct ng_err *err)
{
	autoclose int userns = ns_user_fd(PROBE_BASE, PROBE_COUNT);
	char fs[64];

	if (userns < 0)
		return err_sys(err, userns, "making a user namespace");
	autoclose int mnt = backend_mapped(dir, userns);
	if (mnt >= 0)
		return 0;
	backend_fs_name(dir, fs, sizeof(fs));
	if (mnt == -EINVAL || mnt == -EOPNOTSUPP || mnt == -EPERM)
		return err_set(
		    err, EOPNOTSUPP,
		    "%s is on %s, which cannot map owners on this kernel (idmapped mounts): "
		    "keep jails on ext4, xfs, btrfs or ZFS (OpenZFS 2.2 and later)",
		    what, fs);
	return err_sys(err, mnt, "mapping the owners of %s (%s)", what, fs);
}
