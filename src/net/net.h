/* The network of jails: one routed veth pair each, the interface they hang on, one nftables table.
 *
 * Path of a packet from jail A: eth0 inside -> host end "ngN" (link group RTNL_GROUP) -> the filter
 * of table inet newgate -> routed out, NATed by range. What the filter asks:
 *   prerouting   is the source an address of this very link? (reverse path by fib, so that a plain
 *                jail needs no element at all)
 *   dstnat       is (protocol, port) at an address of this host redirected? one map look-up
 *   input        from a jail to the host: only what allow.connect "host …" lists
 *   forward      jail to jail: the pair must be listed; jail to internet: not where it is closed,
 *                not tcp 25 and the metadata addresses unless listed; inwards: only what dstnat
 * sent srcnat       from the jails' ranges to elsewhere: masquerade, or the jail's nat.source See
 * rules.nft, which is embedded. Everything is IPv4 and IPv6 alike.
 *
 * An interface of jails is named by rc.conf(5) (cloned_interfaces, ifconfig_IF) or by the jail
 * alone; newgate makes it, as a bridge without ports that carries the gateways' addresses. Where
 * `interface` names one of the host's, or no interface is named and the address belongs to a
 * network of the host's, the host answers for the address there (proxy ARP, proxy NDP) and nothing
 * is translated. */
#ifndef NG_NET_NET_H
#define NG_NET_NET_H

#include "base/ip.h"
#include "conf/jail.h"
#include "conf/rcconf.h"
#include "state/state.h"
#include "sys/nl.h"

/* What one command knows about the host's network. Opened once a command, before any jail. */
struct net {
	struct nl route, filter;
	struct state *state;
	const struct rcconf *rc;
	struct net_range **range; /* range.h */
	size_t nranges;
	struct net_host *host; /* host.h */
	uint32_t mtu;          /* of the outside interface */
	bool ready;  /* net_prepare was done, and nothing was planned since that needs it */
	bool reload; /* net_prepare loads the table in any case */
	bool look;   /* nothing may be written down: what would have to be leased is -EAGAIN */
	/* Its redirects are in place: nobody is asked for their ports. NULL: nobody's. */
	const struct record *running;
	char *warning; /* what net_prepare wants the user to know though it is no error, or NULL */
};
int net_open(struct net *n, struct state *s, const struct rcconf *rc,
	     struct ng_err *err) MUST_CHECK;
void net_done(struct net *n);
/* The interface by which this host reaches the internet; false where it does not. */
struct rtnl_link;
bool net_outside(struct net *n, int family, struct rtnl_link *out);

/* One jail's part, worked out from its configuration and the leases before anything is changed. */
struct net_jail {
	bool inherit; /* ip4 or ip6 = inherit: no namespace of its own */
	bool vnet;    /* interfaces are moved in; ours is made only if there are addresses */
	char *link;   /* host end, NULL: no veth (no addresses) */
	int index;    /* of that link */
	struct net_addr {
		struct ip ip;
		const struct net_range *range;
		struct ip gateway;
		bool proxy; /* an address of a network of the host's: proxied, not NATed */
	} * addr;
	size_t naddrs;
	/* What record.undo is to hold: "elem SET …" (elem.h), "proxy IF ADDR". */
	struct strv undo;
};
/* Resolves addresses (leases for auto), redirects, permissions. `lookup` gives the other jails that
 * allow.connect may name: their addresses by configuration or lease (net_addresses). Refuses the
 * host's own and duplicate addresses. */
typedef int net_lookup(void *arg, const char *jail, struct ip *ips,
		       size_t max); /* how many, -ENOENT */
int net_plan(struct net *n, const struct conf_jail *j, int jid, net_lookup *lookup, void *arg,
	     struct net_jail *out, struct ng_err *err) MUST_CHECK;
void net_jail_done(struct net_jail *nj);
/* The addresses that a configured jail has or would get: how many, or -errno. For net_lookup and
 * for net_write_hosts. */
int net_addresses(struct net *n, const struct conf_jail *j, struct ip *ips, size_t max,
		  struct ng_err *err) MUST_CHECK;
/* Is any of them `auto`? */
bool net_wants_lease(const struct conf_jail *j);
/* An address that some jail is configured with: no lease may take it. To be told before net_plan.
 */
void net_reserve(struct net *n, const struct ip *ip);

/* Makes the host ready: interfaces of ours up with their addresses, forwarding on, the table loaded
 * where it is missing or not ours (with the elements of the running jails),
 * /run/newgate/resolv.conf current. Cheap when all is in place. net_attach calls it where that was
 * not done. */
int net_prepare(struct net *n, struct ng_err *err) MUST_CHECK;
/* In the parent, once the child has its namespaces: pair, routes, proxies, elements. Undoes itself
 * where it fails. */
int net_attach(struct net *n, struct net_jail *nj, const char *name, pid_t pid,
	       struct ng_err *err) MUST_CHECK;
/* In the child, inside its network namespace, after net_attach: lo, eth0, routes. */
int net_inside(const struct net_jail *nj, struct ng_err *err) MUST_CHECK;
/* In the parent, once net_inside was done: the pair carries packets now, both ways. */
int net_settle(struct net *n, const struct net_jail *nj, struct ng_err *err) MUST_CHECK;
/* Takes back what record.undo lists, and the connections that it permitted. The pair goes with the
 * namespace. Continues past errors; the first is told. */
int net_detach(struct net *n, const struct record *r, struct ng_err *err);
/* jail -m: makes the elements of a running jail those of a new plan, in one transaction;
 * connections that are no longer permitted end. The caller then records nj->undo instead. Addresses
 * must be the same (-EINVAL). */
int net_update(struct net *n, const struct record *r, const struct net_jail *nj,
	       struct ng_err *err) MUST_CHECK;

/* Addresses and elements as net_plan would have them, without a link. */
int net_permits(struct net *n, const struct conf_jail *j, net_lookup *lookup, void *arg,
		struct net_jail *out, struct ng_err *err) MUST_CHECK;

/* heal.c: what somebody took away or changed behind our back, a sentence each; looks only. six: a
 * jail that runs has an IPv6 address. */
int net_look(struct net *n, bool six, struct strv *faults, struct ng_err *err) MUST_CHECK;
int net_look_jail(struct net *n, const struct record *r, struct strv *faults,
		  struct ng_err *err) MUST_CHECK;
/* Links of our group that no record names, "ng7 web" (its jail by its alias); and away with them, and
 * their routes. */
int net_stray_links(struct net *n, struct strv *links, struct ng_err *err) MUST_CHECK;
int net_remove_links(struct net *n, const struct strv *links, struct ng_err *err) MUST_CHECK;
/* And puts it back: what all jails share; one jail's routes (0) or a new link (1: nj->link). */
int net_heal(struct net *n, bool six, struct ng_err *err) MUST_CHECK;
int net_heal_jail(struct net *n, const struct record *r, struct net_jail *nj,
		  struct ng_err *err) MUST_CHECK;
/* Below /run/newgate: the families ("4", "6") that newgate switched forwarding on for. */
#define NET_FORWARDING "forwarding"

/* pf.c: pf.conf as the firewall. Makes everything ready and changes nothing (firewall.h); firewall_done
 * in any case. Faults and warnings go to d. */
struct firewall;
struct firewall_load;
int net_pf_make(struct net *n, const struct firewall_load *load, struct firewall *f,
		struct diags *d, struct ng_err *err) MUST_CHECK;
/* Loads what was made: 1; 0 where that is loaded already. Where pf is off it is only kept (1). */
int net_pf_load(struct net *n, struct firewall *f, struct ng_err *err) MUST_CHECK;
/* Is it what the kernel has? 1, 0. */
int net_pf_is_loaded(struct net *n, const struct firewall *f, struct ng_err *err) MUST_CHECK;
/* Goes back to what was loaded before the last load: 1; 0 where that was nothing, so that pf is off
 * now. */
int net_pf_back(struct net *n, struct ng_err *err) MUST_CHECK;
/* pfctl -e, -d: 1; 0 where it was so already. With pf on, what was loaded last counts again, else
 * pf_rules of rc.conf. */
int net_pf_switch(struct net *n, bool on, struct diags *d, struct ng_err *err) MUST_CHECK;

/* vnet.interface: moves links of the host in by name, and back out of a namespace when the jail has
 * ended (a physical one would come back by itself, others would vanish with the namespace). Not
 * before: its root could give the name to another link, whose far end he keeps. */
int net_move_in(struct net *n, const char *link, pid_t pid, struct ng_err *err) MUST_CHECK;
int net_move_out(struct net *n, const char *link, int netns, struct ng_err *err) MUST_CHECK;

/* names.c: the shared files that every jail sees as /etc/hosts and /etc/resolv.conf, relative to
 * ROOT/run/newgate. Rewritten in place, so that running jails follow. */
#define NET_HOSTS "hosts"
#define NET_RESOLV "resolv.conf"
struct net_name {
	const char *name, *hostname; /* hostname may be NULL */
	const struct ip *ip;
	size_t nips;
};
/* Every jail that is configured or runs: then starting one changes nothing. */
int net_write_hosts(struct state *s, const struct net_name *v, size_t n,
		    struct ng_err *err) MUST_CHECK;
/* The name servers that jails are told, as the host's files have them now. */
void net_servers(struct state *s, struct strv *out);
/* 0, 1 where no server was found that a jail could ask (err tells, the file is written without), or
 * -errno. */
int net_write_resolv(struct state *s, struct ng_err *err) MUST_CHECK;

#endif
