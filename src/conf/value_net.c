/* Addresses, redirects, permissions. */
#include <netdb.h>
#include <string.h>

#include "base/num.h"
#include "base/str.h"
#include "conf/value.h"

#define IFNAME_MAX 15

/* Cuts the next word off *s: a copy, or NULL at the end. "->" is a word wherever it stands. */
static const char *word(struct arena *a, const char **s)
{
	const char *p = *s + strspn(*s, " \t");
	size_t n = strcspn(p, " \t");
	const char *arrow = strstr(p, "->");
	if (!n)
		return NULL;
	if (arrow == p)
		n = 2;
	else if (arrow && (size_t)(arrow - p) < n)
		n = (size_t)(arrow - p);
	*s = p + n;
	return arena_strndup(a, p, n);
}

static int fail(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

/* Can no host have this address on a link of its own? */
static const char *unusable(const struct ip *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v4 = ip->family == AF_INET;
	const uint8_t *b = ip->bytes;

	if (ip_is_loopback(ip))
		return "is a loopback address: every jail has a loopback of its own; take one of "
		       "the private range, or leave it out";
	if (v4 ? !b[0] : ip_eq(ip, &(struct ip){.family = AF_INET6}))
		return "is the unspecified address: write the jail's own";
	if (v4 ? b[0] >= 224 : b[0] == 0xff)
		return "is no host's address (multicast or reserved)";
	if (!v4 && b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
		return "is link-local: the jail makes that one by itself";
	if (!v4 && memcmp(b, mapped, sizeof(mapped)) == 0)
		return "is an IPv4 address in IPv6's clothes: write it in ip4.addr";
	return NULL;
}

static int bad_addr(struct arena *a, const char *s, const char *what, const char **why)
{
	return fail(why, arena_printf(a, "\"%s\" %s", s, what));
}

int value_addr(struct arena *a, int family, const char *s, struct conf_addr *out, const char **why)
{
	bool v4 = family == AF_INET;
	*out = (struct conf_addr){.len = -1};

	const char *text = s, *bar = strchr(s, '|');
	if (bar) {
		size_t n = (size_t)(bar - s);
		if (!n || n > IFNAME_MAX || strcspn(s, " \t/") < n)
			return bad_addr(
			    a, s, "has no interface's name (1 to 15 bytes) before \"|\"", why);
		out->ifname = arena_strndup(a, s, n);
		text = bar + 1;
	}
	text += strspn(text, " \t");
	size_t len = strcspn(text, " \t");
	const char *addr = arena_strndup(a, text, len);
	text += len + strspn(text + len, " \t");
	if (*text)
		out->extra = arena_strndup(a, text, strlen(text));

	if (str_eq(addr, "auto"))
		return out->extra ? bad_addr(a, s,
					     "says more than auto: write auto alone, and the "
					     "network in interface",
					     why)
				  : 0;
	struct ipnet net;
	size_t host = strcspn(addr, "/");
	if (ipnet_parse(addr, &net) < 0) {
		struct ip ip;
		if (addr[host] && ip_parse(arena_strndup(a, addr, host), &ip) == 0)
			return bad_addr(a, s,
					v4 ? "has a mask that is neither /0 to /32 nor like "
					     "/255.255.255.0"
					   : "has a prefix length that is not /0 to /128",
					why);
		return bad_addr(a, s, v4 ? "is not an IPv4 address" : "is not an IPv6 address",
				why);
	}
	if (net.addr.family != family)
		return bad_addr(a, s,
				v4 ? "is an IPv6 address: it belongs in ip6.addr"
				   : "is an IPv4 address: it belongs in ip4.addr",
				why);
	const char *fault = unusable(&net.addr);
	if (fault)
		return bad_addr(a, s, fault, why);
	out->addr = net.addr;
	if (addr[host])
		out->len = net.len;
	return 0;
}

/* The services that hosting is made of; what else /etc/services may know is asked for after. */
static bool known_service(const char *name, uint16_t *port)
{
	static const struct {
		const char *name;
		uint16_t port;
	} known[] = {
	    {"domain", 53},  {"ftp", 21},     {"http", 80},          {"http-alt", 8080},
	    {"https", 443},  {"imap", 143},   {"imaps", 993},        {"irc", 6667},
	    {"ldap", 389},   {"ldaps", 636},  {"lmtp", 24},          {"mysql", 3306},
	    {"ntp", 123},    {"pop3", 110},   {"pop3s", 995},        {"postgresql", 5432},
	    {"redis", 6379}, {"sieve", 4190}, {"smtp", 25},          {"smtps", 465},
	    {"snmp", 161},   {"ssh", 22},     {"submission", 587},   {"submissions", 465},
	    {"syslog", 514}, {"telnet", 23},  {"xmpp-client", 5222}, {"xmpp-server", 5269},
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eq(name, known[i].name)) {
			*port = known[i].port;
			return true;
		}
	struct servent entry, *found = NULL;
	char buf[1024];
	if (getservbyname_r(name, NULL, &entry, buf, sizeof(buf), &found) != 0 || !found)
		return false;
	*port = (uint16_t)(((unsigned)found->s_port & 0xff) << 8 |
			   ((unsigned)found->s_port >> 8 & 0xff));
	return true;
}

static int port_number(struct arena *a, const char *s, uint16_t *out, const char **why)
{
	uint32_t n;
	switch (num_u32(s, 1, 65535, &n)) {
	case 0:
		*out = (uint16_t)n;
		return 0;
	case -ERANGE:
		return fail(why, arena_printf(a,
					      s[strspn(s, "0")] ? "port %s is above 65535"
								: "port %s: the lowest is 1",
					      s));
	default:
		return fail(why, arena_printf(a,
					      "\"%s\" is no port: write a number, a range like "
					      "8000-8010, or a service's name",
					      s));
	}
}

int value_ports(struct arena *a, const char *s, struct ports *out, const char **why)
{
	size_t n = strspn(s, "0123456789");
	/* Only what cannot be a number is worth reading /etc/services for. */
	if (!n && known_service(s, &out->first)) {
		out->last = out->first;
		return 0;
	}
	bool range = n && (s[n] == '-' || s[n] == ':');
	const char *first = range ? arena_strndup(a, s, n) : s;
	const char *last = range ? s + n + 1 : s;
	if (port_number(a, first, &out->first, why) < 0 ||
	    port_number(a, last, &out->last, why) < 0)
		return -EINVAL;
	if (out->first > out->last)
		return fail(why, arena_printf(a, "range %s ends before it begins", s));
	return 0;
}

static bool proto_of(const char *s, enum proto *out)
{
	if (!s || (!str_eq(s, "tcp") && !str_eq(s, "udp")))
		return false;
	*out = *s == 't' ? PROTO_TCP : PROTO_UDP;
	return true;
}

static unsigned width(const struct ports *p)
{
	return 1u + p->last - p->first;
}

/* "-> PORT" behind rdr's ports. */
static int rdr_target(struct arena *a, const char **s, struct conf_rdr *out, const char **why)
{
	const char *w = word(a, s);
	if (!w)
		return fail(why, "the jail's port is missing behind \"->\"");
	if (value_ports(a, w, &out->to, why) < 0)
		return -EINVAL;
	/* As in pf: one number stands for the first of as many. */
	if (width(&out->to) == 1 && out->to.first + width(&out->port) - 1 <= 65535)
		out->to.last = (uint16_t)(out->to.first + width(&out->port) - 1);
	if (width(&out->to) != width(&out->port))
		return fail(why, "the ranges before and behind \"->\" differ in length");
	return 0;
}

/* "from NET[,NET…]", also with blanks behind the commas. */
static int rdr_from(struct arena *a, const char **s, struct conf_rdr *out, const char **why)
{
	size_t most = 1;
	for (const char *c = *s; (c = strchr(c, ',')); c++)
		most++;
	out->from = arena_alloc(a, most * sizeof(*out->from));
	for (const char *w; (w = word(a, s));)
		for (size_t n; *w; w += n + (w[n] == ',')) {
			n = strcspn(w, ",");
			const char *net = arena_strndup(a, w, n);
			if (!n)
				continue;
			if (ipnet_parse(net, &out->from[out->nfrom++]) < 0)
				return fail(why, arena_printf(a,
							      "\"%s\" behind \"from\" is not an "
							      "address or network",
							      net));
		}
	return out->nfrom ? 0 : fail(why, "addresses are missing behind \"from\"");
}

int value_rdr(struct arena *a, const char *s, struct conf_rdr *out, const char **why)
{
	*out = (struct conf_rdr){0};
	if (!proto_of(word(a, &s), &out->proto))
		return fail(why, "it begins with tcp or udp, as in \"tcp 443 -> 8443\"");
	const char *w = word(a, &s);
	if (!w)
		return fail(why, "the port is missing, as in \"tcp 443\"");
	if (value_ports(a, w, &out->port, why) < 0)
		return -EINVAL;
	out->to = out->port;
	w = word(a, &s);
	if (w && str_eq(w, "->")) {
		if (rdr_target(a, &s, out, why) < 0)
			return -EINVAL;
		w = word(a, &s);
	}
	if (w && str_eq(w, "from"))
		return rdr_from(a, &s, out, why);
	if (w)
		return fail(why, arena_printf(a,
					      "\"%s\" was not expected: \"-> PORT\", then \"from "
					      "NETWORK\" may follow; each redirect is a value of "
					      "its own",
					      w));
	return 0;
}

static int connect_peer(struct arena *a, const char *peer, struct conf_connect *out,
			const char **why)
{
	if (str_eq(peer, "internet")) {
		out->peer = CONNECT_INTERNET;
	} else if (str_eq(peer, "host")) {
		out->peer = CONNECT_HOST;
	} else if (ipnet_parse(peer, &out->net) == 0) {
		out->peer = CONNECT_NET;
	} else if (strpbrk(peer, "/:")) {
		return fail(why, arena_printf(a, "\"%s\" is not an address or network", peer));
	} else if (strchr(peer, ',')) {
		return fail(why, "each peer is a value of its own: \"a\", \"b\"");
	} else {
		out->peer = CONNECT_JAIL;
		out->jail = peer;
	}
	return 0;
}

int value_connect(struct arena *a, const char *s, struct conf_connect *out, const char **why)
{
	*out = (struct conf_connect){0};
	const char *peer = word(a, &s);
	if (!peer || connect_peer(a, peer, out, why) < 0)
		return peer ? -EINVAL : fail(why, "the peer is missing");
	const char *w = word(a, &s);
	if (!w)
		return 0;
	/* No more ports than words, no more words than half the bytes. */
	out->port = arena_alloc(a, (strlen(s) / 2 + 2) * sizeof(*out->port));
	while (w) {
		enum proto proto;
		if (!proto_of(w, &proto))
			return fail(why, arena_printf(a,
						      "\"%s\" stands where tcp or udp is expected, "
						      "as in \"%s tcp 80\"",
						      w, peer));
		size_t before = out->nports;
		enum proto other;
		while ((w = word(a, &s)) && !proto_of(w, &other)) {
			struct conf_port *p = &out->port[out->nports++];
			p->proto = proto;
			if (value_ports(a, w, &p->port, why) < 0)
				return -EINVAL;
		}
		if (out->nports == before)
			out->port[out->nports++] = (struct conf_port){proto, {1, 65535}};
	}
	return 0;
}
