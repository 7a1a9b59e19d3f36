/* What rtnetlink(7) tells. A dump that changed while it was read starts over, so callers see each
 * thing once; they get it when the dump is complete and may make requests of their own meanwhile.
 */
#include "sys/rtnl.h"

#include <string.h>
#include <sys/socket.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include "base/mem.h"
#include "sys/nlread.h"

#define TRIES 20 /* a dump that changes each time it is read */

bool rtnl_parse_link(const struct nlmsghdr *h, struct rtnl_link *out)
{
	const struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	const void *rest;
	size_t len;
	const struct ifinfomsg *head = nlread_head(h, sizeof *head, &rest, &len);
	if (h->nlmsg_type != RTM_NEWLINK || !head)
		return false;
	nlread_attrs(rest, len, tb, IFLA_MAX);
	nlread_nested(tb[IFLA_LINKINFO], info, IFLA_INFO_MAX);
	*out = (struct rtnl_link){
	    .index = head->ifi_index,
	    .flags = head->ifi_flags,
	    .master = (int)nlread_u32(tb[IFLA_MASTER]),
	    .group = (int)nlread_u32(tb[IFLA_GROUP]),
	    .mtu = nlread_u32(tb[IFLA_MTU]),
	};
	nlread_str(tb[IFLA_IFNAME], out->name, sizeof out->name);
	nlread_str(tb[IFLA_IFALIAS], out->alias, sizeof out->alias);
	nlread_str(info[IFLA_INFO_KIND], out->kind, sizeof out->kind);
	/* Only aligned to 4; older kernels know fewer counters, the first ones are always there. */
	struct rtnl_link_stats64 stats;
	size_t counted = offsetof(struct rtnl_link_stats64, rx_errors);
	const void *p = nlread_bytes(tb[IFLA_STATS64], counted, NULL);
	if (p) {
		memcpy(&stats, p, counted);
		out->rx_packets = stats.rx_packets;
		out->tx_packets = stats.tx_packets;
		out->rx_bytes = stats.rx_bytes;
		out->tx_bytes = stats.tx_bytes;
	}
	return true;
}

bool rtnl_parse_address(const struct nlmsghdr *h, struct rtnl_address *out)
{
	const struct nlattr *tb[IFA_MAX + 1];
	const void *rest;
	size_t len;
	const struct ifaddrmsg *head = nlread_head(h, sizeof *head, &rest, &len);
	if (h->nlmsg_type != RTM_NEWADDR || !head)
		return false;
	nlread_attrs(rest, len, tb, IFA_MAX);
	/* On point-to-point links IFA_ADDRESS is the far end. */
	struct ip ip = nlread_ip(tb[tb[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS], head->ifa_family);
	uint32_t flags = tb[IFA_FLAGS] ? nlread_u32(tb[IFA_FLAGS]) : head->ifa_flags;
	if (!ip.family || head->ifa_prefixlen > ip_bits(&ip))
		return false;
	struct ip far =
	    tb[IFA_LOCAL] ? nlread_ip(tb[IFA_ADDRESS], head->ifa_family) : (struct ip){0};
	if (far.family && ip_eq(&far, &ip))
		far = (struct ip){0};
	*out = (struct rtnl_address){
	    .index = (int)head->ifa_index,
	    .addr = {.addr = ip, .len = head->ifa_prefixlen},
	    .broadcast = nlread_ip(tb[IFA_BROADCAST], head->ifa_family),
	    .peer = far,
	    .secondary = flags & IFA_F_SECONDARY,
	    .dynamic = !(flags & IFA_F_PERMANENT),
	};
	return true;
}

static struct ip read_via(const struct nlattr *a)
{
	size_t len;
	const struct rtvia *via = nlread_bytes(a, sizeof *via, &len);
	struct ip ip = {0};
	if (!via || (via->rtvia_family != AF_INET && via->rtvia_family != AF_INET6))
		return ip;
	ip.family = via->rtvia_family;
	if (len - sizeof *via < ip_size(&ip))
		return (struct ip){0};
	memcpy(ip.bytes, via->rtvia_addr, ip_size(&ip));
	return ip;
}

static void read_next_hop(const struct nlattr *const *tb, int family, struct rtnl_route *out)
{
	if (tb[RTA_OIF])
		out->index = (int)nlread_u32(tb[RTA_OIF]);
	out->via = tb[RTA_VIA] ? read_via(tb[RTA_VIA]) : nlread_ip(tb[RTA_GATEWAY], family);
}

/* Of several next hops the first stands for the route. */
static void read_multipath(const struct nlattr *a, int family, struct rtnl_route *out)
{
	const struct nlattr *tb[RTA_MAX + 1];
	size_t len;
	const struct rtnexthop *hop = nlread_bytes(a, sizeof *hop, &len);
	if (!hop || hop->rtnh_len < sizeof *hop || hop->rtnh_len > len)
		return;
	nlread_attrs((const char *)hop + sizeof *hop, hop->rtnh_len - sizeof *hop, tb, RTA_MAX);
	read_next_hop(tb, family, out);
	out->index = hop->rtnh_ifindex;
}

bool rtnl_parse_route(const struct nlmsghdr *h, struct rtnl_route *out)
{
	const struct nlattr *tb[RTA_MAX + 1];
	const void *rest;
	size_t len;
	const struct rtmsg *head = nlread_head(h, sizeof *head, &rest, &len);
	if (h->nlmsg_type != RTM_NEWROUTE || !head ||
	    (head->rtm_family != AF_INET && head->rtm_family != AF_INET6))
		return false;
	nlread_attrs(rest, len, tb, RTA_MAX);
	*out = (struct rtnl_route){
	    .to = {.addr = {.family = head->rtm_family}, .len = head->rtm_dst_len},
	    .type = head->rtm_type,
	    .table = tb[RTA_TABLE] ? nlread_u32(tb[RTA_TABLE]) : head->rtm_table,
	    .metric = nlread_u32(tb[RTA_PRIORITY]),
	    .protocol = head->rtm_protocol,
	};
	if (tb[RTA_DST])
		out->to.addr = nlread_ip(tb[RTA_DST], head->rtm_family);
	if (!out->to.addr.family || out->to.len > ip_bits(&out->to.addr))
		return false;
	read_next_hop(tb, head->rtm_family, out);
	if (tb[RTA_MULTIPATH])
		read_multipath(tb[RTA_MULTIPATH], head->rtm_family, out);
	return true;
}

/* A growing array of things of one size, filled from a dump by one parser. */
struct collection {
	char *v;
	size_t n, size;
	bool (*add)(const struct nlmsghdr *h, void *slot);
};

static int collect(const struct nlmsghdr *h, void *arg)
{
	struct collection *c = arg;
	c->v = mem_grow(c->v, c->n, c->size);
	if (c->add(h, c->v + c->n * c->size))
		c->n++;
	return 0;
}

static int dump(struct nl *nl, uint16_t type, const void *head, size_t len, struct collection *c,
		struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	size_t had = c->n;
	int r = -EAGAIN;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		c->n = had;
		nl_begin(&b);
		nl_message(&b, type, NLM_F_DUMP, head, len);
		r = nl_query(nl, &b, collect, c, err);
	}
	return r;
}

static bool add_link(const struct nlmsghdr *h, void *slot)
{
	return rtnl_parse_link(h, slot);
}

static bool add_address(const struct nlmsghdr *h, void *slot)
{
	return rtnl_parse_address(h, slot);
}

static bool add_route(const struct nlmsghdr *h, void *slot)
{
	return rtnl_parse_route(h, slot);
}

static void collection_done(struct collection *c)
{
	free(c->v);
}

int rtnl_each_link(struct nl *nl, int (*fn)(const struct rtnl_link *l, void *arg), void *arg,
		   struct ng_err *err)
{
	autodone(collection_done) struct collection c = {.size = sizeof(struct rtnl_link),
							 .add = add_link};
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	int r = dump(nl, RTM_GETLINK, &head, sizeof head, &c, err);
	for (size_t i = 0; i < c.n && r == 0; i++)
		r = fn((const struct rtnl_link *)(void *)c.v + i, arg);
	return r;
}

int rtnl_each_address(struct nl *nl, int (*fn)(const struct rtnl_address *a, void *arg), void *arg,
		      struct ng_err *err)
{
	autodone(collection_done) struct collection c = {.size = sizeof(struct rtnl_address),
							 .add = add_address};
	/* One family at a time: newer kernels read each without the lock that the end of another
	 * jail's network may hold for tens of milliseconds, but not both at once. */
	struct ifaddrmsg inet = {.ifa_family = AF_INET}, inet6 = {.ifa_family = AF_INET6};
	int r = dump(nl, RTM_GETADDR, &inet, sizeof inet, &c, err);
	if (r == 0)
		r = dump(nl, RTM_GETADDR, &inet6, sizeof inet6, &c, err);
	for (size_t i = 0; i < c.n && r == 0; i++)
		r = fn((const struct rtnl_address *)(void *)c.v + i, arg);
	return r;
}

int rtnl_each_route(struct nl *nl, int family, int (*fn)(const struct rtnl_route *r, void *arg),
		    void *arg, struct ng_err *err)
{
	autodone(collection_done) struct collection c = {.size = sizeof(struct rtnl_route),
							 .add = add_route};
	struct rtmsg head = {.rtm_family = (uint8_t)family};
	int r = dump(nl, RTM_GETROUTE, &head, sizeof head, &c, err);
	for (size_t i = 0; i < c.n && r == 0; i++)
		r = fn((const struct rtnl_route *)(void *)c.v + i, arg);
	return r;
}

static int take_link(const struct nlmsghdr *h, void *arg)
{
	return rtnl_parse_link(h, arg) ? 0 : -EBADMSG;
}

int rtnl_get_link(struct nl *nl, const char *name, struct rtnl_link *out, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	*out = (struct rtnl_link){0};
	nl_begin(&b);
	nl_message(&b, RTM_GETLINK, 0, &head, sizeof head);
	nl_attr_str(&b, IFLA_IFNAME, name);
	int r = nl_query(nl, &b, take_link, out, err);
	/* A name too long for a link is a range error to the kernel. */
	if (r == -ENODEV || r == -ERANGE)
		return err_set(err, ENODEV, "there is no network interface \"%s\"", name);
	return r;
}

static int take_route(const struct nlmsghdr *h, void *arg)
{
	return rtnl_parse_route(h, arg) ? 0 : -EBADMSG;
}

int rtnl_lookup(struct nl *nl, const struct ip *to, struct rtnl_route *out, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	bool v4 = to->family == AF_INET;
	/* IPv6 tells the table unasked, and refuses to be asked. */
	struct rtmsg head = {.rtm_family = (uint8_t)to->family,
			     .rtm_dst_len = (uint8_t)ip_bits(to),
			     .rtm_flags = v4 ? RTM_F_LOOKUP_TABLE : 0};
	*out = (struct rtnl_route){0};
	nl_begin(&b);
	nl_message(&b, RTM_GETROUTE, 0, &head, sizeof head);
	nl_attr(&b, RTA_DST, to->bytes, ip_size(to));
	int r = nl_query(nl, &b, take_route, out, err);
	bool closed =
	    out->type == RTN_UNREACHABLE || out->type == RTN_BLACKHOLE || out->type == RTN_PROHIBIT;
	/* Such routes may also be told of by the error they stand for, IPv4's blackhole as EINVAL.
	 */
	if ((r == 0 && closed) || r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EACCES ||
	    (r == -EINVAL && v4)) {
		char text[IP_TEXT];
		return err_set(err, ENETUNREACH, "this host has no route to %s", ip_text(to, text));
	}
	return r;
}
