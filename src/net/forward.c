#include "net/forward.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include "base/str.h"
#include "net/range.h"
#include "net/rules.h"
#include "sys/fd.h"
#include "sys/rtnl.h"

#define RTPROT_RA 9 /* linux/rtnetlink.h: the route was learnt from a router's advertisement */
#define IP4_FORWARD "/proc/sys/net/ipv4/ip_forward"

bool forward_knob_is(const char *path, const char *value)
{
	char text[16];
	return fd_get(AT_FDCWD, path, text, sizeof text) > 0 &&
	       strncmp(text, value, strlen(value)) == 0 && text[strlen(value)] == '\n';
}

struct learnt {
	int index[64];
	unsigned n;
};

static int see_learnt(const struct rtnl_route *r, void *arg)
{
	struct learnt *l = arg;
	for (unsigned i = 0; i < l->n; i++)
		if (l->index[i] == r->index)
			return 0;
	if (r->protocol == RTPROT_RA && l->n < ARRAY_SIZE(l->index))
		l->index[l->n++] = r->index;
	return 0;
}

/* A router does not listen to others' advertisements, unless told to: without this the host would
 * lose the default route that it learnt from one, when that expires. */
static int keep_learnt_routes(struct net *n, struct ng_err *err)
{
	struct learnt l = {0};
	int rc;
	do {
		*err = (struct ng_err){0};
		rc = rtnl_each_route(&n->route, AF_INET6, see_learnt, &l, err);
	} while (rc == -EAGAIN);
	for (unsigned i = 0; i < l.n && rc >= 0; i++) {
		char ifname[IFNAMSIZ], path[sizeof FORWARD_IP6 + IFNAMSIZ + 16];
		if (!if_indextoname((unsigned)l.index[i], ifname))
			continue;
		snprintf(path, sizeof path, FORWARD_IP6 "%s/accept_ra", ifname);
		rc = forward_knob_is(path, "1") ? fd_put(AT_FDCWD, path, "2") : 0;
		if (rc < 0)
			return err_sys(err, rc, "%s", path);
	}
	return rc < 0 ? rc : 0;
}

static int note_switched(struct net *n, const char *families, struct ng_err *err)
{
	autoclose int fd =
	    openat(n->state->dir, NET_FORWARDING, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc = fd < 0 ? -errno : fd_write_all(fd, families, strlen(families));
	return rc < 0 ? err_sys(err, rc, "/run/newgate/" NET_FORWARDING) : 0;
}

int forward_recall(struct net *n, struct ng_err *err)
{
	char text[16];
	int rc = rules_switched(n, text, sizeof text, err);
	if (rc < 0 || !*text || faccessat(n->state->dir, NET_FORWARDING, F_OK, 0) == 0)
		return rc;
	return note_switched(n, text, err);
}

int forward_plan(struct net *n, char *switched, struct ng_err *err)
{
	static const struct {
		const char *path, *digit;
	} knobs[] = {{IP4_FORWARD, "4"}, {FORWARD_IP6 "all/forwarding", "6"}};
	char text[16] = "";

	if (fd_get(n->state->dir, NET_FORWARDING, text, sizeof text) < 0)
		*text = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(knobs); i++) {
		if ((i == 1 && !n->host->need6) || forward_knob_is(knobs[i].path, "1"))
			continue;
		int rc = i == 1 ? keep_learnt_routes(n, err) : 0;
		if (rc < 0)
			return rc;
		/* Said before it is done: forwarding for all must never go unnoticed. */
		if (!n->host->gateway_enable && !strchr(text, *knobs[i].digit)) {
			strcat(text, knobs[i].digit);
			if ((rc = note_switched(n, text, err)) < 0)
				return rc;
		}
	}
	snprintf(switched, 16, "%s", n->host->gateway_enable ? "" : text);
	return 0;
}

int forward_now(struct net *n, struct ng_err *err)
{
	int rc = 0;
	if (!forward_knob_is(IP4_FORWARD, "1"))
		rc = fd_put(AT_FDCWD, IP4_FORWARD, "1");
	if (rc < 0)
		return err_sys(err, rc, IP4_FORWARD);
	if (n->host->need6 && !forward_knob_is(FORWARD_IP6 "all/forwarding", "1"))
		rc = fd_put(AT_FDCWD, FORWARD_IP6 "all/forwarding", "1");
	return rc < 0 ? err_sys(err, rc, FORWARD_IP6 "all/forwarding") : 0;
}
