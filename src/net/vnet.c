/* vnet.interface: links of the host that a jail has for itself. */
#include <sched.h>
#include <sys/wait.h>
#include "net/range.h"
#include "sys/fd.h"
#include "sys/ns.h"
#include "sys/rtnl.h"

static int move(struct nl *nl, const char *link, int netns, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct rtnl_link found;
	int rc = rtnl_get_link(nl, link, &found, err);
	if (rc < 0)
		return rc;
	nl_begin(&b);
	rtnl_move(&b, found.index, netns, NULL);
	return nl_send(nl, &b, NULL, err);
}

int net_move_in(struct net *n, const char *link, pid_t pid, struct ng_err *err)
{
	autoclose int netns = ns_open(pid, "net");
	if (netns < 0)
		return err_sys(err, netns, "network namespace");
	int rc = move(&n->route, link, netns, err);
	if (rc == -ENODEV)
		return err_set(
		    err, ENODEV,
		    "vnet.interface \"%s\": this host has no such link; exec.prestart may "
		    "make it (ip link add …)",
		    link);
	return rc < 0 ? err_prefix(err, "vnet.interface \"%s\"", link) : 0;
}

/* In a process of its own, since a netlink socket belongs to where it was opened. */
static int move_from(int netns, const char *link, int home)
{
	struct ng_err err = {0};
	struct nl nl;
	int rc = ns_enter(netns, CLONE_NEWNET);
	if (rc == 0)
		rc = nl_open(&nl, NETLINK_ROUTE);
	return rc < 0 ? rc : move(&nl, link, home, &err);
}

int net_move_out(struct net *n, const char *link, int netns, struct ng_err *err)
{
	(void)n;
	int pidfd = -1, status;
	autoclose int home = ns_open(getpid(), "net");
	if (home < 0)
		return err_sys(err, home, "network namespace");
	pid_t child = ns_fork(0, -1, &pidfd);
	if (child == 0)
		_exit(-move_from(netns, link, home) & 0xff);
	if (child < 0)
		return err_sys(err, child, "fork");
	close(pidfd);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waitpid");
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return code ? err_sys(err, code, "vnet.interface \"%s\": back to the host", link) : 0;
}
