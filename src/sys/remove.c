/* path_remove_tree. The tree was somebody else's: it may be as deep, as wide and as oddly named as
 * they liked, and parts of it may move while we look. So directories are opened one component at a
 * time without following anything, and what lies deeper than DEPTH is first brought up to the top,
 * so that neither descriptors nor stack run out. */
#include "sys/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "sys/missing.h"

#define DEPTH 64

struct removal {
	int top;        /* the directory that is being removed */
	unsigned moved; /* how many deep ones were brought up into it */
};

static void dir_done(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int remove_dir(struct removal *r, int parent, const char *name, unsigned depth);

static int bring_up(struct removal *r, int parent, const char *name)
{
	for (;;) {
		char up[32];
		snprintf(up, sizeof up, ".newgate-deep-%u", r->moved++);
		if (renameat2(parent, name, r->top, up, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
}

static int remove_entry(struct removal *r, int dir, const struct dirent *e, unsigned depth)
{
	/* Most entries are files; where the file system does not tell, unlink() finds out. */
	if (e->d_type != DT_DIR) {
		if (unlinkat(dir, e->d_name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR)
			return -errno;
	}
	if (unlinkat(dir, e->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == EBUSY)
		return -EXDEV;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return -errno;
	return depth < DEPTH ? remove_dir(r, dir, e->d_name, depth + 1)
			     : bring_up(r, dir, e->d_name);
}

/* Empties an open directory. Reading while removing may skip entries, and deep directories may be
 * brought up here meanwhile: again until a whole pass finds nothing. */
static int empty_dir(struct removal *r, DIR *d, unsigned depth)
{
	bool found;
	do {
		found = false;
		rewinddir(d);
		struct dirent *e;
		while (errno = 0, (e = readdir(d))) {
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
				continue;
			found = true;
			int err = remove_entry(r, dirfd(d), e, depth);
			if (err < 0)
				return err;
		}
		if (errno)
			return -errno;
	} while (found);
	return 0;
}

static int remove_dir(struct removal *r, int parent, const char *name, unsigned depth)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
	int fd = missing_openat2(parent, name, &how);
	if (fd < 0)
		return -errno;
	autodone(dir_done) DIR *d = fdopendir(fd);
	if (!d) {
		int err = -errno;
		close(fd);
		return err;
	}
	if (depth == 0)
		r->top = fd;
	int err = empty_dir(r, d, depth);
	if (err < 0)
		return err;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int refuse_mounts(int dirfd, const char *name)
{
	autoclose int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	char link[32], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	int r = path_mounted_below(path, NULL);
	return r > 0 ? -EXDEV : r;
}

static int remove_tree(int dirfd, const char *name, bool mounted)
{
	if (name[0] == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return -EINVAL;
	struct stat st;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return unlinkat(dirfd, name, 0) < 0 ? -errno : 0;
	int r = mounted ? refuse_mounts(dirfd, name) : 0;
	if (r < 0)
		return r;
	return remove_dir(&(struct removal){0}, dirfd, name, 0);
}

int path_remove_tree(int dirfd, const char *name)
{
	return remove_tree(dirfd, name, true);
}

int path_remove_detached(int dirfd, const char *name)
{
	return remove_tree(dirfd, name, false);
}
