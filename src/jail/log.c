#include "jail/log.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/files.h"
#include "sys/fd.h"
#include "sys/path.h"

#define APPEND (O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
#define READ (O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)

/* ---- where it is ---- */

/* Is the jail's name a word of the file's? */
static bool called_after(const char *file, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = file; n && (p = strstr(p, name)); p++)
		if ((p == file || !isalnum((unsigned char)p[-1])) && !isalnum((unsigned char)p[n]))
			return true;
	return false;
}

static struct log place(const char *file, bool services, const char *name, const char *tree)
{
	struct log l = {.chosen = file != NULL};
	if (file) {
		l.path = mem_strdup(file);
	} else if (services) {
		struct str b = {0};
		autofree char *as_file = state_name(name);
		str_addf(&b, "/var/log/jail_%s_console.log", as_file);
		l.path = str_take(&b);
	}
	l.own = l.path && (!file || called_after(strrchr(l.path, '/') + 1, name));
	size_t len = tree ? strlen(tree) : 0;
	if (l.path && len > 1 && str_prefix(l.path, tree) && l.path[len] == '/')
		l.inside = len;
	return l;
}

struct log log_of_record(const struct record *r, const char *root)
{
	const char *file = record_param(r, "exec.consolelog");
	struct log l = place(file && *file ? file : NULL, record_param(r, "service") != NULL,
			     r->name, r->path);
	l.root = root;
	l.pid = r->dead ? 0 : r->pid;
	l.started = r->pid_started;
	l.slot = r->slot;
	return l;
}

struct log log_of_conf(const struct conf_jail *j, const struct record *r, const char *root)
{
	size_t services;
	conf_list(j, P_SERVICE, &services);
	struct log l =
	    place(conf_string(j, P_EXEC_CONSOLELOG), services > 0, j->name, conf_string(j, P_PATH));
	l.root = root;
	l.pid = r ? r->pid : 0;
	l.started = r ? r->pid_started : 0;
	l.slot = r ? r->slot : SLOT_NONE;
	return l;
}

void log_done(struct log *l)
{
	free(l->path);
	*l = (struct log){0};
}

static const char *name_of(const struct log *l)
{
	return strrchr(l->path, '/') + 1;
}

/* ---- the jail's own tree ---- */

/* As its processes see it, or, while it does not run, as it lies on the disk. */
static int open_tree(const struct log *l, struct ng_err *err)
{
	int fd;
	if (l->pid) {
		fd = pid_open_root(l->pid, l->started);
	} else {
		autofree char *tree = mem_strndup(l->path, l->inside);
		autofree char *path = files_path(l->root, tree);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	return fd < 0 ? err_sys(err, fd, "the jail's root") : fd;
}

/* The host's folder that the log is in. One that somebody chose may be where a jail can write: there
 * no link is followed, nor is the log itself ever one. */
static int open_folder(const struct log *l, struct ng_err *err)
{
	autofree char *folder = mem_strndup(l->path, (size_t)(strrchr(l->path, '/') - l->path) + 1);
	autofree char *path = files_path(l->root, folder);
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	int fd = l->chosen ? path_open_host(path, flags, 0) : open(path, flags);
	/* The file that nobody chose must not be what keeps a jail from starting. */
	if (fd < 0 && !l->chosen && errno == ENOENT && file_mkdirs(path, 0755) == 0)
		fd = open(path, flags);
	if (fd < 0)
		return err_sys(err, l->chosen ? fd : errno, "exec.consolelog: %s", path);
	return fd;
}

/* A running jail's tree knows no other ids than its own. */
static void become(const struct log *l)
{
	if (l->inside && l->pid) {
		setfsgid(SLOT_BASE + l->slot * SLOT_IDS);
		setfsuid(SLOT_BASE + l->slot * SLOT_IDS);
	}
}

static void return_to_root(void)
{
	setfsuid(geteuid());
	setfsgid(getegid());
}

/* ---- to write ---- */

static int open_inside(const struct log *l, struct ng_err *err)
{
	if (!l->pid)
		return -ENOENT; /* there is no tree yet */
	autoclose int tree = open_tree(l, err);
	if (tree < 0)
		return tree;
	become(l);
	int fd = path_open_nolink(tree, l->path + l->inside, APPEND, 0666);
	return_to_root();
	if (fd < 0)
		return err_sys(err, fd, "exec.consolelog: %s in the jail", l->path + l->inside);
	return fd;
}

/* What keeps it from being given is no reason not to start a jail. */
static void give(const struct log *l, int fd)
{
	uid_t id = SLOT_BASE + l->slot * SLOT_IDS;
	struct stat st;
	if (l->own && l->slot != SLOT_NONE && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1 && st.st_uid != id)
		(void)!fchown(fd, id, id);
}

int log_open_append(const struct log *l, bool service, struct ng_err *err)
{
	if (!l->path || (!l->chosen && !service))
		return -1;
	if (l->inside)
		return open_inside(l, err);
	autoclose int folder = open_folder(l, err);
	if (folder < 0)
		return folder;
	int fd = openat(folder, name_of(l), APPEND | O_NOFOLLOW, 0666);
	if (fd < 0)
		return err_sys(err, errno, "exec.consolelog: %s", l->path);
	give(l, fd);
	return fd;
}

void log_rotate(const struct log *l)
{
	struct ng_err none = {0};
	struct stat st;
	if (!l->path || l->inside)
		return;
	autoclose int folder = open_folder(l, &none);
	if (folder < 0 || fstatat(folder, name_of(l), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode) || st.st_size <= LOG_ROTATE)
		return;
	struct str old autodone(str_done) = {0};
	str_addf(&old, "%s.old", name_of(l));
	(void)!renameat(folder, name_of(l), folder, old.s);
}

/* ---- to read ---- */

int log_open_folder(const struct log *l, const char **name, struct ng_err *err)
{
	*name = name_of(l);
	if (!l->inside)
		return open_folder(l, err);
	autofree char *folder = mem_strndup(l->path, (size_t)(*name - l->path));
	autoclose int tree = open_tree(l, err);
	if (tree < 0)
		return tree;
	become(l);
	int fd = path_open_nolink(tree, folder + l->inside, O_PATH | O_DIRECTORY, 0);
	return_to_root();
	return fd < 0 ? err_sys(err, fd, "%s in the jail", folder + l->inside) : fd;
}

int log_open_read(const struct log *l, int folder, const char *name, struct ng_err *err)
{
	struct stat st;
	become(l);
	autoclose int fd = openat(folder, name, READ | O_NOFOLLOW);
	int rc = fd < 0 ? -errno : 0;
	return_to_root();
	if (rc < 0)
		return err_sys(err, rc, "%s", l->path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", l->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is no file that could be read again", l->path);
	return take_fd(&fd);
}
