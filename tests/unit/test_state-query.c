#include "unit.h"

#include "base/mem.h"
#include "state/query.h"

static struct record sample(void)
{
	struct record r = {.name = mem_strdup("a.b"), .jid = 7, .persist = true};

	r.path = mem_strdup("/srv/a");
	strv_add(&r.ip4, "10.0.0.2");
	strv_add(&r.ip4, "10.0.0.3");
	strv_add(&r.param, "allow.mount=true");
	strv_add(&r.param, "rdr=tcp 80");
	strv_add(&r.param, "rdr=udp 53");
	strv_add(&r.param, "meta=note=n\nmore=m=2");
	strv_add(&r.param, "meta.owner=x y");
	strv_add(&r.param, "osrelease=13.0");
	return r;
}

/* The value of one parameter, lists joined by "|"; static. */
static const char *value(const char *name, const struct record *r, const struct record *all,
			 size_t n)
{
	static char joined[256];
	autodone(strv_done) struct strv v = {0};
	struct ng_err err = {0};
	struct query q;

	assert_int_equal(query_parse(&q, name, &err), 0);
	query_value(&q, r, all, n, &v);
	assert_true(query_is_list(&q) || v.n == 1);
	joined[0] = '\0';
	for (size_t i = 0; i < v.n; i++) {
		assert_true(strlen(joined) + strlen(v.v[i]) + 2 < sizeof(joined));
		strcat(strcat(joined, i ? "|" : ""), v.v[i]);
	}
	return joined;
}

static void values_of_a_record(void **arg)
{
	autodone(record_done) struct record r = sample();
	static const char *const cases[][2] = {
	    {"jid", "7"},
	    {"name", "a.b"},
	    {"path", "/srv/a"},
	    {"host.hostname", ""},
	    {"persist", "true"},
	    {"nopersist", "false"},
	    {"ip4.addr", "10.0.0.2|10.0.0.3"},
	    {"ip6.addr", ""},
	    {"ip4", "new"},
	    {"ip6", "disable"},
	    {"allow.mount", "true"},
	    {"allow.nomount", "false"},
	    {"allow.chflags", "false"},
	    {"rdr", "tcp 80|udp 53"},
	    {"allow.connect", "internet"},
	    {"meta.owner", "x y"},
	    {"meta.note", "n"},
	    {"meta.more", "m=2"},
	    {"meta.none", ""},
	    {"meta", "note=n\nmore=m=2\nowner=x y"},
	    {"env", ""},
	    {"children.max", "0"},
	    {"enforce_statfs", "2"},
	    {"cpuset.id", "0"},
	    {"parent", "0"},
	    {"dying", "false"},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(value(cases[i][0], &r, NULL, 0), cases[i][1]);
}

static void parents_and_children(void **arg)
{
	struct record all[] = {{.name = "a", .jid = 3},
			       {.name = "a.b", .jid = 4},
			       {.name = "a.b.c", .jid = 5},
			       {.name = "ab", .jid = 6},
			       {.name = "a.gone", .jid = 7, .dead = true}};

	(void)arg;
	assert_string_equal(value("children.cur", &all[0], all, 5), "2");
	assert_string_equal(value("children.cur", &all[1], all, 5), "1");
	assert_string_equal(value("parent", &all[0], all, 5), "0");
	assert_string_equal(value("parent", &all[1], all, 5), "3");
	assert_string_equal(value("parent", &all[2], all, 5), "4");
	assert_string_equal(value("dying", &all[4], all, 5), "true");
}

static void all_is_sorted_and_whole(void **arg)
{
	size_t n = 0;
	autofree struct query *v = query_all(&n);
	bool dots = false;

	(void)arg;
	assert_true(n > 40);
	for (size_t i = 0; i < n; i++) {
		bool dot = strchr(v[i].name, '.');

		assert_true(dot || !dots);
		if (i && dot == dots)
			assert_true(strcmp(v[i - 1].name, v[i].name) < 0);
		dots = dot;
		assert_string_not_equal(v[i].name, "lastjid");
		assert_string_not_equal(v[i].name, "exec.start");
	}
}

static void explains_what_is_not_there(void **arg)
{
	struct query q;
	struct ng_err err = {0};

	(void)arg;
	assert_int_equal(query_parse(&q, "pathh", &err), -ENOENT);
	assert_string_equal(err.text, "unknown parameter: pathh (did you mean \"path\"?)");
	assert_int_equal(query_parse(&q, "xyzzyx", &err), -ENOENT);
	assert_string_equal(err.text, "unknown parameter: xyzzyx");
	assert_int_equal(query_parse(&q, "exec.start", &err), -ENOENT);
	assert_non_null(strstr(err.text, "jail.conf's alone"));
}

static bool is_input(const char *name, const struct record *r)
{
	struct query q;
	struct ng_err err = {0};

	assert_int_equal(query_parse(&q, name, &err), 0);
	return query_is_input(&q, r);
}

static void what_can_be_set_again(void **arg)
{
	autodone(record_done) struct record r = sample();

	(void)arg;
	assert_true(is_input("ip4.addr", &r));          /* ip4 is new */
	assert_false(is_input("ip6.addr", &r));         /* ip6 is not */
	assert_true(is_input("allow.raw_sockets", &r)); /* false is a value */
	assert_true(is_input("osrelease", &r));         /* no effect, but it was set */
	assert_false(is_input("allow.chflags", &r));    /* no effect, not set */
	assert_false(is_input("dying", &r));            /* read only */
	assert_false(is_input("env", &r));              /* not set */
	assert_true(is_input("rdr", &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_of_a_record),      cmocka_unit_test(parents_and_children),
	    cmocka_unit_test(all_is_sorted_and_whole), cmocka_unit_test(explains_what_is_not_there),
	    cmocka_unit_test(what_can_be_set_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
