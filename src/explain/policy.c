#include "explain/policy.h"

#include <string.h>

struct policy {
	struct str *out;
	const struct explain_world *w;
	struct str jails;       /* their interfaces: "lo100", "{ lo100 lo101 }" */
	const char *outside[2]; /* by family; NULL */
	int family;             /* of what is being written */
};

static const char *const protos[] = {[PROTO_TCP] = "tcp", [PROTO_UDP] = "udp"};

static const char *family_word(const struct policy *p)
{
	return p->family == AF_INET ? "inet" : "inet6";
}

static const char *outside(const struct policy *p)
{
	return p->outside[p->family == AF_INET6];
}

static void add_ports(struct str *out, const struct ports *ports)
{
	str_addf(out, " port %u", ports->first);
	if (ports->last != ports->first)
		str_addf(out, ":%u", ports->last);
}

/* Can the outside reach it, so that its rdr opens ports rather than redirects them? */
static bool is_reachable(const struct explain_addr *a)
{
	return a->proxy || !ip_is_private(&a->ip);
}

static bool in_ranges(const struct explain_world *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->nranges; i++)
		if (ipnet_has(&w->range[i], ip))
			return true;
	return false;
}

/* Calls fn for each source that a redirect is for: "any", or its networks of the family. */
static void each_from(struct policy *p, const struct conf_rdr *r,
		      void (*fn)(struct policy *p, const char *from, const void *arg),
		      const void *arg)
{
	char text[IPNET_TEXT];

	if (!r->nfrom)
		fn(p, "any", arg);
	for (size_t i = 0; i < r->nfrom; i++)
		if (r->from[i].addr.family == p->family)
			fn(p, ipnet_text(&r->from[i], text), arg);
}

/* Calls fn for each network of jails: the ranges, and what lies outside of them. */
static void each_net(struct policy *p, void (*fn)(struct policy *p, const char *net))
{
	const struct explain_world *w = p->w;
	char text[IPNET_TEXT], ip[IP_TEXT];

	for (size_t i = 0; i < w->nranges; i++)
		if (w->range[i].addr.family == p->family)
			fn(p,
			   ipnet_text(&(struct ipnet){ipnet_first(&w->range[i]), w->range[i].len},
				      text));
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->jail[i].naddrs; k++) {
			const struct ip *a = &w->jail[i].addr[k].ip;

			if (a->family == p->family && !in_ranges(w, a))
				fn(p, ip_text(a, ip));
		}
}

/* ---- nat ---- */

/* A jail that reaches its own redirect: the answer has to come back to the host. */
static void nat_self(struct policy *p, const struct explain_jail *j)
{
	const struct explain_addr *to = explain_target(j, p->family);
	char own[IP_TEXT], target[IP_TEXT], gateway[IP_TEXT];

	for (size_t i = 0; i < j->naddrs && to && j->nrdrs; i++)
		if (j->addr[i].ip.family == p->family)
			str_addf(p->out, "nat on %s %s from %s to %s -> %s\n", p->jails.s,
				 family_word(p), ip_text(&j->addr[i].ip, own),
				 ip_text(&to->ip, target), ip_text(&to->gateway, gateway));
}

static void nat_source(struct policy *p, const struct explain_jail *j)
{
	const struct conf_value *source = j->source[p->family == AF_INET6];
	char own[IP_TEXT];

	for (size_t i = 0; i < j->naddrs && source && outside(p); i++)
		if (j->addr[i].ip.family == p->family && !j->addr[i].proxy)
			str_addf(p->out, "nat on %s %s from %s to any -> %s\n", outside(p),
				 family_word(p), ip_text(&j->addr[i].ip, own), source->text);
}

static void nat_ranges(struct policy *p)
{
	for (size_t i = 0; i < p->w->nranges && outside(p); i++) {
		struct ipnet net = p->w->range[i];
		char text[IPNET_TEXT];

		net.addr = ipnet_first(&net);
		if (net.addr.family == p->family && ip_is_private(&net.addr))
			str_addf(p->out, "nat on %s %s from %s to any -> (%s:0)\n", outside(p),
				 family_word(p), ipnet_text(&net, text), outside(p));
	}
}

/* ---- rdr ---- */

/* May it open such a connection to the internet? Then a redirect at the host's address is for it, too.
 * As in walk.c. */
static bool may_go_out(const struct explain_jail *j, enum proto proto, unsigned port)
{
	bool any = !j->listed;

	for (size_t i = 0; i < j->nconnects; i++) {
		const struct conf_connect *c = &j->connect[i].c;

		if (c->peer != CONNECT_INTERNET)
			continue;
		any |= !c->nports;
		for (size_t k = 0; k < c->nports; k++)
			if (c->port[k].proto == proto && c->port[k].port.first <= port &&
			    port <= c->port[k].port.last)
				return true;
	}
	return any && !(proto == PROTO_TCP && port == 25);
}

static void no_rdr(struct policy *p, const struct explain_jail *j, const struct conf_rdr *r,
		   const struct ports *ports)
{
	char text[IP_TEXT];

	for (size_t i = 0; i < j->naddrs; i++) {
		if (j->addr[i].ip.family != p->family)
			continue;
		str_addf(p->out, "no rdr on %s %s proto %s from %s to (self)", p->jails.s,
			 family_word(p), protos[r->proto], ip_text(&j->addr[i].ip, text));
		add_ports(p->out, ports);
		str_add(p->out, "\n");
	}
}

/* The ports of a redirect which the jail may not ask for. */
static void no_rdr_for(struct policy *p, const struct explain_jail *j, const struct conf_rdr *r)
{
	struct ports closed = {0};

	for (unsigned port = r->port.first; port <= r->port.last; port++) {
		if (!may_go_out(j, r->proto, port)) {
			closed.first = closed.first ? closed.first : (uint16_t)port;
			closed.last = (uint16_t)port;
		} else if (closed.first) {
			no_rdr(p, j, r, &closed);
			closed = (struct ports){0};
		}
	}
	if (closed.first)
		no_rdr(p, j, r, &closed);
}

struct redirect {
	const struct conf_rdr *r;
	const struct explain_addr *to;
};

static void rdr_from(struct policy *p, const char *from, const void *arg)
{
	const struct redirect *d = arg;
	char text[IP_TEXT];

	str_addf(p->out, "rdr %s proto %s from %s to (self)", family_word(p), protos[d->r->proto],
		 from);
	add_ports(p->out, &d->r->port);
	str_addf(p->out, " tag newgate_rdr -> %s port %u%s\n", ip_text(&d->to->ip, text),
		 d->r->to.first, d->r->to.first == d->r->to.last ? "" : ":*");
}

static void each_rdr(struct policy *p, void (*fn)(struct policy *p, const struct redirect *d))
{
	for (size_t i = 0; i < p->w->n; i++) {
		const struct explain_jail *j = &p->w->jail[i];
		const struct explain_addr *to = explain_target(j, p->family);

		for (size_t k = 0; k < j->nrdrs && to; k++)
			fn(p, &(struct redirect){&j->rdr[k].r, to});
	}
}

static void closed_rdr(struct policy *p, const struct redirect *d)
{
	for (size_t i = 0; i < p->w->n; i++)
		no_rdr_for(p, &p->w->jail[i], d->r);
}

static void certain_rdr(struct policy *p, const struct redirect *d)
{
	if (d->r->nfrom)
		each_from(p, d->r, rdr_from, d);
}

static void open_rdr(struct policy *p, const struct redirect *d)
{
	if (!d->r->nfrom)
		rdr_from(p, "any", d);
}

static void never_rdr(struct policy *p, const char *net)
{
	str_addf(p->out, "no rdr %s from any to %s\n", family_word(p), net);
}

static void translation(struct policy *p)
{
	for (size_t i = 0; i < p->w->n; i++)
		nat_self(p, &p->w->jail[i]);
	for (size_t i = 0; i < p->w->n; i++)
		nat_source(p, &p->w->jail[i]);
	nat_ranges(p);
}

static void redirection(struct policy *p)
{
	never_rdr(p, p->family == AF_INET ? "127.0.0.0/8" : "::1");
	each_net(p, never_rdr);
	each_rdr(p, closed_rdr);
	each_rdr(p, certain_rdr);
	each_rdr(p, open_rdr);
}

/* ---- to jails ---- */

static void pass_between(struct policy *p, const char *net)
{
	str_addf(p->out, "pass out on %s %s from %s to any\n", p->jails.s, family_word(p), net);
}

static void open_from(struct policy *p, const char *from, const void *arg)
{
	const struct redirect *d = arg;
	struct str what autodone(str_done) = {0};
	char text[IP_TEXT];

	str_addf(&what, "on %s %s proto %s from %s to %s", p->jails.s, family_word(p),
		 protos[d->r->proto], from, ip_text(&d->to->ip, text));
	add_ports(&what, &d->r->to);
	str_addf(p->out, "pass out %s\nmatch in %s tag newgate_open\n", what.s, what.s);
}

static void opened(struct policy *p)
{
	for (size_t i = 0; i < p->w->n; i++) {
		const struct explain_jail *j = &p->w->jail[i];

		for (size_t a = 0; a < j->naddrs; a++)
			for (size_t k = 0; k < j->nrdrs; k++)
				if (j->addr[a].ip.family == p->family && is_reachable(&j->addr[a]))
					each_from(p, &j->rdr[k].r, open_from,
						  &(struct redirect){&j->rdr[k].r, &j->addr[a]});
	}
}

/* ---- from jails ---- */

/* "pass in quick …" for each of the ports of one value; without ports, for everything. */
static void pass_ports(struct policy *p, const struct conf_connect *c, const char *from,
		       const char *to)
{
	for (size_t i = 0; i < c->nports || (i == 0 && !c->nports); i++) {
		str_addf(p->out, "pass in quick on %s %s ", p->jails.s, family_word(p));
		if (c->nports)
			str_addf(p->out, "proto %s ", protos[c->port[i].proto]);
		str_addf(p->out, "from %s to %s", from, to);
		if (c->nports)
			add_ports(p->out, &c->port[i].port);
		str_add(p->out, "\n");
	}
}

static void pass_peer(struct policy *p, const struct explain_connect *e, const char *from)
{
	char text[IPNET_TEXT];

	if (e->c.peer == CONNECT_HOST)
		pass_ports(p, &e->c, from, "(self)");
	if (e->c.peer == CONNECT_NET && e->c.net.addr.family == p->family)
		pass_ports(p, &e->c, from, ipnet_text(&e->c.net, text));
	for (size_t i = 0; i < e->npeers && e->c.peer == CONNECT_JAIL; i++)
		if (e->peer[i].family == p->family)
			pass_ports(p, &e->c, from, ip_text(&e->peer[i], text));
}

/* The list's jails, networks and the host; or its ports of the internet. */
static void pass_listed(struct policy *p, bool internet)
{
	char from[IP_TEXT];

	for (size_t i = 0; i < p->w->n; i++) {
		const struct explain_jail *j = &p->w->jail[i];

		for (size_t a = 0; a < j->naddrs; a++)
			for (size_t k = 0; k < j->nconnects; k++) {
				const struct explain_connect *e = &j->connect[k];

				if (j->addr[a].ip.family != p->family)
					continue;
				ip_text(&j->addr[a].ip, from);
				if (!internet)
					pass_peer(p, e, from);
				else if (e->c.peer == CONNECT_INTERNET && e->c.nports)
					pass_ports(p, &e->c, from, "any");
			}
	}
}

static void block_jails(struct policy *p, const char *net)
{
	str_addf(p->out, "block return in quick on %s %s from any to %s ! tagged newgate_open\n",
		 p->jails.s, family_word(p), net);
}

static void block_metadata(struct policy *p)
{
	for (const char *const *m = explain_metadata; *m; m++)
		if ((strchr(*m, ':') != NULL) == (p->family == AF_INET6))
			str_addf(p->out,
				 "block return in quick on %s %s from any to %s ! tagged "
				 "newgate_dns\n",
				 p->jails.s, family_word(p), *m);
}

/* Those whose list does not name the internet as a whole. */
static void block_listed(struct policy *p)
{
	char from[IP_TEXT];

	for (size_t i = 0; i < p->w->n; i++) {
		const struct explain_jail *j = &p->w->jail[i];
		bool whole = !j->listed;

		for (size_t k = 0; k < j->nconnects; k++)
			whole |=
			    j->connect[k].c.peer == CONNECT_INTERNET && !j->connect[k].c.nports;
		for (size_t a = 0; a < j->naddrs && !whole; a++)
			if (j->addr[a].ip.family == p->family)
				str_addf(p->out, "block return in quick on %s %s from %s to any\n",
					 p->jails.s, family_word(p), ip_text(&j->addr[a].ip, from));
	}
}

/* ---- all of it ---- */

static void both(struct policy *p, void (*fn)(struct policy *p))
{
	static const int families[] = {AF_INET, AF_INET6};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		p->family = families[i];
		fn(p);
	}
}

static void pass_all_between(struct policy *p)
{
	each_net(p, pass_between);
}

static void pass_named(struct policy *p)
{
	pass_listed(p, false);
}

static void block_all_jails(struct policy *p)
{
	each_net(p, block_jails);
}

static void pass_internet(struct policy *p)
{
	pass_listed(p, true);
}

static void filter(struct policy *p)
{
	const char *on = p->jails.s;

	str_addf(p->out, "block drop out on %s all\n", on);
	str_addf(p->out, "pass out on %s from (self) to any\n", on);
	both(p, pass_all_between);
	str_addf(p->out, "pass out on %s all tagged newgate_rdr\n", on);
	both(p, opened);
	str_addf(p->out, "pass in quick on %s all tagged newgate_rdr\n", on);
	both(p, pass_named);
	str_addf(p->out, "block return in quick on %s from any to (self)\n", on);
	both(p, block_all_jails);
	str_addf(p->out,
		 "match in on %s proto { tcp udp } from any to any port 53 tag newgate_dns\n", on);
	both(p, block_metadata);
	both(p, pass_internet);
	str_addf(p->out, "block return in quick on %s proto tcp from any to any port 25\n", on);
	both(p, block_listed);
	str_addf(p->out, "pass in quick on %s all\n", on);
}

/* False where there is none. */
static bool find_interfaces(struct policy *p, const struct pf_host *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++) {
		const struct pf_iface *f = &h->iface[i];

		if (f->outside4 && !p->outside[0])
			p->outside[0] = f->name;
		if (f->outside6 && !p->outside[1])
			p->outside[1] = f->name;
		if (f->jails)
			str_addf(&p->jails, "%s%s", n++ ? " " : "", f->name);
	}
	if (n > 1) {
		struct str list = {0};

		str_addf(&list, "{ %s }", p->jails.s);
		str_done(&p->jails);
		p->jails = list;
	}
	return n > 0;
}

void explain_policy(struct str *out, const struct explain_world *w, const struct pf_host *host)
{
	struct policy p = {.out = out, .w = w};

	if (find_interfaces(&p, host)) {
		both(&p, translation);
		both(&p, redirection);
		filter(&p);
	}
	str_done(&p.jails);
}
