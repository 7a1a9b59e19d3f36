#include "sys/program.h"

#include <fcntl.h>
#include <stdbool.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/mem.h"

static const char *const folders[] = {"/usr/sbin", "/usr/bin",        "/sbin",
				      "/bin",      "/usr/local/sbin", "/usr/local/bin"};

static bool find(const char *name, char *path, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, size, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static int spawn(const char *path, const char *const *argv, int out, int complaint, pid_t *pid)
{
	static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
	posix_spawn_file_actions_t act;
	int r = posix_spawn_file_actions_init(&act);
	if (r)
		return -r;
	r = posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&act, out, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&act, complaint, 2);
	if (!r)
		r = posix_spawn(pid, path, &act, NULL, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&act);
	return -r;
}

static int read_all(int fd, char **out, size_t *len)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	*len = (size_t)st.st_size;
	*out = mem_alloc(*len + 1);
	return pread(fd, *out, *len, 0) == st.st_size ? 0 : -EIO;
}

/* The first line of what it complained of. */
static int complain(const char *name, int complaint, int status, struct ng_err *err)
{
	autofree char *text = NULL;
	size_t len;
	if (read_all(complaint, &text, &len) < 0 || !*text)
		return err_set(err, EIO, "%s ended with status %d", name,
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return err_set(err, EIO, "%s: %.*s", name, (int)strcspn(text, "\n"), text);
}

int program_read(const char *const *argv, char **out, size_t *len, struct ng_err *err)
{
	char path[128];
	pid_t pid;
	int status;

	*out = NULL;
	if (!find(argv[0], path, sizeof path))
		return -ENOENT;
	autoclose int said = memfd_create("output", MFD_CLOEXEC);
	autoclose int complaint = memfd_create("complaint", MFD_CLOEXEC);
	if (said < 0 || complaint < 0)
		return err_sys(err, errno, "memfd_create");
	int rc = spawn(path, argv, said, complaint, &pid);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waiting for %s", path);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return complain(argv[0], complaint, status, err);
	rc = read_all(said, out, len);
	return rc < 0 ? err_sys(err, rc, "what %s wrote", argv[0]) : 0;
}
