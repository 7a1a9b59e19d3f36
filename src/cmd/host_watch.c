/* newgate host watch: bans who fails to log in too often, as long as the jails run. */
#include "cmd/watching.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "host/watch.h"
#include "sys/program.h"

#define UNIT "newgate-host-watch.service"
#define READY 10000 /* ms that it may take until it watches */

/* ---- the verb ---- */

/* As sd_notify(3): who started the unit has waited for this. */
static void tell_systemd(void)
{
	static const char ready[] = "READY=1";
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!len || len >= sizeof(to.sun_path) || fd < 0)
		return;
	memcpy(to.sun_path, path, len);
	if (*path == '@')
		to.sun_path[0] = '\0';
	(void)!sendto(fd, ready, sizeof(ready) - 1, MSG_NOSIGNAL, (const struct sockaddr *)&to,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

static void on_ready(void *arg UNUSED)
{
	tell_systemd();
	puts("watching the logs of dovecot and postfix");
	fflush(stdout);
}

static void on_terms(void *arg UNUSED, const struct host_ban *t)
{
	char within[SPAN_TEXT], length[SPAN_TEXT];

	if (t->failures)
		printf("%u failed login%s within %s ban for %s\n", t->failures,
		       t->failures == 1 ? "" : "s", span_text(t->within, within),
		       span_text(t->seconds, length));
	else
		puts("ban = off in " HOST_CONF ": nobody is banned");
	fflush(stdout);
}

static void on_banned(void *arg UNUSED, const struct ban *b)
{
	char text[IPNET_TEXT], left[SPAN_TEXT];

	printf("%s is banned for %s: %u failed login%s (%s)\n", ban_text(&b->net, text),
	       span_text(b->until - b->since, left), b->failures, b->failures == 1 ? "" : "s",
	       b->why);
	fflush(stdout);
}

static void on_told(void *arg UNUSED, const char *text)
{
	warn_msg("%s", text);
}

int host_watch(int argc, char **argv UNUSED)
{
	static const struct watch_sink sink = {
	    .ready = on_ready, .terms = on_terms, .banned = on_banned, .told = on_told};
	struct state s autodone(state_done) = {.dir = -1};
	struct ng_err err = {0};

	if (argc != 1)
		return host_usage();
	/* Whoever waited until we are ready need not read on. */
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0)
		return 1;
	int rc = state_open(&s, cmd_root, &err);
	if (rc == 0 && !watch_wanted(&s)) {
		warn_msg("no mail host runs here: there is nothing to watch");
		return 1;
	}
	if (rc == 0)
		rc = watch_run(&s, &sink, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}

/* ---- beside other verbs ---- */

static bool by_systemd(void)
{
	const char *const argv[] = {"systemctl", "start", UNIT, NULL};
	struct ng_err none = {0};
	autofree char *out = NULL;
	size_t len;

	return !*cmd_root && access("/run/systemd/system", F_OK) == 0 &&
	       program_read(argv, &out, &len, &none) == 0;
}

/* Our own program, in a session of its own; its standard output is `out`. */
static int spawn(int out)
{
	static char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	const char *const argv[] = {"newgate", "-R",    *cmd_root ? cmd_root : "/",
				    "host",    "watch", NULL};
	char path[4096] = "";
	posix_spawn_file_actions_t act;
	posix_spawnattr_t attr;
	pid_t pid;

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		return -errno;
	posix_spawn_file_actions_init(&act);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	int r = posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDWR, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&act, out, 1);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&act, 0, 2);
	if (!r)
		r = posix_spawn(&pid, path, &act, &attr, (char *const *)argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&act);
	return -r;
}

void watching_start(struct state *s)
{
	int ends[2];

	if (!watch_wanted(s) || watch_runs(s) || by_systemd())
		return;
	int rc = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
	autoclose int ours = rc == 0 ? ends[0] : -1, theirs = rc == 0 ? ends[1] : -1;
	if (rc == 0)
		rc = spawn(theirs);
	close(take_fd(&theirs));
	if (rc == 0 && poll(&(struct pollfd){.fd = ours, .events = POLLIN}, 1, READY) == 1 &&
	    read(ours, &(char){0}, 1) == 1)
		return;
	warn_msg("nobody watches for failed logins, so that nobody is banned: %s; see what "
		 "newgate host watch says",
		 rc < 0 ? strerror(-rc) : "it did not start");
}
