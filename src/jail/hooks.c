#include "jail/hooks.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/own.h"
#include "conf/files.h"
#include "jail/attach.h"
#include "jail/control.h"
#include "jail/log.h"
#include "sys/fd.h"
#include "sys/ns.h"
#include "sys/path.h"

/* ---- command lines ---- */

#define META "!\"$&'()*;<>?[\\]`{|}~"

bool hook_split(const char *text, struct strv *argv)
{
	const char *meta = strpbrk(text, META);
	bool background = meta && meta[0] == '&' && meta[1] == '\0';
	if (meta && !background) {
		strv_add(argv, "/bin/sh");
		strv_add(argv, "-c");
		strv_add(argv, text);
		return false;
	}
	autofree char *plain = mem_strndup(text, strlen(text) - background);
	strv_split(argv, plain, " \t\r\n");
	return background;
}

/* ---- on the host ---- */

struct host_user {
	bool given;
	char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
};

static void host_user_done(struct host_user *u)
{
	free(u->name);
	free(u->home);
	free(u->shell);
}

/* exec.system_user; with exec.clean alone, the caller, whose home and shell are needed. */
static int find_host_user(const struct conf_jail *j, struct host_user *out, struct ng_err *err)
{
	const char *name = conf_string(j, P_EXEC_SYSTEM_USER);
	if (!name && !conf_bool(j, P_EXEC_CLEAN))
		return 0;
	errno = 0;
	const struct passwd *pw = name ? getpwnam(name) : getpwuid(getuid());
	if (!pw)
		return err_set(err, ENOENT, "exec.system_user: %s: no such user on the host",
			       name ? name : "root");
	*out = (struct host_user){
	    .given = name,
	    .name = mem_strdup(pw->pw_name),
	    .home = mem_strdup(pw->pw_dir),
	    .shell = mem_strdup(*pw->pw_shell ? pw->pw_shell : "/bin/sh"),
	    .uid = pw->pw_uid,
	    .gid = pw->pw_gid,
	};
	return 0;
}

static void host_env(const struct hook *h, const struct host_user *u, struct strv *env)
{
	if (conf_bool(h->conf, P_EXEC_CLEAN)) {
		struct jail_user clean = {0};
		snprintf(clean.name, sizeof(clean.name), "%s", u->name);
		snprintf(clean.home, sizeof(clean.home), "%s", u->home);
		snprintf(clean.shell, sizeof(clean.shell), "%s", u->shell);
		clean_env(env, &clean);
		return;
	}
	for (char **e = environ; *e; e++)
		if (!str_prefix(*e, "JID=") && !str_prefix(*e, "JNAME=") &&
		    !str_prefix(*e, "JPATH="))
			strv_add(env, *e);
	if (h->record && h->record->jid)
		strv_addf(env, "JID=%d", h->record->jid);
	const char *name = h->record ? h->record->name : h->conf->name;
	autofree char *path = files_path(h->root, conf_string(h->conf, P_PATH));
	strv_addf(env, "JNAME=%s", name);
	strv_addf(env, "JPATH=%s", path);
}

static NORETURN void host_child(const struct hook *h, const struct host_user *u, char **env,
				int report)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int rc = fd_cloexec_from(3);
	if (rc == 0 && h->background && setsid() < 0)
		rc = -errno;
	if (rc == 0 && u->given &&
	    (initgroups(u->name, u->gid) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	     setresuid(u->uid, u->uid, u->uid) < 0))
		rc = -errno;
	if (rc == 0 && conf_bool(h->conf, P_EXEC_CLEAN) && chdir(u->home) < 0)
		rc = -errno;
	if (rc == 0) {
		environ = env;
		execvp(h->argv[0], h->argv);
		rc = -errno;
	}
	_exit(write(report, &rc, sizeof(rc)) == sizeof(rc) ? 127 : 126);
}

int hook_host(const struct hook *h, int *pidfd, struct ng_err *err)
{
	struct host_user u autodone(host_user_done) = {0};
	struct strv env autodone(strv_done) = {0};
	int pipe[2], said = 0;
	*pidfd = -1;
	int rc = find_host_user(h->conf, &u, err);
	if (rc < 0)
		return rc;
	host_env(h, &u, &env);
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return err_sys(err, errno, "pipe");
	autoclose int report = pipe[0], theirs = pipe[1], process = -1;
	pid_t pid = ns_fork(0, -1, &process);
	if (pid == 0)
		host_child(h, &u, env.v, theirs);
	if (pid < 0)
		return err_sys(err, pid, "fork");
	close(take_fd(&theirs));
	/* It ends by the exec: a moment, unless the program lies on a file system that hangs. */
	ssize_t n;
	do
		n = read(report, &said, sizeof(said));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(said))
		return err_set(err, said < 0 ? -said : EIO, "exec %s: %s", h->argv[0],
			       strerror(-said));
	if (!h->background)
		*pidfd = take_fd(&process);
	return 0;
}

/* ---- inside ---- */

/* The jail's root directory, as the host sees it. */
static int open_root(const struct record *r, struct ng_err *err)
{
	int fd = pid_open_root(r->pid, r->pid_started);
	return fd < 0 ? err_sys(err, fd, "the jail's root") : fd;
}

char *hook_rc_advice(const struct record *r, const char *command)
{
	static const char *const scripts[] = {"/etc/rc", "/etc/rc.shutdown"};
	struct ng_err ignored = {0};
	autoclose int root = open_root(r, &ignored);
	for (size_t i = 0; i < ARRAY_SIZE(scripts) && root >= 0; i++) {
		const char *at = strstr(command, scripts[i]);
		if (!at || !strchr(" ;&|)\"'", at[strlen(scripts[i])]))
			continue;
		autoclose int there = path_open(root, scripts[i], O_PATH, 0);
		if (there != -ENOENT)
			continue;
		autofree char *ours =
		    own_file("src/store", NG_DATADIR "/rc", strrchr(scripts[i], '/') + 1);
		struct str b = {0};
		str_addf(&b,
			 "this root has no %s, which newgate gives to its templates: copy %s "
			 "there, or take this line away and name the programs to run by `service`",
			 scripts[i], ours);
		return str_take(&b);
	}
	return NULL;
}

/* exec.jail_user; root's entry where exec.clean wants to know his home. *user stays NULL for root.
 */
static int find_user(const struct hook *h, int root, struct jail_user *buf, struct jail_user **user,
		     struct ng_err *err)
{
	const char *name = conf_string(h->conf, P_EXEC_JAIL_USER);
	int rc = 0;
	if (!name && !conf_bool(h->conf, P_EXEC_CLEAN))
		return 0;
	if (name && conf_bool(h->conf, P_EXEC_SYSTEM_JAIL_USER))
		rc = user_lookup_host(name, buf, err);
	else
		rc = user_lookup(root, name ? name : "root", buf, err);
	if (rc < 0)
		return err_prefix(err, "exec.jail_user");
	if (name)
		*user = buf;
	return 0;
}

/* FreeBSD's jails start commands in the home of the user with exec.clean, else in the root. */
static const char *folder_of(const struct hook *h, int root, const struct jail_user *u)
{
	const char *dir = conf_string(h->conf, P_EXEC_DIR);
	if (dir)
		return dir;
	if (!conf_bool(h->conf, P_EXEC_CLEAN))
		return "/";
	autoclose int fd = path_open(root, u->home, O_PATH | O_DIRECTORY, 0);
	return fd < 0 ? "/" : u->home;
}

/* exec.env, each in the place of what the environment has of that name. */
static void add_env(const struct conf_jail *j, struct strv *env)
{
	size_t n;
	const struct conf_value *v = conf_list(j, P_EXEC_ENV, &n);
	for (size_t i = 0; i < n; i++) {
		size_t name = strcspn(v[i].text, "=") + 1, at = 0;
		while (at < env->n && strncmp(env->v[at], v[i].text, name) != 0)
			at++;
		if (at == env->n) {
			strv_add(env, v[i].text);
			continue;
		}
		free(env->v[at]);
		env->v[at] = mem_strdup(v[i].text);
	}
}

/* A directory of the host would be a way out of the jail's root. */
static int harmless(int fd, int null)
{
	struct stat st;
	return fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode) ? fd : null;
}

int hook_inside(const struct hook *h, int ctl, const char *service, struct ng_err *err)
{
	struct jail_user buf = {0}, *user = NULL;
	struct strv env autodone(strv_done) = {0};
	autoclose int root = open_root(h->record, err);
	if (root < 0)
		return root;
	int rc = find_user(h, root, &buf, &user, err);
	if (rc < 0)
		return rc;
	struct log place autodone(log_done) = log_of_conf(h->conf, h->record, h->root);
	autoclose int log = log_open_append(&place, service, err);
	if (log < 0 && err->code)
		return -err->code;
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(err, errno, "/dev/null");
	struct control_command c = {.type = service ? CTL_SERVICE : CTL_RUN, .user = user};
	c.flags = h->background ? CTL_F_BACKGROUND : 0;
	c.cwd = folder_of(h, root, &buf);
	c.tag = service ? service : "";
	c.argv = h->argv;
	if (conf_bool(h->conf, P_EXEC_CLEAN) || service) {
		if (!*buf.name && (rc = user_lookup(root, "root", &buf, err)) < 0)
			return rc;
		clean_env(&env, &buf);
	} else {
		for (char **e = environ; *e; e++)
			strv_add(&env, *e);
	}
	add_env(h->conf, &env);
	c.env = env.v;
	c.fds[0] = service ? null : harmless(STDIN_FILENO, null);
	c.fds[1] = log >= 0 ? log : service ? null : harmless(STDOUT_FILENO, null);
	c.fds[2] = log >= 0 ? log : service ? null : harmless(STDERR_FILENO, null);
	return control_send(ctl, &c, err);
}
