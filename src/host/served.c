#include "host/served.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/value.h"
#include "explain/listen.h"
#include "sys/fd.h"

#define PAUSE_MS 20
#define PAUSE_MAX_MS 500

bool served_has(const struct served *p, uint16_t port)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i] == port)
			return true;
	return false;
}

static void add(struct served *p, uint16_t port)
{
	if (p->n < SERVED_MAX && !served_has(p, port))
		p->v[p->n++] = port;
}

static int add_open(pid_t pid, const char *file, int family, struct served *out)
{
	autofree char *path = NULL, *text = NULL;
	size_t len;

	if (asprintf(&path, "/proc/%d/net/%s", pid, file) < 0)
		return -ENOMEM;
	int rc = file_read(path, &text, &len);
	char *rest = rc < 0 ? NULL : text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		struct ip ip;
		uint16_t port;

		if (listen_parse(line, family, PROTO_TCP, &ip, &port) && !ip_is_loopback(&ip))
			add(out, port);
	}
	return rc;
}

int served_now(const struct record *r, struct served *out)
{
	int rc = add_open(r->pid, "tcp", AF_INET, out);

	if (rc == 0)
		rc = add_open(r->pid, "tcp6", AF_INET6, out);
	return rc == -ENOENT ? -ESRCH : rc;
}

void served_promised(const struct record *r, struct served *out)
{
	autodone(arena_done) struct arena arena = {0};
	autodone(strv_done) struct strv each = {0};
	const char *text = record_param(r, "rdr"), *why;

	strv_split(&each, text ? text : "", ",");
	for (size_t i = 0; i < each.n; i++) {
		struct conf_rdr rdr;

		if (value_rdr(&arena, each.v[i], &rdr, &why) == 0 && rdr.proto == PROTO_TCP)
			for (unsigned p = rdr.to.first; p <= rdr.to.last; p++)
				add(out, (uint16_t)p);
	}
}

/* 0: one is missing. */
static int look(const struct record *r, const struct served *want, uint16_t *port)
{
	struct served now = {0};
	int rc = served_now(r, &now);

	for (size_t i = 0; i < want->n && rc == 0; i++) {
		*port = want->v[i];
		if (!served_has(&now, *port))
			return 0;
	}
	return rc < 0 ? rc : 1;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Nothing tells that somebody listens: so this looks again, ever more rarely, and waits for the jail's
 * end meanwhile. */
int served_wait(struct state *s, const char *jail, const struct served *want, int seconds,
		uint16_t *port, struct ng_err *err)
{
	autodone(record_done) struct record r = {0};
	int64_t end = now_ms() + seconds * 1000;
	int rc = state_find(s, jail, &r, err);

	if (rc < 0)
		return rc;
	autoclose int alive = pidfd_open_pid(r.pid);
	for (int pause = PAUSE_MS; alive >= 0; pause = pause < PAUSE_MAX_MS ? 2 * pause : pause) {
		struct pollfd p = {.fd = alive, .events = POLLIN};

		rc = look(&r, want, port);
		if (rc != 0 && rc != -ESRCH)
			return rc < 0 ? err_sys(err, rc, "jail %s", jail) : 0;
		if (now_ms() >= end)
			return err_set(err, ETIMEDOUT, "jail %s does not listen on port %u", jail,
				       *port);
		if (poll(&p, 1, pause) > 0)
			break;
	}
	return err_set(err, ESRCH, "jail %s ended", jail);
}
