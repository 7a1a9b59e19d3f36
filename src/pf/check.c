/* What pfctl refuses in rules that can be read; and what cannot be kept here. pfctl's words where it
 * has some. */
#include <netinet/in.h>

#include "pf/parse.h"

#define TH_SYN 0x02
#define TH_SYN_ACK 0x12

static bool refuse(struct parser *p, const char *text)
{
	return p_fault(p, p->start, "%s", text);
}

/* ---- filter rules ---- */

static void imply_state(struct parser *p, struct written *w)
{
	struct pf_rule *r = &w->r;

	if (r->action == PF_PASS && !w->keep) {
		if (p->defaults)
			r->state = *p->defaults;
		r->state.keep = PF_STATE_KEEP;
		r->state.implied = true;
	}
	if (r->state.keep != PF_STATE_NONE && !r->state.if_bound && !r->state.floating)
		r->state.if_bound = p->pf->options.if_bound;
	if (r->action == PF_PASS && !w->flags && !r->fragment && r->state.keep != PF_STATE_NONE) {
		r->flags = TH_SYN;
		r->flags_of = TH_SYN_ACK;
		r->flags_implied = true;
	}
	r->flags_set = r->flags_of;
}

static bool asks_tcp(const struct written *w)
{
	for (size_t i = 0; i < w->proto.n; i++)
		if (w->proto.v[i] == IPPROTO_TCP)
			return true;
	return !w->proto.n;
}

static bool has_type(const struct hosts *h, enum pf_addr_type type)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->v[i].addr.type == type)
			return true;
	return false;
}

static bool check_state(struct parser *p, const struct pf_rule *r)
{
	const struct pf_state *s = &r->state;

	if (s->sloppy && (s->keep == PF_STATE_MODULATE || s->keep == PF_STATE_SYNPROXY))
		return refuse(p, "sloppy state matching cannot be used with synproxy state or "
				 "modulate state");
	if (r->action == PF_BLOCK && s->keep != PF_STATE_NONE)
		return refuse(p, "keep state on block rules doesn't make sense");
	if (r->action == PF_MATCH && s->keep != PF_STATE_NONE)
		diag_warn(p->d, p->start,
			  "keep state has no effect in match rules: the rule that "
			  "passes the packet keeps it");
	return true;
}

static bool check_filter(struct parser *p, struct written *w)
{
	struct pf_rule *r = &w->r;

	if (w->flags && r->flags_of && !asks_tcp(w))
		return refuse(p, "flags only apply to tcp");
	if (has_type(&w->dst, PF_ADDR_URPF_FAILED))
		return refuse(p, "\"urpf-failed\" is not permitted in a destination address");
	if (r->allow_opts && r->action != PF_PASS)
		return refuse(p, "allow-opts can only be specified for pass rules");
	imply_state(p, w);
	return check_state(p, r);
}

/* ---- translations ---- */

static bool check_pool_host(struct parser *p, const struct written *w, const struct host *h)
{
	bool round_robin = w->r.pool.type == PF_POOL_ROUND_ROBIN;

	if (h->addr.neg)
		return refuse(p, "behind \"->\" there is no \"!\"");
	switch (h->addr.type) {
	case PF_ADDR_ANY:
	case PF_ADDR_NO_ROUTE:
	case PF_ADDR_URPF_FAILED:
		return refuse(p, "behind \"->\" stand addresses that packets can have");
	case PF_ADDR_TABLE:
		if (!round_robin)
			return refuse(p,
				      "tables are only supported in round-robin redirection pools");
		break;
	case PF_ADDR_DYNAMIC:
		if (!round_robin && !(h->addr.mods & PF_MOD_NOALIAS))
			return p_fault(
			    p, p->start,
			    "interface (%s) is only supported in round-robin redirection "
			    "pools",
			    h->addr.name);
		break;
	case PF_ADDR_NET:
	case PF_ADDR_RANGE:
		break;
	}
	return true;
}

static bool check_binat(struct parser *p, const struct written *w)
{
	if (w->on.n > 1 || w->proto.n > 1)
		return refuse(p, "a binat rule has one interface and one protocol: no lists");
	if (w->sport.n || w->dport.n)
		return refuse(p, "binat is of whole addresses: no ports");
	if (w->src.n > 1 || w->dst.n > 1)
		return refuse(p, "multiple binat ip addresses");
	if (has_type(&w->src, PF_ADDR_TABLE))
		return p_fault(p, p->start,
			       "invalid use of table <%s> as the source address of a binat rule",
			       w->src.v->addr.name);
	if (has_type(&w->dst, PF_ADDR_URPF_FAILED))
		return refuse(p, "\"urpf-failed\" is not permitted as a binat destination");
	if (w->r.action == PF_BINAT && (!w->src.n || (w->src.v->addr.type != PF_ADDR_NET &&
						      w->src.v->addr.type != PF_ADDR_DYNAMIC)))
		return refuse(p, "a binat rule needs an address or network behind \"from\"");
	if (w->src.n && w->src.v->addr.neg)
		return refuse(p, "the source address of a binat rule cannot be negated");
	return true;
}

static bool check_arrow(struct parser *p, const struct written *w)
{
	bool binat = w->where == IN_BINAT;
	bool no =
	    w->r.action == PF_NO_NAT || w->r.action == PF_NO_RDR || w->r.action == PF_NO_BINAT;

	if (no && w->arrow)
		return refuse(p, binat ? "'no binat' rule does not need '->'"
				       : "translation rule with 'no' does not need '->'");
	if (!no && !w->arrow)
		return refuse(p, binat ? "'binat' rule requires '-> address'"
				       : "translation rule requires '-> address'");
	return true;
}

static bool check_translation(struct parser *p, struct written *w)
{
	const struct pf_pool *pool = &w->r.pool;

	if (!check_arrow(p, w) || (w->where == IN_BINAT && !check_binat(p, w)))
		return false;
	for (size_t i = 0; i < w->pool.n; i++)
		if (!check_pool_host(p, w, &w->pool.v[i]))
			return false;
	if (w->pool.n > 1 && pool->type != PF_POOL_ROUND_ROBIN)
		return refuse(p, "only round-robin valid for multiple redirection addresses");
	if (pool->static_port && w->r.action != PF_NAT)
		return refuse(p, "the 'static-port' option is only valid with nat rules");
	if (pool->static_port && pool->port_first)
		return refuse(
		    p, "the 'static-port' option can't be used when specifying a port range");
	if (w->r.action == PF_NAT && pool->port_shift)
		return refuse(p, "\":*\" is for rdr rules: nat takes its ports from a range, a:b");
	if (w->r.action == PF_RDR && pool->port_last != pool->port_first && !w->dport.n)
		return refuse(p, "a range of ports behind \"->\" needs one behind \"to\" as well");
	if (w->where == IN_BINAT && (pool->port_first || w->pool_type || pool->sticky))
		return refuse(p, "binat is of whole addresses: no ports, no pools");
	return true;
}

/* "em0" has addresses of both families, of which the right one is left by now. */
static bool check_binat_families(struct parser *p, const struct written *w)
{
	if (!w->r.af)
		return refuse(p, "address family (inet/inet6) undefined");
	if ((w->src.n && w->src.v->af && w->src.v->af != w->r.af) ||
	    (w->dst.n && w->dst.v->af && w->dst.v->af != w->r.af))
		return refuse(p, "binat ip versions must match");
	if (!w->arrow)
		return true;
	if (w->pool.n != 1)
		return refuse(p, "binat rule must redirect to a single address");
	const struct pf_addr *from = &w->src.v->addr, *to = &w->pool.v->addr;
	if (to->type == PF_ADDR_TABLE)
		return p_fault(p, p->start,
			       "invalid use of table <%s> as the redirect address of a binat rule",
			       to->name);
	if (to->type == PF_ADDR_RANGE)
		return refuse(p, "a binat rule redirects to an address or a network");
	if (from->type == PF_ADDR_NET && to->type == PF_ADDR_NET && from->net.len != to->net.len)
		return refuse(p, "'binat' source mask and redirect mask must be the same");
	return true;
}

bool check_families(struct parser *p, const struct written *w)
{
	if (w->where == IN_BINAT && w->r.action != PF_ANCHOR)
		return check_binat_families(p, w);
	if (!w->r.af)
		for (size_t i = 0; i < w->pool.n; i++)
			if (w->pool.v[i].af)
				return refuse(p, "address family not given and translation address "
						 "expands to multiple address families");
	return true;
}

bool check_written(struct parser *p, struct written *w)
{
	w->r.flags_set = w->r.flags_of;
	if (w->where == IN_FILTER)
		return check_filter(p, w);
	if (w->where != IN_SCRUB && w->r.action != PF_ANCHOR)
		return check_translation(p, w);
	return true;
}

/* ---- each rule that comes of it ---- */

static bool has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static bool check_rdr(struct parser *p, const struct pf_rule *r)
{
	if (!has_ports(r->proto)) {
		if (r->src.port.op)
			return refuse(p, "src port only applies to tcp/udp/sctp");
		if (r->dst.port.op)
			return refuse(p, "dst port only applies to tcp/udp/sctp");
		if (r->pool.port_first)
			return refuse(p, "rpool port only applies to tcp/udp/sctp");
	}
	if (r->dst.port.op && r->dst.port.op != PF_OP_EQ && r->dst.port.op != PF_OP_RANGE)
		return refuse(p, "invalid port operator for rdr destination port");
	return true;
}

static bool check_icmp(struct parser *p, const struct written *w, const struct pf_rule *r)
{
	if (r->proto != IPPROTO_ICMP && r->proto != IPPROTO_ICMPV6)
		return refuse(p, "icmp-type/code only applies to icmp");
	if (!r->af)
		return refuse(p,
			      "must indicate address family with icmp-type/code (inet or inet6)");
	if (w->icmp.v->proto != r->proto)
		return refuse(
		    p, "icmp-type mismatch: icmp-type is of proto icmp, icmp6-type of icmp6");
	return true;
}

bool check_rule(struct parser *p, const struct written *w, const struct pf_rule *r)
{
	if (w->where == IN_RDR)
		return check_rdr(p, r);
	if (!has_ports(r->proto) && (r->src.port.op || r->dst.port.op))
		return refuse(p, "port only applies to tcp/udp/sctp");
	if (w->icmp.n && !check_icmp(p, w, r))
		return false;
	if ((r->proto == IPPROTO_ICMP && r->af == AF_INET6) ||
	    (r->proto == IPPROTO_ICMPV6 && r->af == AF_INET))
		return p_fault(p, p->start, "proto %s doesn't match address family %s",
			       r->proto == IPPROTO_ICMP ? "icmp" : "icmp6",
			       r->af == AF_INET ? "inet" : "inet6");
	if (r->fragment && (r->src.port.op || r->dst.port.op || r->flags_set || w->icmp.n))
		return refuse(p, "fragments can be filtered only on IP header fields");
	if (r->action == PF_BLOCK && r->ret == PF_RETURN_RST && r->proto != IPPROTO_TCP)
		return refuse(p, "return-rst can only be applied to TCP rules");
	return true;
}
