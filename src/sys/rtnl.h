/* Links, addresses, routes. Functions that take a batch only add to it; the others do their work.
 */
#ifndef NG_SYS_RTNL_H
#define NG_SYS_RTNL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/ip.h"
#include "sys/nl.h"

#define RTNL_ALIAS "newgate" /* of every bridge of ours */
#define RTNL_GROUP 28263     /* "ng": every host end of a jail's veth pair is in this link group */

struct rtnl_veth {
	const char *name;  /* host end */
	int index;         /* of the host end; 0: any */
	const char *alias; /* ifalias of the host end: the jail's name */
	const char *peer;  /* inside */
	int peer_netns;    /* descriptor, or -1 with peer_pid set */
	int peer_pid;
	int peer_index; /* 0: any */
	uint32_t mtu;   /* 0: default */
	uint8_t mac[6]; /* both ends, with NOARP: nothing to resolve, nothing to spoof */
};
/* Two messages. Both ends are down; the host end gets no automatic address. */
void rtnl_add_veth(struct nl_batch *b, const struct rtnl_veth *v);
void rtnl_add_bridge(struct nl_batch *b, const char *name); /* carries addresses; has no ports */
/* Up, and without an automatic (link-local) IPv6 address: our links carry what they are given. */
void rtnl_set_up(struct nl_batch *b, int index);
void rtnl_set_up_name(struct nl_batch *b, const char *name);
void rtnl_delete(struct nl_batch *b, int index);
void rtnl_move(struct nl_batch *b, int index, int netns, const char *newname); /* newname or NULL */
/* Without duplicate address detection. -EEXIST where the link has it already. */
void rtnl_add_address(struct nl_batch *b, int index, const struct ipnet *a);
void rtnl_delete_address(struct nl_batch *b, int index, const struct ipnet *a);
/* via: NULL or family 0 for a directly reachable destination; onlink is set with via. Exclusive:
 * -EEXIST where the destination already has a route. */
void rtnl_add_route(struct nl_batch *b, const struct ipnet *to, const struct ip *via, int index);
/* The same in place of whatever route the destination has. */
void rtnl_replace_route(struct nl_batch *b, const struct ipnet *to, const struct ip *via,
			int index);
/* A proxy neighbour entry: this host answers for `a` on `index`. */
void rtnl_add_proxy(struct nl_batch *b, const struct ip *a, int index);
void rtnl_delete_proxy(struct nl_batch *b, const struct ip *a, int index);

struct rtnl_link {
	int index, master, group;
	char name[16];
	char kind[16]; /* "veth", "bridge", … or "" */
	char alias[128];
	uint32_t mtu;
	unsigned flags; /* IFF_* */
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
};
/* 0 with *out filled, -ENODEV, or -errno. */
int rtnl_get_link(struct nl *nl, const char *name, struct rtnl_link *out,
		  struct ng_err *err) MUST_CHECK;
int rtnl_each_link(struct nl *nl, int (*fn)(const struct rtnl_link *l, void *arg), void *arg,
		   struct ng_err *err) MUST_CHECK;

struct rtnl_address {
	int index;
	struct ipnet addr;
	struct ip broadcast, peer; /* family 0: none */
	bool secondary, dynamic;
};
int rtnl_each_address(struct nl *nl, int (*fn)(const struct rtnl_address *a, void *arg), void *arg,
		      struct ng_err *err) MUST_CHECK;

struct rtnl_route {
	struct ipnet to;
	struct ip via; /* family 0: direct */
	int index;
	unsigned type;  /* RTN_* */
	unsigned table; /* RT_TABLE_* */
	uint32_t metric;
	uint8_t protocol;
};
int rtnl_each_route(struct nl *nl, int family, int (*fn)(const struct rtnl_route *r, void *arg),
		    void *arg, struct ng_err *err) MUST_CHECK;
/* How this host would reach `to`: type RTN_LOCAL where the address is its own. -ENETUNREACH: not at
 * all. */
int rtnl_lookup(struct nl *nl, const struct ip *to, struct rtnl_route *out,
		struct ng_err *err) MUST_CHECK;

/* IPv6 takes an address into use a little after rtnl_add_address, from a queue of work: until then
 * packets for it are dropped. rtnl_watch is opened before, rtnl_wait_local called after, for all of
 * them at once; it uses the array up. */
int rtnl_watch(struct nl *watch) MUST_CHECK;
int rtnl_wait_local(struct nl *watch, struct nl *nl, struct ip *ips, size_t n,
		    struct ng_err *err) MUST_CHECK;

/* One message of the kernel's as bytes. False: not such a message, or not well-formed. */
bool rtnl_parse_link(const struct nlmsghdr *h, struct rtnl_link *out) MUST_CHECK;
bool rtnl_parse_address(const struct nlmsghdr *h, struct rtnl_address *out) MUST_CHECK;
bool rtnl_parse_route(const struct nlmsghdr *h, struct rtnl_route *out) MUST_CHECK;

#endif
