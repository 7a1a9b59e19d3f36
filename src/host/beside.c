#include "host/beside.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "sys/path.h"

int beside_remove(int lock, struct ng_err *err)
{
	int rc = path_remove_tree(lock, BESIDE_TREE);

	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "removing " BESIDE_TREE) : 0;
}

int beside_open(const char *path, const char *verb, int *lock, int *tree, struct ng_err *err)
{
	int rc = file_mkdirs(path, 0700);

	*lock = *tree = -1;
	if (rc == 0)
		*lock = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*lock < 0)
		return err_sys(err, rc < 0 ? rc : errno, "%s", path);
	if (flock(*lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			   ? err_set(err, EBUSY, "another %s runs: wait for it", verb)
			   : err_sys(err, errno, "%s", path);
	rc = beside_remove(*lock, err);
	if (rc < 0)
		return err_prefix(err, "%s", path);
	if (mkdirat(*lock, BESIDE_TREE, 0700) == 0)
		*tree = openat(*lock, BESIDE_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *tree < 0 ? err_sys(err, errno, "%s/" BESIDE_TREE, path) : 0;
}
