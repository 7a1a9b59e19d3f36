/* What pf.conf(5) means by the names of interfaces: facts about the host, gathered by somebody else
 * (src/pf asks nobody). */
#ifndef NG_PF_HOST_H
#define NG_PF_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/ip.h"

struct pf_iface {
	const char *name;
	unsigned index; /* of the kernel; 0: it exists for jails only, or not yet */
	bool loopback;
	bool jails; /* stands for the host ends of jails' pairs; addr are its gateways */
	bool outside4, outside6;     /* carries the default route: in group "egress" */
	struct ipnet *addr;          /* with the network's length; the first of a family is ":0" */
	struct ip *broadcast, *peer; /* of each addr; family 0: none */
	size_t naddrs;
	const char **group; /* of /etc/iproute2/group, NULL-terminated, or NULL */
};
struct pf_host {
	struct pf_iface *iface;
	size_t n;
	/* Names of services, hosts and users: 0 or -ENOENT. NULL: none is known. */
	int (*service)(void *arg, const char *name, uint8_t proto, uint16_t *port);
	int (*resolve)(void *arg, const char *name, struct ip *ips, size_t max, size_t *n);
	int (*user)(void *arg, const char *name, bool group, uint32_t *id);
	void *arg;
};
const struct pf_iface *pf_host_iface(const struct pf_host *h, const char *name); /* or NULL */
/* Is `name` this interface, or a group that it is in? Groups: "all"; "egress"; the name without its
 * digits ("em", "lo", "epair": FreeBSD's driver groups); those of the host. */
bool pf_iface_is(const struct pf_iface *i, const char *name);

#endif
