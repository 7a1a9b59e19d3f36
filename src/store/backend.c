#include "store/backend.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/mount.h"
#include "sys/ns.h"

static const struct store_backend *const backends[] = {&backend_overlay, &backend_dir};

const struct store_backend *backend_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
		if (name && str_eq(backends[i]->name, name))
			return backends[i];
	return NULL;
}

int backend_choose(const struct source *src, int stage, const char *path,
		   const struct store_backend **out, struct ng_err *err)
{
	int rc = 0;

	*out = src->backend;
	for (size_t i = 0; !*out && rc == 0 && i < ARRAY_SIZE(backends); i++) {
		rc = backends[i]->suits(src, stage, path, err);
		if (rc > 0)
			*out = backends[i];
	}
	return rc < 0 ? rc : 0;
}

void source_done(struct source *src)
{
	macro_close(&src->tree);
	macro_close(&src->layer);
	macro_close(&src->lock);
	free(src->lower);
	*src = SOURCE_NONE;
}

/* The name of the file system that holds `fd`, by its mount in /proc/self/mountinfo: "ID PARENT
 * MAJ:MIN ROOT POINT OPTIONS [FIELDS] - TYPE SOURCE SUPER". */
static void fs_name(int fd, char *out, size_t size)
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
	fs_name(dir, fs, sizeof(fs));
	if (mnt == -EINVAL || mnt == -EOPNOTSUPP || mnt == -EPERM)
		return err_set(
		    err, EOPNOTSUPP,
		    "%s is on %s, which cannot map owners on this kernel (idmapped mounts): "
		    "keep jails on ext4, xfs or btrfs",
		    what, fs);
	return err_sys(err, mnt, "mapping the owners of %s (%s)", what, fs);
}
