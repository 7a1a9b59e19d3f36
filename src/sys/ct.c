#include "sys/ct.h"

#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include "base/mem.h"
#include "sys/nlread.h"

#define CHUNK 60000 /* bytes of deletions sent at once */

static uint16_t ct_type(uint16_t type)
{
	return (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
}

struct tuple {
	struct ip src, dst;
	uint16_t sport, dport;
	uint8_t proto;
};

static void parse_tuple(const struct nlattr *a, int family, struct tuple *t)
{
	const struct nlattr *tb[CTA_TUPLE_MAX + 1], *ip[CTA_IP_MAX + 1], *proto[CTA_PROTO_MAX + 1];
	bool v4 = family == AF_INET;
	nlread_nested(a, tb, CTA_TUPLE_MAX);
	nlread_nested(tb[CTA_TUPLE_IP], ip, CTA_IP_MAX);
	nlread_nested(tb[CTA_TUPLE_PROTO], proto, CTA_PROTO_MAX);
	t->src = nlread_ip(ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family);
	t->dst = nlread_ip(ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], family);
	t->proto = nlread_u8(proto[CTA_PROTO_NUM]);
	t->sport = nlread_be16(proto[CTA_PROTO_SRC_PORT]);
	t->dport = nlread_be16(proto[CTA_PROTO_DST_PORT]);
}

/* The attributes of a flow, or false. */
static bool flow_attrs(const struct nlmsghdr *h, const struct nlattr **tb, int *family)
{
	const void *rest;
	size_t len;
	const struct nfgenmsg *head = nlread_head(h, sizeof *head, &rest, &len);
	if (h->nlmsg_type != ct_type(IPCTNL_MSG_CT_NEW) || !head)
		return false;
	*family = head->nfgen_family;
	nlread_attrs(rest, len, tb, CTA_MAX);
	return tb[CTA_TUPLE_ORIG] && tb[CTA_TUPLE_REPLY];
}

static void parse_tcp(const struct nlattr *a, struct ct_flow *out)
{
	const struct nlattr *tb[CTA_PROTOINFO_MAX + 1], *tcp[CTA_PROTOINFO_TCP_MAX + 1];
	nlread_nested(a, tb, CTA_PROTOINFO_MAX);
	nlread_nested(tb[CTA_PROTOINFO_TCP], tcp, CTA_PROTOINFO_TCP_MAX);
	out->tcp_state = nlread_u8(tcp[CTA_PROTOINFO_TCP_STATE]);
}

static uint64_t be64(const struct nlattr *a)
{
	uint64_t v = 0;
	const uint8_t *p = nlread_bytes(a, 8, NULL);
	for (int i = 0; p && i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void parse_counters(const struct nlattr *a, struct ct_flow *out, int way)
{
	const struct nlattr *tb[CTA_COUNTERS_MAX + 1];
	nlread_nested(a, tb, CTA_COUNTERS_MAX);
	out->packets[way] = be64(tb[CTA_COUNTERS_PACKETS]);
	out->bytes[way] = be64(tb[CTA_COUNTERS_BYTES]);
}

static bool parse_flow(const struct nlattr *const *tb, int family, struct ct_flow *out)
{
	struct tuple orig = {0}, reply = {0};
	parse_tuple(tb[CTA_TUPLE_ORIG], family, &orig);
	parse_tuple(tb[CTA_TUPLE_REPLY], family, &reply);
	*out = (struct ct_flow){
	    .src = orig.src,
	    .dst = orig.dst,
	    .reply_src = reply.src,
	    .reply_dst = reply.dst,
	    .proto = orig.proto,
	    .sport = orig.sport,
	    .dport = orig.dport,
	    .reply_sport = reply.sport,
	    .reply_dport = reply.dport,
	    .mark = nlread_be32(tb[CTA_MARK]),
	    .id = nlread_be32(tb[CTA_ID]),
	    .timeout = nlread_be32(tb[CTA_TIMEOUT]),
	    .status = nlread_be32(tb[CTA_STATUS]),
	};
	parse_tcp(tb[CTA_PROTOINFO], out);
	parse_counters(tb[CTA_COUNTERS_ORIG], out, 0);
	parse_counters(tb[CTA_COUNTERS_REPLY], out, 1);
	return orig.src.family && orig.dst.family && reply.src.family && reply.dst.family;
}

bool ct_parse(const struct nlmsghdr *h, struct ct_flow *out)
{
	const struct nlattr *tb[CTA_MAX + 1];
	int family;
	return flow_attrs(h, tb, &family) && parse_flow(tb, family, out);
}

/* Deletions put together while the table is read; sent when it has been. */
struct doomed {
	bool (*match)(const struct ct_flow *f, void *arg);
	void *arg;
	struct nl_batch *chunk;
	size_t n;
	int flows;
};

static void doomed_done(struct doomed *d)
{
	for (size_t i = 0; i < d->n; i++)
		nl_batch_done(&d->chunk[i]);
	free(d->chunk);
}

static struct nl_batch *room(struct doomed *d)
{
	if (d->n == 0 || d->chunk[d->n - 1].len > CHUNK) {
		d->chunk = mem_grow(d->chunk, d->n, sizeof *d->chunk);
		d->chunk[d->n++] = (struct nl_batch){0};
	}
	return &d->chunk[d->n - 1];
}

static void copy_attr(struct nl_batch *b, const struct nlattr *a)
{
	size_t len;
	const void *data = nlread_bytes(a, 0, &len);
	if (data)
		nl_attr(b, a->nla_type, data, len);
}

static int doom(const struct nlmsghdr *h, void *arg)
{
	struct doomed *d = arg;
	const struct nlattr *tb[CTA_MAX + 1];
	struct ct_flow f;
	int family;
	if (!flow_attrs(h, tb, &family) || !parse_flow(tb, family, &f) || !d->match(&f, d->arg))
		return 0;
	/* The id makes sure that it is this flow and not a new one between the same ends. */
	struct nl_batch *b = room(d);
	struct nfgenmsg head = {.nfgen_family = (uint8_t)family, .version = NFNETLINK_V0};
	nl_message(b, ct_type(IPCTNL_MSG_CT_DELETE), 0, &head, sizeof head);
	copy_attr(b, tb[CTA_TUPLE_ORIG]);
	copy_attr(b, tb[CTA_ZONE]);
	copy_attr(b, tb[CTA_ID]);
	d->flows++;
	return 0;
}

int ct_flush(struct nl *nl, bool (*match)(const struct ct_flow *f, void *arg), void *arg,
	     struct ng_err *err)
{
	autodone(doomed_done) struct doomed d = {.match = match, .arg = arg};
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct nfgenmsg head = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	nl_begin(&b);
	nl_message(&b, ct_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, &head, sizeof head);
	int r = nl_query(nl, &b, doom, &d, err);
	for (size_t i = 0; i < d.n && r == 0; i++) {
		r = nl_send(nl, &d.chunk[i], NULL, err);
		if (r == -ENOENT) /* ended by itself meanwhile */
			r = 0;
	}
	return r < 0 ? r : d.flows;
}

/* To be looked at */

struct looking {
	int (*fn)(const struct ct_flow *f, void *arg);
	void *arg;
};

static int look(const struct nlmsghdr *h, void *arg)
{
	struct looking *l = arg;
	struct ct_flow f;
	return ct_parse(h, &f) ? l->fn(&f, l->arg) : 0;
}

int ct_each(struct nl *nl, int (*fn)(const struct ct_flow *f, void *arg), void *arg,
	    struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct nfgenmsg head = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	struct looking l = {fn, arg};
	nl_begin(&b);
	nl_message(&b, ct_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, &head, sizeof head);
	return nl_query(nl, &b, look, &l, err);
}

/* By address */

/* Which parts of a tuple count; the kernel's numbers, which are in none of its headers. */
#define FILTER_SOURCE 1U

static void flush_message(struct nl_batch *b, uint16_t tuple, uint16_t flags, const struct ip *ip)
{
	struct nfgenmsg head = {.nfgen_family = AF_INET, .version = NFNETLINK_V0};
	nl_message(b, ct_type(IPCTNL_MSG_CT_DELETE), 0, &head, sizeof head);
	size_t t = nl_nest(b, tuple), addr = nl_nest(b, CTA_TUPLE_IP);
	nl_attr(b, CTA_IP_V4_SRC, ip->bytes, ip_size(ip));
	nl_nest_end(b, addr);
	nl_nest_end(b, t);
	size_t filter = nl_nest(b, CTA_FILTER);
	nl_attr_u32(b, flags, FILTER_SOURCE);
	nl_nest_end(b, filter);
}

static int flush_by_kernel(struct nl *nl, const struct ip *ip, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	nl_begin(&b);
	flush_message(&b, CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS, ip);
	flush_message(&b, CTA_TUPLE_REPLY, CTA_FILTER_REPLY_FLAGS, ip);
	return nl_send(nl, &b, NULL, err);
}

static bool touches(const struct ct_flow *f, void *arg)
{
	const struct ip *ip = arg;
	return ip_eq(&f->src, ip) || ip_eq(&f->reply_src, ip);
}

/* The kernel's way is ten times as fast where its table is large. It is not for IPv6, for which
 * Linux (6.18) has the comparison upside down and deletes all but what was asked for; and before
 * 6.11 it could delete nothing but one flow or all. */
int ct_flush_address(struct nl *nl, const struct ip *ip, struct ng_err *err)
{
	struct ng_err unable = {0};
	int r = ip->family == AF_INET ? flush_by_kernel(nl, ip, &unable) : -EOPNOTSUPP;
	if (r == -EINVAL || r == -EOPNOTSUPP) {
		struct ip copy = *ip;
		r = ct_flush(nl, touches, &copy, err);
	} else if (r < 0) {
		*err = unable;
	}
	return r < 0 ? r : 0;
}
