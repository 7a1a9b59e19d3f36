#include "sys/nlread.h"

#include <arpa/inet.h>
#include <string.h>
#include "base/macro.h"

int nlread_each(const void *data, size_t len, int (*fn)(const struct nlmsghdr *h, void *arg),
		void *arg)
{
	const char *p = data;
	for (;;) {
		const struct nlmsghdr *h = (const void *)p;
		if (len == 0)
			return 0;
		if (len < NLMSG_HDRLEN || h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > len)
			return -EBADMSG;
		int r = fn(h, arg);
		if (r)
			return r;
		size_t step = NLMSG_ALIGN((size_t)h->nlmsg_len);
		if (step >= len)
			return 0;
		p += step;
		len -= step;
	}
}

const void *nlread_head(const struct nlmsghdr *h, size_t size, const void **rest, size_t *len)
{
	size_t payload = h->nlmsg_len - NLMSG_HDRLEN, head = NLMSG_ALIGN(size);
	if (h->nlmsg_len < NLMSG_HDRLEN || payload < size)
		return NULL;
	const char *p = (const char *)h + NLMSG_HDRLEN;
	*len = payload > head ? payload - head : 0;
	*rest = p + head;
	return p;
}

void nlread_attrs(const void *data, size_t len, const struct nlattr **tb, unsigned max)
{
	memset(tb, 0, (max + 1) * sizeof *tb);
	const char *p = data, *end = p + len;
	while ((size_t)(end - p) >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)p;
		if (a->nla_len < NLA_HDRLEN || a->nla_len > (size_t)(end - p))
			break;
		unsigned type = a->nla_type & NLA_TYPE_MASK;
		if (type <= max)
			tb[type] = a;
		size_t step = NLA_ALIGN(a->nla_len);
		if (step >= (size_t)(end - p))
			break;
		p += step;
	}
}

void nlread_nested(const struct nlattr *a, const struct nlattr **tb, unsigned max)
{
	size_t len = 0;
	const void *data = nlread_bytes(a, 0, &len);
	nlread_attrs(data ? data : "", len, tb, max);
}

const void *nlread_bytes(const struct nlattr *a, size_t min, size_t *len)
{
	size_t n = a ? (size_t)(a->nla_len - NLA_HDRLEN) : 0;
	if (!a || n < min)
		return NULL;
	if (len)
		*len = n;
	return (const char *)a + NLA_HDRLEN;
}

uint8_t nlread_u8(const struct nlattr *a)
{
	const uint8_t *p = nlread_bytes(a, sizeof *p, NULL);
	return p ? *p : 0;
}

uint16_t nlread_u16(const struct nlattr *a)
{
	const uint16_t *p = nlread_bytes(a, sizeof *p, NULL);
	return p ? *p : 0;
}

uint32_t nlread_u32(const struct nlattr *a)
{
	const uint32_t *p = nlread_bytes(a, sizeof *p, NULL);
	return p ? *p : 0;
}

uint16_t nlread_be16(const struct nlattr *a)
{
	return ntohs(nlread_u16(a));
}

uint32_t nlread_be32(const struct nlattr *a)
{
	return ntohl(nlread_u32(a));
}

void nlread_str(const struct nlattr *a, char *buf, size_t size)
{
	size_t len = 0;
	const char *p = nlread_bytes(a, 0, &len);
	if (!p)
		len = 0;
	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(buf, p, len);
	buf[len] = '\0';
}

struct ip nlread_ip(const struct nlattr *a, int family)
{
	struct ip ip = {.family = family};
	size_t len;
	const void *p = nlread_bytes(a, 0, &len);
	if (!p || (family != AF_INET && family != AF_INET6) || len != ip_size(&ip))
		return (struct ip){0};
	memcpy(ip.bytes, p, len);
	return ip;
}

int nlread_error(const struct nlmsghdr *h, char *text, size_t size)
{
	const void *rest;
	size_t len;
	int code;
	text[0] = '\0';
	if (h->nlmsg_type == NLMSG_DONE) {
		const int *p = nlread_head(h, sizeof *p, &rest, &len);
		if (!p)
			return 0;
		code = *p;
	} else {
		const struct nlmsgerr *e = nlread_head(h, sizeof *e, &rest, &len);
		if (!e)
			return -EBADMSG;
		code = e->error;
		/* The request's own payload comes back too unless it was cut off. */
		size_t echoed = 0;
		if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > NLMSG_HDRLEN)
			echoed = NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
		if (echoed > len)
			echoed = len;
		rest = (const char *)rest + echoed;
		len -= echoed;
	}
	if (h->nlmsg_flags & NLM_F_ACK_TLVS) {
		const struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
		nlread_attrs(rest, len, tb, NLMSGERR_ATTR_MAX);
		nlread_str(tb[NLMSGERR_ATTR_MSG], text, size);
	}
	return code > 0 || code < -4095 ? -EBADMSG : code;
}
