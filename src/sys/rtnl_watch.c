/* Waiting for what rtnetlink(7) does behind our back. */
#include <sys/socket.h>
#include <sys/time.h>
#include <linux/rtnetlink.h>
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

/* The news say that a route came or went; which one, a look tells better. */
int rtnl_wait_local(struct nl *watch, struct nl *nl, const struct ip *ip, struct ng_err *err)
{
	struct rtnl_route route;
	char news[8192], text[IP_TEXT];

	for (;;) {
		struct ng_err not_yet = {0};
		int rc = rtnl_lookup(nl, ip, &route, &not_yet);
		if (rc == 0 && route.type == RTN_LOCAL)
			return 0;
		/* ENOBUFS: there were more than fit, so it is time for a look. */
		if (recv(watch->fd, news, sizeof news, 0) < 0 && errno != EINTR && errno != ENOBUFS)
			return err_set(err, errno == EAGAIN ? ETIMEDOUT : errno,
				       "the kernel does not take %s into use", ip_text(ip, text));
	}
}
