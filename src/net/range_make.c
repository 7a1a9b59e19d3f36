/* Networks of jails, made real: interfaces with their addresses, and leases. */
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "net/range.h"
#include "sys/fd.h"
#include "sys/rtnl.h"

/* --- interfaces --- */

int range_read_made(int fd, struct strv *lines)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	autofree char *text = mem_alloc((size_t)st.st_size + 1);
	ssize_t got = pread(fd, text, (size_t)st.st_size, 0);
	if (got < 0)
		return -errno;
	text[got] = '\0';
	strv_split(lines, text, "\n");
	return 0;
}

static int make_link(struct net *n, const char *ifname, int *index, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	nl_begin(&b);
	rtnl_add_bridge(&b, ifname);
	int rc = nl_send(&n->route, &b, NULL, err);
	if (rc < 0 && rc != -EEXIST)
		return rc;
	rc = range_link(n, ifname, index, err);
	return rc == 0 && !*index ? err_set(err, ENODEV, "it vanished") : rc;
}

static int add_address(struct net *n, int index, const struct ipnet *gw, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	nl_begin(&b);
	rtnl_set_up(&b, index);
	rtnl_add_address(&b, index, gw);
	int rc = nl_send(&n->route, &b, NULL, err);
	return rc == -EEXIST ? 0 : rc;
}

static int make_gateway(struct net *n, const struct net_range *r, const struct ipnet *gw,
			struct ng_err *err)
{
	char text[IPNET_TEXT];
	int index;

	if (range_host_has(n, &gw->addr))
		return 0;
	int rc = range_link(n, r->ifname, &index, err);
	if (rc == 0 && !index)
		rc = make_link(n, r->ifname, &index, err);
	if (rc == 0)
		rc = add_address(n, index, gw, err);
	if (rc < 0)
		return err_prefix(err, "interface %s, %s", r->ifname, ipnet_text(gw, text));
	n->host->addr = mem_grow(n->host->addr, n->host->naddrs, sizeof *n->host->addr);
	n->host->addr[n->host->naddrs++] = (struct host_address){.index = index, .net = *gw};
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void range_sort_made(struct strv *lines)
{
	if (lines->n)
		qsort(lines->v, lines->n, sizeof *lines->v, by_text);
}

int range_make(struct net *n, int fd, struct strv *made, struct ng_err *err)
{
	struct str added = {0};
	char text[IPNET_TEXT], line[IPNET_TEXT + 20];
	int rc = range_read_made(fd, made);
	if (rc < 0)
		return err_sys(err, rc, "/run/newgate/" RANGE_MADE);
	for (size_t i = 0; i < n->nranges && rc == 0; i++) {
		struct net_range *r = n->range[i];
		for (size_t k = 0; k < r->ngws && r->ours && r->wanted && rc == 0; k++) {
			rc = make_gateway(n, r, &r->gw[k], err);
			snprintf(line, sizeof line, "%s %s", r->ifname,
				 ipnet_text(&r->gw[k], text));
			if (rc == 0 && !strv_has(made, line)) {
				strv_add(made, line);
				str_addf(&added, "%s\n", line);
			}
			r->nmade = rc == 0 ? k + 1 : k;
		}
	}
	if (added.len) {
		int failed = fd_write_all(fd, added.s, added.len);
		if (failed < 0 && rc == 0)
			rc = err_sys(err, failed, "/run/newgate/" RANGE_MADE);
	}
	str_done(&added);
	range_sort_made(made);
	return rc;
}

/* --- leases --- */

#define OFFSETS 65536 /* how far from the beginning of a network addresses are given */

/* How far the address is from the network's beginning; OFFSETS where it is not there, or too far.
 */
static uint32_t offset_in(const struct ipnet *net, const struct ip *ip)
{
	struct ip first = ipnet_first(net);
	uint32_t offset = 0;

	if (!ipnet_has(net, ip))
		return OFFSETS;
	for (unsigned i = 0; i < ip_size(ip); i++) {
		offset = (offset << 8) + ip->bytes[i] - first.bytes[i];
		if (offset >= OFFSETS)
			return OFFSETS;
	}
	return offset;
}

static struct ip at_offset(const struct ipnet *net, uint32_t offset)
{
	struct ip ip = ipnet_first(net);
	unsigned last = ip_size(&ip) - 1;
	uint32_t low = ip.bytes[last] + (offset & 0xff);
	uint32_t high = ip.bytes[last - 1] + (offset >> 8) + (low >> 8);
	ip.bytes[last] = (uint8_t)low;
	ip.bytes[last - 1] = (uint8_t)high;
	ip.bytes[last - 2] = (uint8_t)(ip.bytes[last - 2] + (high >> 8));
	return ip;
}

static void mark(uint8_t *used, const struct ipnet *net, const struct ip *ip)
{
	uint32_t offset = offset_in(net, ip);
	if (offset < OFFSETS)
		used[offset / 8] |= (uint8_t)(1 << (offset % 8));
}

/* A jail of the command line may have it, which no file tells: then it is routed to a link. */
static bool routed_to_jail(struct net *n, const struct ip *ip)
{
	struct rtnl_route route;
	char ifname[IFNAMSIZ];
	struct ng_err ignored = {0};
	return rtnl_lookup(&n->route, ip, &route, &ignored) == 0 &&
	       if_indextoname((unsigned)route.index, ifname) && str_prefix(ifname, "ng") &&
	       ifname[2] >= '0' && ifname[2] <= '9';
}

static int find_free(struct net *n, const struct ipnet *net, struct ip *out)
{
	const struct net_host *h = n->host;
	autofree uint8_t *used = mem_alloc(OFFSETS / 8);
	unsigned bits = ip_bits(&net->addr) - net->len;
	uint32_t end = bits >= 16 ? OFFSETS - 1 : (1u << bits) - 1; /* the last is for broadcasts */

	for (size_t i = 0; i < h->leases.n; i++)
		mark(used, net, &h->leases.v[i].net.addr);
	for (size_t i = 0; i < h->nreserved; i++)
		mark(used, net, &h->reserved[i]);
	for (size_t i = 0; i < h->naddrs; i++)
		mark(used, net, &h->addr[i].net.addr);
	mark(used, net, &net->addr);
	for (uint32_t o = 1; o < end; o++) {
		if (used[o / 8] & 1 << (o % 8))
			continue;
		*out = at_offset(net, o);
		if (!routed_to_jail(n, out))
			return 0;
	}
	return -EADDRNOTAVAIL;
}

static const struct lease *find_lease(const struct leases *l, const struct range_place *place,
				      const char *jail, unsigned nth)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].jail && str_eq(l->v[i].jail, jail) &&
		    str_eq(l->v[i].ifname, place->range->ifname) &&
		    ipnet_has(&place->gw, &l->v[i].net.addr) && nth-- == 0)
			return &l->v[i];
	return NULL;
}

int range_lease(struct net *n, const struct range_place *place, const char *jail, unsigned nth,
		struct ip *out, struct ng_err *err)
{
	struct leases *l = &n->host->leases;
	const struct lease *have = find_lease(l, place, jail, nth);
	if (have) {
		*out = have->net.addr;
		return 0;
	}
	if (n->look)
		return err_set(err, EAGAIN, "jail %s has no address yet", jail);
	int rc = leases_lock(l, err);
	if (rc < 0)
		return rc;
	have = find_lease(l, place, jail, nth);
	if (have) {
		*out = have->net.addr;
	} else if (find_free(n, &place->gw, out) < 0) {
		char text[IPNET_TEXT];
		rc = err_set(err, EADDRNOTAVAIL,
			     "auto: no address of %s is free; give %s a larger network in rc.conf",
			     ipnet_text(&place->gw, text), place->range->ifname);
	} else {
		struct ipnet net = {.addr = *out, .len = (uint8_t)ip_bits(out)};
		rc = leases_add(l, jail, place->range->ifname, &net, err);
	}
	leases_unlock(l);
	return rc;
}
