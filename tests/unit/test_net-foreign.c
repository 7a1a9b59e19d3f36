/* What the chains of others do with a packet: read from the two forms, judged. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "net/foreign.h"

static const struct foreign_packet out = {.family = AF_INET,
					  .iif = "ng9999",
					  .oif = "eth0",
					  .from_jail = true,
					  .saddr = {AF_INET, {10, 100, 0, 2}},
					  .daddr = {AF_INET, {198, 51, 100, 7}},
					  .proto = 6,
					  .dport = 443};
static const struct foreign_packet in = {.family = AF_INET,
					 .iif = "eth0",
					 .oif = "ng9999",
					 .to_jail = true,
					 .saddr = {AF_INET, {198, 51, 100, 7}},
					 .daddr = {AF_INET, {10, 100, 0, 2}},
					 .proto = 6,
					 .dport = 8080,
					 .dnat = true};

/* "drop", "pass" or "maybe", and the rule that decides, of the first chain that does not pass. */
static const char *judged(const struct foreign *f, const struct foreign_packet *p)
{
	static char text[256];
	static const char *const words[] = {"pass", "drop", "maybe"};
	struct foreign_answer a = {0};
	for (size_t i = 0; i < f->n && a.verdict == FOREIGN_PASS; i++)
		foreign_judge(f, i, "forward", p, &a);
	snprintf(text, sizeof text, "%s%s%s", words[a.verdict], a.rule ? ": " : "",
		 a.rule ? a.rule : "");
	return text;
}

static const char *of_save(const char *rules, const struct foreign_packet *p)
{
	autodone(foreign_done) struct foreign f = {0};
	static char kept[256];
	autofree char *text = mem_strdup(rules);
	foreign_read_save(&f, "ip", false, text);
	snprintf(kept, sizeof kept, "%s", judged(&f, p));
	return kept;
}

#define FILTER "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD %s [0:0]\n:A - [0:0]\n:B - [0:0]\n"

static const char *rules(const char *policy, const char *lines)
{
	static char text[2048];
	snprintf(text, sizeof text, FILTER "%sCOMMIT\n", policy, lines);
	return text;
}

static void judges_policies(void **state UNUSED)
{
	assert_string_equal(of_save(rules("ACCEPT", ""), &out), "pass");
	assert_string_equal(of_save(rules("DROP", ""), &out), "drop");
	/* Not our family, not this hook. */
	struct foreign_packet six = out;
	six.family = AF_INET6;
	assert_string_equal(of_save(rules("DROP", ""), &six), "pass");
	assert_string_equal(of_save("*nat\n:FORWARD DROP [0:0]\n", &out), "pass");
}

static void judges_rules(void **state UNUSED)
{
	static const struct {
		const char *lines, *out, *in;
	} cases[] = {
	    {"-A FORWARD -i ng+ -j ACCEPT\n", "pass", "drop"},
	    {"-A FORWARD -o ng+ -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -i ng9999 -o eth0 -j ACCEPT\n", "pass", "drop"},
	    {"-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n", "drop", "drop"},
	    {"-A FORWARD ! -i docker0 -j ACCEPT\n", "pass", "pass"},
	    {"-A FORWARD -m devgroup --src-group 0x6e67 -j ACCEPT\n", "pass", "drop"},
	    {"-A FORWARD -m devgroup --dst-group 28263 -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -m devgroup --src-group 0x10 -j ACCEPT\n", "drop", "maybe"},
	    {"-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", "drop", "drop"},
	    {"-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\n", "pass", "pass"},
	    {"-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -m conntrack --ctstatus DNAT -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -s 10.100.0.0/24 -j ACCEPT\n", "pass", "drop"},
	    {"-A FORWARD ! -s 10.100.0.0/24 -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -d 10.100.0.2/32 -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -p udp -j ACCEPT\n", "drop", "drop"},
	    {"-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT\n", "pass", "drop"},
	    {"-A FORWARD -p tcp -m multiport --dports 80,8000:8100 -j ACCEPT\n", "drop", "pass"},
	    {"-A FORWARD -p tcp -m comment --comment \"-i \\\"x\\\" y\" -j ACCEPT\n", "pass",
	     "pass"},
	    {"-A FORWARD -m limit --limit 3/min -j LOG --log-prefix \"[UFW BLOCK] \"\n", "drop",
	     "drop"},
	    {"-A FORWARD -m set --match-set friends src -j ACCEPT\n", "maybe", "maybe"},
	    {"-A FORWARD -j NFQUEUE --queue-num 0\n", "maybe", "maybe"},
	    {"-A FORWARD -j A\n-A A -i ng+ -j B\n-A B -j ACCEPT\n", "pass", "drop"},
	    {"-A FORWARD -g A\n-A FORWARD -j ACCEPT\n", "drop", "drop"},
	    {"-A FORWARD -j A\n-A A -j RETURN\n-A A -j DROP\n-A FORWARD -j ACCEPT\n", "pass",
	     "pass"},
	    {"-A FORWARD -j A\n-A A -j A\n", "drop", "drop"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(of_save(rules("DROP", cases[i].lines), &out), cases[i].out);
		assert_string_equal(of_save(rules("DROP", cases[i].lines), &in), cases[i].in);
	}
	assert_string_equal(
	    of_save(
		rules("ACCEPT", "-A FORWARD -i ng+ -j A\n-A A -p tcp -j REJECT --reject-with x\n"),
		&out),
	    "drop: -A A -p tcp -j REJECT --reject-with x");
	/* A drop that is not sure decides nothing. */
	assert_string_equal(
	    of_save(rules("ACCEPT", "-A FORWARD -m set --match-set bad src -j DROP\n"), &out),
	    "pass");
}

/* ---- nft ---- */

#define CHAIN                                                                                     \
	"{\"chain\": {\"family\": \"inet\", \"table\": \"filter\", \"name\": \"fwd\", "           \
	"\"handle\": 1, \"type\": \"filter\", \"hook\": \"forward\", \"prio\": 0, \"policy\": "   \
	"\"drop\"}}, {\"chain\": {\"family\": \"inet\", \"table\": \"filter\", \"name\": \"c\", " \
	"\"handle\": 2}}, "

static const char *of_nft(const char *expr, const struct foreign_packet *p)
{
	autodone(foreign_done) struct foreign f = {0};
	autodone(arena_done) struct arena a = {0};
	static char kept[256];
	struct str text = {0};
	struct json *j;
	str_addf(&text,
		 "{\"nftables\": [{\"metainfo\": {\"version\": \"1.0.6\"}}, " CHAIN
		 "{\"rule\": {\"family\": \"inet\", \"table\": \"filter\", \"chain\": \"fwd\", "
		 "\"handle\": 7, \"expr\": [%s]}}, {\"rule\": {\"family\": \"inet\", \"table\": "
		 "\"filter\", \"chain\": \"c\", \"handle\": 8, \"expr\": [{\"accept\": null}]}}]}",
		 expr);
	assert_int_equal(json_parse(&a, text.s, text.len, &j, NULL), 0);
	foreign_read_nft(&f, j);
	snprintf(kept, sizeof kept, "%s", judged(&f, p));
	str_done(&text);
	return kept;
}

#define META(k) "{\"meta\": {\"key\": \"" k "\"}}"
#define PAYLOAD(p, k) "{\"payload\": {\"protocol\": \"" p "\", \"field\": \"" k "\"}}"
#define MATCH(op, left, right) \
	"{\"match\": {\"op\": \"" op "\", \"left\": " left ", \"right\": " right "}}, "
#define ACCEPT "{\"counter\": {\"packets\": 0, \"bytes\": 0}}, {\"accept\": null}"

static void judges_nft(void **state UNUSED)
{
	static const struct {
		const char *expr, *out, *in;
	} cases[] = {
	    {ACCEPT, "pass", "pass"},
	    {MATCH("==", META("iifname"), "\"ng*\"") ACCEPT, "pass", "drop"},
	    {MATCH("==", META("iifname"), "{\"set\": [\"wg0\", \"ng*\"]}") ACCEPT, "pass", "drop"},
	    {MATCH("!=", META("oifname"), "\"eth0\"") ACCEPT, "drop", "pass"},
	    {MATCH("==", META("iifgroup"), "28263") ACCEPT, "pass", "drop"},
	    {MATCH("==", META("oifgroup"), "28263") ACCEPT, "drop", "pass"},
	    {MATCH("in", "{\"ct\": {\"key\": \"state\"}}", "[\"established\", \"related\"]") ACCEPT,
	     "drop", "drop"},
	    {MATCH("==", "{\"ct\": {\"key\": \"status\"}}", "\"dnat\"") ACCEPT, "drop", "pass"},
	    {MATCH("in", "{\"ct\": {\"key\": \"status\"}}", "\"dnat\"") ACCEPT, "drop", "pass"},
	    {MATCH("==", META("nfproto"), "\"ipv6\"") ACCEPT, "drop", "drop"},
	    {MATCH("==", PAYLOAD("ip", "saddr"),
		   "{\"prefix\": {\"addr\": \"10.0.0.0\", \"len\": 8}}") ACCEPT,
	     "pass", "drop"},
	    {MATCH("!=", PAYLOAD("ip", "saddr"), "\"10.100.0.2\"") ACCEPT, "drop", "pass"},
	    /* An IPv4 packet has no IPv6 address, not another one. */
	    {MATCH("!=", PAYLOAD("ip6", "saddr"), "\"::1\"") ACCEPT, "drop", "drop"},
	    {MATCH("==", PAYLOAD("tcp", "dport"), "{\"range\": [400, 500]}") ACCEPT, "pass",
	     "drop"},
	    {MATCH("==", PAYLOAD("udp", "dport"), "443") ACCEPT, "drop", "drop"},
	    {MATCH("==", PAYLOAD("th", "dport"), "{\"set\": [22, {\"range\": [8000, 8100]}]}")
		 ACCEPT,
	     "drop", "pass"},
	    {MATCH("==", PAYLOAD("ip", "saddr"), "\"@friends\"") ACCEPT, "maybe", "maybe"},
	    {MATCH("==", "{\"fib\": {}}", "false") ACCEPT, "maybe", "maybe"},
	    {MATCH(">", PAYLOAD("tcp", "dport"), "1024") ACCEPT, "maybe", "maybe"},
	    {"{\"limit\": {\"rate\": 3}}, " ACCEPT, "maybe", "maybe"},
	    {"{\"xt\": {\"type\": \"match\", \"name\": \"conntrack\"}}, " ACCEPT, "maybe", "maybe"},
	    {"{\"xt\": {\"type\": \"match\", \"name\": \"comment\"}}, " ACCEPT, "pass", "pass"},
	    {"{\"queue\": null}", "maybe", "maybe"},
	    {MATCH("==", META("iifname"), "\"ng*\"") "{\"jump\": {\"target\": \"c\"}}", "pass",
	     "drop"},
	    {"{\"goto\": {\"target\": \"nowhere\"}}", "drop", "drop"},
	    {"{\"vmap\": {\"key\": {\"ct\": {\"key\": \"state\"}}, \"data\": {\"set\": "
	     "[[\"established\", {\"accept\": null}], [\"new\", {\"jump\": {\"target\": "
	     "\"c\"}}]]}}}",
	     "pass", "pass"},
	    {"{\"vmap\": {\"key\": " META("iifname") ", \"data\": \"@zones\"}}", "maybe", "maybe"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_string_equal(of_nft(cases[i].expr, &out), cases[i].out);
		assert_string_equal(of_nft(cases[i].expr, &in), cases[i].in);
	}
	assert_string_equal(
	    of_nft(MATCH("==", META("oifname"), "\"eth0\"") "{\"reject\": null}", &out),
	    "drop: handle 7");
}

/* Our own table is none of others'; what iptables keeps is taken from iptables-save. */
static void leaves_out_what_is_known_better(void **state UNUSED)
{
	autodone(foreign_done) struct foreign f = {0};
	autodone(arena_done) struct arena a = {0};
	static const char text[] =
	    "{\"nftables\": [{\"chain\": {\"family\": \"inet\", \"table\": \"newgate\", \"name\": "
	    "\"forward\", \"type\": \"filter\", \"hook\": \"forward\", \"prio\": 0, \"policy\": "
	    "\"drop\"}}, {\"chain\": {\"family\": \"bridge\", \"table\": \"x\", \"name\": \"f\", "
	    "\"type\": \"filter\", \"hook\": \"forward\", \"prio\": 0, \"policy\": \"drop\"}}, "
	    "{\"chain\": {\"family\": \"ip\", \"table\": \"filter\", \"name\": \"FORWARD\", "
	    "\"type\": \"filter\", \"hook\": \"forward\", \"prio\": -10, \"policy\": \"drop\"}}]}";
	struct json *j;
	assert_int_equal(json_parse(&a, text, strlen(text), &j, NULL), 0);
	foreign_read_nft(&f, j);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.chain[0]->priority, -10);
	assert_string_equal(judged(&f, &out), "drop");
	autofree char *save = mem_strdup(rules("ACCEPT", ""));
	foreign_read_save(&f, "ip", false, save);
	assert_string_equal(judged(&f, &out), "pass");
	autofree char *legacy = mem_strdup(rules("DROP", ""));
	foreign_read_save(&f, "ip", true, legacy);
	assert_string_equal(judged(&f, &out), "drop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judges_policies),
	    cmocka_unit_test(judges_rules),
	    cmocka_unit_test(judges_nft),
	    cmocka_unit_test(leaves_out_what_is_known_better),
	};
	return cmocka_run_group_tests_name("net/foreign", tests, NULL, NULL);
}
