#include "host/restore.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/files.h"
#include "host/beside.h"
#include "host/snapshot.h"
#include "host/trees.h"
#include "store/copy.h"
#include "sys/path.h"

/* Of what is not data: where it is laid out, and where it goes when it moves aside. */
#define ETC_ABOVE "/etc/newgate"
#define ETC_NEW ETC_ABOVE "/.restore"

/* The settings are the last to come: without them nothing is set up. */
static const char *const pieces[] = {HOST_ETC, HOST_JAILS, HOST_CONF};

static char *at(const struct host_restore *r, const char *path)
{
	return files_path(r->root, path);
}

/* ---- begin, end ---- */

int host_restore_begin(const char *root, struct host_restore *r, struct ng_err *err)
{
	autofree char *path = files_path(root, HOST_RESTORE), *data = files_path(root, HOST_DATA);
	int rc = file_mkdirs(data, 0755);

	*r = HOST_RESTORE_NONE;
	r->root = mem_strdup(root);
	r->path = files_path(root, HOST_RESTORE "/" BESIDE_TREE);
	if (rc < 0)
		return err_sys(err, rc, "%s", data);
	rc = beside_open(path, "newgate host restore", &r->lock, &r->tree, err);
	r->interrupted = rc == 0 && faccessat(r->lock, HOST_PLACING, F_OK, 0) == 0;
	return rc;
}

void host_restore_done(struct host_restore *r)
{
	struct ng_err ignored = {0};
	int rc = r->tree < 0 ? 0 : beside_remove(r->lock, &ignored);

	/* What could not be removed, the next one removes. */
	if (rc == 0 && r->lock >= 0 && faccessat(r->lock, HOST_PLACING, F_OK, 0) < 0) {
		autofree char *path = at(r, HOST_RESTORE), *data = at(r, HOST_DATA);

		/* And that, where nothing else is in it. */
		if (rmdir(path) == 0)
			(void)!rmdir(data);
	}
	macro_close(&r->tree);
	macro_close(&r->lock);
	free(r->path);
	free(r->root);
	*r = HOST_RESTORE_NONE;
}

/* ---- what is there, what was laid out ---- */

/* The host's own of HOST_DATA: this folder's and its like begin with a dot. */
static int data_names(const char *path, struct strv *out)
{
	autodone(strv_done) struct strv all = {0};
	autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	int rc = copy_names(dir, &all);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i][0] != '.')
			strv_add(out, all.v[i]);
	return rc;
}

char *host_restore_present(const struct host_restore *r)
{
	autodone(strv_done) struct strv names = {0};
	autofree char *data = at(r, HOST_DATA);

	for (size_t i = ARRAY_SIZE(pieces); i-- > 0;) {
		autofree char *path = at(r, pieces[i]);

		if (access(path, F_OK) == 0)
			return take_ptr(path);
	}
	return data_names(data, &names) < 0 || names.n > 0 ? take_ptr(data) : NULL;
}

static int read_owners(const struct host_restore *r, struct owners *owners, struct ng_err *err)
{
	autofree char *path = NULL, *text = NULL;
	size_t len;

	if (asprintf(&path, "%s/" HOST_OWNERS, r->path) < 0)
		return err_sys(err, ENOMEM, HOST_OWNERS);
	int rc = file_read(path, &text, &len);
	return rc < 0 ? err_set(err, EBADMSG, "it does not tell who owns what")
		      : owners_parse(text, owners, err);
}

int host_restore_check(const struct host_restore *r, struct owners *owners, struct ng_err *err)
{
	static const char *const folders[] = {HOST_DATA, HOST_ETC}, *const files[] = {HOST_JAILS,
										      HOST_CONF};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(folders) + ARRAY_SIZE(files); i++) {
		bool folder = i < ARRAY_SIZE(folders);
		const char *path = folder ? folders[i] : files[i - ARRAY_SIZE(folders)];
		autoclose int fd = path_open_nolink(r->tree, path, O_RDONLY | O_NONBLOCK, 0);

		if (fd < 0 || fstat(fd, &st) < 0 ||
		    (folder ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)))
			return err_set(err, EBADMSG, "it has no %s", path);
	}
	return read_owners(r, owners, err);
}

int host_restore_own(const struct host_restore *r, const struct owners *from,
		     const struct owners *to, struct ng_err *err)
{
	autoclose int data = path_open_nolink(r->tree, HOST_DATA, O_RDONLY | O_DIRECTORY, 0);

	return data < 0 ? err_sys(err, data, HOST_DATA " in the backup")
			: trees_own(data, from, to, err);
}

/* ---- aside, and into their places ---- */

/* A disk that is mounted there cannot be renamed, nor would anybody want that. */
static int refuse_mounts(const char *data, const struct strv *names, struct ng_err *err)
{
	for (size_t i = 0; i < names->n; i++) {
		autofree char *path = NULL, *first = NULL;

		if (asprintf(&path, "%s/%s", data, names->v[i]) < 0)
			return err_sys(err, ENOMEM, "%s", data);
		int rc = path_mounted_below(path, &first);
		if (rc > 0)
			return err_set(err, EBUSY,
				       "%s is a mount point, which cannot be moved aside: unmount "
				       "it, and move what is restored there afterwards",
				       first);
		if (rc < 0)
			return err_sys(err, rc, "%s", path);
	}
	return 0;
}

/* Below /etc as the backup has it, so that renames are left: it may be another disk than the data's. */
static int copy_etc(const struct host_restore *r, struct ng_err *err)
{
	autofree char *to = at(r, ETC_NEW), *above = at(r, ETC_ABOVE);
	int rc = file_mkdirs(above, 0755);
	autoclose int folder = rc < 0 ? -1 : open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0)
		return err_sys(err, rc < 0 ? rc : errno, "%s", above);
	rc = path_remove_tree(folder, strrchr(to, '/') + 1);
	if ((rc < 0 && rc != -ENOENT) || mkdir(to, 0700) < 0)
		return err_sys(err, rc < 0 && rc != -ENOENT ? rc : errno, "%s", to);
	autoclose int dst = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int src = path_open_nolink(r->tree, "etc", O_RDONLY | O_DIRECTORY, 0);
	if (src < 0 || dst < 0)
		return err_sys(err, src < 0 ? src : errno, "%s", to);
	rc = copy_tree(src, dst, COPY_APART, -1, err);
	if (rc == 0 && syncfs(dst) < 0)
		rc = err_sys(err, errno, "writing to disk");
	return rc < 0 ? err_prefix(err, "%s", to) : 0;
}

static int move(const char *from, const char *to, struct ng_err *err)
{
	autofree char *folder = mem_strndup(to, (size_t)(strrchr(to, '/') - to));
	int rc = file_mkdirs(folder, 0755);

	if (rc == 0 && rename(from, to) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "moving %s to %s", from, to) : 0;
}

static int move_data(const char *from, const char *to, const struct strv *names, struct ng_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < names->n && rc == 0; i++) {
		autofree char *a = NULL, *b = NULL;

		if (asprintf(&a, "%s/%s", from, names->v[i]) < 0 ||
		    asprintf(&b, "%s/%s", to, names->v[i]) < 0)
			return err_sys(err, ENOMEM, "%s", to);
		rc = move(a, b, err);
	}
	return rc;
}

/* The settings first: without them nothing is set up, and nobody changes the rest. */
static int move_aside(const struct host_restore *r, const char *stamp, const struct strv *names,
		      struct ng_err *err)
{
	autofree char *data = at(r, HOST_DATA), *etc = NULL, *to = NULL;
	int rc = 0;

	if (asprintf(&etc, "%s" ETC_ABOVE "/before-%s", r->root, stamp) < 0 ||
	    asprintf(&to, "%s/.before-%s", data, stamp) < 0)
		return err_sys(err, ENOMEM, "%s", stamp);
	for (size_t i = ARRAY_SIZE(pieces); i-- > 0 && rc == 0;) {
		autofree char *from = at(r, pieces[i]), *there = NULL;

		if (asprintf(&there, "%s%s", etc, pieces[i] + strlen("/etc")) < 0)
			return err_sys(err, ENOMEM, "%s", stamp);
		/* Keys are in it. */
		rc = file_mkdirs(etc, 0700);
		if (rc < 0)
			return err_sys(err, rc, "%s", etc);
		if (access(from, F_OK) == 0)
			rc = move(from, there, err);
	}
	if (rc == 0 && names->n > 0)
		rc = file_mkdirs(to, 0700) < 0 ? err_sys(err, errno, "%s", to)
					       : move_data(data, to, names, err);
	return rc;
}

static int same_attributes(const char *from, const char *to, struct ng_err *err)
{
	autoclose int a = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int b = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return a < 0 || b < 0 ? err_sys(err, errno, "%s", to) : copy_dir_attributes(a, b, 0, err);
}

static int put_in_place(const struct host_restore *r, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	autofree char *data = at(r, HOST_DATA), *from = NULL;

	if (asprintf(&from, "%s" HOST_DATA, r->path) < 0)
		return err_sys(err, ENOMEM, "%s", data);
	int rc = data_names(from, &names);
	if (rc < 0)
		return err_sys(err, rc, "%s", from);
	rc = move_data(from, data, &names, err);
	if (rc == 0)
		rc = same_attributes(from, data, err);
	for (size_t i = 0; i < ARRAY_SIZE(pieces) && rc == 0; i++) {
		autofree char *to = at(r, pieces[i]), *laid = NULL;

		if (asprintf(&laid, "%s" ETC_NEW "%s", r->root, pieces[i] + strlen("/etc")) < 0)
			return err_sys(err, ENOMEM, "%s", to);
		rc = move(laid, to, err);
	}
	return rc;
}

static int mark(const struct host_restore *r, struct ng_err *err)
{
	autoclose int fd = openat(r->lock, HOST_PLACING, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || syncfs(r->lock) < 0)
		return err_sys(err, errno, HOST_RESTORE "/" HOST_PLACING);
	return 0;
}

/* Only now is it a host like any other. */
static int unmark(const struct host_restore *r, struct ng_err *err)
{
	autofree char *laid = at(r, ETC_NEW), *above = at(r, ETC_ABOVE);
	autoclose int folder = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = folder < 0 ? -errno : path_remove_tree(folder, strrchr(laid, '/') + 1);

	if (rc == 0 &&
	    (syncfs(folder) < 0 || syncfs(r->lock) < 0 || unlinkat(r->lock, HOST_PLACING, 0) < 0))
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "%s", laid) : 0;
}

static int find_stamp(const struct host_restore *r, char stamp[static 32])
{
	time_t now = time(NULL);
	struct tm tm;

	for (;; now++) {
		autofree char *etc = NULL, *data = NULL;

		strftime(stamp, 32, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
		if (asprintf(&etc, "%s" ETC_ABOVE "/before-%s", r->root, stamp) < 0 ||
		    asprintf(&data, "%s" HOST_DATA "/.before-%s", r->root, stamp) < 0)
			return -ENOMEM;
		if (access(etc, F_OK) < 0 && access(data, F_OK) < 0)
			return 0;
	}
}

int host_restore_place(struct host_restore *r, char **aside, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	autofree char *data = at(r, HOST_DATA), *present = host_restore_present(r);
	char stamp[32];
	int rc = data_names(data, &names);

	*aside = NULL;
	if (rc == 0)
		rc = find_stamp(r, stamp);
	if (rc < 0)
		return err_sys(err, rc, "%s", data);
	rc = refuse_mounts(data, &names, err);
	if (rc == 0)
		rc = copy_etc(r, err);
	if (rc == 0)
		rc = mark(r, err);
	if (rc == 0 && present)
		rc = move_aside(r, stamp, &names, err);
	if (rc == 0)
		rc = put_in_place(r, err);
	if (rc == 0)
		rc = unmark(r, err);
	if (rc == 0 && present && asprintf(aside, "before-%s", stamp) < 0)
		rc = err_sys(err, ENOMEM, "%s", stamp);
	return rc;
}
