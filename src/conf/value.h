/* The small languages inside values: addresses, redirects, permissions, limits, mount lines. Each
 * parser takes one value and returns 0, or -EINVAL with *why set to a static or arena text that
 * names the fault and the remedy ("port 70000 is above 65535"); that of value_addr quotes the value
 * too. Strings are from the arena. */
#ifndef NG_CONF_VALUE_H
#define NG_CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/ip.h"
#include "base/mem.h"

/* ip4.addr, ip6.addr: [IF|]ADDR[/MASK] [words for the interface], or "auto" */
struct conf_addr {
	const char *ifname; /* NULL: the parameter `interface` */
	struct ip addr;     /* family 0: auto */
	int len;            /* -1: no mask was written */
	const char *extra;  /* the further words, or NULL */
};
int value_addr(struct arena *a, int family, const char *s, struct conf_addr *out, const char **why);

/* A range of ports, first <= last; 1..65535. */
struct ports {
	uint16_t first, last;
};
/* "25", "8000-8010", "8000:8010", or a service's name. */
int value_ports(struct arena *a, const char *s, struct ports *out, const char **why);
enum proto { PROTO_ANY = 0, PROTO_TCP = 6, PROTO_UDP = 17 };

/* rdr: "tcp 25", "udp 53", "tcp 443 -> 8443", "tcp 8000-8010", "tcp 22 -> 2222 from NET[,NET…]".
 * Ports may be service names. With a range, `to` has the same width. */
struct conf_rdr {
	enum proto proto;
	struct ports port, to;
	struct ipnet *from; /* empty: from everywhere */
	size_t nfrom;
};
int value_rdr(struct arena *a, const char *s, struct conf_rdr *out, const char **why);

/* allow.connect: "PEER [tcp|udp PORT…]" with PEER a jail's name, "internet", "host" or a network
 * literal (10.8.0.0/24). Without a protocol: everything to that peer ("internet": but for tcp 25
 * and the metadata address). One value may name both protocols: "dns tcp 53 udp 53". A protocol
 * without ports is all of its ports. */
enum connect_peer { CONNECT_JAIL, CONNECT_INTERNET, CONNECT_HOST, CONNECT_NET };
struct conf_connect {
	enum connect_peer peer;
	const char *jail; /* CONNECT_JAIL */
	struct ipnet net; /* CONNECT_NET */
	struct conf_port {
		enum proto proto;
		struct ports port;
	} * port; /* empty: all */
	size_t nports;
};
int value_connect(struct arena *a, const char *s, struct conf_connect *out, const char **why);

/* rctl(8): RESOURCE:ACTION=AMOUNT[/jail]; resources by cgroup v2: memoryuse, swapuse, maxproc,
 * pcpu, readbps, writebps, readiops, writeiops, openfiles (as RLIMIT), disk (by the store). Action
 * `deny` for all, `throttle` for the io ones. */
enum rctl_resource {
	RCTL_MEMORYUSE,
	RCTL_SWAPUSE,
	RCTL_MAXPROC,
	RCTL_PCPU,
	RCTL_READBPS,
	RCTL_WRITEBPS,
	RCTL_READIOPS,
	RCTL_WRITEIOPS,
	RCTL_OPENFILES,
	RCTL_DISK
};
struct conf_rctl {
	enum rctl_resource resource;
	uint64_t amount; /* bytes, processes, percent of one CPU, per second, descriptors */
};
int value_rctl(const char *s, struct conf_rctl *out, const char **why);

/* snapshot.keep: "hourly 24, daily 7, weekly 4, monthly 12", each at most once; how many of each. */
enum keep_period { KEEP_HOURLY, KEEP_DAILY, KEEP_WEEKLY, KEEP_MONTHLY, KEEP_PERIODS };
struct conf_keep {
	uint32_t n[KEEP_PERIODS];
};
int value_keep(const char *s, struct conf_keep *out, const char **why);

/* A capability that a jail may have, as jail.conf names it: "chown", "CAP_CHOWN". Returns its name
 * in small letters without "cap_", or NULL with *why. */
const char *value_capability(struct arena *a, const char *s, const char **why);

/* One fstab(5) line: device, mount point, type, options. Returns 1 for a line without a mount
 * (empty or comment), 0 for a mount. %-escapes \040 are decoded. */
struct conf_mount {
	const char *device, *dir, *type, *options; /* options: "rw" where not given */
};
int value_mount(struct arena *a, const char *line, struct conf_mount *out, const char **why);

#endif
