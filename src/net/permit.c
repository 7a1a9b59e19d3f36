#include "net/permit.h"

#include "conf/value.h"
#include "net/elem.h"
#include "net/range.h"

#define ELEMS_MAX 4096 /* of one jail; a redirected range of ports is an element a port */
#define PEER_ADDRS 16

static const char *const protos[] = {[PROTO_TCP] = "tcp", [PROTO_UDP] = "udp"};

struct plan {
	struct net *net;
	struct net_jail *nj;
	const struct conf_value *value; /* the one being read */
	const char *what;               /* and its parameter */
	struct ng_err *err;
};

int permit_fault(struct ng_err *err, const char *what, const struct conf_value *v)
{
	if (!v->pos.line)
		return err_prefix(err, "%s \"%s\"", what, v->text);
	if (!v->pos.col)
		return err_prefix(err, "%s:%u: %s \"%s\"", v->pos.file, v->pos.line, what, v->text);
	return err_prefix(err, "%s:%u:%u: %s \"%s\"", v->pos.file, v->pos.line, v->pos.col, what,
			  v->text);
}

/* Adds an element; the same one twice is one. */
static int PRINTF(2, 3) add(struct plan *p, const char *fmt, ...)
{
	struct str line = {0};
	va_list ap;
	va_start(ap, fmt);
	str_add(&line, ELEM_UNDO);
	str_vaddf(&line, fmt, ap);
	va_end(ap);
	if (strv_has(&p->nj->undo, line.s)) {
		str_done(&line);
		return 0;
	}
	strv_take(&p->nj->undo, str_take(&line));
	if (p->nj->undo.n > ELEMS_MAX)
		return err_set(p->err, E2BIG, "more than %d ports and addresses for one jail",
			       ELEMS_MAX);
	return 0;
}

static char digit(const struct ip *ip)
{
	return ip->family == AF_INET ? '4' : '6';
}

/* "10.0.0.0-10.0.0.255", or the address alone. */
static const char *span_text(const struct ipnet *net, char buf[static 2 * IP_TEXT])
{
	struct ip first = ipnet_first(net), last = ipnet_last(net);
	char low[IP_TEXT], high[IP_TEXT];
	struct str s = {0};
	str_addf(&s, "%s-%s", ip_text(&first, low), ip_text(&last, high));
	strcpy(buf, ip_eq(&first, &last) ? low : s.s);
	str_done(&s);
	return buf;
}

/* --- rdr --- */

/* Has the jail that runs this redirect already? */
static bool has_redirect(const struct record *r, const char *proto, unsigned port)
{
	struct str key autodone(str_done) = {0};
	str_addf(&key, "%s . %u : ", proto, port);
	for (size_t i = 0; r && i < r->undo.n; i++)
		if (str_prefix(r->undo.v[i], ELEM_UNDO "rdr") && strstr(r->undo.v[i], key.s))
			return true;
	return false;
}

static int check_port(struct plan *p, enum proto proto, unsigned port, int family)
{
	const char *text = protos[proto];
	if (p->net->look || has_redirect(p->net->running, text, port) ||
	    !ports_taken(p->net, proto, port, family))
		return 0;
	return err_set(p->err, EADDRINUSE,
		       "a service of this host itself listens on %s port %u and would not be "
		       "reached any more; let it listen on another port, or on 127.0.0.1 alone, or "
		       "redirect another port",
		       text, port);
}

/* At an address that is translated: every port of the host's leads to the jail's. */
static int redirect(struct plan *p, const struct conf_rdr *r, const struct net_addr *to)
{
	char text[IP_TEXT], from[2 * IP_TEXT];
	const char *proto = protos[r->proto];
	int rc = 0;

	ip_text(&to->ip, text);
	for (unsigned i = 0; i <= (unsigned)(r->port.last - r->port.first) && rc == 0; i++) {
		unsigned port = r->port.first + i, inside = r->to.first + i;
		rc = check_port(p, r->proto, port, to->ip.family);
		if (rc < 0)
			return rc;
		if (!r->nfrom)
			rc = add(p, "rdr%c %s . %u : %s . %u", digit(&to->ip), proto, port, text,
				 inside);
		for (size_t k = 0; k < r->nfrom && rc == 0; k++)
			if (r->from[k].addr.family == to->ip.family)
				rc = add(p, "rdrfrom%c %s . %s . %u : %s . %u", digit(&to->ip),
					 span_text(&r->from[k], from), proto, port, text, inside);
	}
	/* The jail's own way to its redirect. */
	for (size_t i = 0; i < p->nj->naddrs && rc == 0; i++) {
		const struct net_addr *a = &p->nj->addr[i];
		char own[IP_TEXT], gateway[IP_TEXT];
		if (a->ip.family == to->ip.family)
			rc = add(p, "self%c %s . %s : %s", digit(&to->ip), ip_text(&a->ip, own),
				 text, ip_text(&to->gateway, gateway));
	}
	return rc;
}

/* At an address that the outside can reach: the inside port is open. */
static int open_port(struct plan *p, const struct conf_rdr *r, const struct net_addr *at)
{
	char text[IP_TEXT], from[2 * IP_TEXT];
	const char *proto = protos[r->proto];
	int rc = 0;

	ip_text(&at->ip, text);
	for (unsigned port = r->to.first; port <= r->to.last && rc == 0; port++) {
		if (!r->nfrom)
			rc = add(p, "open%c %s . %s . %u", digit(&at->ip), text, proto, port);
		for (size_t k = 0; k < r->nfrom && rc == 0; k++)
			if (r->from[k].addr.family == at->ip.family)
				rc = add(p, "openfrom%c %s . %s . %s . %u", digit(&at->ip),
					 span_text(&r->from[k], from), text, proto, port);
	}
	return rc;
}

static int plan_rdr(struct plan *p, struct arena *arena)
{
	struct conf_rdr r;
	const char *why;
	bool redirected[2] = {false, false};
	int rc = 0;

	if (value_rdr(arena, p->value->text, &r, &why) < 0)
		return err_set(p->err, EINVAL, "%s", why);
	if (!p->nj->naddrs)
		return err_set(
		    p->err, EINVAL,
		    "the jail has no address to redirect to; give it one: ip4.addr = auto");
	for (size_t i = 0; i < p->nj->naddrs && rc == 0; i++) {
		const struct net_addr *a = &p->nj->addr[i];
		bool *first = &redirected[a->ip.family == AF_INET6];
		if (a->proxy || !ip_is_private(&a->ip))
			rc = open_port(p, &r, a);
		if (rc == 0 && !a->proxy && !*first) {
			*first = true;
			rc = redirect(p, &r, a);
		}
	}
	return rc;
}

/* --- allow.connect --- */

/* One peer, as the sets for it are called; `to` is NULL where the peer is not an address. */
struct peer {
	const char *any, *port, *span;
	const struct ipnet *to;
};

/* Everything to the peer. */
static int connect_any(struct plan *p, const struct peer *peer, char family, const char *src,
		       const char *to, bool single)
{
	if (!peer->to)
		return add(p, "%s%c %s", peer->any, family, src);
	if (single)
		return add(p, "%s%c %s . %s", peer->any, family, src, to);
	return add(p, "%s%c %s . %s . 0-255 . 0-65535", peer->span, family, src, to);
}

static int connect_port(struct plan *p, const struct peer *peer, char family, const char *src,
			const char *to, bool single, const struct conf_port *port)
{
	const char *proto = protos[port->proto], *dot = peer->to ? " . " : "";

	if (single && port->port.first == port->port.last)
		return add(p, "%s%c %s%s%s . %s . %u", peer->port, family, src, dot, to, proto,
			   port->port.first);
	return add(p, "%s%c %s%s%s . %s . %u-%u", peer->span, family, src, dot, to, proto,
		   port->port.first, port->port.last);
}

/* From every address of the jail to the peer. */
static int connect_peer(struct plan *p, const struct conf_connect *c, const struct peer *peer)
{
	char to[2 * IP_TEXT] = "", src[IP_TEXT];
	bool single = !peer->to || peer->to->len == ip_bits(&peer->to->addr);
	int rc = 0;

	if (peer->to)
		span_text(peer->to, to);
	for (size_t i = 0; i < p->nj->naddrs && rc == 0; i++) {
		const struct net_addr *a = &p->nj->addr[i];
		if (peer->to && peer->to->addr.family != a->ip.family)
			continue;
		ip_text(&a->ip, src);
		if (!c->nports)
			rc = connect_any(p, peer, digit(&a->ip), src, to, single);
		for (size_t k = 0; k < c->nports && rc == 0; k++)
			rc = connect_port(p, peer, digit(&a->ip), src, to, single, &c->port[k]);
	}
	return rc;
}

static int connect_jail(struct plan *p, const struct conf_connect *c, net_lookup *lookup, void *arg)
{
	struct ip ips[PEER_ADDRS];
	int found = lookup(arg, c->jail, ips, PEER_ADDRS), rc = 0;

	if (found == -ENOENT)
		return err_set(
		    p->err, ENOENT,
		    "there is no jail \"%s\"; it names a jail, \"internet\", \"host\" or a "
		    "network",
		    c->jail);
	if (found < 0)
		return err_set(p->err, -found, "the addresses of jail \"%s\" are not known",
			       c->jail);
	for (int i = 0; i < found && rc == 0; i++) {
		struct ipnet to = {.addr = ips[i], .len = (uint8_t)ip_bits(&ips[i])};
		rc = connect_peer(p, c, &(struct peer){"pairs", "ports", "spans", &to});
	}
	return rc;
}

static int plan_connect(struct plan *p, struct arena *arena, net_lookup *lookup, void *arg)
{
	struct conf_connect c;
	const char *why;

	if (value_connect(arena, p->value->text, &c, &why) < 0)
		return err_set(p->err, EINVAL, "%s", why);
	switch (c.peer) {
	case CONNECT_JAIL:
		return connect_jail(p, &c, lookup, arg);
	case CONNECT_INTERNET:
		return connect_peer(p, &c, &(struct peer){"out", "outports", "outspans", NULL});
	case CONNECT_HOST:
		return connect_peer(p, &c, &(struct peer){"host", "hostports", "hostspans", NULL});
	case CONNECT_NET:
		break;
	}
	return connect_peer(p, &c, &(struct peer){"pairs", "ports", "spans", &c.net});
}

/* --- nat.source --- */

static int plan_source(struct plan *p)
{
	struct ip source;
	char own[IP_TEXT], text[IP_TEXT];
	int rc = 0;

	if (ip_parse(p->value->text, &source) < 0)
		return err_set(p->err, EINVAL, "not an address");
	if (!range_host_has(p->net, &source))
		return err_set(
		    p->err, EADDRNOTAVAIL,
		    "not an address of this host, so no answer would come back; add it to "
		    "the outside interface first");
	for (size_t i = 0; i < p->nj->naddrs && rc == 0; i++) {
		const struct net_addr *a = &p->nj->addr[i];
		if (!a->proxy && a->ip.family == source.family)
			rc = add(p, "source%c %s : %s", digit(&source), ip_text(&a->ip, own),
				 ip_text(&source, text));
	}
	return rc;
}

/* --- all of it --- */

static int list_all(struct plan *p)
{
	char text[IP_TEXT];
	int rc = 0;
	for (size_t i = 0; i < p->nj->naddrs && rc == 0; i++)
		rc = add(p, "listed%c %s", digit(&p->nj->addr[i].ip),
			 ip_text(&p->nj->addr[i].ip, text));
	return rc;
}

static int plan_value(struct plan *p, enum param_id id, struct arena *arena, net_lookup *lookup,
		      void *arg)
{
	switch (id) {
	case P_RDR:
		return plan_rdr(p, arena);
	case P_ALLOW_CONNECT:
		return plan_connect(p, arena, lookup, arg);
	default:
		return plan_source(p);
	}
}

int permit_plan(struct net *n, const struct conf_jail *j, net_lookup *lookup, void *arg,
		struct net_jail *nj, struct ng_err *err)
{
	static const struct {
		enum param_id id;
		const char *name;
	} params[] = {
	    {P_RDR, "rdr"}, {P_ALLOW_CONNECT, "allow.connect"}, {P_NAT_SOURCE, "nat.source"}};
	struct arena arena = {0};
	struct plan p = {.net = n, .nj = nj, .err = err};
	int rc = conf_is_set(j, P_ALLOW_CONNECT) ? list_all(&p) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(params) && rc == 0; i++) {
		size_t nvalues = 0;
		const struct conf_value *v =
		    conf_is_set(j, params[i].id) ? conf_list(j, params[i].id, &nvalues) : NULL;
		for (size_t k = 0; k < nvalues && rc == 0; k++) {
			p.value = &v[k];
			rc = plan_value(&p, params[i].id, &arena, lookup, arg);
			if (rc < 0)
				permit_fault(err, params[i].name, &v[k]);
		}
	}
	arena_done(&arena);
	if (rc == 0)
		elem_part(&nj->undo);
	return rc;
}
