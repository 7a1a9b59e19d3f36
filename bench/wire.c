#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

int wire_open(int proto)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, proto);
	return sock < 0 ? -errno : sock;
}

static struct nlmsghdr *at(struct wire *w, size_t where)
{
	return (struct nlmsghdr *)(void *)(w->buf + where);
}

void wire_bytes(struct wire *w, const void *data, size_t len)
{
	if (len)
		memcpy(w->buf + w->len, data, len);
	w->len += NLA_ALIGN(len);
	at(w, w->last)->nlmsg_len = (uint32_t)(w->len - w->last);
}

void wire_message(struct wire *w, uint16_t type, uint16_t flags, const void *head, size_t len)
{
	w->last = w->len;
	memset(w->buf + w->len, 0, sizeof w->buf - w->len);
	*at(w, w->last) =
	    (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};
	w->len += NLMSG_HDRLEN;
	wire_bytes(w, head, len);
}

void wire_attr(struct wire *w, uint16_t type, const void *data, size_t len)
{
	struct nlattr a = {.nla_type = type, .nla_len = (uint16_t)(NLA_HDRLEN + len)};
	wire_bytes(w, &a, sizeof a);
	wire_bytes(w, data, len);
}

void wire_u32(struct wire *w, uint16_t type, uint32_t v)
{
	wire_attr(w, type, &v, sizeof v);
}

void wire_text(struct wire *w, uint16_t type, const char *s)
{
	wire_attr(w, type, s, strlen(s) + 1);
}

size_t wire_nest(struct wire *w, uint16_t type)
{
	size_t nest = w->len;
	wire_attr(w, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

void wire_end(struct wire *w, size_t nest)
{
	((struct nlattr *)(void *)(w->buf + nest))->nla_len = (uint16_t)(w->len - nest);
}

int wire_send(struct wire *w, int sock, size_t ack)
{
	_Alignas(struct nlmsghdr) char answer[4096];
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	at(w, ack)->nlmsg_flags |= NLM_F_ACK;
	ssize_t n = sendto(sock, w->buf, w->len, 0, (struct sockaddr *)&kernel, sizeof kernel);
	w->len = w->last = 0;
	if (n >= 0)
		n = recv(sock, answer, sizeof answer, 0);
	if (n < 0)
		return -errno;
	/* A failure comes before the acknowledgement. */
	const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)answer;
	if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

/* rtnetlink */

static const unsigned char mac[6] = {2, 'f', 'l', 'o', 'o', 'r'};

static void end_of_pair(struct wire *w, const char *name)
{
	wire_text(w, IFLA_IFNAME, name);
	wire_attr(w, IFLA_ADDRESS, mac, sizeof mac);
	wire_u32(w, IFLA_NUM_TX_QUEUES, 1);
	wire_u32(w, IFLA_NUM_RX_QUEUES, 1);
}

void wire_veth(struct wire *w, const char *name, int index, int netns_pid)
{
	struct ifinfomsg head = {
	    .ifi_index = index, .ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
	wire_message(w, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	end_of_pair(w, name);
	size_t info = wire_nest(w, IFLA_LINKINFO);
	wire_text(w, IFLA_INFO_KIND, "veth");
	size_t data = wire_nest(w, IFLA_INFO_DATA);
	size_t peer = wire_nest(w, VETH_INFO_PEER);
	head.ifi_index = 2;
	wire_bytes(w, &head, sizeof head);
	end_of_pair(w, "eth0");
	wire_u32(w, IFLA_NET_NS_PID, (uint32_t)netns_pid);
	wire_end(w, peer);
	wire_end(w, data);
	wire_end(w, info);
}

void wire_up(struct wire *w, int index)
{
	struct ifinfomsg head = {.ifi_index = index};
	unsigned char mode = IN6_ADDR_GEN_MODE_NONE;
	wire_message(w, RTM_SETLINK, 0, &head, sizeof head);
	size_t spec = wire_nest(w, IFLA_AF_SPEC);
	size_t inet6 = wire_nest(w, AF_INET6);
	wire_attr(w, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
	wire_end(w, inet6);
	wire_end(w, spec);
	/* Of its own: in one message the link would be up, and have an address, first. */
	head.ifi_flags = head.ifi_change = IFF_UP;
	wire_message(w, RTM_SETLINK, 0, &head, sizeof head);
}

void wire_address(struct wire *w, int index, uint32_t ip)
{
	struct ifaddrmsg head = {
	    .ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = (unsigned)index};
	wire_message(w, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	wire_attr(w, IFA_LOCAL, &ip, sizeof ip);
	wire_attr(w, IFA_ADDRESS, &ip, sizeof ip);
}

void wire_route(struct wire *w, int index, uint32_t to, unsigned bits, uint32_t via)
{
	struct rtmsg head = {
	    .rtm_family = AF_INET,
	    .rtm_dst_len = (unsigned char)bits,
	    .rtm_table = RT_TABLE_MAIN,
	    .rtm_protocol = RTPROT_STATIC,
	    .rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
	    .rtm_type = RTN_UNICAST,
	    .rtm_flags = via ? RTNH_F_ONLINK : 0,
	};
	wire_message(w, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
	if (bits)
		wire_attr(w, RTA_DST, &to, sizeof to);
	if (via)
		wire_attr(w, RTA_GATEWAY, &via, sizeof via);
	wire_u32(w, RTA_OIF, (uint32_t)index);
}

/* nftables */

static void edge(struct wire *w, uint16_t type)
{
	struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
	wire_message(w, type, 0, &head, sizeof head);
}

int wire_element(struct wire *w, int sock, int add, uint32_t ip)
{
	struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	uint16_t type = NFNL_SUBSYS_NFTABLES << 8 | (add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM);
	edge(w, NFNL_MSG_BATCH_BEGIN);
	wire_message(w, type, add ? NLM_F_CREATE : 0, &head, sizeof head);
	wire_text(w, NFTA_SET_ELEM_LIST_TABLE, "floor");
	wire_text(w, NFTA_SET_ELEM_LIST_SET, "jails");
	size_t list = wire_nest(w, NFTA_SET_ELEM_LIST_ELEMENTS);
	size_t elem = wire_nest(w, NFTA_LIST_ELEM);
	size_t key = wire_nest(w, NFTA_SET_ELEM_KEY);
	wire_attr(w, NFTA_DATA_VALUE, &ip, sizeof ip);
	wire_end(w, key);
	wire_end(w, elem);
	wire_end(w, list);
	size_t ack = w->last;
	edge(w, NFNL_MSG_BATCH_END);
	return wire_send(w, sock, ack);
}
