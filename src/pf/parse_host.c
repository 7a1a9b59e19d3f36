/* Addresses: written out, or by the name of an interface, a group, a table or a host. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "pf/parse.h"

struct host *hosts_add(struct hosts *h)
{
	h->v = mem_grow(h->v, h->n, sizeof(*h->v));
	h->v[h->n] = (struct host){.addr.len = -1};
	return &h->v[h->n++];
}

/* Two addresses of one network are one network. */
static bool has_net(const struct hosts *h, size_t from, const struct host *same)
{
	for (size_t i = from; i < h->n; i++) {
		const struct ipnet *net = &h->v[i].addr.net;
		if (h->v[i].af == same->af && net->len == same->addr.net.len &&
		    ip_eq(&net->addr, &same->addr.net.addr))
			return true;
	}
	return false;
}

static void add_net(struct hosts *out, const struct ip *a, int len, bool neg, const char *zone)
{
	struct host *h = hosts_add(out);
	struct ipnet net = {*a, (uint8_t)(len < 0 ? (int)ip_bits(a) : len)};

	h->af = a->family;
	h->zone = zone;
	h->addr.neg = neg;
	h->addr.net = (struct ipnet){ipnet_first(&net), net.len};
	h->addr.type = net.len ? PF_ADDR_NET : PF_ADDR_ANY;
}

/* ---- interfaces ---- */

static bool is_link_local(const struct ip *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* One interface's; `first`: of each family only the first, and none that is of the link alone. */
static bool add_interface(const struct pf_iface *i, unsigned mods, int len, bool neg,
			  struct hosts *out)
{
	bool first4 = false, first6 = false, any = false;
	size_t before = out->n;

	for (size_t k = 0; k < i->naddrs; k++) {
		const struct ipnet *net = &i->addr[k];
		const struct ip *a = &net->addr;
		bool local = is_link_local(a), six = a->family == AF_INET6;
		bool *first = six ? &first6 : &first4;
		if (local && mods & (PF_MOD_NETWORK | PF_MOD_NOALIAS))
			continue;
		if (mods & PF_MOD_NOALIAS && *first)
			continue;
		if (mods & PF_MOD_BROADCAST)
			a = i->broadcast ? &i->broadcast[k] : NULL;
		else if (mods & PF_MOD_PEER)
			a = i->peer ? &i->peer[k] : NULL;
		if (!a || !a->family)
			continue;
		*first = any = true;
		add_net(out, a, mods & PF_MOD_NETWORK ? net->len : len, neg,
			local ? i->name : NULL);
		struct host last = out->v[--out->n];
		out->n += !has_net(out, before, &last);
	}
	return any;
}

static bool is_group_of(const struct pf_iface *i, const char *name)
{
	return str_eq(name, "self") || pf_iface_is(i, name);
}

bool interface_hosts(const struct pf_host *host, const char *name, unsigned mods, int len, bool neg,
		     struct hosts *out)
{
	const struct pf_iface *one = pf_host_iface(host, name);
	bool any = false;

	if (one)
		return add_interface(one, mods, len, neg, out);
	for (size_t i = 0; i < host->n; i++)
		if (is_group_of(&host->iface[i], name))
			any |= add_interface(&host->iface[i], mods, len, neg, out);
	return any;
}

static bool is_interface(const struct pf_host *host, const char *name)
{
	if (str_eq(name, "self") || pf_host_iface(host, name))
		return true;
	for (size_t i = 0; i < host->n; i++)
		if (pf_iface_is(&host->iface[i], name))
			return true;
	return false;
}

bool good_interface(struct parser *p, struct pos at, const char *name)
{
	if (strlen(name) > PF_IFNAME_MAX)
		return p_fault(p, at, "interface name too long: %s (max %u chars)", name,
			       PF_IFNAME_MAX);
	if (!pf_token_is_word(name) || strpbrk(name, ":$"))
		return p_fault(p, at, "\"%s\" is no name of an interface", name);
	return true;
}

/* Cuts ":network" and the like off the end of the word. False: they do not go together. */
static bool cut_modifiers(struct parser *p, struct pos at, char *word, unsigned *mods)
{
	static const char *const names[] = {"network", "broadcast", "peer", "0"};
	*mods = 0;
	for (char *colon; (colon = strrchr(word, ':'));) {
		unsigned bit = 0;
		for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
			if (str_eq(colon + 1, names[i]))
				bit = 1u << i;
		if (!bit) {
			const char *near = str_nearest(colon + 1, names, ARRAY_SIZE(names));
			return p_fault(p, at, "%s: there is no modifier \":%s\"%s%s%s", word,
				       colon + 1, near ? " (did you mean \":" : "",
				       near ? near : "", near ? "\"?)" : "");
		}
		*mods |= bit;
		*colon = '\0';
	}
	unsigned modes = *mods & ~(unsigned)PF_MOD_NOALIAS;
	if (modes & (modes - 1))
		return p_fault(p, at, "illegal combination of interface modifiers");
	return true;
}

/* "(name:mod)", behind the "(". */
static bool parse_dynamic(struct parser *p, bool neg, struct hosts *out)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "the name of an interface");
	uint32_t len = 0;
	unsigned mods;

	if (!word)
		return false;
	char *name = arena_strndup(&p->pf->arena, word, strlen(word));
	if (!cut_modifiers(p, pos, name, &mods) || !good_interface(p, pos, name) ||
	    !p_expect_op(p, ")"))
		return false;
	struct host *h = hosts_add(out);
	h->addr.type = PF_ADDR_DYNAMIC;
	h->addr.name = name;
	h->addr.mods = mods;
	h->addr.neg = neg;
	if (!p_take_op(p, "/"))
		return true;
	if (mods & (PF_MOD_NETWORK | PF_MOD_BROADCAST))
		return p_fault(p, p->tok->now.pos,
			       "network or broadcast lookup, but extra netmask given");
	if (!p_number(p, "the length of a network", 128, &len))
		return false;
	h->addr.len = (int)len;
	return true;
}

/* ---- words ---- */

/* "10" and "10.1" in front of "/8": the rest is zeros. */
static bool short_ipv4(const char *word, struct ip *out)
{
	unsigned dots = 0;
	for (const char *c = word; *c; c++) {
		if (*c != '.' && !isdigit((unsigned char)*c))
			return false;
		dots += *c == '.';
	}
	char full[IP_TEXT];
	if (dots > 2 || strlen(word) > 15)
		return false;
	snprintf(full, sizeof(full), "%s%s", word, &".0.0.0"[2 * dots]);
	return ip_parse(full, out) == 0;
}

/* An address as such. 1: it is one, 0: it is not, -1: it is, but wrong; reported. */
static int literal(struct parser *p, struct pos at, const char *word, int len, bool neg,
		   struct hosts *out)
{
	char buf[IP_TEXT];
	const char *zone = strchr(word, '%');
	struct ip a;

	if (zone && (size_t)(zone - word) < sizeof(buf)) {
		snprintf(buf, sizeof(buf), "%.*s", (int)(zone - word), word);
		if (ip_parse(buf, &a) < 0 || !is_link_local(&a) || !zone[1])
			return 0;
		zone = arena_strndup(&p->pf->arena, zone + 1, strlen(zone + 1));
		if (!good_interface(p, at, zone))
			return -1;
	} else if (zone || (ip_parse(word, &a) < 0 && (len < 0 || !short_ipv4(word, &a)))) {
		return 0;
	}
	if (len > (int)ip_bits(&a)) {
		p_fault(p, at, "netmask %d invalid for %s address", len,
			a.family == AF_INET ? "IPv4" : "IPv6");
		return -1;
	}
	add_net(out, &a, len, neg, zone);
	return 1;
}

static bool add_resolved(struct parser *p, const char *word, int len, bool neg, struct hosts *out)
{
	const struct pf_host *host = p->r->host;
	struct ip ips[32];
	size_t n = 0;

	if (!host || !host->resolve ||
	    host->resolve(host->arg, word, ips, ARRAY_SIZE(ips), &n) < 0 || !n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (len <= (int)ip_bits(&ips[i]))
			add_net(out, &ips[i], len, neg, NULL);
	return true;
}

static bool no_address(struct parser *p, struct pos at, const char *word)
{
	const struct pf_host *host = p->r->host;
	const char *near = NULL, *dash = strchr(word, '-');
	struct ip a;

	if (strchr(word, '$'))
		return p_fault(p, at,
			       "no IP address found for %s: inside of a word a macro is not "
			       "expanded",
			       word);
	if (dash && ip_parse(dash + 1, &a) == 0)
		return p_fault(p, at,
			       "no IP address found for %s: a range of addresses has blanks "
			       "around its \"-\"",
			       word);
	if (host && host->n) {
		const char **names = mem_resize(NULL, host->n, sizeof(*names));
		for (size_t i = 0; i < host->n; i++)
			names[i] = host->iface[i].name;
		near = str_nearest(word, names, host->n);
		free(names);
	}
	if (near)
		return p_fault(p, at, "no IP address found for %s (did you mean %s?)", word, near);
	return p_fault(p, at, "no IP address found for %s", word);
}

bool resolve_host(struct parser *p, struct pos at, const char *word, int len, bool neg,
		  struct hosts *out)
{
	static const struct pf_host nobody = {0};
	const struct pf_host *host = p->r->host ? p->r->host : &nobody;
	int is = literal(p, at, word, len, neg, out);
	unsigned mods;

	if (is)
		return is > 0;
	const char *colon = strchr(word, ':');
	char *name =
	    arena_strndup(&p->pf->arena, word, colon ? (size_t)(colon - word) : strlen(word));
	if (!is_interface(host, name))
		return add_resolved(p, word, len, neg, out) || no_address(p, at, word);
	name = arena_strndup(&p->pf->arena, word, strlen(word));
	if (!cut_modifiers(p, at, name, &mods))
		return false;
	if (mods & (PF_MOD_NETWORK | PF_MOD_BROADCAST) && len >= 0)
		return p_fault(p, at, "network or broadcast lookup, but extra netmask given");
	size_t before = out->n;
	if (!interface_hosts(host, name, mods, len, neg, out))
		return p_fault(p, at,
			       "no IP address found for %s: the interface has none (yet); (%s) "
			       "in parentheses follows what it has at any time",
			       word, word);
	if (len > 32)
		for (size_t i = before; i < out->n; i++)
			if (out->v[i].af == AF_INET)
				return p_fault(p, at, "netmask %d invalid for IPv4 address", len);
	return true;
}

bool parse_table_name(struct parser *p, const char **name)
{
	struct pos pos = p->tok->now.pos;
	if (!p_expect_op(p, "<"))
		return false;
	const char *s = p_text(p, "the name of a table");
	if (!s)
		return false;
	if (strlen(s) > PF_TABLE_MAX)
		return p_fault(p, pos, "table name '%s' too long (max %u chars)", s, PF_TABLE_MAX);
	if (!pf_token_is_word(s) || strchr(s, '$'))
		return p_fault(p, pos,
			       "\"%s\" is no name of a table: letters, digits, \"_\", \"-\" "
			       "and \".\"",
			       s);
	*name = s;
	return p_expect_op(p, ">");
}

/* "first - last", at the "-". */
static bool parse_range(struct parser *p, struct pos pos, const char *first, bool neg,
			struct hosts *out)
{
	struct ip a, b;

	p_next(p);
	const char *last = p_text(p, "the last address of the range");
	if (!last)
		return false;
	if (ip_parse(first, &a) < 0 || ip_parse(last, &b) < 0 || a.family != b.family)
		return p_fault(p, pos, "%s - %s: a range is made of two addresses of one family",
			       first, last);
	if (ip_cmp(&a, &b) > 0)
		return p_fault(p, pos, "%s - %s: the range ends before it begins", first, last);
	struct host *h = hosts_add(out);
	h->af = a.family;
	h->addr = (struct pf_addr){
	    .type = PF_ADDR_RANGE,
	    .neg = neg,
	    .net = {a, (uint8_t)ip_bits(&a)},
	    .last = b,
	    .len = -1,
	};
	return true;
}

/* "any", "no-route", "urpf-failed": what is no address. */
static bool parse_special(struct parser *p, bool neg, struct hosts *out, bool *found)
{
	static const struct {
		const char *word;
		enum pf_addr_type type;
	} words[] = {
	    {"any", PF_ADDR_ANY},
	    {"no-route", PF_ADDR_NO_ROUTE},
	    {"urpf-failed", PF_ADDR_URPF_FAILED},
	};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (!p_at(p, words[i].word))
			continue;
		if (neg && words[i].type == PF_ADDR_ANY)
			return p_fault(p, p->tok->now.pos, "\"! any\" matches nothing");
		p_next(p);
		struct host *h = hosts_add(out);
		h->addr.type = words[i].type;
		h->addr.neg = neg;
		*found = true;
		return true;
	}
	return true;
}

bool parse_host(struct parser *p, void *hosts)
{
	struct hosts *out = hosts;
	bool neg = p_take_op(p, "!"), found = false;
	struct pos pos = p->tok->now.pos;
	uint32_t len = 0;

	if (p_take_op(p, "("))
		return parse_dynamic(p, neg, out);
	if (p_at_op(p, "<")) {
		const char *name;
		if (!parse_table_name(p, &name))
			return false;
		struct host *h = hosts_add(out);
		h->addr.type = PF_ADDR_TABLE;
		h->addr.name = name;
		h->addr.neg = neg;
		return true;
	}
	if (!parse_special(p, neg, out, &found) || found)
		return found;
	const char *word = p_text(p, "an address, a name or a table");
	if (!word)
		return false;
	if (p_at_op(p, "-"))
		return parse_range(p, pos, word, neg, out);
	if (!p_take_op(p, "/"))
		return resolve_host(p, pos, word, -1, neg, out);
	if (!p_number(p, "the length of a network", 128, &len))
		return false;
	return resolve_host(p, pos, word, (int)len, neg, out);
}
