#include "store/identity.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "base/str.h"
#include "store/copy.h"
#include "sys/path.h"

#define SSH_DIR "etc/ssh"
#define DBUS_ID "var/lib/dbus/machine-id"

static bool is_host_key(const char *name)
{
	return str_prefix(name, "ssh_host_") &&
	       (str_suffix(name, "_key") || str_suffix(name, "_key.pub"));
}

/* The upper layer's own copy of a directory: as the layer below has it, without its contents. A
 * name that is a link or a file in either stays as it is. */
static int copy_up(int upper, int layer, const char *path, struct ng_err *err)
{
	autoclose int low = path_open_nolink(layer, path, O_RDONLY | O_DIRECTORY, 0);
	if (low < 0)
		return low == -ENOENT || low == -ENOTDIR || low == -ELOOP
			   ? 0
			   : err_sys(err, low, "/%s", path);
	autoclose int high = path_open_nolink(upper, path, O_PATH, 0);
	if (high >= 0 || high == -ELOOP)
		return 0;
	autoclose int made = path_open_dirs(upper, path, 0755);
	if (made < 0)
		return err_sys(err, made, "/%s", path);
	return copy_dir_attributes(low, made, 0, err);
}

static int random_id(char text[static 34])
{
	uint8_t id[16];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -errno;
	/* machine-id(5): as a version 4 UUID, so that it can be shown as one. */
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(id); i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	text[32] = '\n';
	text[33] = '\0';
	return 0;
}

static int host_keys(int dir, struct strv *keys)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(dir, &names);

	for (size_t i = 0; i < names.n; i++)
		if (is_host_key(names.v[i]))
			strv_add(keys, names.v[i]);
	return rc;
}

static int remove_keys(int dir, const struct strv *hidden)
{
	autodone(strv_done) struct strv keys = {0};
	int rc = host_keys(dir, &keys);

	for (size_t i = 0; rc == 0 && i < keys.n; i++)
		if (unlinkat(dir, keys.v[i], 0) < 0)
			rc = -errno;
	/* A whiteout hides what the layer below keeps. */
	for (size_t i = 0; rc == 0 && i < hidden->n; i++)
		if (mknodat(dir, hidden->v[i], S_IFCHR, 0) < 0)
			rc = -errno;
	return rc;
}

static int forget_keys(int tree, int layer, struct ng_err *err)
{
	autodone(strv_done) struct strv hidden = {0};
	int rc = 0;

	if (layer >= 0) {
		autoclose int low = path_open_nolink(layer, SSH_DIR, O_RDONLY | O_DIRECTORY, 0);
		rc = low < 0 ? 0 : host_keys(low, &hidden);
		if (rc < 0)
			return err_sys(err, rc, "/" SSH_DIR);
	}
	if (hidden.n > 0)
		rc = copy_up(tree, layer, SSH_DIR, err);
	if (rc < 0)
		return rc;
	autoclose int dir = path_open(tree, SSH_DIR, O_RDONLY | O_DIRECTORY, 0);
	if (dir == -ENOENT || dir == -ENOTDIR || dir == -ELOOP)
		return 0;
	rc = dir < 0 ? dir : remove_keys(dir, &hidden);
	return rc < 0 ? err_sys(err, rc, "removing host keys in /" SSH_DIR) : 0;
}

/* dbus keeps a second machine-id in older roots; a link to the first one serves it too. */
static int link_dbus_id(int tree, struct ng_err *err)
{
	autoclose int fd = path_open(tree, DBUS_ID, O_PATH | O_NOFOLLOW, 0);
	autoclose int dir = path_open(tree, "var/lib/dbus", O_PATH | O_DIRECTORY, 0);
	struct stat st;

	if (fd < 0 || dir < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (unlinkat(dir, "machine-id", 0) < 0 ||
	    symlinkat("/etc/machine-id", dir, "machine-id") < 0)
		return err_sys(err, errno, "/" DBUS_ID);
	return 0;
}

static int put(int tree, const char *path, const char *text, mode_t mode, struct ng_err *err)
{
	int rc = path_replace(tree, path, text, strlen(text), mode);

	return rc < 0 ? err_sys(err, rc, "writing /%s", path) : 0;
}

int identity_renew(int tree, int layer, const char *hostname, struct ng_err *err)
{
	autodone(str_done) struct str name = {0};
	char id[34];
	int rc = layer >= 0 ? copy_up(tree, layer, "etc", err) : link_dbus_id(tree, err);
	if (rc < 0)
		return rc;
	autoclose int etc = path_open_dirs(tree, "etc", 0755);
	if (etc < 0)
		return err_sys(err, etc, "/etc");
	rc = random_id(id);
	if (rc < 0)
		return err_sys(err, rc, "random numbers");
	str_addf(&name, "%s\n", hostname);
	rc = put(tree, "etc/machine-id", id, 0444, err);
	if (rc == 0)
		rc = put(tree, "etc/hostname", name.s, 0644, err);
	return rc < 0 ? rc : forget_keys(tree, layer, err);
}

int identity_remove(int tree, int layer, struct ng_err *err)
{
	int rc = layer >= 0 ? copy_up(tree, layer, "etc", err) : link_dbus_id(tree, err);

	if (rc == 0)
		rc = put(tree, "etc/machine-id", "", 0444, err);
	if (rc == 0)
		rc = put(tree, "etc/hostname", "", 0644, err);
	return rc < 0 ? rc : forget_keys(tree, layer, err);
}
