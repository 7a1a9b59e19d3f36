#include "host/snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "host/beside.h"
#include "host/still.h"
#include "store/copy.h"
#include "sys/fd.h"
#include "sys/path.h"

/* ---- the copy ---- */

/* What is never written again: letters. Sites nobody of the jails writes to; somebody who edits one
 * meanwhile changes the copy too, which is then as if he had been quicker. */
enum kind { KIND_ETC, KIND_DATA, KIND_MAIL, KIND_LINK };

/* Is it in a mailbox, "dovecot/vmail/DOMAIN/USER"? A user may be called "new" too. */
static bool is_mailbox(const char *path)
{
	size_t slashes = 0;

	for (; *path; path++)
		slashes += *path == '/';
	return slashes >= 3;
}

static enum kind kind_below(enum kind now, const char *path, const char *name)
{
	if (now == KIND_DATA && str_eq(path, "dovecot") && str_eq(name, "vmail"))
		return KIND_MAIL;
	if (now == KIND_DATA && str_eq(path, "web") && str_eq(name, "sites"))
		return KIND_LINK;
	if (now == KIND_MAIL && is_mailbox(path) && (str_eq(name, "new") || str_eq(name, "cur")))
		return KIND_LINK;
	return now;
}

static int copy_folder(const char *path, int from, int to, enum kind kind, struct ng_err *err);

static int copy_below(const char *path, int from, int to, const char *name, enum kind kind,
		      struct ng_err *err)
{
	struct str below autodone(str_done) = {0};
	autoclose int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (in < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s/%s", path, name);
	if (mkdirat(to, name, 0700) < 0)
		return err_sys(err, errno, "%s/%s", path, name);
	autoclose int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return err_sys(err, errno, "%s/%s", path, name);
	str_addf(&below, "%s%s%s", path, *path ? "/" : "", name);
	return copy_folder(below.s, in, out, kind_below(kind, path, name), err);
}

static int copy_entry(const char *path, int from, int to, const char *name, enum kind kind,
		      struct ng_err *err)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s/%s", path, name);
	if (S_ISDIR(st.st_mode))
		return copy_below(path, from, to, name, kind, err);
	/* Sockets are made anew by those who listen there; devices there are none. */
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode) && !S_ISFIFO(st.st_mode))
		return 0;
	/* Across file systems, or beyond what one can count, it is a copy. */
	if (kind == KIND_LINK && S_ISREG(st.st_mode) && linkat(from, name, to, name, 0) == 0)
		return 0;
	int rc = copy_one(from, to, name, err);
	return rc < 0 ? err_prefix(err, "%s", path) : 0;
}

/* What is mounted inside, such as a disk for the mail, is a part of it. At the top of the data, what
 * begins with a dot is not the host's: this copy, and what a restore moved aside. */
static int copy_folder(const char *path, int from, int to, enum kind kind, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(from, &names);

	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	for (size_t i = 0; i < names.n && rc == 0; i++)
		if (*path || kind == KIND_ETC || names.v[i][0] != '.')
			rc = copy_entry(path, from, to, names.v[i], kind, err);
	return rc < 0 ? rc : copy_dir_attributes(from, to, 0, err);
}

static int copy_path(const struct host *h, int tree, const char *path, struct ng_err *err)
{
	autofree char *full = host_path(h, "%s", path), *parent = NULL;
	const char *name = strrchr(path, '/') + 1;
	struct str above autodone(str_done) = {0};
	struct stat st;

	if (stat(full, &st) < 0)
		return err_sys(err, errno, "%s", full);
	str_addn(&above, path, (size_t)(name - 1 - path));
	autoclose int to = path_open_dirs(tree, above.s, 0755);
	if (to < 0)
		return err_sys(err, to, "%s in " HOST_SNAPSHOT, above.s);
	parent = host_path(h, "%s", above.s);
	autoclose int from = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return err_sys(err, errno, "%s", parent);
	if (!S_ISDIR(st.st_mode))
		return copy_one(from, to, name, err);
	autoclose int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in < 0 || mkdirat(to, name, 0700) < 0)
		return err_sys(err, errno, "%s", full);
	autoclose int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out < 0)
		return err_sys(err, errno, "%s", full);
	enum kind kind = str_eq(path, HOST_DATA) ? KIND_DATA : KIND_ETC;
	int rc = copy_folder("", in, out, kind, err);
	return rc < 0 ? err_prefix(err, "copying %s", full) : 0;
}

static int put_owners(int tree, const char *owners, struct ng_err *err)
{
	autoclose int fd = openat(tree, HOST_OWNERS, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : fd_write_all(fd, owners, strlen(owners));

	return rc < 0 ? err_sys(err, rc, HOST_SNAPSHOT "/" HOST_OWNERS) : 0;
}

static int copy_all(const struct host *h, int tree, const char *owners, struct ng_err *err)
{
	static const char *const paths[] = {HOST_DATA, HOST_ETC, HOST_JAILS, HOST_CONF};
	int rc = put_owners(tree, owners, err);

	for (size_t i = 0; i < ARRAY_SIZE(paths) && rc == 0; i++)
		rc = copy_path(h, tree, paths[i], err);
	return rc;
}

/* ---- */

int host_snapshot_take(const struct host *h, struct state *st, const char *owners,
		       struct host_snapshot *out, struct ng_err *err)
{
	autodone(still_end) struct still still = {0};
	autofree char *path = host_path(h, HOST_SNAPSHOT);

	*out = HOST_SNAPSHOT_NONE;
	int rc = beside_open(path, "newgate host backup", &out->lock, &out->tree, err);
	if (rc == 0)
		rc = still_begin(h, st, &still, err);
	out->between = still.between;
	return rc < 0 ? rc : copy_all(h, out->tree, owners, err);
}

int host_snapshot_drop(struct host_snapshot *s, struct ng_err *err)
{
	int rc = s->tree < 0 ? 0 : beside_remove(s->lock, err);

	macro_close(&s->tree);
	macro_close(&s->lock);
	*s = HOST_SNAPSHOT_NONE;
	return rc;
}

void host_snapshot_done(struct host_snapshot *s)
{
	struct ng_err ignored = {0};

	if (host_snapshot_drop(s, &ignored) < 0)
		return; /* the next one removes it */
}
