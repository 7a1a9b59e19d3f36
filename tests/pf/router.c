#include "router.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macro.h"

/* Every packet of ours ends with these, then its number: what else there is on a wire is not ours. */
static const char mine[8] = "newgate";
#define PAYLOAD (sizeof(mine) + sizeof(uint32_t))
/* The one that follows each, and passes: experimental, RFC 3692. From either side between hosts of
 * its own: each is a connection, and the two must not be taken for one. */
#define MARKER 253
#define PATIENCE 5000 /* ms */

/* ---- making it ---- */

static const char setup[] =
    "set -e; ip link add em0 address 02:00:00:00:01:01 type veth peer name p0 netns $1\n"
    "ip link add em1 address 02:00:00:00:02:01 type veth peer name p1 netns $1\n"
    "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
    "for i in all em0 em1; do echo 0 >/proc/sys/net/ipv4/conf/$i/rp_filter\n"
    "echo 0 >/proc/sys/net/ipv4/conf/$i/send_redirects\n"
    "echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done\n"
    "ip link set lo up; ip link set em0 up; ip link set em1 up\n"
    "ip addr add 10.1.0.1/24 dev em0; ip addr add 10.1.0.2/24 dev em0; ip addr add 10.2.0.1/24 dev "
    "em1\n"
    "ip addr add fd01::1/64 dev em0 nodad; ip addr add fd02::1/64 dev em1 nodad\n"
    "for n in 1 2; do for h in 10 11 12 13 77 98 99 200; do\n"
    "ip neigh add 10.$n.0.$h lladdr 02:00:00:00:0$n:ff dev em$((n - 1)) nud permanent\n"
    "ip neigh add fd0$n::$h lladdr 02:00:00:00:0$n:ff dev em$((n - 1)) nud permanent; done; done\n"
    /* What the router itself would answer is no part of it. */
    "nft 'table inet mute { chain out { type filter hook output priority -500; meta l4proto != 253 "
    "drop\n}\n}'\n";

static int run_setup(pid_t peer)
{
	char number[16];
	int status = 0;
	pid_t pid = fork();

	snprintf(number, sizeof(number), "%d", peer);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", setup, "sh", number, NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) < 0 || status ? -1 : 0;
}

static int open_wire(const char *name)
{
	struct ifreq ifr = {0};
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), size = 4 << 20;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return -1;
	ifr.ifr_flags |= IFF_UP;
	at.sll_ifindex = (int)if_nametoindex(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0
		   ? -1
		   : fd;
}

/* The wires' far ends are in a namespace whose stack never answers: it has no addresses. */
static bool open_wires(struct router *r)
{
	int hold[2];
	autoclose int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || pipe(hold) < 0)
		return false;
	if (unshare(CLONE_NEWNET) < 0)
		return false;
	autoclose int far = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();
	if (pid == 0) {
		char c;

		close(hold[1]);
		_exit(read(hold[0], &c, 1) != 0);
	}
	bool ok = far >= 0 && pid > 0 && setns(home, CLONE_NEWNET) == 0 && run_setup(pid) == 0 &&
		  setns(far, CLONE_NEWNET) == 0;
	if (ok) {
		r->wire[0] = open_wire("p0");
		r->wire[1] = open_wire("p1");
	}
	ok = ok && r->wire[0] >= 0 && r->wire[1] >= 0 && setns(home, CLONE_NEWNET) == 0;
	close(hold[0]);
	close(hold[1]);
	waitpid(pid, NULL, 0);
	return ok;
}

static struct ipnet net(const char *text)
{
	struct ipnet n;

	if (ipnet_parse(text, &n) < 0)
		abort();
	return n;
}

static void facts(struct router *r)
{
	static struct ipnet lo[2], em0[3], em1[2];
	static struct ip none[3], broadcast[2][3];
	static struct pf_iface iface[] = {
	    {.name = "lo",
	     .index = 1,
	     .loopback = true,
	     .addr = lo,
	     .broadcast = none,
	     .peer = none,
	     .naddrs = 2},
	    {.name = "em0",
	     .outside4 = true,
	     .outside6 = true,
	     .addr = em0,
	     .broadcast = broadcast[0],
	     .peer = none,
	     .naddrs = 3},
	    {.name = "em1", .addr = em1, .broadcast = broadcast[1], .peer = none, .naddrs = 2},
	};

	lo[0] = net("127.0.0.1/8");
	lo[1] = net("::1/128");
	em0[0] = net("10.1.0.1/24");
	em0[1] = net("10.1.0.2/24");
	em0[2] = net("fd01::1/64");
	em1[0] = net("10.2.0.1/24");
	em1[1] = net("fd02::1/64");
	broadcast[0][0] = broadcast[0][1] = net("10.1.0.255").addr;
	broadcast[1][0] = net("10.2.0.255").addr;
	iface[1].index = if_nametoindex("em0");
	iface[2].index = if_nametoindex("em1");
	r->host = (struct pf_host){.iface = iface, .n = ARRAY_SIZE(iface)};
}

bool router_make(struct router *r)
{
	static const int protos[2][3] = {{IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP},
					 {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6}};
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 2, 1}};
	cpu_set_t one;

	/* Packets keep their order on one processor. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0 || !open_wires(r)) {
		perror("making the router");
		return false;
	}
	memcpy(r->mac, mac, sizeof(mac));
	for (int f = 0; f < 2; f++)
		for (int i = 0; i < 3; i++) {
			r->local[f][i] =
			    socket(f ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
				   protos[f][i]);
			if (r->local[f][i] < 0) {
				perror("raw sockets");
				return false;
			}
		}
	facts(r);
	return true;
}

int router_route(const struct ip *to)
{
	bool six = to->family == AF_INET6;
	uint8_t net_byte = to->bytes[1], host = to->bytes[six ? 15 : 3];

	if (host == 1 || (!six && net_byte == 1 && host == 2))
		return SEEN_LOCAL;
	return net_byte == 1 || net_byte == 2 ? net_byte - 1 : SEEN_NOWHERE;
}

/* ---- packets as bytes ---- */

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return s;
}

static void store16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void close_sum(uint8_t *at, uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	store16(at, ~s & 0xffff ? ~s & 0xffff : 0xffff);
}

static size_t header_size(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 20 : proto == MARKER ? 0 : 8;
}

/* Where the checksum is in the header; 0: it has none. */
static size_t sum_place(uint8_t proto)
{
	return proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : proto == MARKER ? 0 : 2;
}

static size_t put_transport(uint8_t *t, const struct pf_packet *p, uint32_t number)
{
	size_t head = header_size(p->proto), n = head + PAYLOAD, at = sum_place(p->proto);

	memset(t, 0, n);
	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) {
		store16(t, p->sport);
		store16(t + 2, p->dport);
	}
	if (p->proto == IPPROTO_TCP) {
		t[7] = 1; /* sequence */
		t[12] = 5 << 4;
		t[13] = p->flags;
		store16(t + 14, 1000);
	} else if (p->proto == IPPROTO_UDP) {
		store16(t + 4, (uint32_t)n);
	} else if (p->proto != MARKER) {
		t[0] = (uint8_t)p->icmp_type;
		t[1] = (uint8_t)p->icmp_code;
		store16(t + 4, p->sport);
	}
	memcpy(t + head, mine, sizeof(mine));
	memcpy(t + head + sizeof(mine), &number, sizeof(number));
	if (!at)
		return n;
	uint32_t s = 0;
	if (p->proto != IPPROTO_ICMP) {
		s = sum(s, p->src.bytes, ip_size(&p->src));
		s = sum(s, p->dst.bytes, ip_size(&p->dst)) + p->proto + (uint32_t)n;
	}
	close_sum(t + at, sum(s, t, n));
	return n;
}

static size_t put_frame(uint8_t *f, const uint8_t mac[6], const struct pf_packet *p,
			uint32_t number)
{
	bool six = p->af == AF_INET6;
	uint8_t *ip = f + 14;
	size_t head = six ? 40 : 20, n = put_transport(ip + head, p, number);

	memset(f, 0, 14 + head);
	memcpy(f, mac, 6);
	memcpy(f + 6, "\2\0\0\0\0\xff", 6);
	store16(f + 12, six ? ETH_P_IPV6 : ETH_P_IP);
	if (six) {
		ip[0] = 0x60;
		store16(ip + 4, (uint32_t)n);
		ip[6] = p->proto;
		ip[7] = 64;
		memcpy(ip + 8, p->src.bytes, 16);
		memcpy(ip + 24, p->dst.bytes, 16);
	} else {
		ip[0] = 0x45;
		store16(ip + 2, (uint32_t)(head + n));
		ip[8] = 64;
		ip[9] = p->proto;
		memcpy(ip + 12, p->src.bytes, 4);
		memcpy(ip + 16, p->dst.bytes, 4);
		close_sum(ip + 10, sum(0, ip, 20));
	}
	return 14 + head + n;
}

/* The number of one of our packets, or -1. l4: of raw IPv6 sockets, which give no IP header. */
static int64_t number_of(const uint8_t *end, size_t n)
{
	uint32_t number;

	if (n < PAYLOAD || memcmp(end - PAYLOAD, mine, sizeof(mine)) != 0)
		return -1;
	memcpy(&number, end - sizeof(number), sizeof(number));
	return number;
}

static void get_ports(struct pf_packet *p, const uint8_t *t)
{
	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) {
		p->sport = load16(t);
		p->dport = load16(t + 2);
	} else if (p->proto != MARKER) {
		p->icmp_type = t[0];
		p->icmp_code = t[1];
		p->sport = p->dport = load16(t + 4);
	}
	if (p->proto == IPPROTO_TCP)
		p->flags = t[13];
}

static int64_t get_frame(const uint8_t *f, size_t n, struct pf_packet *p)
{
	bool six = n > 14 && load16(f + 12) == ETH_P_IPV6;
	const uint8_t *ip = f + 14;
	size_t head = six ? 40 : 20;

	*p = (struct pf_packet){.af = six ? AF_INET6 : AF_INET, .icmp_type = -1};
	if (n < 14 + head + PAYLOAD || (!six && load16(f + 12) != ETH_P_IP))
		return -1;
	p->proto = ip[six ? 6 : 9];
	if (n < 14 + head + header_size(p->proto) + PAYLOAD)
		return -1;
	p->src.family = p->dst.family = p->af;
	memcpy(p->src.bytes, ip + (six ? 8 : 12), six ? 16 : 4);
	memcpy(p->dst.bytes, ip + (six ? 24 : 16), six ? 16 : 4);
	get_ports(p, ip + head);
	/* Short frames are padded: the IP header knows the length. */
	size_t len = six ? 40u + load16(ip + 4) : load16(ip + 2);
	return len > n - 14 ? -1 : number_of(ip + len, len);
}

/* ---- one packet through the router ---- */

static bool put(struct router *r, int wire, const struct pf_packet *p, uint32_t number)
{
	uint8_t frame[256];
	size_t n = put_frame(frame, r->mac[wire], p, number);

	if (send(r->wire[wire], frame, n, 0) == (ssize_t)n)
		return true;
	perror("send");
	return false;
}

/* Reads what is there on the wire: the packet, and the marker behind it. */
static void drain(struct router *r, int wire, uint32_t number, int *seen, struct pf_packet *out,
		  bool *marked)
{
	uint8_t frame[2048];
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	struct pf_packet p;

	for (ssize_t n; (n = recvfrom(r->wire[wire], frame, sizeof(frame), MSG_DONTWAIT,
				      (struct sockaddr *)&from, &size)) >= 0;
	     size = sizeof(from)) {
		/* What we put in ourselves comes by, too. */
		if (from.sll_pkttype == PACKET_OUTGOING ||
		    get_frame(frame, (size_t)n, &p) != number)
			continue;
		if (p.proto == MARKER) {
			*marked = true;
		} else {
			*seen = wire;
			*out = p;
		}
	}
}

/* Raw sockets: of IPv6 without the IP header, so that the addresses come with the message. */
static void drain_local(struct router *r, uint32_t number, int *seen, struct pf_packet *out,
			const struct pf_packet *sent)
{
	uint8_t buf[2048];

	for (int f = 0; f < 2; f++)
		for (int i = 0; i < 3; i++)
			for (ssize_t n; (n = recv(r->local[f][i], buf, sizeof(buf), 0)) >= 0;) {
				size_t head = f ? 0 : 20;

				if (number_of(buf + n, (size_t)n) != number)
					continue;
				*seen = SEEN_LOCAL;
				*out = *sent;
				get_ports(out, buf + head);
				if (!f) {
					memcpy(out->src.bytes, buf + 12, 4);
					memcpy(out->dst.bytes, buf + 16, 4);
				}
			}
}

int router_send(struct router *r, int wire, const struct pf_packet *p, struct pf_packet *out)
{
	static uint32_t number;
	struct pf_packet marker = {.af = AF_INET, .proto = MARKER};
	int seen = SEEN_NOWHERE, other = !wire;
	bool marked = false;

	marker.src = net(wire ? "10.2.0.98" : "10.1.0.99").addr;
	marker.dst = net(wire ? "10.1.0.98" : "10.2.0.99").addr;
	number++;
	if (!put(r, wire, p, number) || !put(r, wire, &marker, number))
		return -2;
	while (!marked) {
		struct pollfd wait = {.fd = r->wire[other], .events = POLLIN};

		if (poll(&wait, 1, PATIENCE) == 0) {
			fprintf(stderr, "the marker behind packet %u did not arrive\n", number);
			return -2;
		}
		drain(r, other, number, &seen, out, &marked);
	}
	drain(r, wire, number, &seen, out, &marked);
	drain_local(r, number, &seen, out, p);
	return seen;
}
