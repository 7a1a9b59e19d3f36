#include "run/confirm.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "jail/control.h"
#include "conf/files.h"
#include "conf/print.h"
#include "conf/value.h"
#include "sys/fd.h"
#include "sys/ns.h"

#define DIR "confirm"
#define CONF DIR "/before.conf"
#define RUN DIR "/before.run"
#define PF DIR "/before.pf"
#define CTL DIR "/ctl"
#define LOG "/var/log/newgate.log"
#define MANNERS 2000 /* ms for a client to say what it wants */

/* ---- what ran ---- */

/* Is it a name that somebody answers to, then as now? */
static bool is_known(const struct gather *g, const char *name)
{
	return gather_find(g, name) != NULL;
}

/* "depend=db", "allow.connect=db tcp 5432" of a jail that is nowhere any more: then it was not
 * there before, either. */
static bool names_nobody(const struct gather *g, const char *param)
{
	struct arena a autodone(arena_done) = {0};
	struct conf_connect c;
	const char *why;
	if (str_prefix(param, "depend="))
		return !is_known(g, param + strlen("depend="));
	if (!str_prefix(param, "allow.connect="))
		return false;
	return value_connect(&a, param + strlen("allow.connect="), &c, &why) == 0 &&
	       c.peer == CONNECT_JAIL && !is_known(g, c.jail);
}

/* A jail that runs as its record has it; else as it is configured, since others may name it. */
static void add_jail(const struct gather *g, const struct gather_jail *a, struct conf *out)
{
	struct diags d autodone(diags_done) = {0};
	struct strv param autodone(strv_done) = {0};
	const struct strv *from = a->rec ? &a->rec->param : &a->param;
	const char *name = a->rec ? a->name : a->block;
	bool permits = false;
	for (size_t i = 0; i < from->n; i++) {
		permits |= str_prefix(from->v[i], "allow.connect=");
		if (!str_prefix(from->v[i], PRIVS_PARAM "=") && !names_nobody(g, from->v[i]))
			strv_add(&param, from->v[i]);
	}
	/* An empty list is not the default. */
	bool left = false;
	for (size_t i = 0; i < param.n; i++)
		left |= str_prefix(param.v[i], "allow.connect=");
	if (permits && !left)
		strv_add(&param, "allow.connect=");
	for (size_t i = 0; i < param.n; i++)
		conf_add_argument(out, name, param.v[i], &d);
	if (!param.n)
		conf_add_argument(out, name, "nopersist", &d);
}

static int put(struct state *s, const char *name, const struct str *text, struct ng_err *err)
{
	autoclose int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : fd_write_all(fd, str_text(text), text->len);
	return rc < 0 ? err_sys(err, rc, "/run/newgate/%s", name) : 0;
}

int confirm_keep(struct state *s, const struct gather *g, struct ng_err *err)
{
	struct conf conf autodone(conf_done) = {0};
	struct str text autodone(str_done) = {0}, names autodone(str_done) = {0};
	for (size_t i = 0; g && i < g->n; i++) {
		const struct gather_jail *a = &g->jail[i];
		bool runs = a->rec && !a->rec->dead && !a->rec->starting;
		if (!a->block && (!runs || a->rec->aside))
			continue;
		add_jail(g, a, &conf);
		if (runs)
			str_addn(&names, a->name, strlen(a->name) + 1);
	}
	conf_print(&text, &conf);
	confirm_forget(s);
	if (mkdirat(s->dir, DIR, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "/run/newgate/" DIR);
	if (!g)
		return 0;
	int rc = put(s, CONF, &text, err);
	return rc < 0 ? rc : put(s, RUN, &names, err);
}

int confirm_keep_pf(struct state *s, bool on, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	str_add(&text, on ? "on" : "off");
	return put(s, PF, &text, err);
}

bool confirm_has_pf(struct state *s, bool *on)
{
	char text[8];
	bool has = fd_get(s->dir, PF, text, sizeof(text)) >= 0;
	*on = has && str_prefix(text, "on");
	return has;
}

bool confirm_has_jails(struct state *s)
{
	return faccessat(s->dir, RUN, F_OK, 0) == 0;
}

void confirm_forget(struct state *s)
{
	unlinkat(s->dir, CTL, 0);
	unlinkat(s->dir, CONF, 0);
	unlinkat(s->dir, RUN, 0);
	unlinkat(s->dir, PF, 0);
	unlinkat(s->dir, DIR, AT_REMOVEDIR);
}

static char *path_of(const struct state *s, const char *name)
{
	struct str b = {0};
	str_addf(&b, "%s/run/newgate/%s", s->root, name);
	return str_take(&b);
}

int confirm_read(struct state *s, struct confirm_kept *out, struct diags *d, struct ng_err *err)
{
	autofree char *conf = path_of(s, CONF), *run = path_of(s, RUN), *names = NULL;
	size_t len;
	*out = (struct confirm_kept){0};
	out->conf.root = s->root;
	int rc = file_read(run, &names, &len);
	if (rc < 0)
		return err_sys(err, rc, "%s", run);
	char *path = arena_strndup(&out->arena, conf, strlen(conf));
	rc = conf_read(&out->conf, path, d);
	if (rc < 0 || d->errors)
		return err_set(err, rc < 0 ? -rc : EINVAL, "%s cannot be read", conf);
	for (const char *p = names; p < names + len; p += strlen(p) + 1) {
		out->names = mem_grow(out->names, out->n, sizeof(*out->names));
		out->names[out->n++] = arena_strndup(&out->arena, p, strlen(p));
	}
	out->names = mem_grow(out->names, out->n, sizeof(*out->names));
	out->names[out->n] = NULL;
	return 0;
}

void confirm_kept_done(struct confirm_kept *k)
{
	conf_done(&k->conf);
	arena_done(&k->arena);
	free(k->names);
	*k = (struct confirm_kept){0};
}

/* ---- the process that waits ---- */

struct waiter {
	struct state state;
	int command; /* the connection of the command that makes the change, -1: it has ended */
	int listener;
	unsigned seconds;
	int64_t until; /* ms of the monotonic clock; 0: the change is still being made */
	int (*back)(void);
};

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void say(int sock, const char *text)
{
	/* Who asked may be gone. */
	if (sock >= 0 && fd_send(sock, text, strlen(text), NULL, 0) < 0)
		return;
}

NORETURN static void end(struct waiter *w, int client, bool keep)
{
	char text[16] = "kept";
	if (!keep)
		snprintf(text, sizeof(text), "back %d", w->back() != 0);
	confirm_forget(&w->state);
	say(client, text);
	say(w->command, text);
	_exit(0);
}

static void serve(struct waiter *w)
{
	char text[16] = "", left[32];
	autoclose int sock = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
	struct pollfd p = {.fd = sock, .events = POLLIN};
	if (sock < 0 || poll(&p, 1, MANNERS) <= 0 ||
	    fd_recv(sock, text, sizeof(text) - 1, NULL, NULL) <= 0)
		return;
	if (str_eq(text, "keep") || str_eq(text, "back"))
		end(w, sock, str_eq(text, "keep"));
	snprintf(left, sizeof(left), "left %d",
		 w->until ? (int)((w->until - now() + 999) / 1000) : -1);
	say(sock, left);
}

/* "applied", "keep" or the end of the command. */
static void hear(struct waiter *w)
{
	char text[16] = "";
	ssize_t n = fd_recv(w->command, text, sizeof(text) - 1, NULL, NULL);
	if (n > 0 && str_eq(text, "keep"))
		end(w, -1, true);
	if (n <= 0) {
		close(w->command);
		w->command = -1;
	}
	if (!w->until)
		w->until = now() + (int64_t)w->seconds * 1000;
}

NORETURN static void wait_for_word(struct waiter *w)
{
	for (;;) {
		struct pollfd p[] = {{.fd = w->listener, .events = POLLIN},
				     {.fd = w->command, .events = POLLIN}};
		int64_t left = w->until ? w->until - now() : -1;
		if (w->until && left <= 0)
			end(w, -1, false);
		int timeout = left > 1000000 ? 1000000 : (int)left;
		if (poll(p, 2, timeout) <= 0)
			continue;
		if (p[1].revents)
			hear(w);
		else
			serve(w);
	}
}

static int open_log(const char *root)
{
	autofree char *path = files_path(root, LOG), *dir = files_path(root, "/var/log");
	int rc = file_mkdirs(dir, 0755);
	if (rc < 0)
		return rc;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	return fd < 0 ? -errno : fd;
}

/* Nothing of the command's is held any longer: not its terminal, nor its files, nor its locks. */
NORETURN static void become_waiter(struct waiter *w, const char *root)
{
	enum { COMMAND = 3, LISTENER, FIRST_OTHER };
	struct ng_err err = {0};
	int log = open_log(root), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int command = fcntl(w->command, F_DUPFD, 64), listener = fcntl(w->listener, F_DUPFD, 64);
	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (null < 0 || command < 0 || listener < 0 || chdir("/") < 0)
		_exit(1);
	dup2(null, STDIN_FILENO);
	dup2(log < 0 ? null : log, STDOUT_FILENO);
	dup2(log < 0 ? null : log, STDERR_FILENO);
	w->command = dup3(command, COMMAND, O_CLOEXEC);
	w->listener = dup3(listener, LISTENER, O_CLOEXEC);
	if (fd_close_from(FIRST_OTHER) < 0 || state_open(&w->state, root, &err) < 0)
		_exit(1);
	wait_for_word(w);
}

int confirm_start(struct state *s, unsigned seconds, int (*back)(void), int *sock,
		  struct ng_err *err)
{
	int ends[2], pidfd = -1;
	autoclose int listener = fd_listen_at(s->dir, CTL, 4);
	if (listener < 0)
		return err_sys(err, listener, "/run/newgate/" CTL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(err, errno, "socketpair");
	fflush(NULL);
	pid_t pid = ns_fork(0, -1, &pidfd);
	if (pid == 0) {
		struct waiter w = {
		    .command = ends[1], .listener = listener, .seconds = seconds, .back = back};
		become_waiter(&w, s->root);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_sys(err, pid, "fork");
	}
	close(pidfd);
	*sock = ends[0];
	return 0;
}

int confirm_applied(int sock)
{
	return fd_send(sock, "applied", strlen("applied"), NULL, 0);
}

/* ---- the others ---- */

static ssize_t ask(struct state *s, const char *what, char *answer, size_t size)
{
	autoclose int sock = fd_connect_at(s->dir, CTL, CONTROL_PATIENCE);
	int rc = sock < 0 ? sock : fd_send(sock, what, strlen(what), NULL, 0);
	if (rc < 0)
		return rc;
	ssize_t n = fd_recv(sock, answer, size - 1, NULL, NULL);
	answer[n > 0 ? n : 0] = '\0';
	return n == 0 ? -ECONNRESET : n;
}

enum confirm_state confirm_look(struct state *s, int *left)
{
	char text[32];
	bool on;
	if (!confirm_has_jails(s) && !confirm_has_pf(s, &on))
		return CONFIRM_NONE;
	if (ask(s, "look", text, sizeof(text)) < 0 || sscanf(text, "left %d", left) != 1)
		return CONFIRM_ORPHANED;
	return CONFIRM_WAITING;
}

int confirm_ask(struct state *s, const char *what)
{
	char text[32];
	ssize_t n = ask(s, what, text, sizeof(text));
	return n < 0 ? (int)n : str_eq(text, "back 1");
}

char confirm_end(int sock)
{
	char text[32] = "";
	ssize_t n = fd_recv(sock, text, sizeof(text) - 1, NULL, NULL);
	return n <= 0 ? 0 : str_eq(text, "kept") ? 'k' : str_eq(text, "back 0") ? 'b' : 'f';
}
