/* Waiting for what rtnetlink(7) does behind our back. */
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/rtnetlink.h>
#include "sys/nlread.h"
#include "sys/rtnl.h"

#define PATIENCE 10 /* seconds; it takes microseconds, or some milliseconds under load */

int rtnl_watch(struct nl *watch)
{
	const struct sockaddr_nl groups = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_ROUTE};
	const struct timeval patience = {.tv_sec = PATIENCE};
	int rc = nl_open(watch, NETLINK_ROUTE);

	if (rc < 0)
		return rc;
	if (bind(watch->fd, (const struct sockaddr *)&groups, sizeof groups) < 0 ||
	    setsockopt(watch->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) {
		rc = -errno;
		nl_close(watch);
	}
	return rc;
}

/* Addresses that are not in use yet. */
struct waiting {
	struct ip *ip;
	size_t n;
};

static void take_out(struct waiting *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->n; i++)
		if (ip_eq(&w->ip[i], ip)) {
			w->ip[i] = w->ip[--w->n];
			return;
		}
}

static void look(struct waiting *w, struct nl *nl)
{
	for (size_t i = w->n; i-- > 0;) {
		struct rtnl_route route;
		struct ng_err not_yet = {0};
		struct ip ip = w->ip[i];
		if (rtnl_lookup(nl, &ip, &route, &not_yet) == 0 && route.type == RTN_LOCAL)
			take_out(w, &ip);
	}
}

static int hear(const struct nlmsghdr *h, void *arg)
{
	struct rtnl_route route;
	if (rtnl_parse_route(h, &route) && route.type == RTN_LOCAL)
		take_out(arg, &route.to.addr);
	return 0;
}

/* What is told counts, without another look: the kernel tells of a route a moment before it finds it
 * itself, and would not tell again. */
int rtnl_wait_local(struct nl *watch, struct nl *nl, struct ip *ips, size_t n, struct ng_err *err)
{
	struct waiting w = {ips, n};
	_Alignas(NLMSG_ALIGNTO) char news[8192];
	char text[IP_TEXT];

	look(&w, nl);
	while (w.n) {
		ssize_t got = recv(watch->fd, news, sizeof news, 0);
		if (got >= 0 && nlread_each(news, (size_t)got, hear, &w) == 0)
			continue;
		if (got >= 0)
			return err_sys(err, EBADMSG, "the kernel's news of routes");
		if (errno == ENOBUFS) /* there were more than fit */
			look(&w, nl);
		else if (errno != EINTR)
			return err_set(err, errno == EAGAIN ? ETIMEDOUT : errno,
				       "the kernel does not take %s into use",
				       ip_text(&w.ip[0], text));
	}
	return 0;
}
