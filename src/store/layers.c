/* Layers that an overlay puts on top of each other: of a template that was built on others, and of
 * a jail. */
#include <fcntl.h>
#include <stdio.h>
#include "base/str.h"
#include "store/backend.h"
#include "sys/mount.h"

int layers_join(const int *layer, size_t n, struct ng_err *err)
{
	autodone(str_done) struct str lower = {0};

	if (n == 1) {
		int fd = openat(layer[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_sys(err, errno, "opening a layer") : fd;
	}
	/* An option of a mount is at most 255 bytes long, which paths would soon be. */
	str_add(&lower, "lowerdir=");
	for (size_t i = 0; i < n; i++)
		str_addf(&lower, "%s/proc/self/fd/%d", i > 0 ? ":" : "", layer[i]);
	const char *const opts[] = {lower.s, "userxattr", NULL};
	autoclose int mnt = mount_new("overlay", "newgate", opts, MOUNT_RO | MOUNT_NODEV);
	if (mnt < 0)
		return err_sys(err, mnt, "joining %zu layers to read them", n);
	/* It stays as long as something in it is open. */
	int fd = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening joined layers") : fd;
}

int layers_of(const struct store *s, const char *name, struct strv *out, struct ng_err *err)
{
	autodone(str_done) struct str at = {0};

	str_add(&at, name);
	while (at.len > 0) {
		autodone(thing_done) struct thing t = THING_NONE;
		int rc = thing_open(s, STORE_TEMPLATES, at.s, &t, err);
		if (rc == -ENOENT)
			return err_set(err, ENOENT,
				       "template %s is missing in %s/templates: put it back, or "
				       "destroy what was made from it",
				       at.s, s->dir);
		if (rc < 0)
			return rc;
		if (out->n == LAYERS_MAX)
			return err_set(err, ELOOP,
				       "template %s is built on more than %d others: make one "
				       "that is complete (newgate template create NAME --from "
				       "DIR)",
				       name, LAYERS_MAX - 1);
		strv_take(out, thing_tree(&t));
		str_done(&at);
		if (t.b == &backend_overlay && t.e.lower)
			str_add(&at, t.e.lower);
	}
	return 0;
}

struct open_layers {
	int fd[LAYERS_MAX + 1];
	size_t n;
};

static void open_layers_done(struct open_layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		close(l->fd[i]);
}

static int open_layers(const struct store *s, const char *name, struct open_layers *l,
		       struct ng_err *err)
{
	autodone(strv_done) struct strv path = {0};
	int rc = layers_of(s, name, &path, err);

	for (size_t i = 0; i < path.n && rc == 0; i++) {
		int fd = open(path.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, errno, "%s", path.v[i]);
		l->fd[l->n++] = fd;
	}
	return rc;
}

int layers_view(const struct store *s, const char *name, int upper, struct ng_err *err)
{
	autodone(open_layers_done) struct open_layers l = {0};

	if (upper >= 0) {
		int fd = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, errno, "opening a layer");
		l.fd[l.n++] = fd;
	}
	int rc = open_layers(s, name, &l, err);
	return rc < 0 ? rc : layers_join(l.fd, l.n, err);
}

int layers_write(const struct store *s, const char *name, int upper, int work, struct ng_err *err)
{
	autodone(open_layers_done) struct open_layers l = {0};
	autodone(str_done) struct str lower = {0};
	char top[64], room[64];
	int rc = open_layers(s, name, &l, err);

	if (rc < 0)
		return rc;
	str_add(&lower, "lowerdir=");
	for (size_t i = 0; i < l.n; i++)
		str_addf(&lower, "%s/proc/self/fd/%d", i > 0 ? ":" : "", l.fd[i]);
	snprintf(top, sizeof(top), "upperdir=/proc/self/fd/%d", upper);
	snprintf(room, sizeof(room), "workdir=/proc/self/fd/%d", work);
	const char *const opts[] = {lower.s, top, room, "userxattr", NULL};
	autoclose int mnt = mount_new("overlay", "newgate", opts, MOUNT_NODEV);
	if (mnt < 0)
		return err_sys(err, mnt, "joining layers to write to them: %s", mount_reason());
	int fd = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "opening joined layers") : fd;
}
