/* Netlink: several requests in one buffer, sent at once; an error carries the kernel's own sentence
 * (extended ack). The last message of a batch is acknowledged, any that fails is reported. */
#ifndef NG_SYS_NL_H
#define NG_SYS_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>
#include "base/err.h"

struct nl {
	int fd; /* <= 0: closed */
	uint32_t seq;
};

/* Zero-initialise. */
struct nl_batch {
	char *buf; /* owned */
	size_t len, cap;
	struct nlmsghdr *msg; /* the message being built; it is acknowledged as the batch's last */
	bool overflow;        /* something did not fit into an attribute: nl_send refuses */
};

/* proto: NETLINK_ROUTE, NETLINK_NETFILTER. 0 or -errno. In the namespace of the caller. */
int nl_open(struct nl *nl, int proto) MUST_CHECK;
void nl_close(struct nl *nl);

/* Grows as needed; nl_begin on a used batch starts it over. NLM_F_REQUEST is added to flags. The
 * pointer to the copy of `head` is good until the next addition. */
void nl_begin(struct nl_batch *b);
void *nl_message(struct nl_batch *b, uint16_t type, uint16_t flags, const void *head, size_t len);
void nl_attr(struct nl_batch *b, uint16_t type, const void *data, size_t len);
void nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v);
void nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v);
void nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v);
void nl_attr_str(struct nl_batch *b, uint16_t type, const char *s);
void nl_raw(struct nl_batch *b, const void *data, size_t len); /* a head within a nest */
size_t nl_nest(struct nl_batch *b, uint16_t type);             /* give the result to nl_nest_end */
void nl_nest_end(struct nl_batch *b, size_t nest);
void nl_batch_done(struct nl_batch *b);

/* Sends the batch and collects what the kernel answers. Returns 0 or the first -errno with err
 * told. `failed`, if not NULL, gets the index of the message that failed. The kernel goes on behind
 * a failed message, except for nftables, where a batch is one transaction. */
int nl_send(struct nl *nl, struct nl_batch *b, unsigned *failed, struct ng_err *err) MUST_CHECK;
/* Sends one request (a dump, or a get) and gives every answer to fn until it returns non-zero or
 * the answers end. 0, fn's value, or -errno; -EAGAIN: what was dumped changed meanwhile. */
int nl_query(struct nl *nl, struct nl_batch *b, int (*fn)(const struct nlmsghdr *h, void *arg),
	     void *arg, struct ng_err *err) MUST_CHECK;

/* Closes, but lets a process that nobody waits for hold the socket's last reference: closing one
 * over which nftables elements were deleted waits for an RCU grace period, about 13 ms. */
void nl_close_later(struct nl *nl);

#endif
