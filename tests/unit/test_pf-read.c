/* What a ruleset holds once it is read: what print does not tell. */
#include "unit.h"

#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "pf/pf.h"
#include "pf/token.h"

struct fixture {
	struct pf pf;
	struct diags d;
	struct pf_reader r;
};

static int read_file(void *arg UNUSED, const char *path, char **text, size_t *len)
{
	if (!str_eq(path, "rules"))
		return -ENOENT;
	*text = mem_strdup("pass\nload anchor deeper from \"rules\"\n");
	*len = strlen(*text);
	return 0;
}

static struct ipnet net(const char *text)
{
	struct ipnet n = {0};
	assert_int_equal(ipnet_parse(text, &n), 0);
	return n;
}

static const struct pf_host *host(void)
{
	static struct ipnet addr[2];
	static struct pf_iface ifaces[] = {
	    {.name = "eth0", .outside4 = true, .addr = addr, .naddrs = 2},
	    {.name = "lo", .loopback = true},
	};
	static const struct pf_host host = {.iface = ifaces, .n = 2};
	addr[0] = net("192.0.2.1/24");
	addr[1] = net("2001:db8::1/64");
	return &host;
}

static int begin(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	f->r.host = host();
	f->r.read = read_file;
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;
	pf_done(&f->pf);
	diags_done(&f->d);
	free(f);
	return 0;
}

static void read_rules(struct fixture *f, const char *text)
{
	pf_read(&f->pf, &f->r, "test", text, strlen(text), &f->d);
	pf_finish(&f->pf, &f->r, &f->d);
}

static const struct pf_ruleset *main_rules(struct fixture *f, const char *text)
{
	read_rules(f, text);
	assert_int_equal(f->d.errors, 0);
	return pf_find_ruleset(&f->pf, "");
}

static void rules_know_where_they_are_from(void **state)
{
	const struct pf_ruleset *rs =
	    main_rules(*state, "pass in proto { tcp udp }\n\n  block in\n");
	assert_int_equal(rs->filter.n, 3);
	assert_int_equal(rs->filter.v[0].pos.line, 1);
	assert_int_equal(rs->filter.v[1].pos.line, 1);
	assert_int_equal(rs->filter.v[2].pos.line, 3);
	assert_int_equal(rs->filter.v[2].pos.col, 3);
	assert_string_equal(rs->filter.v[2].pos.file, "test");
	assert_int_equal(rs->filter.v[0].source, rs->filter.v[1].source);
	assert_int_not_equal(rs->filter.v[1].source, rs->filter.v[2].source);
	assert_int_equal(rs->filter.v[2].nr, 2);
}

static void a_rule_of_a_macro_is_where_the_macro_is_used(void **state)
{
	struct fixture *f = *state;
	read_rules(f, "set require-order no\nrule = \"pass in\"\n   $rule on eth0\nscrub in\n");
	assert_int_equal(f->d.errors, 0);
	const struct pf_ruleset *rs = pf_find_ruleset(&f->pf, "");
	assert_int_equal(rs->filter.v[0].pos.line, 3);
	assert_int_equal(rs->filter.v[0].pos.col, 4);
}

static void implied_is_not_written(void **state)
{
	const struct pf_rule *v =
	    main_rules(*state, "pass\npass keep state\npass flags S/SA\npass proto udp\nblock\n")
		->filter.v;
	assert_true(v[0].state.implied && v[0].flags_implied && v[0].flags_set);
	assert_false(v[1].state.implied);
	assert_true(v[1].flags_implied);
	assert_false(v[2].flags_implied);
	assert_true(v[2].flags_set);
	assert_false(v[3].flags_set || v[3].flags_implied);
	assert_int_equal(v[4].state.keep, PF_STATE_NONE);
	assert_false(v[4].flags_set);
	assert_int_equal(v[4].ret, PF_RETURN_DROP);
	assert_int_equal(v[4].return_icmp, 3 << 8 | 3);
	assert_int_equal(v[4].return_icmp6, 1 << 8 | 4);
	assert_int_equal(v[4].icmp_type, -1);
	assert_int_equal(v[4].tos, -1);
}

static void ports_of_redirections_shift(void **state)
{
	const struct pf_rule *v =
	    main_rules(*state, "rdr proto tcp to port 100:109 -> 10.0.0.1 port 200:*\n"
			       "rdr proto tcp to port 100:109 -> 10.0.0.1 port 200\n"
			       "rdr proto tcp to port 100 -> 10.0.0.1 port 200:*\n"
			       "rdr proto tcp to port 100 -> 10.0.0.1\n")
		->rdr.v;
	assert_int_equal(v[0].pool.port_first, 200);
	assert_int_equal(v[0].pool.port_last, 209);
	assert_true(v[0].pool.port_shift);
	assert_int_equal(v[1].pool.port_last, 200);
	assert_false(v[1].pool.port_shift || v[2].pool.port_shift);
	assert_int_equal(v[3].pool.port_first, 0);
	assert_int_equal(v[3].pool.n, 1);
}

static void tables_are_sorted_and_told(void **state)
{
	struct fixture *f = *state;
	main_rules(f, "table <z> { 10.0.0.2 10.0.0.1 10.0.0.2 }\ntable <a>\ntable <i> { }\n"
		      "pass from <z>\npass to <missing>\n");
	assert_int_equal(f->d.warnings, 1);
	assert_int_equal(f->pf.ntables, 4);
	assert_string_equal(f->pf.table[0].name, "a");
	assert_false(f->pf.table[0].initialised || f->pf.table[0].referenced);
	const struct pf_table *z = pf_find_table(&f->pf, "", "z"),
			      *i = pf_find_table(&f->pf, "", "i");
	assert_int_equal(z->n, 2);
	assert_true(z->referenced && z->initialised && i->initialised);
	assert_non_null(pf_find_table(&f->pf, "", "missing"));
}

static void tables_show_what_they_are(void **state)
{
	struct fixture *f = *state;
	static const char *const expected[] = {"cpa-r-C\tall_of_it", "-------\tnone",
					       "--a-r--\tused"};
	main_rules(f, "table <all_of_it> persist const counters\ntable <none>\ntable <used>\n"
		      "pass from <used> to <all_of_it>\n");
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct str out = {0};
		pf_print_table_flags(&out, &f->pf.table[i]);
		assert_string_equal(str_text(&out), expected[i]);
		str_done(&out);
	}
}

static void tables_of_anchors_come_first(void **state)
{
	struct fixture *f = *state;
	f->r.anchor = "a";
	pf_read(&f->pf, &f->r, "of a", "table <t> { 10.0.0.1 }\npass from <t>\n", 37, &f->d);
	f->r.anchor = NULL;
	read_rules(f, "table <t>\ntable <u>\nanchor a\npass from <t>\n");
	assert_int_equal(f->d.errors + f->d.warnings, 0);
	assert_int_equal(pf_find_table(&f->pf, "a", "t")->n, 1);
	assert_int_equal(pf_find_table(&f->pf, "", "t")->n, 0);
	assert_string_equal(pf_find_table(&f->pf, "a", "u")->anchor, "");
}

static void anchors_that_are_named_exist(void **state)
{
	struct fixture *f = *state;
	main_rules(
	    f, "rdr-anchor \"newgate/*\"\nanchor web\nanchor \"f2b/*\"\nanchor {\nanchor x\n}\n");
	assert_non_null(pf_find_ruleset(&f->pf, "web"));
	assert_non_null(pf_find_ruleset(&f->pf, "_1"));
	assert_non_null(pf_find_ruleset(&f->pf, "_1/x"));
	assert_null(pf_find_ruleset(&f->pf, "f2b/*"));
	assert_string_equal(f->pf.ruleset[0].path, "");
}

static void anchors_are_read_one_by_one(void **state)
{
	struct fixture *f = *state;
	main_rules(f, "anchor a\npass\n");
	unsigned source = pf_find_ruleset(&f->pf, "")->filter.v[1].source;
	f->r.anchor = "a";
	pf_read(&f->pf, &f->r, "of a", "block\n", 6, &f->d);
	pf_finish(&f->pf, &f->r, &f->d);
	assert_int_equal(f->d.errors, 0);
	const struct pf_ruleset *a = pf_find_ruleset(&f->pf, "a");
	assert_int_equal(a->filter.n, 1);
	assert_true(a->filter.v[0].source > source);
	assert_int_equal(pf_find_ruleset(&f->pf, "")->filter.n, 2);
}

/* Each file loads itself into an anchor below. */
static void loading_ends(void **state)
{
	struct fixture *f = *state;
	read_rules(f, "load anchor a from \"rules\"\n");
	assert_true(f->d.errors > 0);
}

static void files_are_remembered(void **state)
{
	struct fixture *f = *state;
	read_rules(f, "include \"rules\"\ntable <t> file \"rules\"\n");
	assert_true(strv_has(&f->pf.files, "rules"));
}

static void arguments_win(void **state)
{
	static const char *const define[] = {"if=eth0", NULL};
	struct fixture *f = *state;
	f->r.define = define;
	const struct pf_ruleset *rs = main_rules(f, "if = lo\npass on $if\n");
	assert_string_equal(rs->filter.v[0].ifname, "eth0");
}

static void nobody_is_asked(void **state)
{
	struct fixture *f = *state;
	f->r.host = NULL;
	f->r.read = NULL;
	read_rules(f, "pass on eth7 proto tcp from 10.0.0.1 to (self) port ssh\n");
	assert_int_equal(f->d.errors, 0);
	read_rules(f, "include \"x\"\npass from eth0\npass from self\npass out user root\n");
	assert_int_equal(f->d.errors, 4);
}

static void options_are_kept(void **state)
{
	struct fixture *f = *state;
	main_rules(f, "set skip on { lo eth0 }\nset skip on lo\nset block-policy return\n"
		      "set timeout tcp.closing 5\nset timeout tcp.closing 7\nblock\n");
	assert_string_equal(f->pf.options.skip[0], "lo");
	assert_string_equal(f->pf.options.skip[1], "eth0");
	assert_null(f->pf.options.skip[2]);
	assert_true(f->pf.options.block_return && f->pf.options.require_order);
	assert_int_equal(f->pf.options.ntimeouts, 1);
	assert_int_equal(f->pf.options.timeout->seconds, 7);
	assert_int_equal(pf_find_ruleset(&f->pf, "")->filter.v[0].ret, PF_RETURN);
}

/* A statement with a fault says nothing; the next is read. */
static void faults_do_not_hide_others(void **state)
{
	struct fixture *f = *state;
	read_rules(f, "pass from {\n nowhere\n 10.0.0.1 }\npass lable x\n$undefined pass\nblock\n");
	assert_int_equal(f->d.errors, 3);
	assert_int_equal(f->d.v[0].line, 2);
	assert_int_equal(f->d.v[1].line, 4);
	assert_int_equal(f->d.v[2].line, 5);
	const struct pf_ruleset *rs = pf_find_ruleset(&f->pf, "");
	assert_int_equal(rs->filter.n, 1);
	assert_int_equal(rs->filter.v[0].action, PF_BLOCK);
}

static void words(void **state UNUSED)
{
	assert_true(pf_token_is_word("em0:network"));
	assert_true(pf_token_is_word("_x-1.2"));
	assert_false(pf_token_is_word(""));
	assert_false(pf_token_is_word("-x"));
	assert_false(pf_token_is_word("a b"));
	assert_false(pf_token_is_word("a/b"));
	assert_false(pf_token_is_word("all"));
	assert_false(pf_token_is_word("a\"b"));
	assert_false(pf_token_is_word("a\xc3\xa4"));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(rules_know_where_they_are_from),
	    T(a_rule_of_a_macro_is_where_the_macro_is_used),
	    T(implied_is_not_written),
	    T(ports_of_redirections_shift),
	    T(tables_are_sorted_and_told),
	    T(tables_show_what_they_are),
	    T(tables_of_anchors_come_first),
	    T(anchors_that_are_named_exist),
	    T(anchors_are_read_one_by_one),
	    T(loading_ends),
	    T(files_are_remembered),
	    T(arguments_win),
	    T(nobody_is_asked),
	    T(options_are_kept),
	    T(faults_do_not_hide_others),
	    cmocka_unit_test(words),
	};
	return cmocka_run_group_tests_name("pf/read", tests, NULL, NULL);
}
