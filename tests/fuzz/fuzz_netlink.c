/* What the kernel's answers are read by. The kernel is trusted to be well-meaning, not to be of the
 * version we know. */
#include <string.h>

#include "base/macro.h"
#include "fuzz.h"
#include "sys/ct.h"
#include "sys/nft.h"
#include "sys/nlread.h"
#include "sys/rtnl.h"

static void net_is_sound(const struct ipnet *n)
{
	if (n->addr.family) {
		FUZZ_CHECK(n->addr.family == AF_INET || n->addr.family == AF_INET6);
		FUZZ_CHECK(n->len <= ip_bits(&n->addr));
	}
}

static int message(const struct nlmsghdr *h, void *arg UNUSED)
{
	char text[256];
	struct rtnl_link link;
	struct rtnl_address address;
	struct rtnl_route route;
	struct ct_flow flow;

	FUZZ_CHECK(nlread_error(h, text, sizeof(text)) <= 0);
	FUZZ_CHECK(memchr(text, '\0', sizeof(text)));
	if (rtnl_parse_link(h, &link)) {
		FUZZ_CHECK(memchr(link.name, '\0', sizeof(link.name)));
		FUZZ_CHECK(memchr(link.kind, '\0', sizeof(link.kind)));
		FUZZ_CHECK(memchr(link.alias, '\0', sizeof(link.alias)));
	}
	if (rtnl_parse_address(h, &address))
		net_is_sound(&address.addr);
	if (rtnl_parse_route(h, &route)) {
		net_is_sound(&route.to);
		FUZZ_CHECK(!route.via.family || route.via.family == AF_INET ||
			   route.via.family == AF_INET6);
	}
	if (ct_parse(h, &flow)) {
		FUZZ_CHECK(flow.src.family == AF_INET || flow.src.family == AF_INET6);
		FUZZ_CHECK(flow.dst.family == flow.src.family);
		FUZZ_CHECK(flow.reply_src.family == flow.src.family);
		FUZZ_CHECK(flow.reply_dst.family == flow.src.family);
	}
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Memory of its own is aligned as the receive buffer is. */
	autofree void *datagram = malloc(size ? size : 1);
	if (!datagram)
		abort();
	memcpy(datagram, data, size);
	int r = nlread_each(datagram, size, message, NULL);
	FUZZ_CHECK(r == 0 || r == -EBADMSG);
	char comment[32];
	nft_parse_comment(datagram, size, comment, sizeof(comment));
	FUZZ_CHECK(strlen(comment) < sizeof(comment) && strlen(comment) <= size);
	return 0;
}
