#include "firewall/host.h"

#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include "base/file.h"
#include "base/num.h"
#include "sys/rtnl.h"

/* ---- names ---- */

static int service(void *arg UNUSED, const char *name, uint8_t proto, uint16_t *port)
{
	const char *of = proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "sctp";
	struct servent one, *found = NULL;
	char buf[1024];

	if (getservbyname_r(name, of, &one, buf, sizeof(buf), &found) != 0 || !found)
		return -ENOENT;
	*port = ntohs((uint16_t)found->s_port);
	return 0;
}

static int resolve(void *arg UNUSED, const char *name, struct ip *ips, size_t max, size_t *n)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *all = NULL;

	*n = 0;
	if (getaddrinfo(name, NULL, &hints, &all) != 0)
		return -ENOENT;
	for (const struct addrinfo *a = all; a && *n < max; a = a->ai_next) {
		struct ip ip = {.family = a->ai_family};

		if (a->ai_family == AF_INET)
			memcpy(ip.bytes, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, 4);
		else if (a->ai_family == AF_INET6)
			memcpy(ip.bytes, &((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr,
			       16);
		else
			continue;
		ips[(*n)++] = ip;
	}
	freeaddrinfo(all);
	return *n ? 0 : -ENOENT;
}

static int user(void *arg UNUSED, const char *name, bool group, uint32_t *id)
{
	char buf[4096];

	if (group) {
		struct group one, *found = NULL;

		if (getgrnam_r(name, &one, buf, sizeof(buf), &found) != 0 || !found)
			return -ENOENT;
		*id = found->gr_gid;
	} else {
		struct passwd one, *found = NULL;

		if (getpwnam_r(name, &one, buf, sizeof(buf), &found) != 0 || !found)
			return -ENOENT;
		*id = found->pw_uid;
	}
	return 0;
}

/* ---- interfaces ---- */

struct gathering {
	struct firewall_host *h;
	struct strv groups; /* lines of /etc/iproute2/group */
	int outside4, outside6;
};

static const char *keep(struct gathering *g, const char *s)
{
	return arena_strndup(&g->h->arena, s, strlen(s));
}

static struct pf_iface *add(struct gathering *g, const char *name)
{
	struct pf_host *h = &g->h->host;

	h->iface = mem_grow(h->iface, h->n, sizeof(*h->iface));
	h->iface[h->n] = (struct pf_iface){.name = keep(g, name)};
	return &h->iface[h->n++];
}

/* "28263 newgate": the names of a link's group. Group 0 is everybody's and has no meaning. */
static const char **groups_of(struct gathering *g, int group)
{
	const char **names = arena_alloc(&g->h->arena, (g->groups.n + 1) * sizeof(*names));
	size_t n = 0;

	for (size_t i = 0; i < g->groups.n && group; i++) {
		struct strv words autodone(strv_done) = {0};
		uint32_t number;

		strv_split(&words, g->groups.v[i], " \t");
		if (words.n >= 2 && words.v[0][0] != '#' &&
		    num_u32(words.v[0], 0, INT32_MAX, &number) == 0 && (int)number == group)
			names[n++] = keep(g, words.v[1]);
	}
	return n ? names : NULL;
}

static int add_link(const struct rtnl_link *l, void *arg)
{
	struct gathering *g = arg;

	if (l->group == RTNL_GROUP)
		return 0;
	struct pf_iface *f = add(g, l->name);
	f->index = (unsigned)l->index;
	f->loopback = l->flags & IFF_LOOPBACK;
	f->outside4 = l->index == g->outside4;
	f->outside6 = l->index == g->outside6;
	f->group = groups_of(g, l->group);
	return 0;
}

static void add_ip(struct pf_iface *f, const struct ipnet *addr, const struct ip *broadcast,
		   const struct ip *peer)
{
	f->addr = mem_grow(f->addr, f->naddrs, sizeof(*f->addr));
	f->broadcast = mem_grow(f->broadcast, f->naddrs, sizeof(*f->broadcast));
	f->peer = mem_grow(f->peer, f->naddrs, sizeof(*f->peer));
	f->addr[f->naddrs] = *addr;
	f->broadcast[f->naddrs] = *broadcast;
	f->peer[f->naddrs++] = *peer;
}

static bool is_link_local(const struct ip *ip)
{
	return ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

static int add_address(const struct rtnl_address *a, void *arg)
{
	struct gathering *g = arg;

	for (size_t i = 0; i < g->h->host.n && !is_link_local(&a->addr.addr); i++)
		if (g->h->host.iface[i].index == (unsigned)a->index)
			add_ip(&g->h->host.iface[i], &a->addr, &a->broadcast, &a->peer);
	return 0;
}

static bool has_address(const struct pf_iface *f, const struct ip *ip)
{
	for (size_t i = 0; i < f->naddrs; i++)
		if (ip_eq(&f->addr[i].addr, ip))
			return true;
	return false;
}

static void add_jails(struct gathering *g, const struct strv *jails)
{
	const struct ip none = {0};

	for (size_t i = 0; i < jails->n; i++) {
		struct strv words autodone(strv_done) = {0};
		struct ipnet net;

		strv_split(&words, jails->v[i], " ");
		if (words.n != 2 || ipnet_parse(words.v[1], &net) < 0)
			continue;
		struct pf_iface *f = (struct pf_iface *)pf_host_iface(&g->h->host, words.v[0]);
		if (!f)
			f = add(g, words.v[0]);
		f->jails = true;
		if (!has_address(f, &net.addr))
			add_ip(f, &net, &none, &none);
	}
}

/* Addresses of the documentation ranges: only the route to them is asked for. */
static int outside(struct nl *route, const char *somewhere)
{
	struct rtnl_route r;
	struct ng_err none = {0};
	struct ip ip;

	return ip_parse(somewhere, &ip) == 0 && rtnl_lookup(route, &ip, &r, &none) == 0 ? r.index
											: 0;
}

static int gather(struct gathering *g, struct nl *route, struct ng_err *err)
{
	int rc;

	do {
		struct pf_host *h = &g->h->host;

		for (size_t i = 0; i < h->n; i++) {
			free(h->iface[i].addr);
			free(h->iface[i].broadcast);
			free(h->iface[i].peer);
		}
		h->n = 0;
		*err = (struct ng_err){0};
		rc = rtnl_each_link(route, add_link, g, err);
		if (rc == 0)
			rc = rtnl_each_address(route, add_address, g, err);
	} while (rc == -EAGAIN);
	return rc;
}

int firewall_host_read(struct firewall_host *h, struct nl *route, const struct strv *jails,
		       struct ng_err *err)
{
	struct gathering g = {.h = h,
			      .outside4 = outside(route, "192.0.2.1"),
			      .outside6 = outside(route, "2001:db8:ffff::1")};
	autofree char *text = NULL;
	size_t len;

	*h = (struct firewall_host){.host = {.service = service, .resolve = resolve, .user = user}};
	if (file_read("/etc/iproute2/group", &text, &len) == 0)
		strv_split(&g.groups, text, "\n");
	int rc = gather(&g, route, err);
	if (rc == 0)
		add_jails(&g, jails);
	strv_done(&g.groups);
	return rc < 0 ? err_prefix(err, "the host's interfaces") : 0;
}

void firewall_host_done(struct firewall_host *h)
{
	for (size_t i = 0; i < h->host.n; i++) {
		free(h->host.iface[i].addr);
		free(h->host.iface[i].broadcast);
		free(h->host.iface[i].peer);
	}
	free(h->host.iface);
	arena_done(&h->arena);
	*h = (struct firewall_host){0};
}
