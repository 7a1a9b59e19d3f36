#include "host/still.h"

#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/str.h"

#define LMTP 24
#define PATIENCE_MS 5000
#define GLANCE_MS 100
/* States of TCP as /proc/net/tcp has them. */
#define TCP_TIME_WAIT 0x06
#define TCP_LISTEN 0x0a

void still_end(struct still *s)
{
	while (s->n > 0)
		freeze_end(&s->of[--s->n]);
}

static int hold(struct state *st, struct still *s, const char *jail, struct record *r,
		struct ng_err *err)
{
	int rc = state_find(st, jail, r, err);

	if (rc == -ENOENT || (rc == 0 && r->dead)) {
		*err = (struct ng_err){0};
		return 0;
	}
	if (rc == 0)
		rc = freeze_begin(st, r, &s->of[s->n], err);
	if (rc == -ENOENT && !err->code)
		return err_set(err, ENOTSUP,
			       "this host has no cgroup v2, by which jail %s could stand still: "
			       "newgate down %s",
			       jail, jail);
	s->n += rc == 0;
	return rc < 0 ? rc : 1;
}

/* ---- letters on their way to Dovecot ---- */

bool still_is_open(const char *line, unsigned port)
{
	unsigned local, state;

	return sscanf(line, "%*u: %*[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", &local, &state) == 2 &&
	       local == port && state != TCP_LISTEN && state != TCP_TIME_WAIT;
}

/* Postfix forgets a letter when it has read Dovecot's answer; with no connection left, it has. */
static bool on_its_way(pid_t pid)
{
	static const char *const files[] = {"tcp", "tcp6"};
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[64], line[512];

		snprintf(path, sizeof(path), "/proc/%d/net/%s", pid, files[i]);
		FILE *f = fopen(path, "re");
		while (f && !found && fgets(line, sizeof(line), f))
			found = still_is_open(line, LMTP);
		if (f)
			fclose(f);
	}
	return found;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A letter that was delivered leaves this folder: the best time to look again. */
static int watch_queue(const struct host *h)
{
	autofree char *active = host_path(h, HOST_DATA "/postfix/spool/active");
	int fd = inotify_init1(IN_CLOEXEC);

	/* Where it cannot be watched, the time alone has to do. */
	if (fd >= 0 && inotify_add_watch(fd, active, IN_DELETE | IN_MOVED_FROM) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void wait_for_one(int queue)
{
	struct pollfd p = {.fd = queue, .events = POLLIN};
	char events[4096];

	if (poll(&p, 1, GLANCE_MS) > 0 && read(queue, events, sizeof(events)) < 0)
		return;
}

static int hold_dovecot(const struct host *h, struct state *st, struct still *s, struct ng_err *err)
{
	autoclose int queue = watch_queue(h);

	for (int64_t end = now_ms() + PATIENCE_MS;;) {
		struct record r autodone(record_done) = {0};
		int rc = hold(st, s, "dovecot", &r, err);

		if (rc <= 0)
			return rc;
		s->between = on_its_way(r.pid);
		if (!s->between || now_ms() >= end)
			return 0;
		still_end(s);
		wait_for_one(queue);
	}
}

/* ---- */

int still_begin(const struct host *h, struct state *st, struct still *s, struct ng_err *err)
{
	int rc = hold_dovecot(h, st, s, err);

	for (size_t i = 0; host_all_jails[i] && rc >= 0 && s->n < STILL_JAILS; i++) {
		struct record r autodone(record_done) = {0};

		if (!str_eq(host_all_jails[i], "dovecot"))
			rc = hold(st, s, host_all_jails[i], &r, err);
	}
	return rc < 0 ? rc : 0;
}
