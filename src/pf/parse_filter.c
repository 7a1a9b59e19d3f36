/* pass, block, match; antispoof. */
#include <string.h>

#include "base/num.h"
#include "pf/names.h"
#include "pf/parse.h"

/* ICMP's and ICMPv6's "port unreachable". */
#define PORT_UNREACHABLE (3 << 8 | 3)
#define PORT_UNREACHABLE6 (1 << 8 | 4)

/* ---- block ---- */

static bool parse_return_code(struct parser *p, int af, uint16_t *out)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, "a code of \"unreachable\"");
	int type = af == AF_INET ? 3 : 1, code;
	uint32_t n;

	if (!word)
		return false;
	code = icmp_code_number(type, word, af);
	if (code < 0 && num_u32(word, 0, UINT8_MAX, &n) == 0)
		code = (int)n;
	if (code < 0)
		return p_fault(p, pos, "unknown %s code %s", af == AF_INET ? "icmp" : "icmp6",
			       word);
	*out = (uint16_t)(type << 8 | code);
	return true;
}

static bool parse_return_icmp(struct parser *p, struct written *w)
{
	if (!p_take_op(p, "("))
		return true;
	if (!parse_return_code(p, AF_INET, &w->r.return_icmp))
		return false;
	p_take_op(p, ",");
	if (!p_at_op(p, ")") && !parse_return_code(p, AF_INET6, &w->r.return_icmp6))
		return false;
	return p_expect_op(p, ")");
}

/* Behind "block". */
static bool parse_block(struct parser *p, struct written *w)
{
	struct pf_rule *r = &w->r;
	uint32_t ttl = 0;

	r->return_icmp = PORT_UNREACHABLE;
	r->return_icmp6 = PORT_UNREACHABLE6;
	r->ret = p->pf->options.block_return ? PF_RETURN : PF_RETURN_DROP;
	if (p_take(p, "drop")) {
		r->ret = PF_RETURN_DROP;
	} else if (p_take(p, "return")) {
		r->ret = PF_RETURN;
	} else if (p_take(p, "return-rst")) {
		r->ret = PF_RETURN_RST;
		if (!p_take_op(p, "("))
			return true;
		if (!p_expect(p, "ttl") || !p_number(p, "a time to live", UINT8_MAX, &ttl))
			return false;
		r->return_ttl = (uint8_t)ttl;
		return p_expect_op(p, ")");
	} else if (p_take(p, "return-icmp")) {
		r->ret = PF_RETURN_ICMP;
		return parse_return_icmp(p, w);
	} else if (p_take(p, "return-icmp6")) {
		r->ret = PF_RETURN_ICMP;
		if (!p_take_op(p, "("))
			return true;
		return parse_return_code(p, AF_INET6, &r->return_icmp6) && p_expect_op(p, ")");
	}
	return true;
}

/* ---- a filter rule ---- */

/* route-to and its like choose a way past the routing table. Only one means what Linux does anyhow:
 * answers through the interface of the default route. */
static bool parse_route(struct parser *p)
{
	struct pos pos = p->tok->now.pos;
	const char *word = p->tok->now.text;
	const struct pf_iface *i = NULL;

	if (p_take(p, "fastroute"))
		return true;
	if (!p_at(p, "route-to") && !p_at(p, "reply-to") && !p_at(p, "dup-to"))
		return true;
	p_next(p);
	if (str_eq(word, "reply-to") && p_take_op(p, "(")) {
		i = p->r->host ? pf_host_iface(p->r->host, p->tok->now.text) : NULL;
		if (p_at_text(p))
			p_next(p);
		if (i && (i->outside4 || i->outside6) && p_at_text(p)) {
			p_next(p);
			if (!p_expect_op(p, ")"))
				return false;
			diag_warn_once(p->d, pos,
				       "reply-to (%s): answers take the default route, which is "
				       "there",
				       i->name);
			return true;
		}
	}
	return p_fault(p, pos,
		       "%s cannot be kept: which way a packet takes is for the routing table "
		       "here (ip-rule(8), ip-route(8))",
		       word);
}

static bool parse_filter_head(struct parser *p, struct written *w)
{
	parse_dir(p, w);
	return parse_log_quick(p, w) && parse_on(p, w) && parse_route(p) && parse_af(p, w) &&
	       parse_proto(p, w) && parse_sides(p, w) && parse_filter_options(p, w);
}

static bool parse_filter_rule(struct parser *p, struct written *w)
{
	if (p_take(p, "pass")) {
		w->r.action = PF_PASS;
	} else if (p_take(p, "match")) {
		w->r.action = PF_MATCH;
	} else {
		p_next(p);
		w->r.action = PF_BLOCK;
		if (!parse_block(p, w))
			return false;
	}
	return parse_filter_head(p, w) && p_in_section(p, SECTION_FILTER) && expand_written(p, w);
}

bool parse_filter(struct parser *p)
{
	autodone(written_done) struct written w = written_blank(PF_PASS, IN_FILTER);
	return parse_filter_rule(p, &w);
}

/* ---- antispoof ---- */

/* The addresses of the family that the rule is for; false: there are none. */
static bool spoofed_hosts(const struct parser *p, const char *name, unsigned mods, int af,
			  struct hosts *out)
{
	static const struct pf_host nobody = {0};
	size_t n = 0;

	interface_hosts(p->r->host ? p->r->host : &nobody, name, mods, -1, false, out);
	for (size_t i = 0; i < out->n; i++)
		if (!af || out->v[i].af == af)
			out->v[n++] = out->v[i];
	out->n = n;
	return n;
}

/* An interface without addresses may get some later. */
static void follow_if_bare(struct parser *p, struct ifname *i, int af)
{
	struct hosts h = {0};
	const char *family = af == AF_INET ? "inet " : af == AF_INET6 ? "inet6 " : "";

	if (!i->dynamic && !spoofed_hosts(p, i->name, 0, af, &h)) {
		diag_warn(
		    p->d, p->start,
		    "antispoof for %s: it has no %saddress (yet); those that it will have are "
		    "meant, as by (%s)",
		    i->name, family, i->name);
		i->dynamic = true;
	}
	free(h.v);
}

/* Nobody may use the interface's networks from elsewhere, nor its addresses from anywhere. */
static bool spoof_rule(struct parser *p, const struct written *as, const struct ifname *i,
		       bool network)
{
	autodone(written_done) struct written w = {.r = as->r, .where = IN_FILTER};
	unsigned mods = network ? PF_MOD_NETWORK : 0;

	if (i->dynamic) {
		struct host *h = hosts_add(&w.src);
		h->addr.type = PF_ADDR_DYNAMIC;
		h->addr.name = i->name;
		h->addr.mods = mods;
	} else if (!spoofed_hosts(p, i->name, mods, w.r.af, &w.src)) {
		return true;
	}
	if (network) {
		w.on.v = mem_grow(NULL, 0, sizeof(*w.on.v));
		w.on.v[w.on.n++] = (struct ifname){.name = i->name, .neg = true};
	}
	return expand_written(p, &w);
}

static bool is_loopback(const struct parser *p, const char *name)
{
	for (size_t i = 0; p->r->host && i < p->r->host->n; i++)
		if (p->r->host->iface[i].loopback && pf_iface_is(&p->r->host->iface[i], name))
			return true;
	return str_eq(name, "lo") || str_eq(name, "lo0");
}

static bool parse_spoofed(struct parser *p, void *ifnames)
{
	struct ifnames *out = ifnames;
	bool dynamic = p_take_op(p, "(");

	if (p_at_op(p, "!"))
		return p_fault(p, p->tok->now.pos,
			       "antispoof for ! INTERFACE: name those that are "
			       "meant");
	if (!parse_ifname(p, ifnames) || (dynamic && !p_expect_op(p, ")")))
		return false;
	out->v[out->n - 1].dynamic = dynamic;
	return true;
}

static bool parse_antispoof_rule(struct parser *p, struct written *w, struct ifnames *names)
{
	p_next(p);
	w->r.dir = PF_IN;
	w->r.ret = PF_RETURN_DROP;
	if (!parse_log_quick(p, w) || !p_expect(p, "for") || !p_list(p, parse_spoofed, names) ||
	    !parse_af(p, w))
		return false;
	if (p_take(p, "label") && !parse_label(p, w))
		return false;
	if (!p_at_end(p))
		return p_unexpected(p, "\"label\" or the end of the line", NULL, 0);
	if (!p_in_section(p, SECTION_FILTER))
		return false;
	bool ok = true;
	for (size_t i = 0; ok && i < names->n; i++) {
		follow_if_bare(p, &names->v[i], w->r.af);
		ok = spoof_rule(p, w, &names->v[i], true);
		if (ok && !is_loopback(p, names->v[i].name))
			ok = spoof_rule(p, w, &names->v[i], false);
	}
	return ok;
}

bool parse_antispoof(struct parser *p)
{
	struct written w = written_blank(PF_BLOCK, IN_FILTER);
	struct ifnames names = {0};
	bool ok = parse_antispoof_rule(p, &w, &names);
	free(names.v);
	return ok;
}
