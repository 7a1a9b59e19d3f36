/* Netlink: several requests in one bounded buffer, sent at once, each acknowledged; an error carries
 * the kernel's own sentence (extended ack). Built on libmnl. */
#ifndef NG_SYS_NL_H
#define NG_SYS_NL_H

#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>
#include "base/err.h"

struct nl {
	int fd;	      /* -1: closed. Zero-initialised objects must be opened before use */
	uint32_t seq;
};

#define NL_BATCH 65536
struct nl_batch {
	char *buf;	/* owned; made by nl_begin */
	size_t len, cap;
	struct nlmsghdr *msg; /* the message being built */
	unsigned acks;
};

/* proto: NETLINK_ROUTE, NETLINK_NETFILTER. 0 or -errno. In the namespace of the caller. */
int nl_open(struct nl *nl, int proto) MUST_CHECK;
void nl_close(struct nl *nl);

/* Grows as needed; nl_begin on a used batch starts it over. */
void nl_begin(struct nl_batch *b);
void *nl_message(struct nl_batch *b, uint16_t type, uint16_t flags, const void *head, size_t len);
void nl_attr(struct nl_batch *b, uint16_t type, const void *data, size_t len);
void nl_attr_u8(struct nl_batch *b, uint16_t type, uint8_t v);
void nl_attr_u16(struct nl_batch *b, uint16_t type, uint16_t v);
void nl_attr_u32(struct nl_batch *b, uint16_t type, uint32_t v);
void nl_attr_str(struct nl_batch *b, uint16_t type, const char *s);
size_t nl_nest(struct nl_batch *b, uint16_t type); /* give the result to nl_nest_end */
void nl_nest_end(struct nl_batch *b, size_t nest);
void nl_batch_done(struct nl_batch *b);

/* Sends the batch and collects every acknowledgement. Returns 0 or the first -errno with err told.
 * `failed`, if not NULL, gets the index of the message that failed. */
int nl_send(struct nl *nl, struct nl_batch *b, unsigned *failed, struct ng_err *err) MUST_CHECK;
/* Sends one request (a dump, or a get) and gives every answer to fn until it returns non-zero or
 * the answers end. 0, fn's value, or -errno. */
int nl_query(struct nl *nl, struct nl_batch *b, int (*fn)(const struct nlmsghdr *h, void *arg),
	     void *arg, struct ng_err *err) MUST_CHECK;

/* Lets a process that nobody waits for hold the socket's last reference: closing one over which
 * nftables elements were deleted waits for an RCU grace period, about 13 ms. */
void nl_close_later(struct nl *nl);

#endif
