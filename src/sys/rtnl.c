/* Requests to rtnetlink(7). What it answers is read in rtnl_read.c. */
#include "sys/rtnl.h"

#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

/* A kernel without IPv6 (ipv6.disable=1) refuses settings of it. */
static bool has_ipv6(void)
{
	static int known; /* 0 not yet, 1 yes, -1 no */
	if (known == 0) {
		autoclose int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		known = fd >= 0 ? 1 : -1;
	}
	return known > 0;
}

static void link_message(struct nl_batch *b, uint16_t type, uint16_t flags, int index,
			 unsigned if_flags)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC,
				 .ifi_index = index,
				 .ifi_flags = if_flags,
				 .ifi_change = if_flags};
	nl_message(b, type, flags, &head, sizeof head);
}

static void no_automatic_address(struct nl_batch *b)
{
	if (!has_ipv6())
		return;
	size_t spec = nl_nest(b, IFLA_AF_SPEC);
	size_t inet6 = nl_nest(b, AF_INET6);
	nl_attr_u8(b, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	nl_nest_end(b, inet6);
	nl_nest_end(b, spec);
}

static void veth_end(struct nl_batch *b, const struct rtnl_veth *v, const char *name)
{
	nl_attr_str(b, IFLA_IFNAME, name);
	nl_attr(b, IFLA_ADDRESS, v->mac, sizeof v->mac);
	nl_attr_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nl_attr_u32(b, IFLA_NUM_RX_QUEUES, 1);
	if (v->mtu)
		nl_attr_u32(b, IFLA_MTU, v->mtu);
}

static void veth_peer(struct nl_batch *b, const struct rtnl_veth *v)
{
	size_t peer = nl_nest(b, VETH_INFO_PEER);
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC,
				 .ifi_index = v->peer_index,
				 .ifi_flags = IFF_NOARP,
				 .ifi_change = IFF_NOARP};
	nl_raw(b, &head, sizeof head);
	veth_end(b, v, v->peer);
	if (v->peer_netns >= 0)
		nl_attr_u32(b, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
	else
		nl_attr_u32(b, IFLA_NET_NS_PID, (uint32_t)v->peer_pid);
	nl_nest_end(b, peer);
}

void rtnl_add_veth(struct nl_batch *b, const struct rtnl_veth *v)
{
	link_message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, v->index, IFF_NOARP);
	veth_end(b, v, v->name);
	nl_attr_u32(b, IFLA_GROUP, RTNL_GROUP);
	size_t info = nl_nest(b, IFLA_LINKINFO);
	nl_attr_str(b, IFLA_INFO_KIND, "veth");
	size_t data = nl_nest(b, IFLA_INFO_DATA);
	veth_peer(b, v);
	nl_nest_end(b, data);
	nl_nest_end(b, info);
	/* The kernel does not look at these when a link is made. */
	link_message(b, RTM_SETLINK, 0, 0, 0);
	nl_attr_str(b, IFLA_IFNAME, v->name);
	if (v->alias)
		nl_attr(b, IFLA_IFALIAS, v->alias, strlen(v->alias));
	no_automatic_address(b);
}

void rtnl_add_bridge(struct nl_batch *b, const char *name)
{
	link_message(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, 0);
	nl_attr_str(b, IFLA_IFNAME, name);
	size_t info = nl_nest(b, IFLA_LINKINFO);
	nl_attr_str(b, IFLA_INFO_KIND, "bridge");
	nl_nest_end(b, info);
	link_message(b, RTM_SETLINK, 0, 0, 0);
	nl_attr_str(b, IFLA_IFNAME, name);
	nl_attr(b, IFLA_IFALIAS, RTNL_ALIAS, strlen(RTNL_ALIAS));
}

/* Two messages: in one the kernel would bring the link up, and make its address, first. */
static void set_up(struct nl_batch *b, int index, const char *name)
{
	link_message(b, RTM_SETLINK, 0, index, 0);
	if (name)
		nl_attr_str(b, IFLA_IFNAME, name);
	no_automatic_address(b);
	link_message(b, RTM_SETLINK, 0, index, IFF_UP);
	if (name)
		nl_attr_str(b, IFLA_IFNAME, name);
}

void rtnl_set_up(struct nl_batch *b, int index)
{
	set_up(b, index, NULL);
}

void rtnl_set_up_name(struct nl_batch *b, const char *name)
{
	set_up(b, 0, name);
}

void rtnl_delete(struct nl_batch *b, int index)
{
	link_message(b, RTM_DELLINK, 0, index, 0);
}

void rtnl_move(struct nl_batch *b, int index, int netns, const char *newname)
{
	link_message(b, RTM_SETLINK, 0, index, 0);
	nl_attr_u32(b, IFLA_NET_NS_FD, (uint32_t)netns);
	if (newname)
		nl_attr_str(b, IFLA_IFNAME, newname);
}

static void address_message(struct nl_batch *b, uint16_t type, uint16_t flags, int index,
			    const struct ipnet *a)
{
	struct ifaddrmsg head = {
	    .ifa_family = (uint8_t)a->addr.family,
	    .ifa_prefixlen = a->len,
	    .ifa_scope = ip_is_loopback(&a->addr) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE,
	    .ifa_index = (unsigned)index,
	};
	nl_message(b, type, flags, &head, sizeof head);
	nl_attr(b, IFA_LOCAL, a->addr.bytes, ip_size(&a->addr));
	nl_attr(b, IFA_ADDRESS, a->addr.bytes, ip_size(&a->addr));
}

void rtnl_add_address(struct nl_batch *b, int index, const struct ipnet *a)
{
	address_message(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, a);
	if (a->addr.family == AF_INET6)
		nl_attr_u32(b, IFA_FLAGS, IFA_F_NODAD);
}

void rtnl_delete_address(struct nl_batch *b, int index, const struct ipnet *a)
{
	address_message(b, RTM_DELADDR, 0, index, a);
}

static void route_message(struct nl_batch *b, uint16_t flags, const struct ipnet *to,
			  const struct ip *via, int index)
{
	bool gateway = via && via->family;
	struct rtmsg head = {
	    .rtm_family = (uint8_t)to->addr.family,
	    .rtm_dst_len = to->len,
	    .rtm_table = RT_TABLE_MAIN,
	    .rtm_protocol = RTPROT_STATIC,
	    .rtm_scope = gateway || to->addr.family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
	    .rtm_type = RTN_UNICAST,
	    .rtm_flags = gateway ? RTNH_F_ONLINK : 0,
	};
	struct ip first = ipnet_first(to);
	nl_message(b, RTM_NEWROUTE, (uint16_t)(NLM_F_CREATE | flags), &head, sizeof head);
	if (to->len)
		nl_attr(b, RTA_DST, first.bytes, ip_size(&first));
	if (gateway)
		nl_attr(b, RTA_GATEWAY, via->bytes, ip_size(via));
	nl_attr_u32(b, RTA_OIF, (uint32_t)index);
}

void rtnl_add_route(struct nl_batch *b, const struct ipnet *to, const struct ip *via, int index)
{
	route_message(b, NLM_F_EXCL, to, via, index);
}

void rtnl_replace_route(struct nl_batch *b, const struct ipnet *to, const struct ip *via, int index)
{
	route_message(b, NLM_F_REPLACE, to, via, index);
}

static void proxy_message(struct nl_batch *b, uint16_t type, uint16_t flags, const struct ip *a,
			  int index)
{
	struct ndmsg head = {.ndm_family = (uint8_t)a->family,
			     .ndm_ifindex = index,
			     .ndm_state = NUD_PERMANENT,
			     .ndm_flags = NTF_PROXY};
	nl_message(b, type, flags, &head, sizeof head);
	nl_attr(b, NDA_DST, a->bytes, ip_size(a));
}

void rtnl_add_proxy(struct nl_batch *b, const struct ip *a, int index)
{
	proxy_message(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, a, index);
}

void rtnl_delete_proxy(struct nl_batch *b, const struct ip *a, int index)
{
	proxy_message(b, RTM_DELNEIGH, 0, a, index);
}
