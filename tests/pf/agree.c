/* Does the kernel do with packets what pf would? Random rulesets are read, evaluated by pf/eval.h and
 * lowered to nftables; random packets go through a router of our own, and both must agree on each:
 * does it pass, where does it come out, and with which addresses.
 *
 * One thing is not tried, since it is known to differ: Linux translates connections, by their first
 * packet, where pf translates whatever has no state. So rulesets that translate get no packet from
 * the middle of a connection that is not known, nor answers to what passed without a state.
 *
 * usage: agree [PACKETS [SEED]]     one line a test (TAP); a seed that failed can be named again */
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/netns.h"
#include "generate.h"
#include "pf/nft.h"
#include "router.h"
#include "sys/ct.h"
#include "sys/nft.h"

#define PACKETS_A_RULESET 40

struct trial {
	struct router *router;
	struct pf pf;
	struct pf_world world;
	struct str text;
	/* As they came out, and where; and whether both crossings were by a state, or made one. */
	struct pf_packet passed[PACKETS_A_RULESET];
	int at[PACKETS_A_RULESET];
	bool kept[PACKETS_A_RULESET];
	size_t npassed;
	bool translates;
};

static int no_files(void *arg UNUSED, const char *path UNUSED, char **text UNUSED,
		    size_t *len UNUSED)
{
	return -ENOENT;
}

static const struct pf_iface *route(void *arg, const struct ip *to)
{
	const struct router *r = arg;
	int where = router_route(to);

	return where == SEEN_NOWHERE ? NULL : &r->host.iface[where == SEEN_LOCAL ? 0 : where + 1];
}

static bool every_flow(const struct ct_flow *f UNUSED, void *arg UNUSED)
{
	return true;
}

/* Reads the text and loads what it becomes: 1; 0 where it is no ruleset that can be loaded. */
static int prepare(struct trial *t, struct nl *nl)
{
	const struct pf_reader reader = {.read = no_files, .host = &t->router->host};
	struct diags d autodone(diags_done) = {0};
	struct lower l autodone(lower_done) = {0};
	struct str nft autodone(str_done) = {0};
	struct ng_err err = {0};

	pf_read(&t->pf, &reader, "random", str_text(&t->text), t->text.len, &d);
	pf_finish(&t->pf, &reader, &d);
	if (!d.errors)
		pf_lower(&l, &t->pf, &t->router->host, &d);
	if (d.errors)
		return 0;
	str_add(&nft, "table inet newgate {}\ndelete table inet newgate\ntable inet newgate {\n"
		      "\tchain target {\n\t}\n\tchain srcnat_jail {\n\t}\n}\n");
	pf_nft(&nft, &l, true);
	if (nft_load(str_text(&nft), &err) < 0) {
		printf("# %s\n%s", err.text, str_text(&nft));
		return -1;
	}
	if (ct_flush(nl, every_flow, NULL, &err) < 0) {
		printf("# %s\n", err.text);
		return -1;
	}
	t->translates =
	    t->pf.ruleset[0].nat.n || t->pf.ruleset[0].rdr.n || t->pf.ruleset[0].binat.n;
	t->world = (struct pf_world){
	    .pf = &t->pf, .host = &t->router->host, .route = route, .arg = t->router};
	return 1;
}

/* Where pf would let it come out, and how. */
static int expect(struct trial *t, int wire, const struct pf_packet *p, struct pf_packet *out,
		  struct pf_verdict v[2])
{
	struct pf_crossing c = {.dir = PF_IN, .iface = &t->router->host.iface[wire + 1]};
	int where;

	pf_eval(&t->world, &c, p, &v[0]);
	*out = v[0].packet;
	if (v[0].verdict == PF_VERDICT_BLOCK)
		return SEEN_NOWHERE;
	where = router_route(&v[0].packet.dst);
	if (where != 0 && where != 1)
		return where;
	c = (struct pf_crossing){.dir = PF_OUT, .iface = &t->router->host.iface[where + 1]};
	pf_eval(&t->world, &c, &v[0].packet, &v[1]);
	*out = v[1].packet;
	return v[1].verdict == PF_VERDICT_BLOCK ? SEEN_NOWHERE : where;
}

static bool same(const struct pf_packet *a, const struct pf_packet *b)
{
	bool icmp = a->proto == IPPROTO_ICMP || a->proto == IPPROTO_ICMPV6;

	return ip_eq(&a->src, &b->src) && ip_eq(&a->dst, &b->dst) &&
	       (icmp || (a->sport == b->sport && a->dport == b->dport));
}

static void describe(const char *what, int where, const struct pf_packet *p)
{
	static const char *const places[] = {"nowhere", "on em0", "on em1", "at the router"};
	char src[IP_TEXT], dst[IP_TEXT];

	printf("# %s %s: proto %u %s:%u > %s:%u flags %x icmp %d\n", what, places[where + 1],
	       p->proto, ip_text(&p->src, src), p->sport, ip_text(&p->dst, dst), p->dport, p->flags,
	       p->icmp_type);
}

static void describe_rule(const struct pf *pf, const char *what, const struct pf_rule *r)
{
	struct str line autodone(str_done) = {0};

	if (!r)
		return;
	pf_print_rule(&line, pf, r);
	printf("#   %s line %u: %s\n", what, r->pos.line, str_text(&line));
}

static void describe_rules(const struct trial *t)
{
	printf("# ruleset:\n");
	for (const char *line = str_text(&t->text); *line;) {
		int n = (int)strcspn(line, "\n");

		printf("#   %.*s\n", n, line);
		line += n + (line[n] != 0);
	}
}

static bool disagree(struct trial *t, int wire, const struct pf_packet *p, int where,
		     const struct pf_packet *want, int seen, const struct pf_packet *got,
		     const struct pf_verdict v[2])
{
	describe_rules(t);
	describe("put in", wire, p);
	describe("pf lets it out", where, want);
	for (int i = 0; i < 2; i++) {
		describe_rule(&t->pf, i ? "out" : "in", v[i].rule);
		describe_rule(&t->pf, "translation", v[i].translation);
		if (v[i].by_state)
			printf("#   (by a state)\n");
	}
	describe("the kernel did", seen, got);
	return false;
}

static bool is_kept(const struct pf_verdict *v)
{
	return v->keeps_state || v->by_state;
}

/* One packet; false: they differ. */
static bool one(struct trial *t, int wire, const struct pf_packet *p)
{
	struct pf_packet want = {0}, got = {0};
	struct pf_verdict v[2] = {0};
	int where = expect(t, wire, p, &want, v), seen = router_send(t->router, wire, p, &got);

	if (seen == -2) {
		describe_rules(t);
		describe("put in", wire, p);
		return false;
	}
	if (where != seen || (seen != SEEN_NOWHERE && !same(&want, &got)))
		return disagree(t, wire, p, where, &want, seen, &got, v);
	if (seen == 0 || seen == 1) {
		t->at[t->npassed] = seen;
		t->kept[t->npassed] = is_kept(&v[0]) && is_kept(&v[1]);
		t->passed[t->npassed++] = got;
	}
	return true;
}

/* What answers one that came out: from there, the other way round. */
static void answer(const struct pf_packet *p, struct pf_packet *out)
{
	*out = *p;
	out->src = p->dst;
	out->dst = p->src;
	out->sport = p->dport;
	out->dport = p->sport;
	if (p->proto == IPPROTO_TCP)
		out->flags = p->flags == 0x02 ? 0x12 : 0x10;
	if (p->icmp_type == 8 || p->icmp_type == 128)
		out->icmp_type = p->icmp_type == 8 ? 0 : 129;
}

/* Nobody answers an echo's answer. */
static bool is_answered(const struct trial *t, size_t k)
{
	int type = t->passed[k].icmp_type;

	return (t->kept[k] || !t->translates) && type != 0 && type != 129;
}

static bool many(struct trial *t, unsigned packets)
{
	for (unsigned i = 0; i < packets; i++) {
		struct pf_packet p;
		int wire = generate_number(2);

		if (t->npassed && generate_number(3) == 0) {
			size_t k = (size_t)generate_number((int)t->npassed);

			if (!is_answered(t, k))
				continue;
			wire = t->at[k];
			answer(&t->passed[k], &p);
		} else {
			generate_packet(wire, t->translates, &p);
		}
		if (!one(t, wire, &p))
			return false;
	}
	return true;
}

static void trial_done(struct trial *t)
{
	pf_world_done(&t->world);
	pf_done(&t->pf);
	str_done(&t->text);
}

/* One ruleset: how many packets agreed, or -1. */
static int try(struct router *r, struct nl *nl, unsigned seed)
{
	autodone(trial_done) struct trial t = {.router = r};

	generate_seed(seed);
	generate_rules(&t.text);
	int rc = prepare(&t, nl);
	if (rc <= 0)
		return rc;
	return many(&t, PACKETS_A_RULESET) ? PACKETS_A_RULESET : -1;
}

int main(int argc, char **argv)
{
	unsigned packets = argc > 1 ? (unsigned)atoi(argv[1]) : 10000, done = 0;
	unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : 1, rulesets = 0, unloadable = 0,
		 failed = 0;
	struct router r;
	struct nl nl;

	ENTER_NAMESPACES(CLONE_NEWNET);
	if (nl_open(&nl, NETLINK_NETFILTER) < 0 || !router_make(&r))
		return 1;
	for (; done < packets && failed < 5; seed++) {
		int n = try(&r, &nl, seed);

		rulesets++;
		if (n < 0) {
			printf("# seed %u\n", seed);
			failed++;
		}
		unloadable += n == 0;
		done += n > 0 ? (unsigned)n : 0;
	}
	printf("# %u packets, %u rulesets, of which %u cannot be loaded\n", done, rulesets,
	       unloadable);
	printf("1..1\n%sok 1 - pf's evaluator and the kernel agree\n", failed ? "not " : "");
	return 0;
}
