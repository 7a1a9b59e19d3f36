/* What somebody else took away or changed: seen, and put back. */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "firewall/firewall.h"
#include "net/range.h"
#include "net/rules.h"
#include "sys/fd.h"
#include "sys/ns.h"
#include "sys/rtnl.h"

/* --- what all jails share --- */

static void look_forwarding(bool six, struct strv *faults)
{
	char text[16];
	static const char *const knob[] = {"/proc/sys/net/ipv4/ip_forward",
					   "/proc/sys/net/ipv6/conf/all/forwarding"};
	for (int i = 0; i <= six; i++)
		if (fd_get(AT_FDCWD, knob[i], text, sizeof text) > 0 && text[0] == '0')
			strv_addf(faults, "forwarding is off (%s)", knob[i]);
}

static struct net_range *range_of(const struct net *n, const char *line)
{
	for (size_t i = 0; i < n->nranges; i++) {
		size_t len = strlen(n->range[i]->ifname);
		if (strncmp(line, n->range[i]->ifname, len) == 0 && line[len] == ' ')
			return n->range[i];
	}
	return NULL;
}

/* Every gateway that was put in place is to be there still. */
static void look_gateways(struct net *n, const struct strv *made, struct strv *faults)
{
	for (size_t i = 0; i < made->n; i++) {
		const char *addr = strchr(made->v[i], ' ');
		struct ipnet gw;
		if (addr && ipnet_parse(addr + 1, &gw) == 0 && !range_host_has(n, &gw.addr))
			strv_addf(faults, "interface %.*s has lost %s", (int)(addr - made->v[i]),
				  made->v[i], addr + 1);
	}
}

static int read_made(struct net *n, struct strv *made, struct ng_err *err)
{
	autoclose int fd = openat(n->state->dir, RANGE_MADE, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -errno : range_read_made(fd, made);
	if (rc < 0 && rc != -ENOENT)
		return err_sys(err, rc, "/run/newgate/" RANGE_MADE);
	range_sort_made(made);
	return 0;
}

int net_look(struct net *n, bool six, struct strv *faults, struct ng_err *err)
{
	struct strv made autodone(strv_done) = {0};
	char switched[16] = "";
	int rc = read_made(n, &made, err);
	if (rc < 0)
		return rc;
	look_forwarding(six, faults);
	look_gateways(n, &made, faults);
	if (!n->host->gateway_enable &&
	    fd_get(n->state->dir, NET_FORWARDING, switched, sizeof switched) < 0)
		switched[0] = '\0';
	struct rules_facts facts = {.made = &made,
				    .drop4 = strchr(switched, '4') != NULL,
				    .drop6 = strchr(switched, '6') != NULL};
	autodone(firewall_done) struct firewall pf = {.lock = -1};
	if (firewall_is_on(n->state, n->rc)) {
		facts.pf = &pf;
		rc = pf_open(n, &pf, err);
	}
	return rc < 0 ? rc : rules_look(n, &facts, faults, err);
}

int net_heal(struct net *n, bool six, struct ng_err *err)
{
	struct strv made autodone(strv_done) = {0};
	int rc = read_made(n, &made, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < made.n; i++) {
		struct net_range *r = range_of(n, made.v[i]);
		if (r)
			r->wanted = true;
	}
	n->host->need6 |= six;
	n->ready = false;
	n->reload = true;
	rc = net_prepare(n, err);
	n->reload = false;
	return rc;
}

/* --- one jail's own --- */

static size_t addresses_of(const struct record *r, struct ip *ips, size_t max)
{
	size_t n = 0;
	for (int six = 0; six < 2; six++) {
		const struct strv *l = six ? &r->ip6 : &r->ip4;
		for (size_t i = 0; i < l->n && n < max; i++)
			n += ip_parse(l->v[i], &ips[n]) == 0 && !ip_is_loopback(&ips[n]);
	}
	return n;
}

/* The jail's link: 1, 0 where it is gone, or -errno. */
static int find_link(struct net *n, const struct record *r, struct rtnl_link *out,
		     struct ng_err *err)
{
	int rc = rtnl_get_link(&n->route, r->link, out, err);
	if (rc == -ENODEV || (rc == 0 && out->group != RTNL_GROUP)) {
		*err = (struct ng_err){0};
		return 0;
	}
	return rc < 0 ? rc : 1;
}

int net_look_jail(struct net *n, const struct record *r, struct strv *faults, struct ng_err *err)
{
	struct rtnl_link link;
	struct ip ips[64];
	char text[IP_TEXT];
	if (!r->link)
		return 0;
	int rc = find_link(n, r, &link, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		strv_addf(faults, "its link %s is gone", r->link);
		return 0;
	}
	if (!(link.flags & IFF_UP))
		strv_addf(faults, "its link %s is down", r->link);
	size_t count = addresses_of(r, ips, ARRAY_SIZE(ips));
	for (size_t i = 0; i < count; i++) {
		struct rtnl_route route;
		struct ng_err none = {0};
		if (rtnl_lookup(&n->route, &ips[i], &route, &none) < 0 || route.index != link.index)
			strv_addf(faults, "no route leads to its address %s",
				  ip_text(&ips[i], text));
	}
	return 0;
}

/* --- of jails without a record --- */

static int take_ours(const struct rtnl_link *l, void *arg)
{
	if (l->group == RTNL_GROUP && str_eq(l->kind, "veth"))
		strv_addf(arg, "%s %s", l->name, l->alias);
	return 0;
}

static bool is_recorded(const struct record *r, size_t count, const char *line)
{
	size_t len = strcspn(line, " ");
	for (size_t i = 0; i < count; i++)
		if (r[i].link && strlen(r[i].link) == len && strncmp(r[i].link, line, len) == 0)
			return true;
	return false;
}

/* The links first: a link is made after its record was written. */
int net_stray_links(struct net *n, struct strv *links, struct ng_err *err)
{
	struct strv ours autodone(strv_done) = {0};
	struct record *r = NULL;
	size_t count = 0;
	int rc = rtnl_each_link(&n->route, take_ours, &ours, err);
	if (rc == 0)
		rc = state_all(n->state, &r, &count, err);
	for (size_t i = 0; i < ours.n && rc == 0; i++)
		if (!is_recorded(r, count, ours.v[i]))
			strv_add(links, ours.v[i]);
	for (size_t i = 0; i < count; i++)
		record_done(&r[i]);
	free(r);
	return rc;
}

int net_remove_links(struct net *n, const struct strv *links, struct ng_err *err)
{
	for (size_t i = 0; i < links->n; i++) {
		autodone(nl_batch_done) struct nl_batch b = {0};
		autofree char *name = mem_strndup(links->v[i], strcspn(links->v[i], " "));
		struct rtnl_link link;
		int rc = rtnl_get_link(&n->route, name, &link, err);
		if (rc == 0) {
			nl_begin(&b);
			rtnl_delete(&b, link.index);
			rc = nl_send(&n->route, &b, NULL, err);
		}
		/* It went with its jail. */
		if (rc < 0 && rc != -ENODEV)
			return err_prefix(err, "link %s", name);
		*err = (struct ng_err){0};
	}
	return 0;
}

/* --- back in place --- */

/* In a process of its own, since a netlink socket belongs to where it was opened. */
static int inside(pid_t pid, const struct net_jail *nj, struct ng_err *err)
{
	int child = -1, status = 0;
	pid_t p = ns_fork(0, -1, &child);
	if (p == 0) {
		struct ng_err e = {0};
		autoclose int pidfd = pidfd_open_pid(pid);
		int rc = pidfd < 0 ? pidfd : ns_enter(pidfd, CLONE_NEWNET);
		_exit(-(rc < 0 ? rc : net_inside(nj, &e)) & 0xff);
	}
	if (p < 0)
		return err_sys(err, p, "fork");
	close(child);
	while (waitpid(p, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "waitpid");
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return code ? err_sys(err, code, "the new link inside") : 0;
}

static int settle(struct net *n, const struct net_jail *nj, int index, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	nl_begin(&b);
	rtnl_set_up(&b, index);
	for (size_t i = 0; i < nj->naddrs; i++) {
		struct ipnet to = {.addr = nj->addr[i].ip,
				   .len = (uint8_t)ip_bits(&nj->addr[i].ip)};
		rtnl_replace_route(&b, &to, NULL, index);
	}
	return nl_send(&n->route, &b, NULL, err);
}

int net_heal_jail(struct net *n, const struct record *r, struct net_jail *nj, struct ng_err *err)
{
	struct rtnl_link link;
	int rc = find_link(n, r, &link, err);
	if (rc > 0)
		return settle(n, nj, link.index, err);
	if (rc == 0)
		rc = net_attach(n, nj, r->name, r->pid, err);
	if (rc == 0)
		rc = inside(r->pid, nj, err);
	return rc < 0 ? rc : 1;
}
