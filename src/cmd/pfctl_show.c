/* pfctl -s: what pf holds, in pfctl's forms. */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/pfctl.h"
#include "sys/ct.h"

static bool is(const char *word, const char *whole)
{
	return *word && strncasecmp(word, whole, strlen(word)) == 0;
}

static int told(const struct ng_err *err)
{
	warn_msg("%s", err->text);
	return 1;
}

/* ---- rules ---- */

static const struct firewall_counter *counter_of(const struct firewall_counters *c,
						 const struct pf_rule *r)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].rule == r)
			return &c->v[i];
	return NULL;
}

/* How often a rule was looked at, nftables does not count; nor which states are whose. */
static void print_counter(const struct firewall_counter *c)
{
	printf("  [ Evaluations: %-8s  Packets: %-8" PRIu64 "  Bytes: %-10" PRIu64
	       "  States: %-6s]\n",
	       "-", c ? c->packets : 0, c ? c->bytes : 0, "-");
}

static void print_rules(const struct pfctl *p, const struct pf_rules *rules,
			const struct firewall_counters *counters)
{
	for (size_t i = 0; i < rules->n; i++) {
		struct str line autodone(str_done) = {0};

		pf_print_rule(&line, &p->f.pf, &rules->v[i]);
		if (p->verbose > 1)
			printf("@%u ", rules->v[i].nr);
		printf("%s\n", str_text(&line));
		if (p->verbose)
			print_counter(counter_of(counters, &rules->v[i]));
	}
}

static void json_rules(const struct pfctl *p, struct output *o, const struct pf_rules *rules,
		       const struct firewall_counters *counters)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct pf_rule *r = &rules->v[i];
		const struct firewall_counter *c = counter_of(counters, r);
		struct str line autodone(str_done) = {0};

		pf_print_rule(&line, &p->f.pf, r);
		output_row(o);
		output_num(o, "number", "", r->nr);
		output_str(o, "rule", "", str_text(&line));
		output_str(o, "file", "", r->pos.file);
		output_num(o, "line", "", r->pos.line);
		output_str(o, "label", "", r->label);
		output_num(o, "packets", "", c ? c->packets : 0);
		output_num(o, "bytes", "", c ? c->bytes : 0);
	}
}

static int show_rules(struct pfctl *p, bool nat)
{
	struct firewall_counters counters = {0};
	struct ng_err err = {0};

	if (pfctl_loaded(p))
		return 1;
	const struct pf_ruleset *rs = pf_find_ruleset(&p->f.pf, p->anchor);
	if (!rs && !*p->anchor)
		return 0;
	if (!rs) {
		warn_msg("Anchor does not exist.");
		return 1;
	}
	if ((p->verbose || p->json) && !p->built_in &&
	    firewall_count(&p->f.pf, &p->net.filter, &counters, &err) < 0)
		return told(&err);
	const struct pf_rules *sections[] = {nat ? &rs->nat : &rs->scrub,
					     nat ? &rs->binat : &rs->filter, nat ? &rs->rdr : NULL};
	struct output *o = p->json ? output_open(stdout, true, nat ? "nat" : "rules") : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(sections) && sections[i]; i++) {
		if (o)
			json_rules(p, o, sections[i], &counters);
		else
			print_rules(p, sections[i], &counters);
	}
	free(counters.v);
	return o ? output_close(o) < 0 : 0;
}

/* ---- labels, anchors, tables ---- */

static int show_labels(struct pfctl *p)
{
	struct firewall_counters counters = {0};
	struct ng_err err = {0};

	if (pfctl_loaded(p))
		return 1;
	if (!p->built_in && firewall_count(&p->f.pf, &p->net.filter, &counters, &err) < 0)
		return told(&err);
	const struct pf_ruleset *rs = pf_find_ruleset(&p->f.pf, p->anchor);
	struct output *o = p->json ? output_open(stdout, true, "labels") : NULL;
	for (size_t i = 0; rs && i < rs->filter.n; i++) {
		const struct pf_rule *r = &rs->filter.v[i];
		const struct firewall_counter *c = counter_of(&counters, r);

		if (!r->label)
			continue;
		if (o) {
			output_row(o);
			output_str(o, "label", "", r->label);
			output_num(o, "packets", "", c ? c->packets : 0);
			output_num(o, "bytes", "", c ? c->bytes : 0);
		} else {
			printf("%s - %" PRIu64 " %" PRIu64 "\n", r->label, c ? c->packets : 0,
			       c ? c->bytes : 0);
		}
	}
	free(counters.v);
	return o ? output_close(o) < 0 : 0;
}

/* Those right below the one that -a names, with -v all of them. */
static int show_anchors(struct pfctl *p)
{
	size_t n = strlen(p->anchor);

	if (pfctl_loaded(p))
		return 1;
	struct output *o = p->json ? output_open(stdout, true, "anchors") : NULL;
	for (size_t i = 0; i < p->f.pf.nrulesets; i++) {
		const char *path = p->f.pf.ruleset[i].path, *rest = path + n;

		if (!*path || strncmp(path, p->anchor, n) != 0 || (n && *rest != '/'))
			continue;
		rest += n > 0;
		if (!p->verbose && (!*rest || strchr(rest, '/')))
			continue;
		if (o) {
			output_row(o);
			output_str(o, "anchor", "", path);
		} else {
			printf("  %s\n", path);
		}
	}
	return o ? output_close(o) < 0 : 0;
}

static void print_flags(const struct kept_table *t, const struct pf_table *r)
{
	/* A table of pfctl -t alone is in no ruleset. */
	const struct pf_table own = {.name = t->name, .anchor = t->anchor, .persist = true};
	struct str line autodone(str_done) = {0};

	pf_print_table_flags(&line, r ? r : &own);
	printf("%s\n", str_text(&line));
}

static int show_tables(struct pfctl *p)
{
	struct kept_tables all autodone(kept_tables_done) = {0};
	struct ng_err err = {0};

	if (pfctl_loaded(p))
		return 1;
	if (firewall_tables(&p->state, &p->net.filter, &all, &err) < 0)
		return told(&err);
	struct output *o = p->json ? output_open(stdout, true, "tables") : NULL;
	for (size_t i = 0; i < all.n; i++) {
		const struct kept_table *t = &all.v[i];
		const struct pf_table *r = pf_find_table(&p->f.pf, t->anchor, t->name);

		if (!str_eq(t->anchor, p->anchor))
			continue;
		if (o) {
			output_row(o);
			output_str(o, "table", "", t->name);
			output_num(o, "addresses", "", t->n);
			output_bool(o, "persist", "", r && r->persist);
			output_bool(o, "const", "", t->constant);
		} else if (p->verbose) {
			print_flags(t, r);
		} else {
			printf("%s\n", t->name);
		}
	}
	return o ? output_close(o) < 0 : 0;
}

/* ---- states ---- */

static const char *proto_name(uint8_t proto, char buf[static 8])
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "ipv6-icmp";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		snprintf(buf, 8, "%u", proto);
		return buf;
	}
}

/* conntrack's states of TCP in pf's words, of the one who began and of the other. */
static const char *tcp_states(uint8_t s)
{
	static const char *const words[] = {"CLOSED:CLOSED",          "SYN_SENT:CLOSED",
					    "SYN_SENT:SYN_SENT",      "ESTABLISHED:ESTABLISHED",
					    "FIN_WAIT_2:ESTABLISHED", "ESTABLISHED:CLOSE_WAIT",
					    "FIN_WAIT_2:FIN_WAIT_2",  "TIME_WAIT:TIME_WAIT",
					    "CLOSED:CLOSED",          "SYN_SENT:SYN_SENT"};

	return s < ARRAY_SIZE(words) ? words[s] : words[0];
}

#define SEEN_REPLY 2 /* IPS_SEEN_REPLY */

static const char *state_words(const struct ct_flow *f)
{
	bool answered = f->status & SEEN_REPLY;

	if (f->proto == IPPROTO_TCP)
		return tcp_states(f->tcp_state);
	if (f->proto == IPPROTO_UDP)
		return answered ? "MULTIPLE:MULTIPLE" : "SINGLE:NO_TRAFFIC";
	return answered ? "0:0" : "0:0";
}

static void end_text(char *buf, size_t size, const struct ip *ip, uint16_t port)
{
	char text[IP_TEXT];

	ip_text(ip, text);
	if (ip->family == AF_INET6)
		snprintf(buf, size, "%s[%u]", text, port);
	else
		snprintf(buf, size, "%s:%u", text, port);
}

#define END_TEXT (IP_TEXT + 8)

struct showing {
	struct pfctl *p;
	struct output *o;
	struct strv origins;
};

/* "all tcp LOCAL (TRANSLATED) <- FOREIGN STATES": a state that was made inwards points left. */
static void print_state(const struct showing *s, const struct ct_flow *f)
{
	char proto[8], src[END_TEXT], dst[END_TEXT], seen[END_TEXT], real[END_TEXT];
	bool in = f->mark & (LOWER_IN | LOWER_REPLY_IN),
	     snat = !ip_eq(&f->reply_dst, &f->src) || f->reply_dport != f->sport,
	     dnat = !ip_eq(&f->reply_src, &f->dst) || f->reply_sport != f->dport;
	const char *label = firewall_label(&s->origins, f);

	end_text(src, sizeof(src), &f->src, f->sport);
	end_text(dst, sizeof(dst), &f->dst, f->dport);
	end_text(seen, sizeof(seen), &f->reply_dst, f->reply_dport);
	end_text(real, sizeof(real), &f->reply_src, f->reply_sport);
	if (in)
		printf("all %s %s%s%s%s <- %s       %s\n", proto_name(f->proto, proto),
		       dnat ? real : dst, dnat ? " (" : "", dnat ? dst : "", dnat ? ")" : "", src,
		       state_words(f));
	else
		printf("all %s %s%s%s%s -> %s       %s\n", proto_name(f->proto, proto),
		       snat ? seen : src, snat ? " (" : "", snat ? src : "", snat ? ")" : "",
		       dnat ? real : dst, state_words(f));
	if (s->p->verbose)
		printf("   expires in %02u:%02u:%02u, %" PRIu64 ":%" PRIu64 " pkts, %" PRIu64
		       ":%" PRIu64 " bytes%s%s\n",
		       f->timeout / 3600, f->timeout / 60 % 60, f->timeout % 60, f->packets[0],
		       f->packets[1], f->bytes[0], f->bytes[1], label ? ", label " : "",
		       label ? label : "");
}

static void json_state(const struct showing *s, const struct ct_flow *f)
{
	char proto[8], text[IP_TEXT];

	output_row(s->o);
	output_str(s->o, "protocol", "", proto_name(f->proto, proto));
	output_str(s->o, "direction", "", f->mark & (LOWER_IN | LOWER_REPLY_IN) ? "in" : "out");
	output_str(s->o, "source", "", ip_text(&f->src, text));
	output_num(s->o, "source_port", "", f->sport);
	output_str(s->o, "destination", "", ip_text(&f->dst, text));
	output_num(s->o, "destination_port", "", f->dport);
	output_str(s->o, "translated_source", "", ip_text(&f->reply_dst, text));
	output_num(s->o, "translated_source_port", "", f->reply_dport);
	output_str(s->o, "translated_destination", "", ip_text(&f->reply_src, text));
	output_num(s->o, "translated_destination_port", "", f->reply_sport);
	output_str(s->o, "state", "", state_words(f));
	output_num(s->o, "expires", "", f->timeout);
	output_str(s->o, "label", "", firewall_label(&s->origins, f));
}

static int one_state(const struct ct_flow *f, void *arg)
{
	const struct showing *s = arg;

	if (!firewall_is_state(f))
		return 0;
	if (s->o)
		json_state(s, f);
	else
		print_state(s, f);
	return 0;
}

static int show_states(struct pfctl *p)
{
	struct showing s = {.p = p};
	struct ng_err err = {0};
	int rc = firewall_origins(&p->state, &s.origins, &err);

	if (p->json)
		s.o = output_open(stdout, true, "states");
	if (rc == 0)
		rc = ct_each(&p->net.filter, one_state, &s, &err);
	strv_done(&s.origins);
	if (rc < 0)
		told(&err);
	return (s.o && output_close(s.o) < 0) || rc < 0;
}

/* ---- info ---- */

static int count_state(const struct ct_flow *f, void *arg)
{
	*(unsigned *)arg += firewall_is_state(f);
	return 0;
}

static int show_info(struct pfctl *p)
{
	bool on = firewall_is_on(&p->state, &p->rc);
	struct ng_err err = {0};
	unsigned states = 0;

	if (ct_each(&p->net.filter, count_state, &states, &err) < 0)
		return told(&err);
	if (p->json) {
		struct output *o = output_open(stdout, true, "info");

		output_row(o);
		output_bool(o, "enabled", "", on);
		output_num(o, "states", "", states);
		return output_close(o) < 0;
	}
	printf("Status: %s\n\n", on ? "Enabled" : "Disabled");
	printf("State Table                          Total             Rate\n");
	printf("  current entries               %12u\n", states);
	return 0;
}

/* ---- all ---- */

static int show_all(struct pfctl *p)
{
	int status = 0;

	puts("TRANSLATION RULES:");
	status |= show_rules(p, true);
	puts("\nFILTER RULES:");
	status |= show_rules(p, false);
	puts("\nSTATES:");
	status |= show_states(p);
	puts("\nINFO:");
	status |= show_info(p);
	puts("\nLABEL COUNTERS:");
	status |= show_labels(p);
	puts("\nTABLES:");
	return status | show_tables(p);
}

int pfctl_show(struct pfctl *p, const char *what)
{
	if (is(what, "nat"))
		return show_rules(p, true);
	if (is(what, "rules"))
		return show_rules(p, false);
	if (is(what, "states"))
		return show_states(p);
	if (is(what, "info"))
		return show_info(p);
	if (is(what, "labels"))
		return show_labels(p);
	/* As pfctl tells them apart: by the first letter's case. */
	if (*what == 'A' && is(what, "Anchors"))
		return show_anchors(p);
	if (*what == 'T' && is(what, "Tables"))
		return show_tables(p);
	if (is(what, "all") && !p->json)
		return show_all(p);
	warn_msg("-s %s: all, Anchors, info, labels, nat, rules, states or Tables%s", what,
		 p->json ? "; as JSON one at a time" : "");
	return 1;
}
