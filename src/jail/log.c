#include "jail/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/files.h"
#include "sys/path.h"

#define APPEND (O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
#define READ (O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)

/* ---- where it is ---- */

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
	l.slot = r ? r->slot : SLOT_NONE;
	return l;
}

void log_done(struct log *l)
{
	free(l->path);
	*l = (struct log){0};
}

/* ---- the jail's own tree ---- */

/* As its processes see it, or, while it does not run, as it lies on the disk. */
static int open_tree(const struct log *l, struct ng_err *err)
{
	autofree char *path = NULL;
	if (l->pid) {
		struct str b = {0};
		str_addf(&b, "/proc/%d/root", (int)l->pid);
		path = str_take(&b);
	} else {
		autofree char *tree = mem_strndup(l->path, l->inside);
		path = files_path(l->root, tree);
	}
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "the jail's root") : fd;
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

int log_open_append(const struct log *l, bool service, struct ng_err *err)
{
	if (!l->path || (!l->chosen && !service))
		return -1;
	if (l->inside)
		return open_inside(l, err);
	autofree char *path = files_path(l->root, l->path);
	int fd = open(path, APPEND, 0666);
	/* The file that nobody chose must not be what keeps a jail from starting. */
	if (fd < 0 && errno == ENOENT && !l->chosen) {
		autofree char *folder = files_path(l->root, "/var/log");
		(void)!file_mkdirs(folder, 0755);
		fd = open(path, APPEND, 0666);
	}
	return fd < 0 ? err_sys(err, errno, "exec.consolelog: %s", path) : fd;
}

void log_rotate(const struct log *l)
{
	struct stat st;
	if (!l->path || l->inside)
		return;
	autofree char *path = files_path(l->root, l->path);
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= LOG_ROTATE)
		return;
	struct str old autodone(str_done) = {0};
	str_addf(&old, "%s.old", path);
	(void)!rename(path, old.s);
}

/* ---- to read ---- */

int log_open_folder(const struct log *l, const char **name, struct ng_err *err)
{
	const char *slash = strrchr(l->path, '/');
	autofree char *folder = mem_strndup(l->path, (size_t)(slash - l->path) + 1);
	int fd;
	*name = slash + 1;
	if (!l->inside) {
		autofree char *path = files_path(l->root, folder);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_sys(err, errno, "%s", path) : fd;
	}
	autoclose int tree = open_tree(l, err);
	if (tree < 0)
		return tree;
	become(l);
	fd = path_open_nolink(tree, folder + l->inside, O_PATH | O_DIRECTORY, 0);
	return_to_root();
	return fd < 0 ? err_sys(err, fd, "%s in the jail", folder + l->inside) : fd;
}

int log_open_read(const struct log *l, int folder, const char *name, struct ng_err *err)
{
	struct stat st;
	become(l);
	autoclose int fd = openat(folder, name, READ | (l->inside ? O_NOFOLLOW : 0));
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
