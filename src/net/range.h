/* Networks of jails, and what the host has besides: for the files of this folder, and doctor. */
#ifndef NG_NET_RANGE_H
#define NG_NET_RANGE_H

#include "net/lease.h"
#include "net/net.h"

#define PROXY_UNDO "proxy "      /* a line of struct record.undo: "proxy IF ADDR" */
#define RANGE_DEFAULT "newgate0" /* where neither rc.conf nor the jail names an interface */

/* One interface that jails hang on. */
struct net_range {
	char ifname[16];
	bool ours;          /* newgate makes it; else it is the host's, and addresses are proxied */
	struct ipnet *gw;   /* our addresses there, with their networks' lengths */
	size_t ngws, nmade; /* the first nmade are known to be in place */
	bool wanted;        /* by rc.conf, or by a jail that is to start: to be made */
};

struct host_address {
	int index;
	struct ipnet net;
};

struct net_host {
	struct host_address *addr; /* the host's own */
	size_t naddrs;
	struct leases leases;
	struct ip *reserved;
	size_t nreserved;
	bool gateway_enable; /* rc.conf: forwarding is wanted by itself */
	bool need6;          /* some jail has an IPv6 address */
	bool deleted;        /* elements were: see nl_close_later */
};

/* Reads the host's addresses, rc.conf's interfaces and those that were made before. */
int range_open(struct net *n, const struct rcconf *rc, struct ng_err *err) MUST_CHECK;
void range_done(struct net *n);

/* Where an address belongs. ip: family set, the rest zero for auto; len: the written mask or -1.
 * May choose a network, which becomes real in range_make. */
struct range_place {
	struct net_range *range;
	struct ipnet gw; /* of the network that the address is in */
	bool proxy;
};
int range_place(struct net *n, const char *ifname, const struct ip *ip, int len,
		struct range_place *out, struct ng_err *err) MUST_CHECK;
/* The jail's nth address by lease on that network, the next free one where it has none yet. */
int range_lease(struct net *n, const struct range_place *place, const char *jail, unsigned nth,
		struct ip *out, struct ng_err *err) MUST_CHECK;
/* A private network that nothing on this host uses, as the address of its gateway; nothing is written
 * down. */
int range_free(struct net *n, int family, struct ipnet *gw, struct ng_err *err) MUST_CHECK;
/* The index of the interface that has this very address, or 0. */
int range_host_has(const struct net *n, const struct ip *ip);

/* 0 with *index set, 0 where there is no such link. */
int range_link(struct net *n, const char *ifname, int *index, struct ng_err *err) MUST_CHECK;

/* Below /run/newgate: a line "IF ADDR/LEN" for every gateway's address that was put in place since
 * the machine started. Its lock is held while interfaces are made or the table is loaded. */
#define RANGE_MADE "ranges"
int range_read_made(int fd, struct strv *lines) MUST_CHECK;
void range_sort_made(struct strv *lines); /* as they go into the table */
/* Makes every interface of ours that is missing, with its addresses. `made`: the lines of the file,
 * open and locked as fd, those that were added included, sorted. */
int range_make(struct net *n, int fd, struct strv *made, struct ng_err *err) MUST_CHECK;

#endif
