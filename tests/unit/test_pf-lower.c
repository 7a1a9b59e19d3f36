/* Lowering: runs of alike rules, tables as spans, ids. What single rules become is in the golden
 * tests. */
#include "unit.h"

#include <string.h>
#include "pf/nft.h"

static const struct pf_host no_host;

struct lowered {
	struct pf pf;
	struct lower l;
	struct diags d;
	struct str ops, nft;
};

static void lower(struct lowered *x, const char *text)
{
	const struct pf_reader r = {.host = &no_host};
	*x = (struct lowered){0};
	pf_read(&x->pf, &r, "test", text, strlen(text), &x->d);
	pf_finish(&x->pf, &r, &x->d);
	assert_int_equal(x->d.errors, 0);
	pf_lower(&x->l, &x->pf, &no_host, &x->d);
	lower_print(&x->ops, &x->l);
	pf_nft(&x->nft, &x->l, true);
}

static void lowered_done(struct lowered *x)
{
	str_done(&x->ops);
	str_done(&x->nft);
	lower_done(&x->l);
	diags_done(&x->d);
	pf_done(&x->pf);
}

/* The rule operations of a chain. */
static size_t rules_of(const struct lowered *x, const char *chain)
{
	size_t n = 0;
	for (size_t i = 0; i < x->l.n; i++)
		n += x->l.op[i].kind == LOWER_RULE && str_eq(x->l.op[i].name, chain);
	return n;
}

static const struct lower_op *first_rule(const struct lowered *x, const char *chain)
{
	for (size_t i = 0; i < x->l.n; i++)
		if (x->l.op[i].kind == LOWER_RULE && str_eq(x->l.op[i].name, chain))
			return &x->l.op[i];
	return NULL;
}

static void test_thousand_alike_are_one(void **state)
{
	(void)state;
	struct str text autodone(str_done) = {0};
	struct lowered x;
	for (int i = 0; i < 1000; i++)
		str_addf(&text, "block in quick from 10.0.%d.%d\n", i / 256, i % 256);
	lower(&x, text.s);
	assert_int_equal(rules_of(&x, "pf_in_rules"), 2); /* and the default */
	const struct lower_op *o = first_rule(&x, "pf_in_rules");
	assert_int_equal(o->nmany, 1000);
	assert_int_equal(o->nkeys, 1);
	/* Each keeps its own counter. */
	assert_string_equal(o->many[999].id, "0.f.999");
	lowered_done(&x);
}

static void test_what_they_do_may_differ(void **state)
{
	(void)state;
	struct lowered x;
	lower(&x, "pass in quick proto tcp to port 1\nblock in quick proto tcp to port 2\n"
		  "pass in quick proto tcp to port 3\nblock in quick proto tcp to port 4\n");
	/* pass asks for TCP's first packet, block does not: they are not alike. */
	assert_int_equal(rules_of(&x, "pf_in_rules"), 5);
	lowered_done(&x);
	lower(&x, "pass in quick from 10.0.0.1\nblock in quick from 10.0.0.2\n"
		  "pass in quick from 10.0.0.3 no state\n");
	assert_int_equal(rules_of(&x, "pf_in_rules"), 2);
	lowered_done(&x);
}

/* Of two rules that one packet matches, the first must have it. */
static void test_overlap_ends_a_run(void **state)
{
	(void)state;
	struct lowered x;
	lower(&x, "block in quick from 10.0.0.1\nblock in quick from 10.0.0.2\n"
		  "block in quick from 10.0.0.3\npass in quick from 10.0.0.0/8\n"
		  "block in quick from 10.0.0.4\nblock in quick from 10.0.0.5\n"
		  "block in quick from 10.0.0.6\n");
	const struct lower_op *o = first_rule(&x, "pf_in_rules");
	assert_int_equal(o->nmany, 3);
	assert_non_null(strstr(x.ops.s, "{ 10.0.0.1 -> drop #0.f.0; 10.0.0.2 -> drop #0.f.1; "
					"10.0.0.3 -> drop #0.f.2 }"));
	assert_true(strstr(x.ops.s, "src 10.0.0.0/8 jump") < strstr(x.ops.s, "{ 10.0.0.4 ->"));
	lowered_done(&x);
}

static void test_the_same_twice_is_no_run(void **state)
{
	(void)state;
	struct lowered x;
	lower(&x, "block in quick from 10.0.0.1\nblock in quick from 10.0.0.1\n"
		  "block in quick from 10.0.0.1\n");
	assert_int_equal(rules_of(&x, "pf_in_rules"), 4);
	lowered_done(&x);
}

static void test_a_grid(void **state)
{
	(void)state;
	struct lowered x;
	lower(&x, "pass in quick proto { tcp udp } from { 10.0.0.0/24 10.0.1.0/24 } to any "
		  "port { 53 100:200 } no state\n");
	const struct lower_op *o = first_rule(&x, "pf_in_rules");
	assert_int_equal(o->nmany, 8);
	assert_int_equal(o->nkeys, 3);
	lowered_done(&x);
}

/* The last rule is asked first. */
static void test_reversed(void **state)
{
	(void)state;
	struct lowered x;
	lower(&x, "block in from 10.0.0.0/8\npass in from 10.1.0.0/16\nblock in quick from "
		  "10.2.0.0/16\n");
	const char *quick = strstr(x.ops.s, "#0.f.2"), *last = strstr(x.ops.s, "#0.f.1"),
		   *first = strstr(x.ops.s, "#0.f.0");
	assert_true(quick < last && last < first);
	lowered_done(&x);
}

/* ---- tables ---- */

static void spans_are(const char *entries, const char *expected)
{
	struct arena a autodone(arena_done) = {0};
	struct pf_entry v[16];
	struct strv words autodone(strv_done) = {0};
	struct str out autodone(str_done) = {0};
	size_t n = 0;
	strv_split(&words, entries, " ");
	for (; n < words.n; n++) {
		v[n].neg = words.v[n][0] == '!';
		assert_int_equal(ipnet_parse(words.v[n] + v[n].neg, &v[n].net), 0);
	}
	for (int six = 0; six < 2; six++) {
		struct lower_spans s = lower_spans(&a, v, n, six ? AF_INET6 : AF_INET);
		for (size_t i = 0; i < s.n; i++)
			str_addf(&out, "%s%s", out.len ? " " : "", s.v[i]);
	}
	assert_string_equal(str_text(&out), expected);
}

static void test_spans(void **state)
{
	(void)state;
	spans_are("", "");
	spans_are("10.0.0.1", "10.0.0.1");
	spans_are("10.0.0.0/24 !10.0.0.7", "10.0.0.0-10.0.0.6 10.0.0.8-10.0.0.255");
	spans_are("10.0.0.7 10.0.0.0/24", "10.0.0.0-10.0.0.255");
	spans_are("!10.0.0.0/24 10.0.0.7", "10.0.0.7");
	spans_are("10.0.0.0/8 !10.1.0.0/16 10.1.2.0/24 !10.1.2.3",
		  "10.0.0.0-10.0.255.255 10.1.2.0-10.1.2.2 10.1.2.4-10.1.2.255 "
		  "10.2.0.0-10.255.255.255");
	spans_are("10.0.0.0/25 10.0.0.128/25", "10.0.0.0-10.0.0.255");
	spans_are("10.0.0.0/25 10.0.2.0/25", "10.0.0.0-10.0.0.127 10.0.2.0-10.0.2.127");
	/* To the very end of what there is. */
	spans_are("0.0.0.0/0 !255.255.255.255", "0.0.0.0-255.255.255.254");
	spans_are("255.255.255.255", "255.255.255.255");
	spans_are("0.0.0.0/0 !10.0.0.0/8", "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255");
	spans_are("::/0 !2001:db8::/32 10.0.0.1",
		  "10.0.0.1 ::-2001:db7:ffff:ffff:ffff:ffff:ffff:ffff "
		  "2001:db9::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_set_names(void **state)
{
	(void)state;
	struct str out autodone(str_done) = {0};
	const struct pf_table plain = {.name = "bad_guys", .anchor = ""};
	const struct pf_table odd = {.name = "a+b:c", .anchor = "f2b/sshd"};
	lower_set_name(&out, &plain, 't', AF_INET);
	assert_string_equal(out.s, "pf_t4_bad_guys");
	out.len = 0;
	lower_set_name(&out, &odd, 'd', AF_INET6);
	assert_string_equal(out.s, "pf_d6_f2b/sshd/a//2bb//3ac");
}

/* ---- ids ---- */

static void test_ids(void **state)
{
	(void)state;
	struct lowered x;
	lower(&x, "nat on em0 inet from 10.0.0.0/8 to any -> 192.0.2.1\nblock in\npass out\n");
	assert_ptr_equal(lower_id(&x.pf, "0.f.1"), &x.pf.ruleset[0].filter.v[1]);
	assert_ptr_equal(lower_id(&x.pf, "0.n.0"), &x.pf.ruleset[0].nat.v[0]);
	static const char *const bad[] = {"",      "0",     "0.f",    "0.f.2",
					  "1.f.0", "0.x.0", "0.f.0x", "-1.f.0"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_null(lower_id(&x.pf, bad[i]));
	lowered_done(&x);
}

/* Labels keep their numbers: states that were made by number 1 stay what they are. */
static void test_origins_stay(void **state)
{
	(void)state;
	static const char text[] = "pass in label \"b\"\npass out label \"a\"\n";
	const struct pf_reader r = {.host = &no_host};
	struct pf pf = {0};
	struct lower l = {0};
	struct diags d = {0};
	pf_read(&pf, &r, "test", text, strlen(text), &d);
	pf_finish(&pf, &r, &d);
	strv_add(&l.origin, "a");
	pf_lower(&l, &pf, &no_host, &d);
	assert_int_equal(l.origin.n, 2);
	assert_string_equal(l.origin.v[0], "a");
	assert_string_equal(l.origin.v[1], "b");
	lower_done(&l);
	pf_done(&pf);
	diags_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_thousand_alike_are_one),
	    cmocka_unit_test(test_what_they_do_may_differ),
	    cmocka_unit_test(test_overlap_ends_a_run),
	    cmocka_unit_test(test_the_same_twice_is_no_run),
	    cmocka_unit_test(test_a_grid),
	    cmocka_unit_test(test_reversed),
	    cmocka_unit_test(test_spans),
	    cmocka_unit_test(test_set_names),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_origins_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
