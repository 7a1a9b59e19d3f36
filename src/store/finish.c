/* What every template has, wherever it came from. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/own.h"
#include "store/identity.h"
#include "store/tools.h"
#include "sys/path.h"

/* newgate mounts on these, and no link may lead it elsewhere. */
static const struct {
	const char *path;
	mode_t mode;
	bool emptied;
} points[] = {
    {"proc", 0555, false},
    {"sys", 0555, false},
    {"dev", 0755, true},
    {"run", 0755, false},
};

static int make_point(int tree, const char *name, mode_t mode, bool emptied)
{
	struct stat st;

	bool there = fstatat(tree, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (there && S_ISDIR(st.st_mode) && !emptied)
		return 0;
	if (there) {
		int rc = path_remove_tree(tree, name);
		if (rc < 0)
			return rc;
	}
	if (mkdirat(tree, name, 0700) < 0 || fchmodat(tree, name, mode, 0) < 0)
		return -errno;
	return 0;
}

static int make_points(int tree, struct ng_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		int rc = make_point(tree, points[i].path, points[i].mode, points[i].emptied);
		if (rc < 0)
			return err_sys(err, rc, "/%s", points[i].path);
	}
	if (mkdirat(tree, "tmp", 0700) == 0)
		return fchmodat(tree, "tmp", 01777, 0) < 0 ? err_sys(err, errno, "/tmp") : 0;
	return errno == EEXIST ? 0 : err_sys(err, errno, "/tmp");
}

/* A regular file to mount over; systemd's roots have links to /run here. */
static int make_file(int tree, const char *path, bool emptied, struct ng_err *err)
{
	struct stat st;
	autoclose int fd = path_open_nolink(tree, path, O_PATH, 0);

	if (!emptied && fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	int rc = path_replace(tree, path, "", 0, 0644);
	return rc < 0 ? err_sys(err, rc, "/%s", path) : 0;
}

/* A root that came with an rc of its own keeps it. */
static int install_script(int tree, const char *name, const char *path, struct ng_err *err)
{
	autoclose int own = path_open(tree, path, O_PATH, 0);
	autofree char *from = own_file("src/store", NG_DATADIR "/rc", name);
	autofree char *text = NULL;
	size_t len;

	if (own >= 0)
		return 0;
	int rc = file_read(from, &text, &len);
	if (rc < 0)
		return err_sys(err, rc, "%s (is newgate installed as a whole?)", from);
	rc = path_replace(tree, path, text, len, 0755);
	return rc < 0 ? err_sys(err, rc, "/%s", path) : 0;
}

/* FreeBSD's rc starts cron unless told otherwise, and so a fresh jail has a process that keeps it.
 * A root with an rc.conf of its own has said what it wants. */
static int enable_cron(int tree, struct ng_err *err)
{
	static const char text[] = "cron_enable=\"YES\"\n";
	autoclose int own = path_open(tree, "etc/rc.conf", O_PATH, 0);
	autoclose int script = path_open(tree, "etc/init.d/cron", O_PATH, 0);

	if (own >= 0 || script < 0)
		return 0;
	int rc = path_replace(tree, "etc/rc.conf", text, sizeof(text) - 1, 0644);
	return rc < 0 ? err_sys(err, rc, "/etc/rc.conf") : 0;
}

int finish_template(int tree, struct ng_err *err)
{
	if (mkdirat(tree, "etc", 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "/etc");
	autoclose int etc = path_open_nolink(tree, "etc", O_RDONLY | O_DIRECTORY, 0);
	if (etc < 0)
		return err_set(err, ENOTDIR,
			       "/etc is a link or a file there: newgate needs a directory");
	int rc = make_points(tree, err);
	if (rc == 0)
		rc = make_file(tree, "etc/hosts", false, err);
	/* What is in it is about the host it was made on. */
	if (rc == 0)
		rc = make_file(tree, "etc/resolv.conf", true, err);
	if (rc == 0)
		rc = install_script(tree, "rc", "etc/rc", err);
	if (rc == 0)
		rc = install_script(tree, "rc.shutdown", "etc/rc.shutdown", err);
	if (rc == 0)
		rc = enable_cron(tree, err);
	return rc < 0 ? rc : identity_remove(tree, -1, err);
}
