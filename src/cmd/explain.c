/* newgate explain: would a connection pass, which line decides, and what would turn the answer? */
#include "explain/explain.h"

#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/explain_pf.h"
#include "cmd/output.h"
#include "explain/listen.h"
#include "explain/view.h"
#include "net/ban.h"

#define BLOCKED 2 /* the exit status */

static const char *const protos[] = {[PROTO_TCP] = "tcp", [PROTO_UDP] = "udp"};

struct asked {
	struct configured conf;
	struct gather all;
	struct explain_world world;
	struct foreign foreign;
	struct explain_rules *rules; /* of pf.conf, where that is the firewall; or NULL */
	struct bans bans;
	struct explain_question q;
	bool json, several; /* pairs of ends */
	struct output *out; /* of the table, or JSON */
};

struct ends {
	struct explain_end *v;
	size_t n;
};

/* All that is told of one answer. */
struct told {
	const struct explain_answer *a;
	const struct explain_pf *pf; /* where pf.conf is the firewall; or NULL */
	struct ports ports;
	struct str reason, foreign, fix;
	struct strv changes, notes;
	enum foreign_verdict others;
	const char *listening; /* "yes", "no", "elsewhere"; NULL: not looked at */
};

static void told_done(struct told *t)
{
	str_done(&t->reason);
	str_done(&t->foreign);
	str_done(&t->fix);
	strv_done(&t->changes);
	strv_done(&t->notes);
}

/* ---- the question ---- */

/* "TO", "TO:PORT", "TO:PORT/udp", "[TO]:PORT"; what is before the port goes to *to. */
static bool cut_port(struct arena *arena, const char *text, const char **to,
		     struct explain_question *q)
{
	const char *close = text[0] == '[' ? strchr(text, ']') : NULL, *colon, *why;
	struct ports ports;
	if (close) {
		*to = arena_strndup(arena, text + 1, (size_t)(close - text - 1));
		colon = close[1] == ':' ? close + 1 : NULL;
	} else {
		colon = strchr(text, ':');
		if (colon && strchr(colon + 1, ':'))
			colon = NULL; /* an address of IPv6 */
		*to = colon ? arena_strndup(arena, text, (size_t)(colon - text)) : text;
	}
	if (!colon)
		return true;
	size_t len = strcspn(colon + 1, "/");
	const char *slash = colon + 1 + len;
	q->proto = str_eq(slash, "/udp") ? PROTO_UDP : PROTO_TCP;
	if (*slash && !str_eq(slash, "/udp") && !str_eq(slash, "/tcp")) {
		warn_msg("\"%s\": behind the port comes /tcp or /udp", text);
		return false;
	}
	if (value_ports(arena, arena_strndup(arena, colon + 1, len), &ports, &why) < 0) {
		warn_msg("\"%s\": %s", text, why);
		return false;
	}
	if (ports.first != ports.last) {
		warn_msg("\"%s\": one port, or none for all of them", text);
		return false;
	}
	q->port = ports.first;
	return true;
}

static bool parse_end(struct asked *k, const char *text, struct explain_end *out)
{
	size_t n;
	if (explain_end_parse(&k->world, text, out) == 0)
		return true;
	autofree const char **names = conf_names(&k->conf.conf, &n);
	const char *near = str_nearest(text, names, n);
	warn_msg("\"%s\" is no jail%s%s%s, nor internet, host or an address", text,
		 near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	return false;
}

static void ends_done(struct ends *e)
{
	free(e->v);
}

static void add_end(struct ends *e, const struct explain_end *end)
{
	e->v = mem_grow(e->v, e->n, sizeof(*e->v));
	e->v[e->n++] = *end;
}

static bool parse_ends(struct asked *k, const char *text, struct ends *out)
{
	struct explain_end end;
	if (!str_eq(text, "*")) {
		if (!parse_end(k, text, &end))
			return false;
		add_end(out, &end);
		return true;
	}
	for (size_t i = 0; i < k->world.n; i++)
		add_end(out, &(struct explain_end){.who = WHO_JAIL, .jail = i});
	add_end(out, &(struct explain_end){.who = WHO_HOST});
	add_end(out, &(struct explain_end){.who = WHO_INTERNET});
	return true;
}

static bool is_same(const struct explain_end *a, const struct explain_end *b)
{
	return a->who == b->who && a->jail == b->jail && ip_eq(&a->ip, &b->ip);
}

static int look(struct asked *k)
{
	struct ng_err err = {0};
	if (configured_open(&k->conf))
		return 1;
	if (gather(&k->all, &k->conf.state, &k->conf.conf, &k->conf.rc, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	explain_view(&k->world, &k->all);
	int status;
	k->rules = explain_rules_read(&k->all, &k->conf.rc, &status);
	if (status)
		return 1;
	/* As they are now: nobody is to wait for us. */
	if (geteuid() == 0 && bans_open(&k->bans, &k->conf.state, &err) < 0)
		warn_msg("%s", err.text);
	macro_close(&k->bans.lock);
	k->bans.lock = -1;
	if (foreign_read(&k->foreign, &err) < 0)
		warn_msg("the other firewalls of this host: %s", err.text);
	return 0;
}

/* ---- what else there is to say ---- */

static const struct record *running(const struct asked *k, size_t jail)
{
	const struct record *r = k->all.jail[jail].rec;
	return r && !r->dead && !r->starting ? r : NULL;
}

static void note_jail(const struct asked *k, size_t jail, struct strv *notes)
{
	const struct gather_jail *a = &k->all.jail[jail];
	const struct record *r = running(k, jail);
	bool same = true;
	if (!r) {
		strv_addf(notes, "%s does not run", a->name);
		return;
	}
	if (!a->planned || !a->block)
		return;
	for (size_t i = 0; i < r->undo.n; i++)
		same &= strv_has(&a->net.undo, r->undo.v[i]);
	for (size_t i = 0; i < a->net.undo.n; i++)
		same &= strv_has(&r->undo, a->net.undo.v[i]);
	if (!same)
		strv_addf(notes,
			  "%s runs with other permissions than are configured: newgate up -n tells "
			  "which",
			  a->name);
}

static void note_listener(struct asked *k, struct told *t)
{
	const struct explain_answer *a = t->a;
	bool local = false;
	pid_t pid = 0;
	if (a->at == WHO_JAIL && !running(k, a->at_jail))
		return;
	if (a->at == WHO_JAIL && !k->world.jail[a->at_jail].inherits)
		pid = running(k, a->at_jail)->pid;
	if ((a->at != WHO_JAIL && a->at != WHO_HOST) || !a->to.family)
		return;
	int rc = listens(pid, &a->to, k->q.proto, a->to_port, &local);
	if (rc >= 0)
		t->listening = rc ? "yes" : local ? "elsewhere" : "no";
}

static void note_foreign(struct asked *k, struct told *t)
{
	struct foreign_answer f;
	if (!t->a->pass)
		return;
	t->others = explain_foreign(&k->all, &k->foreign, &k->q, t->a, &f);
	if (t->others == FOREIGN_PASS)
		return;
	explain_foreign_text(&t->foreign, &f);
	explain_foreign_fix(&t->fix, &k->q, t->a, &f);
}

static bool has_family(const struct explain_jail *j, int family)
{
	for (size_t i = 0; i < j->naddrs; i++)
		if (j->addr[i].ip.family == family)
			return true;
	return false;
}

/* Where the same question has another answer over IPv6. */
static void note_family(struct asked *k, struct told *t)
{
	struct explain_question q = k->q;
	struct explain_answer other;
	struct str reason autodone(str_done) = {0};
	if (q.from.ip.family || q.to.ip.family || !t->a->dst.family)
		return;
	q.family = t->a->dst.family == AF_INET ? AF_INET6 : AF_INET;
	if (q.to.who == WHO_JAIL && !has_family(&k->world.jail[q.to.jail], q.family))
		return;
	explain_walk(&k->world, &q, &other);
	if (other.rule == RULE_NO_ADDRESS || other.pass == t->a->pass)
		return;
	explain_reason(&reason, &k->world, &q, &other);
	strv_addf(&t->notes, "over %s it is %s: %s", q.family == AF_INET ? "IPv4" : "IPv6",
		  other.pass ? "let through" : "blocked", reason.s);
}

static bool by_newgate(const struct explain_pf *p)
{
	const struct explain_hop *last = explain_pf_last(p);
	return last && explain_pf_newgate(last);
}

/* ---- bans ---- */

static const struct ban *find_ban(const struct asked *k)
{
	const struct explain_end *from = &k->q.from;

	return from->who == WHO_INTERNET && from->ip.family
		   ? bans_find(&k->bans, &from->ip, time(NULL))
		   : NULL;
}

/* Whatever would let it through: who is banned reaches no jail. */
static bool shut_out(const struct asked *k, struct explain_answer *a)
{
	if (!find_ban(k) || !a->pass || a->at != WHO_JAIL || k->world.jail[a->at_jail].inherits)
		return false;
	a->pass = false;
	a->rule = RULE_BANNED;
	a->value = NULL;
	a->nchanges = 0;
	return true;
}

static void tell_ban(const struct asked *k, struct told *t)
{
	const struct ban *ban = find_ban(k);
	char text[IPNET_TEXT], left[SPAN_TEXT];

	if (t->a->rule != RULE_BANNED || !ban)
		return;
	str_addf(&t->reason, " for another %s", span_text(ban->until - time(NULL), left));
	strv_addf(&t->changes, "newgate host ban remove %s", ban_text(&ban->net, text));
}

/* Who decides: jail.conf and the built-in policy, or pf.conf; there the one where the other asks it. */
static void tell_reason(struct asked *k, struct told *t)
{
	const struct explain_pf *p = t->pf;
	if (p && p->reached)
		explain_rules_reason(k->rules, p, &t->reason);
	if (p && p->reached && !by_newgate(p))
		return;
	if (t->reason.len)
		str_add(&t->reason, ", which says: ");
	explain_reason(&t->reason, &k->world, &k->q, t->a);
}

/* pf: NULL, or what pf.conf says. */
static void tell(struct asked *k, const struct explain_answer *a, const struct explain_pf *pf,
		 const struct ports *ports, struct told *t)
{
	*t = (struct told){.a = a, .pf = pf, .ports = *ports};
	tell_reason(k, t);
	tell_ban(k, t);
	if (ports->first != ports->last)
		return;
	for (size_t i = 0; i < a->nchanges; i++) {
		struct str b = {0};
		explain_change_text(&b, &k->world, &a->change[i]);
		strv_take(&t->changes, str_take(&b));
	}
	if (k->q.from.who == WHO_JAIL)
		note_jail(k, k->q.from.jail, &t->notes);
	if (a->at == WHO_JAIL && (k->q.from.who != WHO_JAIL || k->q.from.jail != a->at_jail))
		note_jail(k, a->at_jail, &t->notes);
	note_listener(k, t);
	note_foreign(k, t);
	if (!pf)
		note_family(k, t);
}

/* ---- printing ---- */

static const char *address(const struct ip *ip, char buf[static IP_TEXT])
{
	return ip->family && !ip_eq(ip, &(struct ip){.family = ip->family}) ? ip_text(ip, buf)
									    : NULL;
}

static void print_row(struct output *o, const struct asked *k, const struct told *t)
{
	static const char *const others[] = {"pass", "drop", "maybe"};
	struct str from autodone(str_done) = {0}, to autodone(str_done) = {0};
	const struct explain_answer *a = t->a;
	char buf[IP_TEXT];
	explain_end_text(&from, &k->world, &k->q.from);
	explain_end_text(&to, &k->world, &k->q.to);
	output_row(o);
	output_str(o, "from", "", from.s);
	output_str(o, "to", "", to.s);
	output_str(o, "protocol", "", protos[k->q.proto]);
	output_num(o, "first_port", "", t->ports.first);
	output_num(o, "last_port", "", t->ports.last);
	output_str(o, "verdict", "", a->pass ? "pass" : "block");
	output_str(o, "rule", "", explain_rule_name(a->rule));
	output_str(o, "reason", "", t->reason.s);
	output_str(o, "file", "", a->value && a->value->pos.line ? a->value->pos.file : NULL);
	output_num(o, "line", "", a->value ? a->value->pos.line : 0);
	output_str(o, "source", "", address(&a->src, buf));
	output_str(o, "destination", "", address(&a->dst, buf));
	output_str(o, "rdr", "", a->rdr ? a->rdr->text : NULL);
	output_str(o, "arrives_at", "", address(&a->to, buf));
	output_num(o, "arrives_port", "", a->to_port);
	output_str(o, "seen_as", "", address(&a->seen, buf));
	output_str(o, "listening", "", t->listening);
	output_str(o, "others", "", others[t->others]);
	output_str(o, "others_rule", "", t->foreign.s);
	output_str(o, "others_fix", "", t->fix.s);
	if (t->pf)
		explain_rules_row(k->rules, t->pf, o);
	output_list(o, "changes", "", (const char *const *)t->changes.v, t->changes.n);
	output_list(o, "notes", "", (const char *const *)t->notes.v, t->notes.n);
}

static void print_way(const struct asked *k, const struct explain_answer *a)
{
	char text[IP_TEXT], was[IP_TEXT];
	if (a->rdr)
		printf("  redirected to %s, %s %s %u\n", k->world.jail[a->rdr_jail].name,
		       ip_text(&a->to, text), protos[k->q.proto], a->to_port);
	if (address(&a->seen, text) && !ip_eq(&a->seen, &a->src)) {
		printf("  leaves with %s", text);
		if (a->source)
			printf(" (nat.source, %s:%u)", a->source->pos.file, a->source->pos.line);
		else if (address(&a->src, was))
			printf(" instead of %s", was);
		putchar('\n');
	}
}

static void print_listener(const struct told *t)
{
	char text[IP_TEXT];
	if (!t->listening || !t->a->pass || str_eq(t->listening, "yes"))
		return;
	printf("  nobody listens at %s port %u%s\n", address(&t->a->to, text) ? text : "it",
	       t->a->to_port,
	       str_eq(t->listening, "elsewhere") ? ", but at another address of it" : "");
}

static void print_others(const struct told *t)
{
	struct strv lines autodone(strv_done) = {0};
	if (t->others == FOREIGN_PASS)
		return;
	strv_split(&lines, str_text(&t->fix), "\n");
	printf("  %s dropped by %s; to let it pass:\n",
	       t->others == FOREIGN_DROP ? "will be" : "may be", t->foreign.s);
	for (size_t i = 0; i < lines.n; i++)
		printf("    %s\n", lines.v[i]);
}

static void print_changes(const struct told *t)
{
	for (size_t i = 0; i < t->changes.n; i++)
		printf("  %s %s\n",
		       i            ? "    and"
		       : t->a->pass ? "to block it:"
				    : "to let it pass:",
		       t->changes.v[i]);
}

static void print_answer(const struct asked *k, const struct told *t)
{
	struct str from autodone(str_done) = {0}, to autodone(str_done) = {0};
	const struct explain_answer *a = t->a;
	explain_end_text(&from, &k->world, &k->q.from);
	explain_end_text(&to, &k->world, &k->q.to);
	printf("%s: %s to %s %s %u\n", a->pass ? "pass" : "block", from.s, to.s, protos[k->q.proto],
	       k->q.port);
	if (t->pf && t->pf->reached)
		explain_rules_print(k->rules, t->pf);
	else
		printf("  %s %s\n", a->value && a->pass ? "by" : "since", t->reason.s);
	if (a->pass && !t->pf)
		print_way(k, a);
	for (size_t i = 0; i < t->notes.n; i++)
		printf("  %s\n", t->notes.v[i]);
	print_listener(t);
	print_others(t);
	print_changes(t);
}

/* As pf.conf has it, where that is the firewall; else by jail.conf alone. */
static const struct explain_pf *ask(struct asked *k, struct explain_answer *a, struct explain_pf *p)
{
	if (!k->rules) {
		explain(&k->world, &k->q, a);
		return NULL;
	}
	explain_rules_ask(k->rules, &k->world, &k->q, p);
	*a = p->a;
	a->pass = p->pass;
	/* jail.conf's own part is changed there. */
	if (!p->reached || by_newgate(p)) {
		struct explain_answer own;
		explain(&k->world, &k->q, &own);
		a->nchanges = own.nchanges;
		memcpy(a->change, own.change, sizeof(own.change));
	}
	return p;
}

/* One pair of ends and one port, in full. */
static int answer_one(struct asked *k)
{
	struct explain_answer a;
	struct explain_pf p;
	struct told t autodone(told_done) = {0};
	const struct explain_pf *pf = ask(k, &a, &p);
	if (shut_out(k, &a))
		pf = NULL;
	tell(k, &a, pf, &(struct ports){k->q.port, k->q.port}, &t);
	if (k->json)
		print_row(k->out, k, &t);
	else
		print_answer(k, &t);
	return a.pass && t.others != FOREIGN_DROP ? 0 : BLOCKED;
}

/* A line of the table: of several pairs, what passes alone. */
static void print_line(struct asked *k, const struct told *t)
{
	struct str from autodone(str_done) = {0}, to autodone(str_done) = {0};
	struct str ports autodone(str_done) = {0};
	if (k->several && !t->a->pass)
		return;
	str_addf(&ports, "%s %u", protos[k->q.proto], t->ports.first);
	if (t->ports.last != t->ports.first)
		str_addf(&ports, "-%u", t->ports.last);
	explain_end_text(&from, &k->world, &k->q.from);
	explain_end_text(&to, &k->world, &k->q.to);
	output_row(k->out);
	if (k->several) {
		output_str(k->out, "from", "FROM", from.s);
		output_str(k->out, "to", "TO", to.s);
	}
	output_str(k->out, "ports", "PORTS", ports.s);
	if (!k->several)
		output_str(k->out, "verdict", "VERDICT", t->a->pass ? "pass" : "block");
	output_str(k->out, "reason", "WHY", t->reason.s);
}

static bool answer_span(struct asked *k, struct explain_span *v)
{
	struct told t autodone(told_done) = {0};
	struct explain_pf p;
	k->q.proto = v->proto;
	k->q.port = v->ports.first;
	if (k->rules)
		explain_rules_ask(k->rules, &k->world, &k->q, &p);
	tell(k, &v->answer, !shut_out(k, &v->answer) && k->rules ? &p : NULL, &v->ports, &t);
	if (k->json)
		print_row(k->out, k, &t);
	else
		print_line(k, &t);
	return v->answer.pass;
}

/* One pair of ends and all ports, or one in the table. */
static int answer_lines(struct asked *k)
{
	struct explain_span one = {.proto = k->q.proto, .ports = {k->q.port, k->q.port}};
	autofree struct explain_span *v = NULL;
	struct explain_pf p;
	size_t n = 1;
	bool any = false;
	if (k->q.port)
		(void)ask(k, &one.answer, &p);
	else if (k->rules)
		v = explain_rules_ports(k->rules, &k->world, &k->q, &n);
	else
		v = explain_ports(&k->world, &k->q, &n);
	for (size_t i = 0; i < n; i++)
		any |= answer_span(k, v ? &v[i] : &one);
	return any ? 0 : BLOCKED;
}

/* Every pair of the ends that were named, "*" being everybody. */
static int answer(struct asked *k, const char *from, const char *to)
{
	struct ends f autodone(ends_done) = {0}, t autodone(ends_done) = {0};
	const uint16_t port = k->q.port;
	int status = BLOCKED;
	if (!parse_ends(k, from, &f) || !parse_ends(k, to, &t))
		return 1;
	k->several = f.n > 1 || t.n > 1;
	bool table = k->several || !port;
	if (k->json || table)
		k->out = output_open(stdout, k->json, "answers");
	for (size_t i = 0; i < f.n; i++)
		for (size_t n = 0; n < t.n; n++) {
			k->q.from = f.v[i];
			k->q.to = t.v[n];
			k->q.port = port;
			if (k->several && is_same(&f.v[i], &t.v[n]))
				continue;
			if ((table ? answer_lines(k) : answer_one(k)) == 0)
				status = 0;
		}
	return k->out && output_close(k->out) < 0 ? 1 : status;
}

static void asked_done(struct asked *k)
{
	bans_done(&k->bans);
	explain_rules_free(k->rules);
	foreign_done(&k->foreign);
	explain_world_done(&k->world);
	gather_done(&k->all);
	configured_done(&k->conf);
}

static int explain_run(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'J'}, {0}};
	struct asked k autodone(asked_done) = {.conf = {.state = {.dir = -1}}, .bans = BANS_NONE};
	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'J')
			return usage(&cmd_explain);
		k.json = true;
	}
	if (optind + 2 != argc)
		return usage(&cmd_explain);
	const char *to;
	if (look(&k) || !cut_port(&k.world.arena, argv[optind + 1], &to, &k.q))
		return 1;
	return answer(&k, argv[optind], to);
}

const struct cmd cmd_explain = {
    .name = "explain",
    .run = explain_run,
    .args = "[--json] FROM TO[:PORT[/udp]]",
    .summary = "tells whether a connection would pass, and which line decides",
    .help = "FROM and TO are jails, internet, host, addresses, or * for all of them; PORT is a\n"
	    "number or a service's name. Without a port, all ports are told; of several pairs,\n"
	    "those alone that pass. The exit status is 0 where it passes, 2 where it does not.\n",
};
