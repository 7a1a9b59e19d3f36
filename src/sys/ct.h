/* Connection tracking entries, removed when what permitted them is gone. */
#ifndef NG_SYS_CT_H
#define NG_SYS_CT_H

#include <stdbool.h>
#include "base/ip.h"
#include "sys/nl.h"

struct ct_flow {
	struct ip src, dst;             /* original direction */
	struct ip reply_src, reply_dst; /* reply direction: reply_src is the translated target */
	uint8_t proto;
	uint16_t sport, dport, reply_sport, reply_dport; /* host order */
	uint32_t mark, id;
	uint32_t timeout;              /* seconds until it is forgotten */
	uint32_t status;               /* IPS_… of nf_conntrack_common.h */
	uint8_t tcp_state;             /* TCP_CONNTRACK_…; 0: none */
	uint64_t packets[2], bytes[2]; /* original, reply; 0 where the kernel does not count */
};
/* Every flow, until fn returns non-zero. 0, fn's value, or -errno. */
int ct_each(struct nl *nl, int (*fn)(const struct ct_flow *f, void *arg), void *arg,
	    struct ng_err *err) MUST_CHECK;
/* Removes every entry for which match() is true; returns how many, or -errno. One dump. */
int ct_flush(struct nl *nl, bool (*match)(const struct ct_flow *f, void *arg), void *arg,
	     struct ng_err *err) MUST_CHECK;
/* Removes every flow that `ip` began or answered, under whatever address the other side sees it. */
int ct_flush_address(struct nl *nl, const struct ip *ip, struct ng_err *err) MUST_CHECK;

/* One message of the kernel's as bytes. False: not a flow, or not well-formed. For tests. */
bool ct_parse(const struct nlmsghdr *h, struct ct_flow *out) MUST_CHECK;

#endif
