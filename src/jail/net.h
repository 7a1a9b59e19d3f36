/* The network of jails: one routed veth pair each, the interface they hang on, one nftables table.
 *
 * Path of a packet from jail A: eth0 inside -> host end "ngN" (link group RTNL_GROUP) -> the filter
 * of table inet newgate -> routed out, NATed by range. What the filter asks:
 *   prerouting   is the source an address of this very link? (reverse path by fib, so that a plain
 *                jail needs no element at all)
 *   dstnat       is (protocol, port) at an address of this host redirected? one map look-up
 *   input        from a jail to the host: only what allow.connect "host …" lists
 *   forward      jail to jail: the pair must be listed; jail to internet: not where it is closed,
 *                not tcp 25 and the metadata addresses unless listed; inwards: only what dstnat sent
 *   srcnat       from the jails' ranges to elsewhere: masquerade, or the jail's nat.source
 * See share/… rules.nft, which is embedded. Everything is IPv4 and IPv6 alike. */
#ifndef NG_JAIL_NET_H
#define NG_JAIL_NET_H

#include "base/ip.h"
#include "conf/jail.h"
#include "conf/rcconf.h"
#include "jail/state.h"
#include "sys/nl.h"

/* One network of jails: an interface of the host (made by us or not) and its networks. */
struct net_range {
	char *ifname;
	struct ipnet gw4, gw6; /* our address there with the network's length; family 0: none */
	bool ours;	       /* we make the link; else it is one of the host's, reached by proxy */
};

/* What one command knows about the host's network. Opened once a command, before any jail. */
struct net {
	struct nl route, filter;
	struct state *state;
	struct net_range *range;
	size_t nranges;
	uint32_t mtu; /* of the outside interface */
	bool ready;   /* net_prepare was done */
};
int net_open(struct net *n, struct state *s, const struct rcconf *rc, struct ng_err *err) MUST_CHECK;
void net_done(struct net *n);

/* One jail's part, worked out from its configuration and the leases before anything is changed. */
struct net_jail {
	bool inherit;	  /* ip4 = inherit: no namespace of its own */
	bool vnet;	  /* interfaces are moved in; ours is made only if there are addresses */
	char *link;	  /* host end, NULL: no veth (no addresses) */
	struct net_addr {
		struct ip ip;
		const struct net_range *range;
		bool proxy; /* an address of a network of the host's: proxied, not NATed */
	} *addr;
	size_t naddrs;
	struct strv undo; /* what record.undo is to hold */
	void *elements;	  /* nftables elements to add; private */
};
/* Resolves addresses (leases for auto), redirects, permissions. `all` gives the other jails that
 * allow.connect may name: their addresses by configuration or lease. Refuses the host's own and
 * duplicate addresses. */
typedef int net_lookup(void *arg, const char *jail, struct ip *ips, size_t max); /* how many, -ENOENT */
int net_plan(struct net *n, const struct conf_jail *j, int jid, net_lookup *lookup, void *arg,
	     struct net_jail *out, struct ng_err *err) MUST_CHECK;
void net_jail_done(struct net_jail *nj);

/* Makes the host ready: interfaces of ours up with their addresses, forwarding on, the table loaded
 * where it is missing or not ours, /run/newgate/hosts and resolv.conf current. Cheap when all is in
 * place. */
int net_prepare(struct net *n, struct ng_err *err) MUST_CHECK;
/* In the parent, once the child has its namespaces: pair, routes, proxies, elements. */
int net_attach(struct net *n, struct net_jail *nj, const char *name, pid_t pid, struct ng_err *err) MUST_CHECK;
/* In the child, inside its network namespace, after net_attach: lo, eth0, routes. */
int net_inside(const struct net_jail *nj, struct ng_err *err) MUST_CHECK;
/* Takes back what record.undo lists, and the connections that it permitted. The pair goes with the
 * namespace. Continues past errors; the first is told. */
int net_detach(struct net *n, const struct record *r, struct ng_err *err);

/* names.h: the shared files that every jail sees as /etc/hosts and /etc/resolv.conf, relative to
 * ROOT/run/newgate. Rewritten in place, so that running jails follow. */
#define NET_HOSTS "hosts"
#define NET_RESOLV "resolv.conf"
struct net_name {
	const char *name, *hostname;
	const struct ip *ip;
	size_t nips;
};
int net_write_hosts(struct state *s, const struct net_name *v, size_t n, struct ng_err *err) MUST_CHECK;
int net_write_resolv(struct state *s, struct ng_err *err) MUST_CHECK;

#endif
