#include "net/net.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "firewall/firewall.h"
#include "net/elem.h"
#include "net/forward.h"
#include "net/range.h"
#include "net/rules.h"
#include "sys/fd.h"
#include "sys/ns.h"
#include "sys/rtnl.h"

#define INSIDE 2 /* index of eth0 in a jail; lo is 1 */

/* Both ends of every pair: nothing is resolved on it, so nothing needs to tell them apart. */
static const uint8_t pair_mac[6] = {0x02, 'n', 'g', 0, 0, 1};

/* --- opening --- */

/* Addresses of the documentation ranges: only the route to them is asked for. */
bool net_outside(struct net *n, int family, struct rtnl_link *out)
{
	const char *somewhere = family == AF_INET ? "192.0.2.1" : "2001:db8:ffff::1";
	struct rtnl_route route;
	struct ng_err none = {0};
	char ifname[IFNAMSIZ];
	struct ip ip;
	return ip_parse(somewhere, &ip) == 0 && rtnl_lookup(&n->route, &ip, &route, &none) == 0 &&
	       if_indextoname((unsigned)route.index, ifname) &&
	       rtnl_get_link(&n->route, ifname, out, &none) == 0 && !(out->flags & IFF_LOOPBACK);
}

int net_open(struct net *n, struct state *s, const struct rcconf *rc, struct ng_err *err)
{
	*n = (struct net){.state = s, .rc = rc};
	int rc_ = nl_open(&n->route, NETLINK_ROUTE);
	if (rc_ == 0)
		rc_ = nl_open(&n->filter, NETLINK_NETFILTER);
	if (rc_ < 0)
		err_sys(err, rc_, "netlink");
	else
		rc_ = range_open(n, rc, err);
	struct rtnl_link outside;
	if (rc_ < 0)
		net_done(n);
	else if (net_outside(n, AF_INET, &outside) || net_outside(n, AF_INET6, &outside))
		n->mtu = outside.mtu;
	return rc_;
}

void net_done(struct net *n)
{
	if (n->host && n->host->deleted)
		nl_close_later(&n->filter);
	nl_close(&n->filter);
	nl_close(&n->route);
	range_done(n);
	free(n->warning);
	*n = (struct net){0};
}

/* --- making the host ready --- */

static void tell_resolver(struct net *n, const struct ng_err *err)
{
	free(n->warning);
	n->warning = mem_strdup(err->text);
}

static int prepare_locked(struct net *n, int fd, struct strv *made, struct firewall *pf,
			  struct ng_err *err)
{
	char switched[16];
	bool loaded = n->reload;
	struct stat st;
	int rc = fstat(fd, &st) == 0 && !st.st_size ? forward_recall(n, err) : 0;
	if (rc == 0)
		rc = range_make(n, fd, made, err);
	if (rc == 0)
		rc = forward_plan(n, switched, err);
	if (rc < 0)
		return rc;
	/* The table first: nothing is forwarded before it is there to say what. */
	struct rules_facts facts = {.made = made,
				    .drop4 = strchr(switched, '4') != NULL,
				    .drop6 = strchr(switched, '6') != NULL,
				    .pf = pf};
	rc = rules_ready(n, &facts, &loaded, err);
	return rc < 0 ? rc : forward_now(n, err);
}

int net_prepare(struct net *n, struct ng_err *err)
{
	struct strv made = {0};
	struct ng_err told = {0};
	autodone(firewall_done) struct firewall pf = {.lock = -1};

	if (n->ready)
		return 0;
	bool on = firewall_is_on(n->state, n->rc);
	int rc = on ? pf_open(n, &pf, err) : 0;
	if (rc < 0)
		return rc;
	autoclose int fd =
	    openat(n->state->dir, RANGE_MADE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(err, errno, "/run/newgate/" RANGE_MADE);
	rc = prepare_locked(n, fd, &made, on ? &pf : NULL, err);
	strv_done(&made);
	if (rc < 0)
		return err_prefix(err, "network");
	rc = net_write_resolv(n->state, &told);
	if (rc < 0) {
		*err = told;
		return rc;
	}
	if (rc > 0)
		tell_resolver(n, &told);
	n->ready = true;
	return 0;
}

/* --- one jail --- */

static struct ipnet whole(const struct ip *ip)
{
	return (struct ipnet){.addr = *ip, .len = (uint8_t)ip_bits(ip)};
}

/* IPv6 answers for others only where it is told to. */
static int enable_proxy6(const char *ifname, struct ng_err *err)
{
	char path[sizeof FORWARD_IP6 + IFNAMSIZ + 16];
	snprintf(path, sizeof path, FORWARD_IP6 "%s/proxy_ndp", ifname);
	int rc = forward_knob_is(path, "1") ? 0 : fd_put(AT_FDCWD, path, "1");
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

/* The pair, its routes and what the host answers for, in one batch. */
static int add_link(struct net *n, const struct net_jail *nj, const char *name, pid_t pid,
		    struct nl_batch *b, struct ng_err *err)
{
	struct rtnl_veth veth = {.name = nj->link,
				 .alias = name,
				 .index = nj->index,
				 .peer = "eth0",
				 .peer_netns = -1,
				 .peer_pid = pid,
				 .peer_index = INSIDE,
				 .mtu = n->mtu};
	memcpy(veth.mac, pair_mac, sizeof veth.mac);
	nl_begin(b);
	rtnl_add_veth(b, &veth);
	rtnl_set_up(b, nj->index);
	for (size_t i = 0; i < nj->naddrs; i++) {
		const struct net_addr *a = &nj->addr[i];
		struct ipnet to = whole(&a->ip);
		rtnl_add_route(b, &to, NULL, nj->index);
		if (!a->proxy)
			continue;
		int index, rc = range_link(n, a->range->ifname, &index, err);
		if (rc == 0 && a->ip.family == AF_INET6)
			rc = enable_proxy6(a->range->ifname, err);
		if (rc < 0)
			return rc;
		rtnl_add_proxy(b, &a->ip, index);
	}
	return 0;
}

/* Which address already leads elsewhere? -EADDRINUSE: to a jail that runs; else -EEXIST. */
static int tell_duplicate(struct net *n, const struct net_jail *nj, struct ng_err *err)
{
	struct record *r = NULL;
	struct ng_err ignored = {0};
	size_t count = 0;
	char text[IP_TEXT];

	if (state_all(n->state, &r, &count, &ignored) < 0)
		return -EADDRINUSE;
	int rc = err_set(err, EEXIST,
			 "an address of the jail is routed elsewhere already; see ip route");
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < nj->naddrs; k++) {
			ip_text(&nj->addr[k].ip, text);
			if (!r[i].dead && r[i].link && !str_eq(r[i].link, nj->link) &&
			    (strv_has(&r[i].ip4, text) || strv_has(&r[i].ip6, text)))
				rc = err_set(err, EADDRINUSE, "%s is the address of jail \"%s\"",
					     text, r[i].name);
		}
		record_done(&r[i]);
	}
	free(r);
	return rc;
}

/* A jail's pair goes some milliseconds after the jail, and its routes with it. One that starts
 * again at once finds them there: they lead to one of our links, and no jail that runs has the
 * address. */
static bool leads_to_a_dead_pair(struct net *n, const struct ip *ip)
{
	struct rtnl_route route;
	struct rtnl_link link;
	struct ng_err gone = {0};
	char name[IFNAMSIZ];
	return rtnl_lookup(&n->route, ip, &route, &gone) == 0 &&
	       if_indextoname((unsigned)route.index, name) &&
	       rtnl_get_link(&n->route, name, &link, &gone) == 0 && link.group == RTNL_GROUP;
}

/* The links are made; some of the routes were there. */
static int settle_routes(struct net *n, const struct net_jail *nj, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct ng_err again = {0};
	int rc = tell_duplicate(n, nj, err);
	if (rc != -EEXIST)
		return rc;
	nl_begin(&b);
	for (size_t i = 0; i < nj->naddrs; i++) {
		const struct net_addr *a = &nj->addr[i];
		struct ipnet to = whole(&a->ip);
		/* What stood in the way may have gone by now: the same once more. */
		if (leads_to_a_dead_pair(n, &a->ip))
			rtnl_replace_route(&b, &to, NULL, nj->index);
		else
			rtnl_add_route(&b, &to, NULL, nj->index);
	}
	rc = nl_send(&n->route, &b, NULL, &again);
	if (rc != -EEXIST)
		*err = again;
	return rc;
}

static int remove_proxies(struct net *n, const struct strv *undo, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct ng_err e = {0};
	int rc = 0;
	nl_begin(&b);
	for (size_t i = 0; i < undo->n && rc == 0; i++) {
		char ifname[IFNAMSIZ], text[IP_TEXT];
		struct ip ip;
		int index;
		if (sscanf(undo->v[i], PROXY_UNDO "%15s %45s", ifname, text) != 2 ||
		    ip_parse(text, &ip) < 0)
			continue;
		rc = range_link(n, ifname, &index, &e);
		if (rc == 0 && index)
			rtnl_delete_proxy(&b, &ip, index);
	}
	if (rc == 0 && b.msg)
		rc = nl_send(&n->route, &b, NULL, &e);
	/* What is not there any more need not be removed. */
	if (rc == 0 || rc == -ENOENT)
		return 0;
	*err = e;
	return err_prefix(err, "proxied addresses");
}

static void remove_link(struct net *n, int index)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct ng_err gone = {0};
	nl_begin(&b);
	rtnl_delete(&b, index);
	if (nl_send(&n->route, &b, NULL, &gone) < 0)
		return; /* it was never made, or went with the child */
}

int net_attach(struct net *n, struct net_jail *nj, const char *name, pid_t pid, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	int rc = net_prepare(n, err);

	if (rc < 0 || !nj->link)
		return rc;
	rc = add_link(n, nj, name, pid, &b, err);
	if (rc == 0) {
		rc = nl_send(&n->route, &b, NULL, err);
		if (rc == -EEXIST)
			rc = settle_routes(n, nj, err);
		else if (rc < 0)
			err_prefix(err, "link %s", nj->link);
	}
	if (rc == 0) {
		rc = rules_change(n, NULL, &nj->undo, nj->link, err);
		if (rc < 0)
			err_prefix(err, "firewall");
	}
	if (rc < 0) {
		struct ng_err later = {0}; /* net_detach tells */
		(void)!remove_proxies(n, &nj->undo, &later);
		remove_link(n, nj->index);
	}
	return rc;
}

static void add_inside(struct nl_batch *b, const struct net_jail *nj)
{
	bool via4 = false, via6 = false;

	nl_begin(b);
	rtnl_set_up(b, 1);
	if (nj->link)
		rtnl_set_up(b, INSIDE);
	for (size_t i = 0; i < nj->naddrs; i++) {
		const struct net_addr *a = &nj->addr[i];
		bool *via = a->ip.family == AF_INET ? &via4 : &via6;
		struct ipnet own = whole(&a->ip), gateway = whole(&a->gateway);
		struct ipnet everything = {.addr.family = a->ip.family};
		rtnl_add_address(b, INSIDE, &own);
		if (!*via) {
			rtnl_add_route(b, &gateway, NULL, INSIDE);
			rtnl_add_route(b, &everything, &a->gateway, INSIDE);
		}
		*via = true;
	}
}

int net_inside(const struct net_jail *nj, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	autodone(nl_close) struct nl nl = {0};
	autodone(nl_close) struct nl watch = {0};
	autofree struct ip *six = mem_alloc((nj->naddrs + 1) * sizeof *six);
	size_t nsix = 0;

	for (size_t i = 0; i < nj->naddrs; i++)
		if (nj->addr[i].ip.family == AF_INET6)
			six[nsix++] = nj->addr[i].ip;
	int rc = nl_open(&nl, NETLINK_ROUTE);
	if (rc == 0 && nsix)
		rc = rtnl_watch(&watch);
	if (rc < 0)
		return err_sys(err, rc, "netlink");
	add_inside(&b, nj);
	rc = nl_send(&nl, &b, NULL, err);
	if (rc == 0 && nsix)
		rc = rtnl_wait_local(&watch, &nl, six, nsix, err);
	return rc < 0 ? err_prefix(err, "network inside the jail") : 0;
}

int net_settle(struct net *n, const struct net_jail *nj, struct ng_err *err)
{
	struct rtnl_link link;
	/* The host end came up first, without a peer. The kernel lets it send a little after the
	 * other end is up, from a queue of work; answering this question (since Linux 6.8) it does
	 * so now. Else the answer to a jail's first packet could be lost. */
	return nj->link ? rtnl_get_link(&n->route, nj->link, &link, err) : 0;
}

/* --- and its end --- */

static bool has_elements(const struct strv *undo)
{
	for (size_t i = 0; i < undo->n; i++)
		if (str_prefix(undo->v[i], ELEM_UNDO))
			return true;
	return false;
}

static size_t addresses_of(const struct record *r, struct ip *ips, size_t max)
{
	size_t n = 0;
	for (int six = 0; six < 2; six++) {
		const struct strv *l = six ? &r->ip6 : &r->ip4;
		for (size_t i = 0; i < l->n && n < max; i++)
			n += ip_parse(l->v[i], &ips[n]) == 0;
	}
	return n;
}

struct leftovers {
	struct strv undo;
	struct ip ips[64];
	size_t nips;
};

/* Of a start that did not end well, or of a jail that ended unnoticed: what is still its own. What
 * it met there as another jail's is not, nor what another has taken over since. */
static int still_own(struct net *n, const struct record *r, struct leftovers *out,
		     struct ng_err *err)
{
	struct record *all = NULL;
	size_t count = 0;
	struct ip ips[ARRAY_SIZE(out->ips)];
	size_t nips = addresses_of(r, ips, ARRAY_SIZE(ips));
	int rc = state_all(n->state, &all, &count, err);

	for (size_t k = 0; k < r->undo.n; k++) {
		bool others = false;
		for (size_t i = 0; i < count && !others; i++)
			others = !str_eq(all[i].name, r->name) &&
				 (rules_claimed(&all[i], r->undo.v[k]) ||
				  strv_has(&all[i].undo, r->undo.v[k]));
		if (!others)
			strv_add(&out->undo, r->undo.v[k]);
	}
	for (size_t k = 0; k < nips; k++) {
		char text[IP_TEXT];
		bool others = false;
		ip_text(&ips[k], text);
		for (size_t i = 0; i < count && !others; i++)
			others = !str_eq(all[i].name, r->name) &&
				 (strv_has(&all[i].ip4, text) || strv_has(&all[i].ip6, text));
		if (!others)
			out->ips[out->nips++] = ips[k];
	}
	for (size_t i = 0; i < count; i++)
		record_done(&all[i]);
	free(all);
	return rc;
}

static int remove_elements(struct net *n, const struct leftovers *own, struct ng_err *err)
{
	struct ng_err gone = {0};
	int rc = 0;
	/* Where somebody took some away, or the whole table, the rest still goes. */
	if (rules_change(n, &own->undo, NULL, NULL, &gone) < 0)
		rc = rules_delete_each(n, &own->undo, err);
	int flushed = rules_flush_addresses(n, own->ips, own->nips, &gone);
	if (rc == 0 && flushed < 0) {
		*err = gone;
		rc = flushed;
	}
	return rc;
}

int net_detach(struct net *n, const struct record *r, struct ng_err *err)
{
	struct leftovers own = {.undo = r->undo};
	bool unsure = r->starting || r->dead;
	int rc = 0;

	if (unsure) {
		own.undo = (struct strv){0};
		rc = still_own(n, r, &own, err);
	} else {
		own.nips = addresses_of(r, own.ips, ARRAY_SIZE(own.ips));
	}
	if (rc == 0 && has_elements(&own.undo))
		rc = remove_elements(n, &own, err);
	struct ng_err more = {0};
	int proxies = remove_proxies(n, &own.undo, &more);
	if (rc == 0 && proxies < 0) {
		*err = more;
		rc = proxies;
	}
	if (unsure)
		strv_done(&own.undo);
	return rc;
}

/* The lines of a that b lacks. */
static void difference(const struct strv *a, const struct strv *b, struct strv *out)
{
	for (size_t i = 0; i < a->n; i++)
		if (str_prefix(a->v[i], ELEM_UNDO) && !strv_has(b, a->v[i]))
			strv_add(out, a->v[i]);
}

static bool lists(const struct strv *lines)
{
	for (size_t i = 0; i < lines->n; i++)
		if (str_prefix(lines->v[i], ELEM_UNDO "listed"))
			return true;
	return false;
}

int net_update(struct net *n, const struct record *r, const struct net_jail *nj, struct ng_err *err)
{
	struct strv gone = {0}, come = {0};
	struct ip ips[64];
	size_t nips = addresses_of(r, ips, ARRAY_SIZE(ips));
	bool same = nips == nj->naddrs;

	for (size_t i = 0; i < nips && same; i++) {
		same = false;
		for (size_t k = 0; k < nj->naddrs && !same; k++)
			same = ip_eq(&ips[i], &nj->addr[k].ip);
	}
	if (!same)
		return err_set(err, EINVAL, "the addresses of a running jail cannot be changed");
	/* A table that vanished comes back with what the record says. */
	int rc = net_prepare(n, err);
	if (rc < 0)
		return rc;
	difference(&r->undo, &nj->undo, &gone);
	difference(&nj->undo, &r->undo, &come);
	rc = rules_change(n, &gone, &come, r->link, err);
	/* A jail that is listed for the first time loses all that the default permitted. */
	if (rc == 0 && lists(&come))
		rc = rules_flush_addresses(n, ips, nips, err);
	else if (rc == 0)
		rc = rules_flush_elements(n, &gone, err);
	strv_done(&gone);
	strv_done(&come);
	return rc;
}
