/* The smallest change that would turn the answer: found by trying it. */
#include "explain/explain.h"

#include <string.h>

static const char *const protos[] = {[PROTO_TCP] = "tcp", [PROTO_UDP] = "udp"};

static const char *ports_text(struct explain_world *w, enum proto proto, unsigned first,
			      unsigned last)
{
	if (first > last)
		return "";
	if (first == 1 && last == 65535)
		return arena_printf(&w->arena, "%s", protos[proto]);
	return arena_printf(&w->arena, first == last ? "%s %u" : "%s %u-%u", protos[proto], first,
			    last);
}

static struct explain_change *change(struct explain_answer *out, size_t jail, enum param_id param)
{
	struct explain_change *c = &out->change[out->nchanges++];
	*c = (struct explain_change){.jail = jail, .param = param};
	return c;
}

/* ---- opening ---- */

/* Is the port redirected for everybody? */
static bool is_redirected(const struct explain_world *w, const struct explain_question *q,
			  int family)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->jail[i].nrdrs; k++) {
			const struct conf_rdr *r = &w->jail[i].rdr[k].r;
			if (!r->nfrom && r->proto == q->proto && r->port.first <= q->port &&
			    q->port <= r->port.last && explain_target(&w->jail[i], family))
				return true;
		}
	return false;
}

/* How the other end is called in allow.connect. */
static const char *peer_name(struct explain_world *w, const struct explain_question *q,
			     const struct explain_answer *a)
{
	char text[IP_TEXT];
	switch (a->at) {
	case WHO_JAIL:
		return w->jail[a->at_jail].name;
	case WHO_HOST:
		/* At the host's outside address, a redirect is what was meant. */
		for (size_t i = 0; i < w->nranges; i++)
			if (ipnet_has(&w->range[i], &a->dst))
				return "host";
		return is_redirected(w, q, a->dst.family) ? "internet" : "host";
	case WHO_INTERNET:
		/* Secrets are named by their address: the whole internet would not do. */
		if (a->rule != RULE_METADATA)
			return "internet";
		return arena_printf(&w->arena, "%s", ip_text(&a->dst, text));
	default:
		return NULL;
	}
}

static void permit(struct explain_world *w, const struct explain_question *q,
		   struct explain_answer *out)
{
	const char *peer = peer_name(w, q, out);
	if (!peer)
		return;
	change(out, out->by, P_ALLOW_CONNECT)->add =
	    arena_printf(&w->arena, "%s %s %u", peer, protos[q->proto], q->port);
}

static bool has_address(const struct explain_jail *j)
{
	return j->naddrs > 0;
}

/* A redirect of the port to the jail: its own one for certain clients gives way; another jail's
 * keeps the port, which is not ours to decide. */
static void open_port(struct explain_world *w, const struct explain_question *q,
		      struct explain_answer *out)
{
	size_t to = q->to.jail;
	const struct explain_jail *j = &w->jail[to];
	const struct conf_value *replaced = NULL;
	if (q->to.who != WHO_JAIL || !has_address(j))
		return;
	const char *add = ports_text(w, q->proto, q->port, q->port);
	for (size_t i = 0; i < w->n; i++)
		for (size_t n = 0; n < w->jail[i].nrdrs; n++) {
			const struct explain_rdr *r = &w->jail[i].rdr[n];
			if (r->r.proto != q->proto || q->port < r->r.port.first ||
			    q->port > r->r.port.last)
				continue;
			if (i != to)
				return;
			replaced = r->value;
			add = ports_text(w, q->proto, r->r.port.first, r->r.port.last);
			if (r->r.to.first != r->r.port.first)
				add = arena_printf(&w->arena, "%s -> %u", add, r->r.to.first);
		}
	struct explain_change *c = change(out, to, P_RDR);
	c->add = add;
	c->remove = replaced;
}

/* ---- closing ---- */

/* The value without this port; "" where nothing is left of it. */
static const char *without(struct explain_world *w, const struct explain_connect *c,
			   const struct explain_question *q)
{
	struct str b autodone(str_done) = {0};
	const char *rest = c->value->text;
	size_t peer = strcspn(rest += strspn(rest, " \t"), " \t");
	for (size_t i = 0; i < c->c.nports; i++) {
		const struct conf_port *p = &c->c.port[i];
		bool hit =
		    p->proto == q->proto && p->port.first <= q->port && q->port <= p->port.last;
		const char *low = ports_text(w, p->proto, p->port.first,
					     hit ? (unsigned)q->port - 1 : p->port.last);
		const char *high =
		    hit ? ports_text(w, p->proto, (unsigned)q->port + 1, p->port.last) : "";
		str_addf(&b, "%s%s", *low ? " " : "", low);
		str_addf(&b, "%s%s", *high ? " " : "", high);
	}
	return b.len ? arena_printf(&w->arena, "%.*s%s", (int)peer, rest, b.s) : NULL;
}

static void forbid(struct explain_world *w, const struct explain_question *q,
		   struct explain_answer *out, const struct conf_value *value)
{
	const struct explain_jail *j = &w->jail[out->by];
	for (size_t i = 0; i < j->nconnects; i++) {
		if (j->connect[i].value != value)
			continue;
		struct explain_change *c = change(out, out->by, P_ALLOW_CONNECT);
		c->remove = value;
		c->add = j->connect[i].c.nports ? without(w, &j->connect[i], q) : NULL;
	}
}

/* What the walk's answer alone suggests. */
static void suggest(struct explain_world *w, const struct explain_question *q,
		    const struct explain_answer *now, struct explain_answer *out)
{
	out->by = now->by;
	out->value = now->value;
	out->rule = now->rule;
	out->at = now->at;
	out->at_jail = now->at_jail;
	out->dst = now->dst;
	switch (now->rule) {
	case RULE_UNLISTED:
	case RULE_MAIL:
	case RULE_METADATA:
		permit(w, q, out);
		break;
	case RULE_NO_RDR:
	case RULE_PRIVATE:
		open_port(w, q, out);
		break;
	case RULE_CONNECT:
		forbid(w, q, out, now->value);
		break;
	case RULE_DEFAULT:
		change(out, now->by, P_ALLOW_CONNECT)->add = "";
		break;
	case RULE_RDR:
		change(out, now->by, P_RDR)->remove = now->value;
		break;
	default:
		break;
	}
}

/* The world's jails are put back; what the changes made stays in the arena. */
void explain(struct explain_world *w, const struct explain_question *q, struct explain_answer *out)
{
	struct explain_answer now, found = {0};
	struct explain_jail *kept = arena_alloc(&w->arena, (w->n + 1) * sizeof(*kept));
	bool turned = false;
	explain_walk(w, q, out);
	now = *out;
	memcpy(kept, w->jail, w->n * sizeof(*kept));
	while (!turned && found.nchanges < EXPLAIN_CHANGES) {
		size_t before = found.nchanges;
		suggest(w, q, &now, &found);
		if (found.nchanges == before)
			break;
		for (size_t i = before; i < found.nchanges; i++)
			explain_apply(w, &found.change[i]);
		explain_walk(w, q, &now);
		turned = now.pass != out->pass;
	}
	memcpy(w->jail, kept, w->n * sizeof(*kept));
	if (!turned)
		return;
	memcpy(out->change, found.change, sizeof(out->change));
	out->nchanges = found.nchanges;
}
