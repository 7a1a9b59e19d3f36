/* Ports that the host needs itself. A redirect would take them away: an administrator's own
 * session, in the worst case. */
#include <netinet/in.h>
#include "net/permit.h"
#include "net/range.h"

#define EPHEMERAL \
	32768 /* from here on ports belong to the host's clients, a different one each time */

static socklen_t socket_address(const struct ip *ip, unsigned port, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	memcpy(&v4.sin_addr, ip->bytes, sizeof v4.sin_addr);
	memcpy(&v6.sin6_addr, ip->bytes, sizeof v6.sin6_addr);
	if (ip->family == AF_INET) {
		memcpy(out, &v4, sizeof v4);
		return sizeof v4;
	}
	memcpy(out, &v6, sizeof v6);
	return sizeof v6;
}

/* Asked by trying to have it oneself: that is quick however many connections the host has, and
 * tells a service on 127.0.0.1 alone, which is in nobody's way, from one for the outside. */
static bool in_use(const struct ip *ip, int proto, unsigned port)
{
	bool tcp = proto == IPPROTO_TCP;
	const int on = 1;
	struct sockaddr_storage to = {0};
	socklen_t len = socket_address(ip, port, &to);
	autoclose int s = socket(ip->family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

	/* For tcp this looks past connections that have ended; for udp it would mean to share. */
	if (s < 0 || (tcp && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0))
		return false;
	return bind(s, (const struct sockaddr *)&to, len) < 0 && errno == EADDRINUSE;
}

/* At these no port is redirected. */
static bool is_gateway(const struct net *n, const struct ip *ip)
{
	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; n->range[i]->ours && k < n->range[i]->ngws; k++)
			if (ip_eq(&n->range[i]->gw[k].addr, ip))
				return true;
	return false;
}

bool ports_taken(const struct net *n, int proto, unsigned port, int family)
{
	for (size_t i = 0; port < EPHEMERAL && i < n->host->naddrs; i++) {
		const struct ip *ip = &n->host->addr[i].net.addr;
		bool link_local =
		    family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
		if (ip->family == family && !link_local && !ip_is_loopback(ip) &&
		    !is_gateway(n, ip) && in_use(ip, proto, port))
			return true;
	}
	return false;
}
