/* What filter and translation rules share: log, on, af, proto, from and to; users. */
#include <netinet/in.h>
#include <string.h>

#include "base/num.h"
#include "pf/names.h"
#include "pf/parse.h"

/* ---- log, on, af, proto ---- */

static bool parse_log_option(struct parser *p, struct written *w)
{
	static const char *const words[] = {"all", "user", "matches", "to"};
	if (p_take(p, "all")) {
		w->r.log_all = true;
		return true;
	}
	if (p_at(p, "user")) {
		diag_warn_once(p->d, p->tok->now.pos,
			       "log (user) has no effect here: the kernel's log has no users");
		p_next(p);
		return true;
	}
	if (p_at(p, "matches"))
		return p_fault(p, p->tok->now.pos,
			       "log (matches) cannot be kept: every rule that "
			       "shall be logged says \"log\"");
	if (p_take(p, "to")) {
		struct pos pos = p->tok->now.pos;
		w->r.log_if = p_text(p, "an interface such as pflog0");
		if (!w->r.log_if)
			return false;
		return (str_prefix(w->r.log_if, "pflog") && good_interface(p, pos, w->r.log_if)) ||
		       p_fault(p, pos, "log (to %s): pf logs to pflog0, pflog1 and so on",
			       w->r.log_if);
	}
	return p_unexpected(p, "all, user or to", words, ARRAY_SIZE(words));
}

bool parse_log(struct parser *p, struct written *w)
{
	w->r.log = true;
	if (!p_take_op(p, "("))
		return true;
	do {
		if (!parse_log_option(p, w))
			return false;
		p_take_op(p, ",");
	} while (!p_at_op(p, ")") && !p_at_end(p));
	return p_expect_op(p, ")");
}

bool parse_log_quick(struct parser *p, struct written *w)
{
	for (;;) {
		if (p_take(p, "quick"))
			w->r.quick = true;
		else if (!p_take(p, "log"))
			return true;
		else if (!parse_log(p, w))
			return false;
	}
}

void parse_dir(struct parser *p, struct written *w)
{
	if (p_take(p, "in"))
		w->r.dir = PF_IN;
	else if (p_take(p, "out"))
		w->r.dir = PF_OUT;
}

/* A name that no interface and no group has is no fault, since it may come later: but told. */
static void check_interface(struct parser *p, struct pos at, const char *name)
{
	const struct pf_host *host = p->r->host;
	if (!host || !host->n)
		return;
	const char **names = mem_resize(NULL, host->n + 1, sizeof(*names));
	bool known = str_eq(name, "none");
	for (size_t i = 0; i < host->n; i++) {
		names[i] = host->iface[i].name;
		known |= pf_iface_is(&host->iface[i], name);
	}
	names[host->n] = "egress";
	const char *near = known ? NULL : str_nearest(name, names, host->n + 1);
	if (!known)
		diag_warn_once(p->d, at, "no interface or group is called %s (yet)%s%s%s", name,
			       near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	free(names);
}

bool parse_ifname(struct parser *p, void *ifnames)
{
	struct ifnames *out = ifnames;
	bool neg = p_take_op(p, "!");
	struct pos pos = p->tok->now.pos;
	const char *name = p_text(p, "the name of an interface");

	if (!name || !good_interface(p, pos, name))
		return false;
	check_interface(p, pos, name);
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = (struct ifname){.name = name, .neg = neg};
	return true;
}

bool parse_on(struct parser *p, struct written *w)
{
	return !p_take(p, "on") || p_list(p, parse_ifname, &w->on);
}

bool parse_af(struct parser *p, struct written *w)
{
	if (p_take(p, "inet"))
		w->r.af = AF_INET;
	else if (p_take(p, "inet6"))
		w->r.af = AF_INET6;
	return true;
}

static bool parse_proto_item(struct parser *p, void *protos)
{
	struct protos *out = protos;
	const struct token t = p->tok->now;
	uint8_t proto = 0;
	uint32_t n;

	if (!p_at_text(p))
		return p_unexpected(p, "a protocol", NULL, 0);
	int r = num_u32(t.text, 0, UINT8_MAX, &n);
	if (r == -ERANGE)
		return p_fault(p, t.pos, "protocol outside range: %s is not 0 to 255", t.text);
	if (r == 0) {
		proto = (uint8_t)n;
	} else if (!proto_number(t.text, &proto)) {
		const char *near = proto_nearest(t.text);
		return p_fault(p, t.pos, "unknown protocol %s%s%s%s", t.text,
			       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
	p_next(p);
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = proto;
	return true;
}

bool parse_proto(struct parser *p, struct written *w)
{
	return !p_take(p, "proto") || p_list(p, parse_proto_item, &w->proto);
}

/* ---- numbers with operators: ports, users ---- */

static enum pf_op take_operator(struct parser *p)
{
	static const struct {
		const char *text;
		enum pf_op op;
	} operators[] = {
	    {"=", PF_OP_EQ},  {"!=", PF_OP_NE}, {"<", PF_OP_LT},
	    {"<=", PF_OP_LE}, {">", PF_OP_GT},  {">=", PF_OP_GE},
	};
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (p_take_op(p, operators[i].text))
			return operators[i].op;
	return PF_OP_ANY;
}

static enum pf_op take_binary(struct parser *p)
{
	if (p_take_op(p, "><"))
		return PF_OP_INSIDE;
	return p_take_op(p, "<>") ? PF_OP_OUTSIDE : PF_OP_ANY;
}

static void add_range(struct ranges *out, struct pf_range range)
{
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = range;
}

static bool one_port(struct parser *p, struct pos at, const char *word, uint32_t *port)
{
	const struct pf_host *host = p->r->host;
	uint16_t n = 0;
	int r = num_u32(word, 0, UINT16_MAX, port);

	if (r == -ERANGE)
		return p_fault(p, at, "illegal port value %s: a port is 0 to 65535", word);
	if (r == 0)
		return true;
	if (!service_port(word, 0, &n) && (!host || !host->service ||
					   (host->service(host->arg, word, IPPROTO_TCP, &n) < 0 &&
					    host->service(host->arg, word, IPPROTO_UDP, &n) < 0))) {
		const char *near = service_nearest(word);
		return p_fault(p, at, "unknown port %s%s%s%s", word, near ? " (did you mean " : "",
			       near ? near : "", near ? "?)" : "");
	}
	*port = n;
	return true;
}

bool parse_port(struct parser *p, struct pos at, const char *word, struct pf_range *out, bool *star)
{
	const char *colon = strchr(word, ':');

	*out = (struct pf_range){.op = PF_OP_EQ};
	if (star)
		*star = false;
	if (!colon)
		return one_port(p, at, word, &out->a);
	char *first = arena_strndup(&p->pf->arena, word, (size_t)(colon - word));
	if (!one_port(p, at, first, &out->a))
		return false;
	if (!star && str_eq(colon + 1, "*"))
		return p_fault(p, at, "%s: \":*\" stands behind the \"->\" of rdr alone", word);
	if (star && str_eq(colon + 1, "*")) {
		*star = true;
		return true;
	}
	out->op = PF_OP_RANGE;
	if (!one_port(p, at, colon + 1, &out->b))
		return false;
	return out->a <= out->b || p_fault(p, at, "port range %s: it ends before it begins", word);
}

static bool parse_port_item(struct parser *p, void *ranges)
{
	enum pf_op op = take_operator(p);
	struct pos pos = p->tok->now.pos;
	struct pf_range r, last;
	const char *word = p_text(p, "a port or the name of a service");

	if (!word || !parse_port(p, pos, word, &r, NULL))
		return false;
	if (op != PF_OP_ANY && r.op == PF_OP_RANGE)
		return p_fault(p, pos, "':' cannot be used with an other port operator");
	if (op != PF_OP_ANY) {
		r.op = op;
	} else if ((op = take_binary(p)) != PF_OP_ANY) {
		struct pos second = p->tok->now.pos;
		const char *word2 = p_text(p, "the second port");
		if (!word2 || !parse_port(p, second, word2, &last, NULL))
			return false;
		if (r.op == PF_OP_RANGE || last.op == PF_OP_RANGE)
			return p_fault(p, pos, "':' cannot be used with an other port operator");
		r = (struct pf_range){op, r.a, last.a};
	}
	add_range(ranges, r);
	return true;
}

/* ---- users and groups ---- */

#define UNKNOWN UINT32_MAX

static bool one_id(struct parser *p, bool group, uint32_t *id)
{
	const struct pf_host *host = p->r->host;
	struct pos pos = p->tok->now.pos;
	const char *word = p_text(p, group ? "a group" : "a user");

	if (!word)
		return false;
	if (str_eq(word, "unknown")) {
		*id = UNKNOWN;
		return true;
	}
	if (num_u32(word, 0, UINT32_MAX - 1, id) == 0 ||
	    (host && host->user && host->user(host->arg, word, group, id) == 0))
		return true;
	return p_fault(p, pos, "unknown %s %s", group ? "group" : "user", word);
}

static bool parse_id(struct parser *p, bool group, struct ranges *out)
{
	struct pos pos = p->tok->now.pos;
	struct pf_range r = {.op = take_operator(p)};
	const char *what = group ? "group" : "user";

	if (!one_id(p, group, &r.a))
		return false;
	if (r.op == PF_OP_ANY) {
		r.op = take_binary(p);
		if (r.op == PF_OP_ANY)
			r.op = PF_OP_EQ;
		else if (!one_id(p, group, &r.b))
			return false;
	}
	if ((r.a == UNKNOWN || r.b == UNKNOWN) && r.op != PF_OP_EQ && r.op != PF_OP_NE)
		return p_fault(p, pos, "%s unknown requires operator = or !=", what);
	add_range(out, r);
	return true;
}

static bool parse_user_item(struct parser *p, void *ranges)
{
	return parse_id(p, false, ranges);
}

static bool parse_group_item(struct parser *p, void *ranges)
{
	return parse_id(p, true, ranges);
}

bool parse_ids(struct parser *p, bool group, struct ranges *out)
{
	return p_list(p, group ? parse_group_item : parse_user_item, out);
}

/* ---- from and to ---- */

/* Of several "! x" in a list, each is a rule of its own: together they match everything. */
static void warn_negated(struct parser *p, struct pos at, const struct hosts *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->n; i++)
		n += h->v[i].addr.neg;
	if (n > 1)
		diag_warn(p->d, at,
			  "several \"!\" in one list: each becomes a rule of its own, and "
			  "together these match everything; a table can hold exceptions");
}

static bool parse_side(struct parser *p, struct hosts *hosts, struct ranges *ports)
{
	struct pos pos = p->tok->now.pos;
	bool any = false;

	if (!p_at(p, "port") && !p_at(p, "os")) {
		bool ok = p_at_op(p, "{") ? p_list_items(p, parse_host, hosts, LIST_NEST)
					  : parse_host(p, hosts);
		if (!ok)
			return false;
		warn_negated(p, pos, hosts);
		any = true;
	}
	if (p_take(p, "port")) {
		if (!p_list(p, parse_port_item, ports))
			return false;
		any = true;
	}
	if (p_at(p, "os"))
		return p_fault(p, p->tok->now.pos,
			       "os cannot be kept: Linux tells no operating system "
			       "by its packets here");
	return any || p_unexpected(p, "an address or \"port\"", NULL, 0);
}

bool parse_sides(struct parser *p, struct written *w)
{
	if (p_take(p, "all"))
		return true;
	if (p_take(p, "from") && !parse_side(p, &w->src, &w->sport))
		return false;
	if (p_take(p, "to") && !parse_side(p, &w->dst, &w->dport))
		return false;
	return true;
}
