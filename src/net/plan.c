/* One jail's addresses, worked out before anything is changed. */
#include <fcntl.h>
#include <sys/file.h>
#include "base/mem.h"
#include "conf/value.h"
#include "net/permit.h"
#include "net/range.h"
#include "sys/fd.h"

void net_jail_done(struct net_jail *nj)
{
	free(nj->link);
	free(nj->addr);
	strv_done(&nj->undo);
	*nj = (struct net_jail){0};
}

void net_reserve(struct net *n, const struct ip *ip)
{
	struct net_host *h = n->host;
	h->reserved = mem_grow(h->reserved, h->nreserved, sizeof *h->reserved);
	h->reserved[h->nreserved++] = *ip;
}

/* --- addresses --- */

struct plan {
	struct net *net;
	const struct conf_jail *jail;
	struct net_jail *out;
	unsigned autos; /* of this family so far */
	bool start;     /* the jail is to start: what it needs is to be made */
	struct ng_err *err;
};

static int refuse_taken(struct plan *p, const struct net_addr *a)
{
	for (size_t i = 0; i < p->out->naddrs; i++)
		if (ip_eq(&p->out->addr[i].ip, &a->ip))
			return err_set(p->err, EADDRINUSE, "the jail has this address already");
	if (ip_eq(&a->ip, &a->gateway))
		return err_set(
		    p->err, EADDRINUSE,
		    "this is the gateway of %s, the host's own address; choose another of "
		    "that network",
		    a->range->ifname);
	if (range_host_has(p->net, &a->ip))
		return err_set(
		    p->err, EADDRINUSE,
		    "this is an address of the host itself, which would lose it; give the "
		    "jail one of its own (ip4.addr = auto) and redirect ports to it (rdr)");
	return 0;
}

/* net_prepare is to see to it, again if need be. */
static void want(struct net *n, struct net_range *r, int family)
{
	bool needs6 = family == AF_INET6 && !n->host->need6;
	if (needs6 || (r->ours && (!r->wanted || r->nmade < r->ngws)))
		n->ready = false;
	n->host->need6 |= needs6;
	r->wanted = true;
}

static int plan_address(struct plan *p, int family, const struct conf_addr *c)
{
	struct net_addr a = {.ip = c->addr};
	struct range_place place;
	const char *ifname = c->ifname ? c->ifname : conf_string(p->jail, P_INTERFACE);
	bool automatic = !a.ip.family;

	a.ip.family = family;
	int rc = range_place(p->net, ifname, &a.ip, c->len, &place, p->err);
	if (rc == 0 && automatic)
		rc = range_lease(p->net, &place, p->jail->name, p->autos++, &a.ip, p->err);
	if (rc < 0)
		return rc;
	a.range = place.range;
	a.gateway = place.gw.addr;
	a.proxy = place.proxy;
	if (p->start)
		want(p->net, place.range, family);
	rc = refuse_taken(p, &a);
	if (rc < 0)
		return rc;
	p->out->addr = mem_grow(p->out->addr, p->out->naddrs, sizeof *p->out->addr);
	p->out->addr[p->out->naddrs++] = a;
	if (a.proxy) {
		char text[IP_TEXT];
		strv_addf(&p->out->undo, PROXY_UNDO "%s %s", a.range->ifname, ip_text(&a.ip, text));
	}
	return 0;
}

static int plan_family(struct plan *p, int family, struct arena *arena)
{
	bool v4 = family == AF_INET;
	enum param_id id = v4 ? P_IP4_ADDR : P_IP6_ADDR, sys = v4 ? P_IP4 : P_IP6;
	size_t nvalues;
	const struct conf_value *v = conf_list(p->jail, id, &nvalues);
	int rc = 0;

	if (conf_is_set(p->jail, sys) && conf_sys(p->jail, sys) == SYS_DISABLE)
		return 0;
	p->autos = 0;
	for (size_t i = 0; i < nvalues && rc == 0; i++) {
		struct conf_addr c;
		const char *why;
		if (value_addr(arena, family, v[i].text, &c, &why) < 0)
			rc = err_set(p->err, EINVAL, "%s", why);
		else
			rc = plan_address(p, family, &c);
		if (rc < 0)
			permit_fault(p->err, v4 ? "ip4.addr" : "ip6.addr", &v[i]);
	}
	return rc;
}

static int plan_addresses(struct net *n, const struct conf_jail *j, bool start,
			  struct net_jail *out, struct ng_err *err)
{
	struct plan p = {.net = n, .jail = j, .out = out, .start = start, .err = err};
	struct arena arena = {0};
	int rc = plan_family(&p, AF_INET, &arena);
	if (rc == 0)
		rc = plan_family(&p, AF_INET6, &arena);
	arena_done(&arena);
	return rc;
}

bool net_wants_lease(const struct conf_jail *j)
{
	static const enum param_id ids[] = {P_IP4_ADDR, P_IP6_ADDR};
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		size_t nvalues;
		const struct conf_value *v = conf_list(j, ids[i], &nvalues);
		for (size_t k = 0; k < nvalues; k++)
			if (str_eq(v[k].text, "auto") || str_suffix(v[k].text, "|auto"))
				return true;
	}
	return false;
}

int net_addresses(struct net *n, const struct conf_jail *j, struct ip *ips, size_t max,
		  struct ng_err *err)
{
	struct net_jail nj = {0};
	size_t count = 0;
	int rc = plan_addresses(n, j, false, &nj, err);
	for (size_t i = 0; i < nj.naddrs && count < max && rc == 0; i++)
		ips[count++] = nj.addr[i].ip;
	net_jail_done(&nj);
	return rc < 0 ? rc : (int)count;
}

/* --- the link --- */

/* Numbers the starts of jails since the machine was started. A link's name cannot be the jail's:
 * the old one lives on for a while after a jail has ended. */
static int next_link(struct net *n, struct net_jail *nj, struct ng_err *err)
{
	uint32_t number = 0;
	struct str name = {0};
	autoclose int fd = openat(n->state->dir, "links", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0 || pread(fd, &number, sizeof number, 0) < 0)
		return err_sys(err, errno, "/run/newgate/links");
	number++;
	if (pwrite(fd, &number, sizeof number, 0) < 0)
		return err_sys(err, errno, "/run/newgate/links");
	str_addf(&name, "ng%u", number);
	nj->link = str_take(&name);
	/* Chosen, not asked for: so routes can go out with the link, in one batch. */
	nj->index = (int)(0x100000 + number % 0x40000000);
	return 0;
}

static bool inherits(const struct conf_jail *j, enum param_id id)
{
	return conf_is_set(j, id) && conf_sys(j, id) == SYS_INHERIT;
}

static int plan_permits(struct net *n, const struct conf_jail *j, bool start, net_lookup *lookup,
			void *arg, struct net_jail *out, struct ng_err *err)
{
	*out = (struct net_jail){
	    .vnet = conf_is_set(j, P_VNET) && conf_sys(j, P_VNET) == SYS_NEW,
	};
	out->inherit = !out->vnet && (inherits(j, P_IP4) || inherits(j, P_IP6));
	if (out->inherit) {
		if (conf_is_set(j, P_RDR) || conf_is_set(j, P_ALLOW_CONNECT))
			return err_set(err, EINVAL,
				       "rdr and allow.connect need a network of the jail's own: "
				       "remove ip4 = inherit and ip6 = inherit");
		return 0;
	}
	int rc = plan_addresses(n, j, start, out, err);
	return rc < 0 ? rc : permit_plan(n, j, lookup, arg, out, err);
}

int net_permits(struct net *n, const struct conf_jail *j, net_lookup *lookup, void *arg,
		struct net_jail *out, struct ng_err *err)
{
	int rc = plan_permits(n, j, false, lookup, arg, out, err);
	if (rc < 0)
		net_jail_done(out);
	return rc;
}

int net_plan(struct net *n, const struct conf_jail *j, int jid, net_lookup *lookup, void *arg,
	     struct net_jail *out, struct ng_err *err)
{
	(void)jid;

	int rc = plan_permits(n, j, true, lookup, arg, out, err);
	if (rc == 0 && out->naddrs)
		rc = next_link(n, out, err);
	if (rc < 0)
		net_jail_done(out);
	return rc;
}
