#include "pfhost.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "base/str.h"

static struct ipnet net(const char *text)
{
	struct ipnet n;
	if (ipnet_parse(text, &n) < 0)
		abort();
	return n;
}

static struct ip address(const char *text)
{
	return net(text).addr;
}

static int service(void *arg UNUSED, const char *name, uint8_t proto, uint16_t *port)
{
	if (!str_eq(name, "own-service") || proto != IPPROTO_TCP)
		return -ENOENT;
	*port = 4711;
	return 0;
}

static int resolve(void *arg UNUSED, const char *name, struct ip *ips, size_t max, size_t *n)
{
	if (!str_eq(name, "www.example.org") || max < 2)
		return -ENOENT;
	ips[0] = address("192.0.2.80");
	ips[1] = address("2001:db8:1::80");
	*n = 2;
	return 0;
}

static int user(void *arg UNUSED, const char *name, bool group, uint32_t *id)
{
	if (str_eq(name, "root"))
		*id = 0;
	else if (str_eq(name, "www"))
		*id = group ? 8080 : 80;
	else
		return -ENOENT;
	return 0;
}

const struct pf_host *pfhost(void)
{
	static struct ipnet lo[2], em0[4], wg0[1], lo100[2];
	static struct ip em0_broadcast[4], wg0_peer[1];
	static const char *wg0_groups[] = {"vpn", NULL};
	static struct pf_iface ifaces[] = {
	    {.name = "lo", .index = 1, .loopback = true, .addr = lo, .naddrs = 2},
	    {.name = "em0",
	     .index = 2,
	     .outside4 = true,
	     .outside6 = true,
	     .addr = em0,
	     .broadcast = em0_broadcast,
	     .naddrs = 4},
	    {.name = "wg0",
	     .index = 3,
	     .addr = wg0,
	     .peer = wg0_peer,
	     .naddrs = 1,
	     .group = wg0_groups},
	    {.name = "lo100", .jails = true, .addr = lo100, .naddrs = 2},
	    {.name = "em1", .index = 4},
	    {.name = "eth0", .index = 5},
	};
	static struct pf_host host = {
	    .iface = ifaces,
	    .n = ARRAY_SIZE(ifaces),
	    .service = service,
	    .resolve = resolve,
	    .user = user,
	};
	if (lo->addr.family)
		return &host;
	lo[0] = net("127.0.0.1/8");
	lo[1] = net("::1/128");
	em0[0] = net("203.0.113.5/24");
	em0[1] = net("203.0.113.6/24");
	em0[2] = net("2001:db8::5/64");
	em0[3] = net("fe80::5054:ff:fe00:1/64");
	em0_broadcast[0] = em0_broadcast[1] = address("203.0.113.255");
	wg0[0] = net("10.9.0.1/24");
	wg0_peer[0] = address("10.9.0.2");
	lo100[0] = net("10.100.0.1/24");
	lo100[1] = net("fd00:100::1/64");
	return &host;
}
