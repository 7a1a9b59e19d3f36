#include "net/range.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/random.h>
#include "base/mem.h"
#include "sys/rtnl.h"

static struct net_range *find(const struct net *n, const char *ifname)
{
	for (size_t i = 0; i < n->nranges; i++)
		if (str_eq(n->range[i]->ifname, ifname))
			return n->range[i];
	return NULL;
}

static struct net_range *add_range(struct net *n, const char *ifname, bool ours)
{
	struct net_range *r = mem_alloc(sizeof *r);
	snprintf(r->ifname, sizeof r->ifname, "%s", ifname);
	r->ours = ours;
	n->range = mem_grow(n->range, n->nranges, sizeof *n->range);
	n->range[n->nranges++] = r;
	return r;
}

static void add_gateway(struct net_range *r, const struct ipnet *gw)
{
	for (size_t i = 0; i < r->ngws; i++)
		if (ip_eq(&r->gw[i].addr, &gw->addr))
			return;
	r->gw = mem_grow(r->gw, r->ngws, sizeof *r->gw);
	r->gw[r->ngws++] = *gw;
}

static const struct ipnet *gateway_of(const struct net_range *r, int family)
{
	for (size_t i = 0; i < r->ngws; i++)
		if (r->gw[i].addr.family == family)
			return &r->gw[i];
	return NULL;
}

/* The gateway whose network holds the address. */
static const struct ipnet *gateway_for(const struct net_range *r, const struct ip *ip)
{
	for (size_t i = 0; i < r->ngws; i++)
		if (ipnet_has(&r->gw[i], ip))
			return &r->gw[i];
	return NULL;
}

/* --- what there is --- */

static int see_address(const struct rtnl_address *a, void *arg)
{
	struct net_host *h = arg;
	h->addr = mem_grow(h->addr, h->naddrs, sizeof *h->addr);
	h->addr[h->naddrs++] = (struct host_address){.index = a->index, .net = a->addr};
	return 0;
}

static int see_addresses(struct net *n, struct ng_err *err)
{
	int rc;
	/* Again, where somebody else changed them meanwhile. */
	do {
		n->host->naddrs = 0;
		*err = (struct ng_err){0};
		rc = rtnl_each_address(&n->route, see_address, n->host, err);
	} while (rc == -EAGAIN);
	return rc;
}

int range_host_has(const struct net *n, const struct ip *ip)
{
	for (size_t i = 0; i < n->host->naddrs; i++)
		if (ip_eq(&n->host->addr[i].net.addr, ip))
			return n->host->addr[i].index;
	return 0;
}

int range_link(struct net *n, const char *ifname, int *index, struct ng_err *err)
{
	struct rtnl_link link;
	int rc = rtnl_get_link(&n->route, ifname, &link, err);
	if (rc == -ENODEV) {
		*index = 0;
		*err = (struct ng_err){0};
		return 0;
	}
	if (rc == 0)
		*index = link.index;
	return rc;
}

/* rc.conf's alias lines of single addresses are, on FreeBSD, the jails' own addresses: no gateway.
 */
static int open_rc(struct net *n, const struct rcconf *rc, struct ng_err *err)
{
	for (size_t i = 0; rc && i < rc->ninterfaces; i++) {
		const struct rc_interface *rci = &rc->interface[i];
		int index = 0;
		if (strlen(rci->name) >= IFNAMSIZ)
			return err_set(err, EINVAL,
				       "%s:%u: interface \"%s\": a name has at most 15 letters",
				       rci->pos.file, rci->pos.line, rci->name);
		if (!rci->cloned) {
			int rc_ = range_link(n, rci->name, &index, err);
			if (rc_ < 0)
				return rc_;
			if (index)
				continue;
		}
		struct net_range *r = add_range(n, rci->name, true);
		r->wanted = true;
		for (size_t k = 0; k < rci->naddrs; k++)
			if (rci->addr[k].len < ip_bits(&rci->addr[k].addr))
				add_gateway(r, &rci->addr[k]);
	}
	return 0;
}

static void know(struct net *n, const char *ifname, const struct ipnet *gw)
{
	struct net_range *r = find(n, ifname);
	add_gateway(r ? r : add_range(n, ifname, true), gw);
}

static bool is_link_local(const struct ip *a)
{
	static const struct ipnet net = {{AF_INET6, {0xfe, 0x80}}, 10};
	return ipnet_has(&net, a);
}

static int see_bridge(const struct rtnl_link *l, void *arg)
{
	struct net *n = arg;
	if (!str_eq(l->kind, "bridge") || !str_eq(l->alias, RTNL_ALIAS))
		return 0;
	for (size_t i = 0; i < n->host->naddrs; i++) {
		const struct host_address *a = &n->host->addr[i];
		if (a->index == l->index && !is_link_local(&a->net.addr))
			know(n, l->name, &a->net);
	}
	return 0;
}

/* Interfaces that newgate made because a jail named them: rc.conf does not tell. Where /run was
 * emptied the interfaces themselves do. */
static int open_made(struct net *n, struct ng_err *err)
{
	autoclose int fd = openat(n->state->dir, RANGE_MADE, O_RDONLY | O_CLOEXEC);
	struct strv lines = {0};
	int rc = fd < 0 ? -errno : range_read_made(fd, &lines);
	for (size_t i = 0; i < lines.n; i++) {
		char *addr = lines.v[i], *ifname = strsep(&addr, " ");
		struct ipnet gw;
		if (addr && ipnet_parse(addr, &gw) == 0 && strlen(ifname) < IFNAMSIZ)
			know(n, ifname, &gw);
	}
	strv_done(&lines);
	if (rc == -ENOENT)
		return rtnl_each_link(&n->route, see_bridge, n, err);
	return rc < 0 ? err_sys(err, rc, "/run/newgate/" RANGE_MADE) : 0;
}

int range_open(struct net *n, const struct rcconf *rc, struct ng_err *err)
{
	n->host = mem_alloc(sizeof *n->host);
	n->host->leases.fd = -1;
	n->host->gateway_enable = rc && rc->gateway_enable;
	int rc_ = leases_open(&n->host->leases, n->state->root, err);
	if (rc_ == 0)
		rc_ = see_addresses(n, err);
	if (rc_ == 0)
		rc_ = open_rc(n, rc, err);
	if (rc_ < 0)
		return rc_;
	rc_ = open_made(n, err);
	if (rc_ < 0)
		return rc_;
	for (size_t i = 0; i < n->host->leases.n; i++)
		if (!n->host->leases.v[i].jail)
			know(n, n->host->leases.v[i].ifname, &n->host->leases.v[i].net);
	return 0;
}

void range_done(struct net *n)
{
	for (size_t i = 0; i < n->nranges; i++) {
		free(n->range[i]->gw);
		free(n->range[i]);
	}
	free(n->range);
	if (n->host) {
		leases_done(&n->host->leases);
		free(n->host->addr);
		free(n->host->reserved);
		free(n->host);
	}
}

/* --- choosing --- */

struct taken {
	const struct ipnet *net;
	bool yes;
};

static int see_route(const struct rtnl_route *r, void *arg)
{
	struct taken *t = arg;
	if (r->to.len && ipnet_overlap(&r->to, t->net))
		t->yes = true;
	return t->yes;
}

/* Does anything on this host use a part of the network? `except`: an interface whose own do not
 * count. 1, 0 or -errno. */
static int network_taken(struct net *n, const struct ipnet *net, struct ng_err *err)
{
	for (size_t i = 0; i < n->host->naddrs; i++)
		if (ipnet_overlap(&n->host->addr[i].net, net))
			return 1;
	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; k < n->range[i]->ngws; k++)
			if (ipnet_overlap(&n->range[i]->gw[k], net))
				return 1;
	struct taken t = {.net = net};
	int rc;
	do {
		*err = (struct ng_err){0};
		rc = rtnl_each_route(&n->route, net->addr.family, see_route, &t, err);
	} while (rc == -EAGAIN);
	return rc < 0 ? rc : t.yes;
}

/* The nth network to try: 10.100 … 10.255, 172.16 … 172.31, 192.168.100 … 255, then the rest of 10.
 * Low ones are what providers, VPNs and home routers use. IPv6: a unique local network by chance,
 * as RFC 4193 wants it. */
static bool candidate(int family, unsigned nth, struct ipnet *out)
{
	uint8_t b[16] = {0};

	*out = (struct ipnet){.addr.family = family, .len = 24};
	if (family == AF_INET6) {
		out->len = 64;
		b[0] = 0xfd;
		if (nth > 8 || getrandom(b + 1, 5, 0) != 5)
			return false;
	} else if (nth < 156) {
		b[0] = 10;
		b[1] = (uint8_t)(100 + nth);
	} else if (nth < 172) {
		b[0] = 172;
		b[1] = (uint8_t)(16 + nth - 156);
	} else if (nth < 328) {
		b[0] = 192;
		b[1] = 168;
		b[2] = (uint8_t)(100 + nth - 172);
	} else if (nth < 428) {
		b[0] = 10;
		b[1] = (uint8_t)(nth - 328);
	} else {
		return false;
	}
	memcpy(out->addr.bytes, b, sizeof b);
	return true;
}

/* The network's first address, for the gateway; its last where the jail itself has the first. */
static struct ipnet gateway_in(const struct ipnet *net, const struct ip *jail)
{
	struct ip first = ipnet_first(net);
	struct ipnet gw = {.addr = ip_next(&first), .len = net->len};
	if (jail && ip_eq(&gw.addr, jail)) {
		gw.addr = ipnet_last(net);
		gw.addr.bytes[ip_size(jail) - 1] &= 0xfe;
	}
	return gw;
}

int range_free(struct net *n, int family, struct ipnet *gw, struct ng_err *err)
{
	struct ipnet net;
	int rc = 1;
	for (unsigned nth = 0; rc == 1; nth++) {
		if (!candidate(family, nth, &net))
			return err_set(err, EADDRNOTAVAIL,
				       "no private network is free on this host");
		rc = network_taken(n, &net, err);
	}
	*gw = gateway_in(&net, NULL);
	return rc;
}

/* Chooses a free network for the interface and writes it down, so that it is chosen once. */
static int choose(struct net *n, struct net_range *r, int family, struct ng_err *err)
{
	struct leases *l = &n->host->leases;
	struct ipnet gw;
	if (n->look)
		return err_set(err, EAGAIN, "%s has no network yet", r->ifname);
	int rc = leases_lock(l, err);
	if (rc < 0)
		return rc;
	/* Another command may have been faster. */
	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].jail && str_eq(l->v[i].ifname, r->ifname))
			add_gateway(r, &l->v[i].net);
	if (!gateway_of(r, family)) {
		rc = range_free(n, family, &gw, err);
		if (rc < 0)
			err_set(
			    err, -rc,
			    "%s; name one in rc.conf: ifconfig_%s=\"inet ADDRESS netmask MASK\"",
			    err->text, r->ifname);
		else
			rc = leases_add(l, NULL, r->ifname, &gw, err);
		if (rc == 0)
			add_gateway(r, &gw);
	}
	leases_unlock(l);
	return rc < 0 ? rc : 0;
}

/* A network for an address that was written without one: its first address becomes the gateway.
 * Where somebody else uses a part of that network, none. */
static int derive(struct net *n, struct net_range *r, const struct ip *ip, int len,
		  struct ng_err *err)
{
	int whole = (int)ip_bits(ip);
	if (len < 0 || len == whole)
		len = ip->family == AF_INET ? 24 : 64;
	struct ipnet net = {.addr = *ip, .len = (uint8_t)len};
	int rc = len < whole - 1 ? network_taken(n, &net, err) : 1;
	if (rc == 0) {
		struct ipnet gw = gateway_in(&net, ip);
		add_gateway(r, &gw);
	}
	return rc < 0 ? rc : 0;
}

/* --- placing --- */

static int place_ours(struct net *n, struct net_range *r, const struct ip *ip, int len,
		      bool automatic, struct range_place *out, struct ng_err *err)
{
	const struct ipnet *gw = automatic ? gateway_of(r, ip->family) : gateway_for(r, ip);
	int rc = 0;

	if (!gw && automatic)
		rc = choose(n, r, ip->family, err);
	else if (!gw)
		rc = derive(n, r, ip, len, err);
	if (rc < 0)
		return rc;
	gw = automatic ? gateway_of(r, ip->family) : gateway_for(r, ip);
	if (!gw) /* an address of somebody else's network: it is routed to the jail all the same */
		gw = gateway_of(r, ip->family);
	if (!gw) {
		char text[IP_TEXT];
		return err_set(err, EADDRINUSE,
			       "%s: its network is in use on this host; choose another, or give %s "
			       "one in rc.conf",
			       ip_text(ip, text), r->ifname);
	}
	*out = (struct range_place){.range = r, .gw = *gw};
	return 0;
}

/* On an interface of the host's: our own address there is the gateway, and we answer for the
 * jail's. */
static int place_host(struct net *n, int index, const char *ifname, const struct ip *ip,
		      bool automatic, struct range_place *out, struct ng_err *err)
{
	const struct host_address *any = NULL, *best = NULL;

	if (automatic)
		return err_set(err, EINVAL,
			       "auto: %s is an interface of the host's own network, where newgate "
			       "cannot know which addresses are free; write the address",
			       ifname);
	for (size_t i = 0; i < n->host->naddrs; i++) {
		const struct host_address *a = &n->host->addr[i];
		if (a->index != index || a->net.addr.family != ip->family)
			continue;
		any = any ? any : a;
		if (ipnet_has(&a->net, ip))
			best = best ? best : a;
	}
	if (!any)
		return err_set(err, EADDRNOTAVAIL,
			       "%s has no IPv%d address of its own to be the gateway", ifname,
			       ip->family == AF_INET ? 4 : 6);
	struct net_range *r = find(n, ifname);
	*out = (struct range_place){.range = r ? r : add_range(n, ifname, false),
				    .gw = (best ? best : any)->net,
				    .proxy = true};
	return 0;
}

/* The host's network that holds the address: the index of its interface, or 0. */
static int host_network(const struct net *n, const struct ip *ip)
{
	for (size_t i = 0; i < n->host->naddrs; i++) {
		const struct ipnet *net = &n->host->addr[i].net;
		if (net->len < ip_bits(ip) && ipnet_has(net, ip))
			return n->host->addr[i].index;
	}
	return 0;
}

/* No interface was named. */
static int place_anywhere(struct net *n, const struct ip *ip, int len, bool automatic,
			  struct range_place *out, struct ng_err *err)
{
	struct net_range *r = NULL;
	char ifname[IFNAMSIZ];

	for (size_t i = 0; i < n->nranges && !r; i++)
		if (n->range[i]->ours && (automatic ? gateway_of(n->range[i], ip->family)
						    : gateway_for(n->range[i], ip)))
			r = n->range[i];
	int index = r || automatic ? 0 : host_network(n, ip);
	if (index && if_indextoname((unsigned)index, ifname))
		return place_host(n, index, ifname, ip, false, out, err);
	for (size_t i = 0; i < n->nranges && !r; i++)
		if (n->range[i]->ours)
			r = n->range[i];
	if (!r)
		r = add_range(n, RANGE_DEFAULT, true);
	return place_ours(n, r, ip, len, automatic, out, err);
}

int range_place(struct net *n, const char *ifname, const struct ip *ip, int len,
		struct range_place *out, struct ng_err *err)
{
	struct ip zero = {.family = ip->family};
	bool automatic = ip_eq(ip, &zero);
	int index = 0;

	if (!ifname || str_eq(ifname, "lo"))
		return place_anywhere(n, ip, len, automatic, out, err);
	struct net_range *r = find(n, ifname);
	if (r && r->ours)
		return place_ours(n, r, ip, len, automatic, out, err);
	int rc = range_link(n, ifname, &index, err);
	if (rc < 0)
		return rc;
	if (index)
		return place_host(n, index, ifname, ip, automatic, out, err);
	if (strlen(ifname) >= IFNAMSIZ)
		return err_set(err, EINVAL, "interface \"%s\": a name has at most 15 letters",
			       ifname);
	return place_ours(n, add_range(n, ifname, true), ip, len, automatic, out, err);
}
