#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

int ip_parse(const char *s, struct ip *out)
{
	struct ip a = {.family = strchr(s, ':') ? AF_INET6 : AF_INET};
	if (inet_pton(a.family, s, a.bytes) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

/* 255.255.255.0 as 24; -EINVAL where a one follows a zero. */
static int mask_length(const char *s, uint8_t *len)
{
	struct ip mask;
	if (ip_parse(s, &mask) < 0 || mask.family != AF_INET)
		return -EINVAL;
	uint32_t m;
	memcpy(&m, mask.bytes, sizeof(m));
	uint32_t holes = ~ntohl(m);
	if (holes & (holes + 1))
		return -EINVAL;
	*len = (uint8_t)(32 - __builtin_popcount(holes));
	return 0;
}

int ipnet_parse(const char *s, struct ipnet *out)
{
	char addr[IP_TEXT];
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	struct ipnet net = {0};

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (ip_parse(addr, &net.addr) < 0)
		return -EINVAL;
	if (!slash) {
		net.len = (uint8_t)ip_bits(&net.addr);
	} else if (net.addr.family == AF_INET && strchr(slash, '.')) {
		if (mask_length(slash + 1, &net.len) < 0)
			return -EINVAL;
	} else {
		uint32_t len;
		if (num_u32(slash + 1, 0, ip_bits(&net.addr), &len) < 0)
			return -EINVAL;
		net.len = (uint8_t)len;
	}
	*out = net;
	return 0;
}

const char *ip_text(const struct ip *a, char buf[static IP_TEXT])
{
	if (!a->family || !inet_ntop(a->family, a->bytes, buf, IP_TEXT))
		snprintf(buf, IP_TEXT, "none");
	return buf;
}

const char *ipnet_text(const struct ipnet *n, char buf[static IPNET_TEXT])
{
	char addr[IP_TEXT];
	snprintf(buf, IPNET_TEXT, "%s/%u", ip_text(&n->addr, addr), n->len);
	return buf;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
	return ip_cmp(a, b) == 0;
}

int ip_cmp(const struct ip *a, const struct ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/* Whether the first `len` bits are the same. */
static bool same_prefix(const struct ip *a, const struct ip *b, unsigned len)
{
	unsigned whole = len / 8, rest = len % 8;
	if (a->family != b->family || memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0;
}

bool ipnet_has(const struct ipnet *n, const struct ip *a)
{
	return same_prefix(&n->addr, a, n->len);
}

bool ipnet_overlap(const struct ipnet *a, const struct ipnet *b)
{
	return same_prefix(&a->addr, &b->addr, a->len < b->len ? a->len : b->len);
}

/* The network's address with all host bits 0 or 1. */
static struct ip with_host_bits(const struct ipnet *n, bool ones)
{
	struct ip a = n->addr;
	for (unsigned i = n->len; i < ip_bits(&a); i++) {
		uint8_t bit = (uint8_t)(0x80 >> (i % 8));
		if (ones)
			a.bytes[i / 8] |= bit;
		else
			a.bytes[i / 8] &= (uint8_t)~bit;
	}
	return a;
}

struct ip ipnet_first(const struct ipnet *n)
{
	return with_host_bits(n, false);
}

struct ip ipnet_last(const struct ipnet *n)
{
	return with_host_bits(n, true);
}

struct ip ip_next(const struct ip *a)
{
	struct ip next = *a;
	for (unsigned i = ip_size(a); i-- > 0;)
		if (++next.bytes[i] != 0)
			break;
	return next;
}

/* Whether one of `n` networks holds the address. */
static bool in_any(const struct ip *a, const struct ipnet *nets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ipnet_has(&nets[i], a))
			return true;
	return false;
}

bool ip_is_loopback(const struct ip *a)
{
	static const struct ipnet nets[] = {
	    {{AF_INET, {127}}, 8},
	    {{AF_INET6, {[15] = 1}}, 128},
	};
	return in_any(a, nets, ARRAY_SIZE(nets));
}

bool ip_is_private(const struct ip *a)
{
	static const struct ipnet nets[] = {
	    {{AF_INET, {10}}, 8},           /* RFC 1918 */
	    {{AF_INET, {172, 16}}, 12},     /* RFC 1918 */
	    {{AF_INET, {192, 168}}, 16},    /* RFC 1918 */
	    {{AF_INET, {100, 64}}, 10},     /* RFC 6598 */
	    {{AF_INET, {169, 254}}, 16},    /* RFC 3927 */
	    {{AF_INET6, {0xfc}}, 7},        /* RFC 4193 */
	    {{AF_INET6, {0xfe, 0x80}}, 10}, /* link-local */
	};
	return ip_is_loopback(a) || in_any(a, nets, ARRAY_SIZE(nets));
}
