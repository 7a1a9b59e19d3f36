#include "run/usage.h"

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include "base/mem.h"
#include "conf/map.h"
#include "sys/rtnl.h"

#define PATIENCE_MS \
	500 /* for all PID 1s asked at once; one that is traced by its jail's root is silent */

#define AT_ONCE 256 /* questions on their way: descriptors are limited to 1024 by custom */

static int read_cgroups(struct state *s, const struct record *r, size_t n, struct usage *out,
			struct ng_err *err)
{
	autoclose int base = cgroup_open_base(s->cgroup);
	if (base == -ENOENT)
		return 0;
	if (base < 0)
		return err_sys(err, base, "cgroup %s", s->cgroup);
	for (size_t i = 0; i < n; i++) {
		autofree char *name = state_name(r[i].name);
		autoclose int cg = openat(base, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (cg < 0 || cgroup_usage(cg, &out[i].cg) < 0)
			out[i].cg = (struct cgroup_usage){0};
	}
	return 0;
}

struct links {
	struct map by_name; /* host end -> index of the record */
	struct usage *out;
};

static int take_link(const struct rtnl_link *l, void *arg)
{
	struct links *k = arg;
	const size_t *i = map_get(&k->by_name, l->name, strlen(l->name));
	if (i) {
		/* What the host end receives, the jail sent. */
		struct usage *u = &k->out[*i];
		u->net = true;
		u->rx_bytes = l->tx_bytes;
		u->rx_packets = l->tx_packets;
		u->tx_bytes = l->rx_bytes;
		u->tx_packets = l->rx_packets;
	}
	return 0;
}

static int read_links(const struct record *r, size_t n, struct usage *out, struct ng_err *err)
{
	struct links k = {.out = out};
	struct nl nl;
	for (size_t i = 0; i < n; i++)
		if (!r[i].dead && r[i].link)
			map_put(&k.by_name, r[i].link, strlen(r[i].link), i);
	int rc = k.by_name.n ? nl_open(&nl, NETLINK_ROUTE) : -ENOENT;
	if (rc == 0) {
		rc = rtnl_each_link(&nl, take_link, &k, err);
		nl_close(&nl);
	} else if (rc == -ENOENT) {
		rc = 0;
	} else {
		err_sys(err, rc, "netlink");
	}
	map_done(&k.by_name);
	return rc;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes the answers as they come, until all are there or the time is over. */
static void take_answers(struct pollfd *p, size_t n, struct usage *out)
{
	int64_t end = now_ms() + PATIENCE_MS, left;
	size_t waiting = 0;
	for (size_t i = 0; i < n; i++)
		waiting += p[i].fd >= 0;
	while (waiting && (left = end - now_ms()) > 0) {
		if (poll(p, n, (int)left) <= 0)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			out[i].answered = control_services(p[i].fd, &out[i].services) == 0;
			close(p[i].fd);
			p[i].fd = -1;
			waiting--;
		}
	}
}

static void ask_some(struct state *s, const struct record *r, size_t n, struct usage *out)
{
	autofree struct pollfd *p = mem_alloc(n * sizeof(*p));
	for (size_t i = 0; i < n; i++) {
		p[i] = (struct pollfd){.fd = -1, .events = POLLIN};
		if (r[i].dead || r[i].starting)
			continue;
		p[i].fd = control_open(s, r[i].jid, false);
		if (p[i].fd >= 0 && control_query(p[i].fd) < 0) {
			close(p[i].fd);
			p[i].fd = -1;
		}
	}
	take_answers(p, n, out);
	for (size_t i = 0; i < n; i++)
		if (p[i].fd >= 0)
			close(p[i].fd);
}

int usage_counters(struct state *s, const struct record *r, size_t n, struct usage *out,
		   struct ng_err *err)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (struct usage){0};
	int rc = read_cgroups(s, r, n, out, err);
	return rc == 0 ? read_links(r, n, out, err) : rc;
}

int usage_read(struct state *s, const struct record *r, size_t n, struct usage *out,
	       struct ng_err *err)
{
	int rc = usage_counters(s, r, n, out, err);
	for (size_t i = 0; rc == 0 && i < n; i += AT_ONCE)
		ask_some(s, r + i, n - i < AT_ONCE ? n - i : AT_ONCE, out + i);
	return rc;
}
