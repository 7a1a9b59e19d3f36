/* What a rule of the filter does where it decides: chains that keep a state, count, refuse. */
#include <netinet/in.h>

#include "pf/lower_steps.h"

/* ---- what a rule does ---- */

void step(struct steps *s, struct lower_step one)
{
	s->v[s->n++] = one;
}

void to_chain(struct steps *s, enum lower_do what, const char *chain)
{
	step(s, (struct lower_step){.what = what, .arg = chain});
}

const char *side(const struct place *p)
{
	return p->dir == PF_IN ? "in" : "out";
}

static uint32_t bit_of(const struct place *p, bool reply)
{
	if (reply)
		return p->dir == PF_IN ? LOWER_REPLY_IN : LOWER_REPLY_OUT;
	return p->dir == PF_IN ? LOWER_IN : LOWER_OUT;
}

void chain_rule(const struct place *p, const char *chain, const struct lower_match *m, size_t nm,
		struct lower_step s)
{
	lowering_rule(p->w, chain, p->dir, m, nm, &s, 1);
}

/* pf passes no packet with IP options unless the rule allows them. */
static void refuse_options(const struct place *p, const char *chain, bool allow)
{
	struct lower_match m = match_of(LF_OPTIONS, NULL);

	if (!allow)
		chain_rule(p, chain, &m, 1, (struct lower_step){.what = LD_DROP});
}

/* The mark in a rule of its own: what is not tracked has none, and passes all the same. */
const char *keeping(const struct place *p, unsigned origin, bool allow)
{
	const char *name = lowering_text(p->w, "pf_keep_%s%s", side(p), allow ? "_opts" : "");

	if (origin)
		name = lowering_text(p->w, "%s_%u", name, origin);
	if (lowering_chain(p->w, name, NULL)) {
		refuse_options(p, name, allow);
		for (int reply = 0; reply < 2; reply++) {
			const struct lower_match m =
			    match_of(LF_CT_DIRECTION, reply ? "reply" : "original");

			chain_rule(p, name, &m, 1,
				   (struct lower_step){
				       .what = LD_STATE, .a = bit_of(p, reply), .b = origin});
		}
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_ACCEPT});
	}
	return name;
}

/* TCP in the middle of a connection makes no state: the rule does not match it. */
void refuse_middle(const struct place *p, const char *chain)
{
	struct lower_match tcp[] = {match_of(LF_PROTO, "6"), match_of(LF_FLAGS, "0x2/0x12")};

	tcp[1].neg = true;
	chain_rule(p, chain, tcp, 2, (struct lower_step){.what = LD_RETURN});
}

static const char *keeping_syn(const struct place *p, unsigned origin, bool allow)
{
	const char *to = keeping(p, origin, allow);
	const char *name = lowering_text(p->w, "pf_syn_%s", to + strlen("pf_"));

	if (lowering_chain(p->w, name, NULL)) {
		refuse_middle(p, name);
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_GOTO, .arg = to});
	}
	return name;
}

/* Without a state; but what was translated always has one, else the answer would be lost. */
const char *passing(const struct place *p, bool allow)
{
	const char *name = lowering_text(p->w, "pf_pass_%s%s", side(p), allow ? "_opts" : "");
	struct lower_match m[] = {match_of(LF_CT_DIRECTION, "original"),
				  match_of(LF_CT_STATUS, p->dir == PF_IN ? "dnat" : "snat")};

	if (lowering_chain(p->w, name, NULL)) {
		refuse_options(p, name, allow);
		chain_rule(p, name, m, 2,
			   (struct lower_step){.what = LD_STATE, .a = bit_of(p, false)});
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_ACCEPT});
	}
	return name;
}

/* ---- limits ---- */

unsigned origin_of(struct lowering *w, size_t ruleset, const struct pf_rule *r)
{
	struct strv *all = &w->out->origin;
	const char *name = r->label;

	if (!name && r->state.flush != PF_FLUSH_NONE)
		name = lowering_text(w, "overload %s @%s/%u", r->state.overload,
				     w->pf->ruleset[ruleset].path, r->nr);
	if (!name)
		return 0;
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->v[i], name))
			return i < LOWER_ORIGIN_MAX ? (unsigned)i + 1 : 0;
	strv_add(all, name);
	if (all->n > LOWER_ORIGIN_MAX)
		diag_warn_once(w->d, r->pos,
			       "more than %d labels: states of the others are not "
			       "told apart by label",
			       LOWER_ORIGIN_MAX);
	return all->n <= LOWER_ORIGIN_MAX ? (unsigned)all->n : 0;
}

static const char *counting_set(struct lowering *w, const char *id, char kind, int af,
				uint32_t size)
{
	const char *name = lowering_text(w, "pf_%c%c_%s", kind, af == AF_INET ? '4' : '6', id);

	if (lowering_once(w, name)) {
		struct lower_op *o = lowering_op(w, LOWER_SET, name);
		o->type = af == AF_INET ? "ipv4_addr" : "ipv6_addr";
		o->dynamic = true;
		o->size = size;
	}
	return name;
}

/* What exceeds the limit is dropped, and its source goes into the table. */
static void over(const struct place *p, const struct pf_rule *r, const char *chain,
		 struct lower_step limit)
{
	const struct pf_table *t =
	    r->state.overload
		? pf_find_table(p->w->pf, p->w->pf->ruleset[p->ruleset].path, r->state.overload)
		: NULL;
	struct str set autodone(str_done) = {0};
	struct steps s = {0};

	step(&s, limit);
	if (t && (limit.what == LD_OVER_RATE || limit.what == LD_OVER_CONN)) {
		lower_set_name(&set, t, 'd', limit.af);
		step(&s, (struct lower_step){.what = LD_ADD,
					     .af = limit.af,
					     .arg = lowering_text(p->w, "%s", set.s)});
	}
	step(&s, (struct lower_step){.what = LD_DROP});
	lowering_rule(p->w, chain, p->dir, NULL, 0, s.v, s.n);
}

static void limit_sources(const struct place *p, const struct pf_rule *r, const char *chain,
			  const char *id, int af)
{
	const struct pf_state *k = &r->state;
	const uint32_t most =
	    k->max_src_conn && (!k->max_src_states || k->max_src_conn < k->max_src_states)
		? k->max_src_conn
		: k->max_src_states;
	const char *full = lowering_text(p->w, "%s_room%c", chain, af == AF_INET ? '4' : '6');

	if (k->rate)
		over(p, r, chain,
		     (struct lower_step){.what = LD_OVER_RATE,
					 .af = af,
					 .arg = counting_set(p->w, id, 'r', af, 65536),
					 .a = k->rate,
					 .b = k->rate_seconds});
	if (most)
		over(p, r, chain,
		     (struct lower_step){.what = LD_OVER_CONN,
					 .af = af,
					 .arg = counting_set(p->w, id, 'c', af, 65536),
					 .a = most});
	if (!k->max_src_nodes || !lowering_chain(p->w, full, NULL))
		return;
	struct lower_step room[] = {
	    {.what = LD_ROOM, .af = af, .arg = counting_set(p->w, id, 'n', af, k->max_src_nodes)},
	    {.what = LD_RETURN}};
	struct lower_match family = match_of(LF_FAMILY, af == AF_INET ? "ipv4" : "ipv6");
	lowering_rule(p->w, full, p->dir, NULL, 0, room, 2);
	chain_rule(p, full, NULL, 0, (struct lower_step){.what = LD_DROP});
	chain_rule(p, chain, &family, 1, (struct lower_step){.what = LD_JUMP, .arg = full});
}

static bool has_limits(const struct pf_state *s)
{
	return s->max || s->max_src_nodes || s->max_src_states || s->max_src_conn || s->rate;
}

static const char *limiting(const struct place *p, const struct pf_rule *r, unsigned origin)
{
	const char *id =
	    lowering_text(p->w, "%zu.%u%s", p->ruleset, r->nr, p->dir == PF_IN ? "i" : "o");
	const char *name = lowering_text(p->w, "pf_limit_%s", id);

	if (!lowering_chain(p->w, name, NULL))
		return name;
	if (r->flags_implied && !r->proto)
		refuse_middle(p, name);
	if (r->af != AF_INET6)
		limit_sources(p, r, name, id, AF_INET);
	if (r->af != AF_INET)
		limit_sources(p, r, name, id, AF_INET6);
	if (r->state.max)
		over(p, r, name, (struct lower_step){.what = LD_OVER_MAX, .a = r->state.max});
	chain_rule(p, name, NULL, 0,
		   (struct lower_step){.what = LD_GOTO, .arg = keeping(p, origin, r->allow_opts)});
	return name;
}

/* ---- pass, block ---- */

/* Was it written? "max" brings two, and max-src-conn-rate how long a source is remembered. */
static bool is_written(const struct pf_state *k, const struct pf_timeout *t)
{
	if (str_eq(t->name, "adaptive.start"))
		return t->seconds != k->max / 10 * 6;
	if (str_eq(t->name, "adaptive.end"))
		return t->seconds != k->max / 10 * 12;
	return !str_eq(t->name, "src.track");
}

static void warn_state(struct lowering *w, const struct pf_rule *r)
{
	const struct pf_state *k = &r->state;
	bool timeouts = false;

	if (k->keep == PF_STATE_SYNPROXY)
		diag_warn_once(w->d, r->pos,
			       "synproxy state is kept as keep state: Linux can do "
			       "the handshake for others only where no connection is tracked");
	if (k->if_bound || w->pf->options.if_bound)
		diag_warn_once(w->d, r->pos, "states are floating: if-bound has no effect");
	for (size_t i = 0; i < k->ntimeouts; i++)
		timeouts |= is_written(k, &k->timeout[i]);
	if (timeouts)
		diag_warn_once(w->d, r->pos,
			       "timeouts of single rules have no effect: the kernel "
			       "has one for all (sysctl net.netfilter)");
	if (k->track == PF_TRACK_GLOBAL)
		diag_warn_once(w->d, r->pos,
			       "sources are counted for each rule by itself: "
			       "source-track global has no effect");
}

static void do_pass(const struct place *p, const struct pf_rule *r, struct steps *s)
{
	unsigned origin = origin_of(p->w, p->ruleset, r);

	if (r->state.keep == PF_STATE_NONE) {
		to_chain(s, LD_GOTO, passing(p, r->allow_opts));
		return;
	}
	warn_state(p->w, r);
	if (has_limits(&r->state))
		to_chain(s, LD_JUMP, limiting(p, r, origin));
	else if (r->flags_implied && !r->proto && !p->split)
		to_chain(s, LD_JUMP, keeping_syn(p, origin, r->allow_opts));
	else
		to_chain(s, LD_GOTO, keeping(p, origin, r->allow_opts));
}

/* The answers to what is blocked may leave, whatever the rules say. */
static const char *returning(const struct place *p, const struct pf_rule *r)
{
	bool rst = r->ret == PF_RETURN_RST, icmp = r->ret == PF_RETURN_ICMP;
	const char *name = lowering_text(p->w, "pf_return_%s", p->returns ? "early" : "in");
	struct lower_match tcp = match_of(LF_PROTO, "6");
	struct lower_match v4 = match_of(LF_FAMILY, "ipv4"), v6 = match_of(LF_FAMILY, "ipv6");

	if (rst)
		name = lowering_text(p->w, "%s_rst", name);
	else if (icmp)
		name = lowering_text(p->w, "%s_%u_%u", name, r->return_icmp, r->return_icmp6);
	if (!lowering_chain(p->w, name, NULL))
		return name;
	chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_STATE, .a = LOWER_RETURN});
	if (!icmp)
		chain_rule(p, name, &tcp, 1,
			   (struct lower_step){.what = LD_REJECT, .arg = "tcp reset"});
	if (rst)
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_DROP});
	else if (!icmp)
		chain_rule(p, name, NULL, 0, (struct lower_step){.what = LD_REJECT});
	if (!icmp)
		return name;
	chain_rule(p, name, &v4, 1,
		   (struct lower_step){.what = LD_REJECT,
				       .af = AF_INET,
				       .a = r->return_icmp ? r->return_icmp & 0xff : 3});
	chain_rule(p, name, &v6, 1,
		   (struct lower_step){.what = LD_REJECT,
				       .af = AF_INET6,
				       .a = r->return_icmp6 ? r->return_icmp6 & 0xff : 4});
	return name;
}

bool is_return(const struct pf *pf, const struct pf_rule *r)
{
	if (r->action != PF_BLOCK)
		return false;
	return r->ret == PF_RETURN_POLICY ? pf->options.block_return : r->ret != PF_RETURN_DROP;
}

static void do_block(const struct place *p, const struct pf_rule *r, struct steps *s)
{
	/* Unreachable of all kinds can be said; of the rest nothing. */
	if (r->ret == PF_RETURN_ICMP && ((r->return_icmp && r->return_icmp >> 8 != 3) ||
					 (r->return_icmp6 && r->return_icmp6 >> 8 != 1)))
		diag_error(p->w->d, r->pos,
			   "what is blocked can be answered by \"unreachable\" "
			   "only (type unreach), not by another ICMP message");
	if (is_return(p->w->pf, r) && (p->dir == PF_IN || p->returns))
		to_chain(s, LD_GOTO, returning(p, r));
	else
		step(s, (struct lower_step){.what = LD_DROP});
}

static void do_scrub(const struct pf_rule *r, struct steps *s)
{
	if (r->scrub.max_mss)
		step(s, (struct lower_step){.what = LD_MAX_MSS, .a = r->scrub.max_mss});
}

void do_log(const struct place *p, const struct pf_rule *r, struct steps *s)
{
	const char *what = r->action == PF_PASS    ? "pass"
			   : r->action == PF_MATCH ? "match"
						   : "block";

	if (r->log_all)
		diag_warn_once(p->w->d, r->pos,
			       "log (all) logs what makes a state, not what passes by one");
	step(s, (struct lower_step){.what = LD_LOG,
				    .arg = lowering_text(p->w, "rule %zu.%u %s %s ", p->ruleset,
							 r->nr, what, side(p))});
}

/* What the rule does where it decides. */
struct steps rule_steps(const struct place *p, const struct pf_rule *r)
{
	struct steps s = {0};

	if (p->returns && !is_return(p->w->pf, r)) {
		step(&s, (struct lower_step){.what = LD_ACCEPT});
		return s;
	}
	if (r->log && r->action != PF_MATCH)
		do_log(p, r, &s);
	if (r->action == PF_PASS) {
		do_scrub(r, &s);
		do_pass(p, r, &s);
	} else {
		do_block(p, r, &s);
	}
	return s;
}

const char *rule_id(const struct place *p, const struct pf_rule *r)
{
	if (p->returns && !is_return(p->w->pf, r))
		return NULL;
	return lowering_text(p->w, "%zu.f.%u", p->ruleset, r->nr);
}

struct item *item_add(struct items *v, struct lowering *w, const struct steps *s, const char *id)
{
	v->v = mem_grow(v->v, v->n, sizeof(*v->v));
	v->v[v->n] = (struct item){
	    .step = lowering_copy(w, s->v, s->n * sizeof(s->v[0])), .nsteps = s->n, .id = id};
	return &v->v[v->n++];
}
