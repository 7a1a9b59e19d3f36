/* Reading what came over netlink: bounds are checked here, once. Private to sys. */
#ifndef NG_SYS_NLREAD_H
#define NG_SYS_NLREAD_H

#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>
#include "base/ip.h"

/* Every message of a datagram, until fn returns non-zero. 0, fn's value, or -EBADMSG. The bytes are
 * aligned to 4. */
int nlread_each(const void *data, size_t len, int (*fn)(const struct nlmsghdr *h, void *arg),
		void *arg);

/* A message's payload: its fixed head of `size` bytes, or NULL where it is shorter; *rest and *len
 * are the attributes behind it. */
const void *nlread_head(const struct nlmsghdr *h, size_t size, const void **rest, size_t *len);

/* Sorts attributes by type into tb[0..max], the last of a type; others are passed over. */
void nlread_attrs(const void *data, size_t len, const struct nlattr **tb, unsigned max);
void nlread_nested(const struct nlattr *a, const struct nlattr **tb,
		   unsigned max); /* a may be NULL */

/* An attribute's payload, NULL where it is absent or shorter than `min`; *len may be NULL. */
const void *nlread_bytes(const struct nlattr *a, size_t min, size_t *len);
/* Its value, 0 or "" where it is absent or too short. */
uint8_t nlread_u8(const struct nlattr *a);
uint16_t nlread_u16(const struct nlattr *a);
uint32_t nlread_u32(const struct nlattr *a);
uint32_t nlread_be32(const struct nlattr *a);
uint16_t nlread_be16(const struct nlattr *a);
void nlread_str(const struct nlattr *a, char *buf, size_t size);
struct ip nlread_ip(const struct nlattr *a, int family); /* family 0 where it is no address */

/* The code (0 or -errno) of NLMSG_ERROR and NLMSG_DONE, and the kernel's sentence, "" for none. */
int nlread_error(const struct nlmsghdr *h, char *text, size_t size);

#endif
