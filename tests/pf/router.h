/* A router of our own: two interfaces em0 and em1, and behind each a wire whose other end is ours.
 *
 *   em0   10.1.0.1/24 10.1.0.2/24 fd01::1/64     hosts 10.1.0.10 … .13, fd01::10 … ::13
 *   em1   10.2.0.1/24 fd02::1/64                 hosts 10.2.0.10 … .13, fd02::10 … ::13
 *
 * All frames are written and read here: what is put in on one wire is seen on the other, on the same
 * one, at the router itself, or nowhere. */
#ifndef NG_TESTS_PF_ROUTER_H
#define NG_TESTS_PF_ROUTER_H

#include "pf/eval.h"

struct router {
	int wire[2];       /* packet sockets on the far ends */
	int local[2][3];   /* raw sockets at the router: IPv4, IPv6; TCP, UDP, ICMP */
	uint8_t mac[2][6]; /* of em0, em1 */
	struct pf_host host;
};
/* Makes it, in a network namespace of the caller's own. False: told on standard error. */
bool router_make(struct router *r);

enum { SEEN_NOWHERE = -1, SEEN_LOCAL = 2 }; /* else the wire's number */
/* Of ICMP, both ports are the identifier of an echo.
 *
 * Puts the packet in on that wire and waits until the router is done with it. Where it was seen, and
 * in *out how it looked. -2: told on standard error. */
int router_send(struct router *r, int wire, const struct pf_packet *p, struct pf_packet *out);
/* Which interface leads there: 0, 1, SEEN_LOCAL, or SEEN_NOWHERE. */
int router_route(const struct ip *to);

#endif
