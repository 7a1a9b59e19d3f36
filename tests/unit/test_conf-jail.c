/* Reading a resolved jail by type, jails of the command line, purposes. */
#include "unit.h"

#include "base/str.h"
#include "conf/check.h"
#include "conf/jail.h"
#include "conf/print.h"

struct fixture {
	struct conf conf;
	struct conf_jail jail;
	struct diags diags;
};

static int setup(void **state)
{
	*state = mem_alloc(sizeof(struct fixture));
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	conf_jail_done(&f->jail);
	conf_done(&f->conf);
	diags_done(&f->diags);
	free(f);
	return 0;
}

static struct conf_jail *resolve(struct fixture *f, const char *text, const char *name,
				 enum conf_purpose purpose)
{
	conf_read_text(&f->conf, "test", NULL, text, strlen(text), &f->diags);
	assert_int_equal(f->diags.errors, 0);
	assert_int_equal(conf_resolve(&f->conf, name, purpose, &f->jail, &f->diags), 0);
	return &f->jail;
}

static void defaults(void **state)
{
	const struct conf_jail *j = resolve(*state, "a { }", "a", CONF_FOR_START);
	size_t n;
	assert_string_equal(j->name, "a");
	assert_int_equal(j->jid, 0);
	assert_false(conf_is_set(j, P_PERSIST));
	assert_false(conf_bool(j, P_PERSIST));
	assert_true(conf_bool(j, P_ALLOW_RESERVED_PORTS));
	assert_false(conf_bool(j, P_ALLOW_SET_HOSTNAME));
	assert_int_equal(conf_int(j, P_STOP_TIMEOUT), 10);
	assert_int_equal(conf_int(j, P_ENFORCE_STATFS), 2);
	assert_string_equal(conf_string(j, P_PATH), "/var/lib/newgate/roots/a");
	assert_null(conf_string(j, P_HOST_HOSTNAME));
	conf_list(j, P_EXEC_START, &n);
	assert_int_equal(n, 0);
	const struct conf_value *v = conf_list(j, P_ALLOW_CONNECT, &n);
	assert_int_equal(n, 1);
	assert_string_equal(v->text, "internet");
	assert_int_equal(conf_sys(j, P_IP4), SYS_DISABLE);
	assert_int_equal(conf_sys(j, P_VNET), SYS_INHERIT);
	assert_int_equal(conf_sys(j, P_SYSVSHM), SYS_DISABLE);
	assert_int_equal(conf_pos(j, P_PATH).line, 1);
}

static void values(void **state)
{
	const struct conf_jail *j =
	    resolve(*state,
		    "7 {\n name = web; nopersist = 0; stop.timeout = 3, 5;\n"
		    " exec.start = a, \"\", b; allow.connect = \"\"; vnet;\n"
		    " ip4.addr = \"10.0.0.1, 10.0.0.2\", 10.0.0.3;\n"
		    " host.hostname = w; meta.a = 1; meta = 2; allow.sysvipc;\n}",
		    "7", CONF_FOR_START);
	size_t n;
	assert_string_equal(j->block, "7");
	assert_string_equal(j->name, "web");
	assert_int_equal(j->jid, 7);
	assert_true(conf_bool(j, P_PERSIST));
	assert_int_equal(conf_int(j, P_STOP_TIMEOUT), 5);
	const struct conf_value *v = conf_list(j, P_EXEC_START, &n);
	assert_int_equal(n, 2);
	assert_string_equal(v[1].text, "b");
	assert_int_equal(v[1].pos.line, 3);
	v = conf_list(j, P_IP4_ADDR, &n);
	assert_int_equal(n, 3);
	assert_string_equal(v[1].text, "10.0.0.2");
	assert_string_equal(v[2].text, "10.0.0.3");
	conf_list(j, P_ALLOW_CONNECT, &n);
	assert_int_equal(n, 0);
	assert_string_equal(conf_string(j, P_META), "2");
	assert_int_equal(conf_sys(j, P_IP4), SYS_NEW);
	assert_int_equal(conf_sys(j, P_IP6), SYS_NEW);
	assert_int_equal(conf_sys(j, P_VNET), SYS_NEW);
	assert_int_equal(conf_sys(j, P_HOST), SYS_NEW);
	assert_int_equal(conf_sys(j, P_SYSVSEM), SYS_NEW);
}

/* jail -r works where jail -c would not: what the kernel was to know is not asked. */
static void for_stop(void **state)
{
	struct fixture *f = *state;
	struct conf_jail *j = resolve(f,
				      "a { persist = maybe; zebra; ip4.addr = x; osrelease = 1;\n"
				      " exec.stop = bye; zfs.dataset = p; }",
				      "a", CONF_FOR_STOP);
	size_t n;
	assert_int_equal(f->diags.n, 0);
	assert_string_equal(conf_list(j, P_EXEC_STOP, &n)->text, "bye");
	conf_jail_done(j);
	assert_int_equal(conf_resolve(&f->conf, "a", CONF_FOR_START, j, &f->diags), -EINVAL);
	assert_int_equal(f->diags.errors, 4);
}

static void for_stop_checks_its_own(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "a { stop.timeout = soon; }";
	conf_read_text(&f->conf, "test", NULL, text, strlen(text), &f->diags);
	assert_int_equal(conf_resolve(&f->conf, "a", CONF_FOR_STOP, &f->jail, &f->diags), -EINVAL);
	assert_int_equal(f->diags.errors, 1);
	assert_null(f->jail.setting);
}

static void unknown_jail(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(conf_resolve(&f->conf, "a", CONF_FOR_START, &f->jail, &f->diags), -ENOENT);
	assert_int_equal(f->diags.n, 0);
}

static void arguments(void **state)
{
	static const char *const args[] = {
	    "name=web",          "path=jails/web", "persist",    "ip4.addr=10.0.0.1,10.0.0.2",
	    "ip4.addr=10.0.0.3", "meta.x=a, $b",   "command=sh", "command=-c",
	    "command="};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_SIZE(args); i++)
		conf_add_argument(&f->conf, "web", args[i], &f->diags);
	assert_int_equal(conf_resolve(&f->conf, "web", CONF_FOR_START, &f->jail, &f->diags), 0);
	const struct conf_jail *j = &f->jail;
	size_t n;
	assert_true(j->argument);
	assert_string_equal(j->name, "web");
	assert_string_equal(conf_string(j, P_PATH), "jails/web");
	assert_true(conf_bool(j, P_PERSIST));
	conf_list(j, P_IP4_ADDR, &n);
	assert_int_equal(n, 3);
	assert_string_equal(j->by_id[P_NAME]->value->text, "web");
	const struct conf_value *v = conf_list(j, P_COMMAND, &n);
	assert_int_equal(n, 3); /* a word may be empty */
	assert_string_equal(v[2].text, "");
	struct str out = {0};
	conf_print_line(&out, j, "|");
	assert_non_null(strstr(out.s, "meta.x=\"a, $b\""));
	str_done(&out);
}

/* jail -c path=/x persist: the kernel of FreeBSD would name it after its number. */
static void nameless(void **state)
{
	struct fixture *f = *state;
	conf_add_argument(&f->conf, NULL, "path=/x", &f->diags);
	conf_add_argument(&f->conf, NULL, "persist", &f->diags);
	assert_int_equal(f->conf.nrecords, 1);
	assert_int_equal(conf_resolve(&f->conf, "", CONF_FOR_START, &f->jail, &f->diags), 0);
	assert_string_equal(f->jail.name, "");
	assert_int_equal(f->jail.jid, 0);
	conf_add_argument(&f->conf, NULL, "jid=9", &f->diags);
	conf_jail_done(&f->jail);
	assert_int_equal(conf_resolve(&f->conf, "", CONF_FOR_START, &f->jail, &f->diags), 0);
	assert_string_equal(f->jail.name, "9");
	assert_string_equal(conf_string(&f->jail, P_PATH), "/x");
	assert_int_equal(f->jail.jid, 9);
}

static void argument_faults(void **state)
{
	struct fixture *f = *state;
	conf_add_argument(&f->conf, "a", "=x", &f->diags);
	assert_int_equal(f->diags.errors, 1);
	conf_add_argument(&f->conf, "a", "exec.strat=x", &f->diags);
	assert_int_equal(conf_resolve(&f->conf, "a", CONF_FOR_START, &f->jail, &f->diags), -EINVAL);
	autofree char *text = diag_format(&f->diags.v[1]);
	assert_string_equal(text,
			    "a: unknown parameter \"exec.strat\" (did you mean \"exec.start\"?)");
}

static void names(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "b { } x = 1; \"c.*\" { } a { } 5 { } b { }";
	conf_read_text(&f->conf, "test", NULL, text, strlen(text), &f->diags);
	size_t n;
	autofree const char **v = conf_names(&f->conf, &n);
	assert_int_equal(n, 3);
	assert_string_equal(v[0], "b");
	assert_string_equal(v[1], "a");
	assert_string_equal(v[2], "5");
	assert_null(v[3]);
	assert_non_null(conf_find(&f->conf, "5"));
	assert_null(conf_find(&f->conf, "c.*"));
}

static void wildcards(void **state UNUSED)
{
	static const struct {
		const char *wildcard, *jail;
		bool match;
	} t[] = {
	    {"*", "a", true},         {"*", "a.b", true},      {"a.*", "a.b", true},
	    {"a.*", "a.b.c", true},   {"a.*", "a", false},     {"a.*", "ab.c", false},
	    {"*.b", "a.b", true},     {"*.b", "b", false},     {"*.b", "a.c.b", false},
	    {"a.*.c", "a.b.c", true}, {"a.*.c", "a.c", false}, {"a.*.c", "a.b.b.c", false},
	    {"*.*", "a", false},      {"*.*", "a.b", true},    {"*.*", "a.b.c", true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_true(conf_is_wildcard(t[i].wildcard));
		assert_false(conf_is_wildcard(t[i].jail));
		assert_int_equal(conf_wildcard_match(t[i].wildcard, t[i].jail), t[i].match);
	}
	assert_false(conf_is_wildcard("a*"));
	assert_false(conf_is_wildcard("**"));
	assert_false(conf_is_wildcard(""));
}

/* What one file says outside of blocks is nothing to the jails of another that is its own unit. */
static void units(void **state)
{
	struct fixture *f = *state;
	static const char *const text[] = {"persist; a { }", "exec.clean; b { }", "c { }"};
	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		conf_new_unit(&f->conf);
		conf_read_text(&f->conf, "test", NULL, text[i], strlen(text[i]), &f->diags);
	}
	for (const char *name = "a\0b\0c\0"; *name; name += 2) {
		struct conf_jail *j = &f->jail;
		assert_int_equal(conf_resolve(&f->conf, name, CONF_FOR_START, j, &f->diags), 0);
		assert_int_equal(conf_bool(j, P_PERSIST), *name == 'a');
		assert_int_equal(conf_bool(j, P_EXEC_CLEAN), *name == 'b');
		conf_jail_done(j);
	}
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(defaults),     CASE(values),
	    CASE(for_stop),     CASE(for_stop_checks_its_own),
	    CASE(unknown_jail), CASE(arguments),
	    CASE(nameless),     CASE(argument_faults),
	    CASE(names),        cmocka_unit_test(wildcards),
	    CASE(units),
	};
	return cmocka_run_group_tests_name("conf/jail", tests, NULL, NULL);
}
