#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/zfs.h"
#include "sys/program.h"

#define MISSING "zfs is missing: apt install zfsutils-linux (or zfs-fuse)"

int zfs_run(const char *const *argv, char **out, struct ng_err *err)
{
	autofree char *text = NULL;
	size_t len;
	int rc = program_read(argv, &text, &len, err);

	if (rc == -ENOENT && !err->code)
		return err_set(err, ENOENT, MISSING);
	if (rc == 0 && out)
		*out = take_ptr(text);
	return rc;
}

/* The first line of what `zfs get` prints. */
static char *ask(const char *what, const char *volume, const char *property)
{
	struct ng_err ignored = {0};
	char *text = NULL;

	if (ZFS(&text, &ignored, "get", "-Hp", "-o", what, property, volume) < 0)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

char *zfs_get(const char *volume, const char *property)
{
	autofree char *text = ask("value", volume, property);

	return text && !str_eq(text, "-") ? take_ptr(text) : NULL;
}

char *zfs_get_local(const char *volume, const char *property)
{
	autofree char *text = ask("source,value", volume, property);

	/* "local<TAB>VALUE" */
	return text && str_prefix(text, "local\t") ? mem_strdup(text + strlen("local\t")) : NULL;
}

bool zfs_exists(const char *volume)
{
	autofree char *type = zfs_get(volume, "type");

	return type != NULL;
}

#define TRIES 200

int zfs_insist(const char *const *argv, struct ng_err *err)
{
	for (int i = 0;; i++) {
		struct ng_err failed = {0};
		int rc = zfs_run(argv, NULL, &failed);
		if (rc == 0)
			return 0;
		if (i == TRIES || !strstr(failed.text, "busy")) {
			*err = failed;
			return rc;
		}
	}
}

int zfs_destroy(const char *volume, struct ng_err *err)
{
	return ZFS_INSIST(err, "destroy", "-r", volume);
}

struct end {
	pid_t pid;
	int said; /* memfd of what it complained of */
};

static int start(const char *const *argv, int in, int out, struct end *e)
{
	static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin",
				    "LC_ALL=C", NULL};
	posix_spawn_file_actions_t act;
	int rc = posix_spawn_file_actions_init(&act);

	e->said = memfd_create("zfs", MFD_CLOEXEC);
	if (rc)
		return -rc;
	if (e->said < 0)
		rc = errno;
	if (!rc)
		rc = in < 0 ? posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDONLY, 0)
			    : posix_spawn_file_actions_adddup2(&act, in, 0);
	if (!rc)
		rc = out < 0 ? posix_spawn_file_actions_addopen(&act, 1, "/dev/null", O_WRONLY, 0)
			     : posix_spawn_file_actions_adddup2(&act, out, 1);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&act, e->said, 2);
	if (!rc)
		rc = posix_spawnp(&e->pid, argv[0], &act, NULL, (char *const *)argv, env);
	posix_spawn_file_actions_destroy(&act);
	return -rc;
}

static int finish(struct end *e, const char *what, struct ng_err *err)
{
	char text[512] = "";
	int status = 0;

	if (e->pid <= 0)
		return 0;
	while (waitpid(e->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == 0)
		return 0;
	if (pread(e->said, text, sizeof(text) - 1, 0) <= 0)
		snprintf(text, sizeof(text), "it ended with status %d", status);
	return err_set(err, EIO, "zfs %s: %.*s", what, (int)strcspn(text, "\n"), text);
}

int zfs_send(const char *snapshot, const char *to, struct ng_err *err)
{
	const char *const send[] = {"zfs", "send", snapshot, NULL};
	const char *const receive[] = {"zfs", "receive", "-u", "-F", to, NULL};
	struct end from = {.said = -1}, into = {.said = -1};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	int rc = start(send, -1, ends[1], &from);
	if (rc == 0)
		rc = start(receive, ends[0], -1, &into);
	close(ends[0]);
	close(ends[1]);
	if (rc == -ENOENT)
		rc = err_set(err, ENOENT, MISSING);
	else if (rc < 0)
		rc = err_sys(err, rc, "zfs send");
	/* What the receiver says is the reason why the sender's pipe broke. */
	int received = finish(&into, "receive", rc == 0 ? err : &(struct ng_err){0});
	int sent = finish(&from, "send", rc == 0 && received == 0 ? err : &(struct ng_err){0});
	macro_close(&from.said);
	macro_close(&into.said);
	return rc < 0 ? rc : received < 0 ? received : sent;
}

/* /proc/self/mountinfo: "ID PARENT MAJ:MIN ROOT POINT OPTIONS [FIELDS] - TYPE SOURCE SUPER". */
char *zfs_volume_of(int dir)
{
	struct statx st;
	autofree char *text = NULL;
	size_t len;

	if (statx(dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 ||
	    file_read("/proc/self/mountinfo", &text, &len) < 0)
		return NULL;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *type = strstr(line, " - ");
		if (!type || strtoull(line, NULL, 10) != st.stx_mnt_id)
			continue;
		type += 3;
		char *source = strchr(type, ' ');
		if (!source || (!str_prefix(type, "zfs ") && !str_prefix(type, "fuse.zfs ")))
			return NULL;
		source++;
		return mem_strndup(source, strcspn(source, " "));
	}
	return NULL;
}
