/* Networks of jails, held against those of the host and of one another. */
#include <net/if.h>
#include "doctor/check.h"
#include "net/range.h"

struct collision {
	struct doctor *d;
	const struct net_range *range;
	const struct ipnet *gw;
	int index; /* of the range's own link, 0: not made yet */
};

static bool is_of_jails(const struct doctor *d, const char *ifname)
{
	for (size_t i = 0; i < d->gather->net.nranges; i++)
		if (d->gather->net.range[i]->ours &&
		    str_eq(d->gather->net.range[i]->ifname, ifname))
			return true;
	for (size_t i = 0; i < d->gather->nrecs; i++)
		if (d->gather->rec[i].link && str_eq(d->gather->rec[i].link, ifname))
			return true;
	return false;
}

static void tell(struct collision *c, const struct ipnet *other, const char *where,
		 const char *ifname)
{
	char ours[IPNET_TEXT], theirs[IPNET_TEXT];
	struct ipnet net = {ipnet_first(c->gw), c->gw->len};
	struct finding *f = found(c->d, DOCTOR_HINDERS, "the network %s of %s overlaps %s %s %s",
				  ipnet_text(&net, ours), c->range->ifname,
				  ipnet_text(other, theirs), where, ifname);
	because(f, "jails and what is there cannot reach each other, and one of them loses its "
		   "traffic to the other");
	mend(f,
	     "# give %s another network: ifconfig_%s=\"inet ADDRESS netmask MASK\" in "
	     "/etc/rc.conf (newgate init -n shows a free one), then newgate up",
	     c->range->ifname, c->range->ifname);
}

static int see_route(const struct rtnl_route *r, void *arg)
{
	struct collision *c = arg;
	char ifname[IFNAMSIZ];
	if (!r->to.len || !ipnet_overlap(&r->to, c->gw) || r->index == c->index ||
	    !if_indextoname((unsigned)r->index, ifname) || is_of_jails(c->d, ifname) ||
	    r->table == 255) /* local: addresses are looked at by themselves */
		return 0;
	tell(c, &r->to, "routed to", ifname);
	return 1;
}

static bool see_addresses(struct collision *c)
{
	const struct net_host *h = c->d->gather->net.host;
	char ifname[IFNAMSIZ];
	for (size_t i = 0; i < h->naddrs; i++) {
		const struct host_address *a = &h->addr[i];
		if (a->index == c->index || !ipnet_overlap(&a->net, c->gw) ||
		    !if_indextoname((unsigned)a->index, ifname) || is_of_jails(c->d, ifname))
			continue;
		tell(c, &a->net, "of", ifname);
		return true;
	}
	return false;
}

void check_ranges(struct doctor *d)
{
	struct net *n = &d->gather->net;
	struct ng_err err = {0};
	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; n->range[i]->ours && k < n->range[i]->ngws; k++) {
			struct collision c = {d, n->range[i], &n->range[i]->gw[k],
					      (int)if_nametoindex(n->range[i]->ifname)};
			if (see_addresses(&c))
				continue;
			if (rtnl_each_route(&n->route, c.gw->addr.family, see_route, &c, &err) < 0)
				not_examined(d, &err);
			for (size_t o = 0; o < i; o++)
				for (size_t m = 0; m < n->range[o]->ngws; m++)
					if (ipnet_overlap(c.gw, &n->range[o]->gw[m]))
						tell(&c, &n->range[o]->gw[m], "of",
						     n->range[o]->ifname);
		}
}
