/* Trees from what is no template. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "store/copy.h"
#include "store/measure.h"
#include "store/tools.h"

static int make_copy(struct store *s, const char *from, int tree, struct ng_err *err)
{
	autoclose int src = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (src < 0)
		return err_sys(err, errno, "%s", from);
	autoclose int own = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct copy_watch watch = {.s = s, .what = from};
	int rc = s->progress ? measure_tree(src, &watch.total, NULL) : 0;
	if (rc == 0)
		rc = copy_tree_watched(src, tree, 0, own, &watch, err);
	else
		err_sys(err, rc, "measuring it");
	return rc < 0 ? err_prefix(err, "copying %s", from) : 0;
}

static bool is_archive(const char *from)
{
	static const char *const ends[] = {".tar", ".tar.gz",  ".tgz",    ".tar.xz",
					   ".txz", ".tar.zst", ".tar.bz2"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (str_suffix(from, ends[i]))
			return true;
	return false;
}

static int no_such_source(const char *from, struct ng_err *err)
{
	if (errno != ENOENT)
		return err_sys(err, errno, "--from %s", from);
	return err_set(
	    err, ENOENT,
	    "--from %s: no such file or directory, nor a template; it is busybox, "
	    "debian:SUITE, oci:DIR, a template, a directory, or a .tar, .tar.gz, .tar.xz "
	    "or .tar.zst",
	    from);
}

int make_tree(struct store *s, const struct store_recipe *r, int tree, const char *path,
	      struct str *defaults, struct ng_err *err)
{
	const char *from = r->from;
	autofree char *id = NULL;
	struct stat st;

	if (str_eq(from, "busybox"))
		return make_busybox(tree, err);
	if (str_prefix(from, "debian:"))
		return make_debian(s, from + strlen("debian:"), r->include, path, err);
	if (str_prefix(from, "oci:"))
		return make_oci(s, from + strlen("oci:"), tree, defaults, &id, err);
	if (stat(from, &st) < 0)
		return no_such_source(from, err);
	if (S_ISDIR(st.st_mode))
		return make_copy(s, from, tree, err);
	if (!is_archive(from))
		return err_set(err, EINVAL,
			       "--from %s: its name does not end as a tar archive's does "
			       "(.tar, .tar.gz, .tar.xz, .tar.zst)",
			       from);
	return make_unpacked(s, from, tree, err);
}
