/* Addresses and networks, IPv4 and IPv6 alike. */
#ifndef NG_BASE_IP_H
#define NG_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/macro.h"

struct ip {
	int family;        /* AF_INET, AF_INET6, or 0: none */
	uint8_t bytes[16]; /* network order; IPv4 in the first four, the rest zero */
};

struct ipnet {
	struct ip addr; /* host bits are kept */
	uint8_t len;    /* prefix length, 0..32 or 0..128 */
};

#define IP_TEXT 46    /* room for the text of an address */
#define IPNET_TEXT 50 /* and of a network */

int ip_parse(const char *s, struct ip *out) MUST_CHECK;       /* 0 or -EINVAL */
int ipnet_parse(const char *s, struct ipnet *out) MUST_CHECK; /* "A", "A/len", "A/255.255.255.0" */
const char *ip_text(const struct ip *a, char buf[static IP_TEXT]);
const char *ipnet_text(const struct ipnet *n, char buf[static IPNET_TEXT]);
static inline unsigned ip_size(const struct ip *a)
{
	return a->family == AF_INET ? 4 : 16;
}
static inline unsigned ip_bits(const struct ip *a)
{
	return 8 * ip_size(a);
}
bool ip_eq(const struct ip *a, const struct ip *b);
int ip_cmp(const struct ip *a, const struct ip *b); /* by family, then by value */
bool ipnet_has(const struct ipnet *n, const struct ip *a);
bool ipnet_overlap(const struct ipnet *a, const struct ipnet *b);
struct ip ipnet_first(const struct ipnet *n); /* all host bits 0 */
struct ip ipnet_last(const struct ipnet *n);  /* all host bits 1 */
struct ip ip_next(const struct ip *a);        /* + 1, wrapping */
bool ip_is_loopback(const struct ip *a);
/* Not reachable from the internet: RFC 1918, 6598, 3927, 4193, link-local, loopback. */
bool ip_is_private(const struct ip *a);

#endif
