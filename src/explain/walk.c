/* The walk of a connection's first packet. */
#include <string.h>
#include "explain/explain.h"

/* An address, or some address of the internet that nobody has named. */
struct point {
	struct ip ip;
	bool some;
};

struct walk {
	const struct explain_world *w;
	const struct explain_question *q;
	struct point src, dst;
	enum explain_who from;
	size_t jail; /* that it comes from */
	struct explain_answer *a;
};

const char *explain_rule_name(enum explain_rule r)
{
	static const char *const name[] = {
	    [RULE_INSIDE] = "inside",         [RULE_HOST_SENDS] = "host-sends",
	    [RULE_HOST_TAKES] = "host-takes", [RULE_RDR] = "rdr",
	    [RULE_NO_RDR] = "no-rdr",         [RULE_OTHER_RDR] = "other-rdr",
	    [RULE_CONNECT] = "connect",       [RULE_DEFAULT] = "default",
	    [RULE_UNLISTED] = "unlisted",     [RULE_MAIL] = "mail",
	    [RULE_METADATA] = "metadata",     [RULE_PRIVATE] = "private",
	    [RULE_NOBODY] = "nobody",         [RULE_NO_ADDRESS] = "no-address",
	    [RULE_INHERITS] = "inherits",     [RULE_BANNED] = "banned",
	};
	return name[r];
}

/* ---- what is what ---- */

static bool is_one_of(const struct ip *ip, const struct ip *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ip_eq(ip, &v[i]))
			return true;
	return false;
}

static bool covers(const struct ipnet *net, const struct point *p)
{
	if (p->some)
		return net->addr.family == p->ip.family && net->len == 0;
	return ipnet_has(net, &p->ip);
}

static bool in_ranges(const struct explain_world *w, const struct ip *ip)
{
	for (size_t i = 0; i < w->nranges; i++)
		if (ipnet_has(&w->range[i], ip))
			return true;
	return false;
}

const char *const explain_metadata[] = {"169.254.0.0/16",      "168.63.129.16",
					"100.100.100.200",     "192.0.0.192",
					"fd00:ec2::/64",       "fd00:42::42",
					"fd00:c1::a9fe:a9fe",  "fd20:ce::254",
					"64:ff9b::a9fe:0/112", NULL};

static bool is_metadata(const struct point *p)
{
	for (const char *const *where = explain_metadata; *where && !p->some; where++) {
		struct ipnet net;
		if (ipnet_parse(*where, &net) == 0 && ipnet_has(&net, &p->ip))
			return true;
	}
	return false;
}

static bool within(const struct ports *p, uint16_t port)
{
	return p->first <= port && port <= p->last;
}

static bool covers_port(const struct walk *k, const struct conf_connect *c)
{
	for (size_t i = 0; i < c->nports; i++)
		if (c->port[i].proto == k->q->proto && within(&c->port[i].port, k->q->port))
			return true;
	return false;
}

/* ---- verdicts ---- */

static void verdict(struct walk *k, bool pass, enum explain_rule rule, size_t by,
		    const struct conf_value *value)
{
	k->a->pass = pass;
	k->a->rule = rule;
	k->a->by = by;
	k->a->value = value;
}

static void arrive(struct walk *k, enum explain_who at, size_t jail)
{
	k->a->at = at;
	k->a->at_jail = jail;
	k->a->to = k->dst.some ? (struct ip){0} : k->dst.ip;
	k->a->to_port = k->q->port;
	k->a->seen = k->src.some ? (struct ip){0} : k->src.ip;
}

/* Does the value permit what it asks for: a peer that is an address? */
static bool permits_peer(const struct walk *k, const struct explain_connect *c)
{
	if (c->c.nports && !covers_port(k, &c->c))
		return false;
	if (c->c.peer == CONNECT_JAIL)
		return !k->dst.some && is_one_of(&k->dst.ip, c->peer, c->npeers);
	return c->c.peer == CONNECT_NET && covers(&c->c.net, &k->dst);
}

/* The list's jails and networks. */
static bool listed_peer(struct walk *k)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	for (size_t i = 0; i < j->nconnects; i++)
		if (permits_peer(k, &j->connect[i])) {
			verdict(k, true, RULE_CONNECT, k->jail, j->connect[i].value);
			return true;
		}
	return false;
}

static void unlisted(struct walk *k)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	verdict(k, false, RULE_UNLISTED, k->jail, j->nconnects ? j->connect[0].value : NULL);
}

/* The value that names the internet: with this port, or (`any`) with none. */
static const struct explain_connect *names_internet(const struct walk *k, bool any)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	for (size_t i = 0; i < j->nconnects; i++)
		if (j->connect[i].c.peer == CONNECT_INTERNET &&
		    (any ? !j->connect[i].c.nports : covers_port(k, &j->connect[i].c)))
			return &j->connect[i];
	return NULL;
}

/* ---- redirects ---- */

static bool from_covers(const struct walk *k, const struct conf_rdr *r)
{
	for (size_t i = 0; i < r->nfrom; i++)
		if (covers(&r->from[i], &k->src))
			return true;
	return r->nfrom == 0;
}

/* The redirect of the port at the host's addresses; those for certain clients come first. */
static const struct explain_rdr *find_rdr(const struct walk *k, size_t *jail)
{
	for (int open = 0; open < 2; open++)
		for (size_t i = 0; i < k->w->n; i++)
			for (size_t n = 0; n < k->w->jail[i].nrdrs; n++) {
				const struct explain_rdr *r = &k->w->jail[i].rdr[n];
				if ((r->r.nfrom == 0) == open && r->r.proto == k->q->proto &&
				    within(&r->r.port, k->q->port) && from_covers(k, &r->r) &&
				    explain_target(&k->w->jail[i], k->dst.ip.family)) {
					*jail = i;
					return r;
				}
			}
	return NULL;
}

static void redirect(struct walk *k, const struct explain_rdr *r, size_t jail)
{
	const struct explain_addr *to = explain_target(&k->w->jail[jail], k->dst.ip.family);
	verdict(k, true, RULE_RDR, jail, r->value);
	arrive(k, WHO_JAIL, jail);
	k->a->rdr = r->value;
	k->a->rdr_jail = jail;
	k->a->to = to->ip;
	k->a->to_port = (uint16_t)(r->r.to.first + (k->q->port - r->r.port.first));
	/* Its own redirect: the answer has to come back here. */
	if (k->from == WHO_JAIL && k->jail == jail)
		k->a->seen = to->gateway;
}

/* The redirect that opens the port at a jail's own address, where the outside can reach that. */
static const struct explain_rdr *opened(const struct walk *k, size_t jail)
{
	const struct explain_jail *j = &k->w->jail[jail];
	for (size_t i = 0; i < j->naddrs; i++) {
		const struct explain_addr *a = &j->addr[i];
		if (!ip_eq(&a->ip, &k->dst.ip) || (!a->proxy && ip_is_private(&a->ip)))
			continue;
		for (size_t n = 0; n < j->nrdrs; n++)
			if (j->rdr[n].r.proto == k->q->proto &&
			    within(&j->rdr[n].r.to, k->q->port) && from_covers(k, &j->rdr[n].r))
				return &j->rdr[n];
	}
	return NULL;
}

/* ---- from a jail ---- */

static void translate_source(struct walk *k)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	int six = k->src.ip.family == AF_INET6;
	for (size_t i = 0; i < j->naddrs; i++)
		if (ip_eq(&j->addr[i].ip, &k->src.ip) && j->addr[i].proxy)
			return;
	if (j->source[six] && ip_parse(j->source[six]->text, &k->a->seen) == 0)
		k->a->source = j->source[six];
	else if (ip_is_private(&k->src.ip))
		k->a->seen = k->w->outside[six];
}

static void to_internet(struct walk *k)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	bool mail = k->q->proto == PROTO_TCP && k->q->port == 25;
	const struct explain_connect *c;
	if (is_metadata(&k->dst) && k->q->port != 53)
		verdict(k, false, RULE_METADATA, k->jail, NULL);
	else if ((c = names_internet(k, false)))
		verdict(k, true, RULE_CONNECT, k->jail, c->value);
	else if (mail)
		verdict(k, false, RULE_MAIL, k->jail, NULL);
	else if (!j->listed)
		verdict(k, true, RULE_DEFAULT, k->jail, NULL);
	else if ((c = names_internet(k, true)))
		verdict(k, true, RULE_CONNECT, k->jail, c->value);
	else
		unlisted(k);
}

static void jail_to_outside(struct walk *k)
{
	arrive(k, WHO_INTERNET, 0);
	if (!listed_peer(k))
		to_internet(k);
	if (k->a->pass)
		translate_source(k);
}

static void jail_to_jail(struct walk *k, size_t to)
{
	arrive(k, WHO_JAIL, to);
	if (to == k->jail)
		verdict(k, true, RULE_INSIDE, to, NULL);
	else if (listed_peer(k))
		return;
	else if (opened(k, to))
		to_internet(k);
	else
		unlisted(k);
}

/* Through a redirect it may go where it may go to the internet, by the port that it asks for. */
static bool jail_is_redirected(struct walk *k)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	size_t to;
	const struct explain_rdr *r = find_rdr(k, &to);
	bool mail = k->q->proto == PROTO_TCP && k->q->port == 25;
	if (!r || in_ranges(k->w, &k->dst.ip))
		return false;
	if (!names_internet(k, false) && (mail || (j->listed && !names_internet(k, true))))
		return false;
	redirect(k, r, to);
	return true;
}

static void jail_to_host(struct walk *k)
{
	const struct explain_jail *j = &k->w->jail[k->jail];
	if (ip_is_loopback(&k->dst.ip)) {
		arrive(k, WHO_JAIL, k->jail);
		verdict(k, true, RULE_INSIDE, k->jail, NULL);
		return;
	}
	if (jail_is_redirected(k))
		return;
	arrive(k, WHO_HOST, 0);
	for (size_t i = 0; i < j->nconnects; i++)
		if (j->connect[i].c.peer == CONNECT_HOST &&
		    (!j->connect[i].c.nports || covers_port(k, &j->connect[i].c))) {
			verdict(k, true, RULE_CONNECT, k->jail, j->connect[i].value);
			return;
		}
	if (!listed_peer(k))
		unlisted(k);
}

/* ---- from outside, and from the host ---- */

static void outside_to_jail(struct walk *k, size_t to)
{
	const struct explain_rdr *r = opened(k, to);
	bool reachable = false;
	for (size_t i = 0; i < k->w->jail[to].naddrs; i++)
		if (ip_eq(&k->w->jail[to].addr[i].ip, &k->dst.ip))
			reachable = k->w->jail[to].addr[i].proxy || !ip_is_private(&k->dst.ip);
	arrive(k, WHO_JAIL, to);
	if (r)
		verdict(k, true, RULE_RDR, to, r->value);
	else
		verdict(k, false, reachable ? RULE_NO_RDR : RULE_PRIVATE, to, NULL);
}

static void to_host_address(struct walk *k)
{
	size_t to;
	const struct explain_rdr *r = find_rdr(k, &to);
	if (r && !in_ranges(k->w, &k->dst.ip) && !ip_is_loopback(&k->dst.ip)) {
		redirect(k, r, to);
		return;
	}
	arrive(k, WHO_HOST, 0);
	verdict(k, true, k->from == WHO_HOST ? RULE_INSIDE : RULE_HOST_TAKES, 0, NULL);
}

/* ---- one pair of addresses ---- */

static void one(struct walk *k)
{
	struct explain_end to = {.who = WHO_INTERNET};
	char text[IP_TEXT];
	if (!k->dst.some && explain_end_parse(k->w, ip_text(&k->dst.ip, text), &to) < 0)
		to.who = WHO_INTERNET;
	k->a->src = k->src.some ? (struct ip){.family = k->src.ip.family} : k->src.ip;
	k->a->dst = k->dst.some ? (struct ip){.family = k->dst.ip.family} : k->dst.ip;
	if (to.who == WHO_NOBODY) {
		arrive(k, WHO_NOBODY, 0);
		verdict(k, false, RULE_NOBODY, 0, NULL);
	} else if (k->from == WHO_JAIL && to.who == WHO_JAIL) {
		jail_to_jail(k, to.jail);
	} else if (k->from == WHO_JAIL && to.who == WHO_HOST) {
		jail_to_host(k);
	} else if (k->from == WHO_JAIL) {
		jail_to_outside(k);
	} else if (to.who == WHO_HOST) {
		to_host_address(k);
	} else if (k->from == WHO_HOST) {
		arrive(k, to.who, to.jail);
		verdict(k, true, RULE_HOST_SENDS, 0, NULL);
	} else if (to.who == WHO_JAIL) {
		outside_to_jail(k, to.jail);
	} else {
		arrive(k, WHO_INTERNET, 0);
		verdict(k, false, RULE_NOBODY, 0, NULL);
	}
}

/* ---- the question's pairs ---- */

struct pairs {
	const struct explain_world *w;
	const struct explain_question *q;
	struct explain_answer best;
	bool any;
};

/* A jail that is named must be where it arrives: a redirect may lead to another one. */
static void aim(const struct explain_question *q, struct explain_answer *a)
{
	if (q->to.who != WHO_JAIL || !a->pass)
		return;
	if (a->at == WHO_JAIL && a->at_jail == q->to.jail)
		return;
	a->pass = false;
	if (a->at == WHO_JAIL) {
		a->rule = RULE_OTHER_RDR;
	} else {
		a->rule = RULE_NO_RDR;
		a->value = NULL;
		a->by = q->to.jail;
	}
}

static void try(struct pairs *p, struct point src, struct point dst)
{
	struct explain_answer a = {0};
	struct walk k = {.w = p->w, .q = p->q, .src = src, .dst = dst, .a = &a};
	k.from = p->q->from.who;
	k.jail = p->q->from.jail;
	if (p->any && p->best.pass)
		return;
	one(&k);
	aim(p->q, &a);
	if (!p->any || a.pass)
		p->best = a;
	p->any = true;
}

static struct point known(const struct ip *ip)
{
	return (struct point){.ip = *ip};
}

static struct point somewhere(int family)
{
	return (struct point){.ip = {.family = family}, .some = true};
}

/* From this source to all that the destination may be. `gateway`: of the source, or NULL. */
static void to_all(struct pairs *p, struct point src, const struct ip *gateway)
{
	const struct explain_end *to = &p->q->to;
	int family = src.ip.family;
	bool outside = p->q->from.who == WHO_INTERNET;
	const struct ip *public = &p->w->outside[family == AF_INET6];
	if (to->ip.family) {
		if (to->ip.family == family)
			try(p, src, known(&to->ip));
		return;
	}
	switch (to->who) {
	case WHO_INTERNET:
		try(p, src, somewhere(family));
		break;
	case WHO_HOST:
		if (gateway)
			try(p, src, known(gateway));
		else if (public->family)
			try(p, src, known(public));
		break;
	default:
		/* What a redirect leads to needs an address. */
		if (outside && public->family && explain_target(&p->w->jail[to->jail], family))
			try(p, src, known(public));
		for (size_t i = 0; i < p->w->jail[to->jail].naddrs; i++)
			if (p->w->jail[to->jail].addr[i].ip.family == family)
				try(p, src, known(&p->w->jail[to->jail].addr[i].ip));
	}
}

/* The host's own source: the address that it asks for, where that is its own. */
static struct point host_source(const struct pairs *p, int family)
{
	if (p->q->from.ip.family)
		return known(&p->q->from.ip);
	if (p->q->to.who == WHO_HOST && p->q->to.ip.family == family)
		return known(&p->q->to.ip);
	if (p->w->outside[family == AF_INET6].family)
		return known(&p->w->outside[family == AF_INET6]);
	return (struct point){.ip = {.family = family}};
}

static void from_all(struct pairs *p, int family)
{
	const struct explain_end *from = &p->q->from;
	const struct explain_jail *j = &p->w->jail[from->jail];
	if (from->ip.family && from->ip.family != family)
		return;
	if (from->who == WHO_INTERNET) {
		to_all(p, from->ip.family ? known(&from->ip) : somewhere(family), NULL);
	} else if (from->who == WHO_HOST) {
		to_all(p, host_source(p, family), NULL);
	} else {
		for (size_t i = 0; i < j->naddrs; i++)
			if (j->addr[i].ip.family == family &&
			    (!from->ip.family || ip_eq(&from->ip, &j->addr[i].ip)))
				to_all(p, known(&j->addr[i].ip), &j->addr[i].gateway);
	}
}

/* A jail that has the host's network is the host, for all that concerns the network. */
static bool is_host(const struct explain_world *w, const struct explain_end *e)
{
	return e->who == WHO_JAIL && w->jail[e->jail].inherits;
}

void explain_walk(const struct explain_world *w, const struct explain_question *q,
		  struct explain_answer *out)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct explain_question real = *q;
	struct pairs p = {.w = w, .q = &real};
	bool inherits = is_host(w, &q->from) || is_host(w, &q->to);
	if (is_host(w, &q->from))
		real.from = (struct explain_end){.who = WHO_HOST};
	if (is_host(w, &q->to))
		real.to = (struct explain_end){.who = WHO_HOST};
	*out = (struct explain_answer){.rule = RULE_NOBODY};
	if (q->from.who == WHO_NOBODY)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (!q->family || q->family == families[i])
			from_all(&p, families[i]);
	*out = p.best;
	if (!p.any)
		out->rule = RULE_NO_ADDRESS;
	else if (inherits && out->rule != RULE_CONNECT && out->rule != RULE_UNLISTED)
		out->rule = RULE_INHERITS;
}
