/* The plan of newgate up: from what runs and what is configured to a list of actions, in words. */
#include "unit.h"

#include <string.h>
#include "base/mem.h"
#include "jail/create.h"
#include "run/reconcile.h"
#include "run/run.h"

#define JAILS 8

/* Both sides of a host, from two texts of jail.conf. */
struct world {
	struct conf runs, wants;
	struct conf_jail running[JAILS], wanted[JAILS];
	struct record rec[JAILS];
	struct strv param[JAILS], none;
	struct privs privs[JAILS];
	struct reconcile_jail v[JAILS];
	size_t n;
};

static void parse(struct conf *c, const char *text)
{
	struct diags d = {0};
	struct str all = {0};
	str_addf(&all, "ip4.addr = auto; %s", text);
	conf_read_text(c, "jail.conf", "/", all.s, all.len, &d);
	str_done(&all);
	for (size_t i = 0; i < d.n; i++)
		fail_msg("%s", d.v[i].text);
	diags_done(&d);
}

static struct conf_jail resolve(const struct conf *c, const char *name)
{
	struct diags d = {0};
	struct conf_jail j;
	if (conf_resolve(c, name, CONF_FOR_START, &j, &d) < 0)
		fail_msg("%s: %s", name, d.n ? d.v[0].text : "not resolved");
	diags_done(&d);
	return j;
}

static struct reconcile_jail *find(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (str_eq(w->v[i].name, name))
			return &w->v[i];
	assert_true(w->n < JAILS);
	w->v[w->n].name = name;
	w->v[w->n].lost = &w->none;
	w->v[w->n].looked_at = true;
	return &w->v[w->n++];
}

static void make(struct world *w, const char *runs, const char *wants)
{
	size_t n;
	*w = (struct world){0};
	parse(&w->runs, runs);
	parse(&w->wants, wants);
	autofree const char **wanted = conf_names(&w->wants, &n);
	for (size_t i = 0; i < n; i++) {
		struct reconcile_jail *j = find(w, wanted[i]);
		w->wanted[i] = resolve(&w->wants, wanted[i]);
		w->privs[i] = privs_of(&w->wanted[i]);
		create_params(&w->param[i], &w->wanted[i], &w->privs[i]);
		j->block = wanted[i];
		j->conf = &w->wanted[i];
		j->param = &w->param[i];
		j->privs = &w->privs[i];
		j->wanted = true;
	}
	autofree const char **running = conf_names(&w->runs, &n);
	for (size_t i = 0; i < n; i++) {
		struct reconcile_jail *j = find(w, running[i]);
		struct record *r = &w->rec[i];
		w->running[i] = resolve(&w->runs, running[i]);
		struct privs p = privs_of(&w->running[i]);
		const char *hostname = conf_string(&w->running[i], P_HOST_HOSTNAME);
		r->name = mem_strdup(running[i]);
		r->path = mem_strdup(conf_string(&w->running[i], P_PATH));
		r->hostname = mem_strdup(hostname ? hostname : running[i]);
		r->persist = conf_bool(&w->running[i], P_PERSIST);
		create_params(&r->param, &w->running[i], &p);
		j->rec = r;
		if (!j->conf)
			j->conf = &w->running[i];
	}
}

static void done(struct world *w)
{
	for (size_t i = 0; i < JAILS; i++) {
		conf_jail_done(&w->running[i]);
		conf_jail_done(&w->wanted[i]);
		record_done(&w->rec[i]);
		strv_done(&w->param[i]);
	}
	conf_done(&w->runs);
	conf_done(&w->wants);
}

/* The plan's lines must be these, each with a newline. */
static void expect(struct world *w, const char *lines)
{
	struct reconcile r;
	struct str text = {0};
	reconcile(w->v, w->n, &w->none, &w->none, &r);
	for (size_t i = 0; i < r.n; i++)
		str_addf(&text, "%s\n", r.v[i].text);
	assert_string_equal(str_text(&text), lines);
	str_done(&text);
	reconcile_done(&r);
}

static void check(const char *runs, const char *wants, const char *lines)
{
	struct world w;
	make(&w, runs, wants);
	expect(&w, lines);
	done(&w);
}

static unsigned op_of(struct world *w, const char *name)
{
	struct reconcile r;
	reconcile(w->v, w->n, &w->none, &w->none, &r);
	unsigned op = r.op[find(w, name) - w->v];
	reconcile_done(&r);
	return op;
}

/* ---- changes ---- */

static void same_is_nothing(void **state)
{
	(void)state;
	check("", "", "");
	check("a { persist; path = /x; }", "a { persist; path = /x; }", "");
	/* However it is written, and whether a default is. */
	check("a { rdr = \"tcp 80\"; }",
	      "a { persist = false; stop.timeout = 10; rdr = \"tcp 80\"; }", "");
	check("a { rdr = \"tcp 80 -> 80\", \"udp 53\"; }",
	      "a { rdr = \"udp domain\", \"tcp http\"; }", "");
	check("a { allow.connect = internet; }", "a { }", "");
	check("a { path = /var/lib/newgate/roots/a; }", "a { }", "");
}

static void redirects(void **state)
{
	(void)state;
	check("a { rdr = \"tcp 25\"; }", "a { rdr = \"tcp 25\", \"tcp 8000-8010 -> 9000\"; }",
	      "opens tcp 8000-8010 to a (its port 9000-9010)\n");
	check("a { rdr = \"tcp 22 -> 2222 from 192.0.2.0/24\"; }", "a { }",
	      "closes tcp 22 to a (its port 2222) from 192.0.2.0/24\n");
}

static void permissions(void **state)
{
	(void)state;
	check("a { } b { }", "a { allow.connect = \"b tcp 24 143 udp 53\"; } b { }",
	      "no longer lets a connect to internet\n"
	      "lets a connect to b tcp 24\n"
	      "lets a connect to b tcp 143\n"
	      "lets a connect to b udp 53\n");
	/* The same ports in other words, one of them gone. */
	check("a { allow.connect = \"b tcp 24 143\"; } b { }",
	      "a { allow.connect = \"b tcp imap\"; } b { }",
	      "no longer lets a connect to b tcp 24\n");
	/* An empty list is not the default. */
	check("a { }", "a { allow.connect; }", "no longer lets a connect to internet\n");
	check("a { allow.connect = host, \"10.8.0.0/24 tcp\"; }", "a { allow.connect = host; }",
	      "no longer lets a connect to 10.8.0.0/24 tcp\n");
}

static void others(void **state)
{
	(void)state;
	check("a { }",
	      "a { persist; host.hostname = x; rctl = \"maxproc:deny=9\"; exec.start = y; "
	      "stop.timeout = 3; env.X = 1; nat.source = 192.0.2.1; }",
	      "a leaves with 192.0.2.1\n"
	      "limits a: maxproc:deny=9\n"
	      "names the host in a x (was a)\n"
	      "lets a stay without processes (persist)\n"
	      "changes env of a\n"
	      "changes exec.start of a (from its next start on)\n"
	      "changes stop.timeout of a\n");
}

/* ---- restarts ---- */

static void restarts(void **state)
{
	(void)state;
	check("a { ip4.addr = 10.0.0.2; }", "a { ip4.addr = 10.0.0.3; rdr = \"tcp 80\"; }",
	      "restarts a: ip4.addr changed (10.0.0.2 -> 10.0.0.3)\n"
	      "opens tcp 80 to a\n");
	check("a { path = /x; }", "a { }", "restarts a: path changed\n");
	check("a { }", "a { allow.raw_sockets; }",
	      "restarts a: what its processes may do (allow.*, capabilities, rctl openfiles) "
	      "changed\n");
	check("a { mount = \"/x /y nullfs ro 0 0\"; }", "a { }",
	      "restarts a: mount changed (/x /y nullfs ro 0 0 -> unset)\n");
	/* What has no effect is no reason. */
	check("a { }", "a { osrelease = \"14.0\"; }", "changes osrelease of a\n");
}

static void a_restart_draws_in_those_that_need_it(void **state)
{
	(void)state;
	static const char after[] = "db { ip4.addr = 10.0.0.9; } web { depend = db; } "
				    "top { depend = web; } other { }";
	check("db { ip4.addr = 10.0.0.2; } web { depend = db; } top { depend = web; } other { }",
	      after,
	      "restarts db: ip4.addr changed (10.0.0.2 -> 10.0.0.9)\n"
	      "restarts web: it needs db, which restarts\n"
	      "restarts top: it needs web, which restarts\n");
}

static void a_moved_lease_restarts(void **state)
{
	(void)state;
	struct world w;
	struct strv ip = {0};
	make(&w, "a { ip4.addr = auto; }", "a { ip4.addr = auto; }");
	strv_add(&w.rec[0].ip4, "10.0.0.2");
	strv_add(&ip, "10.0.0.2");
	find(&w, "a")->ip = &ip;
	expect(&w, "");
	strv_done(&ip);
	strv_add(&ip, "10.9.0.2");
	expect(&w, "restarts a: its address is now 10.9.0.2\n");
	strv_done(&ip);
	done(&w);
}

/* ---- starts and stops ---- */

static void starts_and_stops(void **state)
{
	(void)state;
	check("old { }", "a { rdr = \"tcp 25\", \"udp 53\"; } b { depend = a; }",
	      "stops old: no longer configured\n"
	      "starts a; opens tcp 25, udp 53\n"
	      "starts b\n");
}

static void those_put_aside_stay(void **state)
{
	(void)state;
	struct world w;
	make(&w, "a { } b { }", "b { }");
	w.rec[0].aside = true;
	w.rec[1].aside = true;
	expect(&w, "");
	done(&w);
}

static void others_are_not_looked_at(void **state)
{
	(void)state;
	struct world w;
	make(&w, "old { } a { }", "a { persist; } b { } c { depend = b; }");
	for (size_t i = 0; i < w.n; i++)
		w.v[i].looked_at = w.v[i].wanted = str_eq(w.v[i].name, "c");
	expect(&w, "starts b: c needs it\nstarts c\n");
	done(&w);
}

static void one_that_is_not_wanted_is_still_changed(void **state)
{
	(void)state;
	struct world w;
	make(&w, "a { }", "a { persist; } b { }");
	find(&w, "a")->wanted = find(&w, "b")->wanted = false;
	expect(&w, "lets a stay without processes (persist)\n");
	done(&w);
}

/* ---- repairs ---- */

static void repairs(void **state)
{
	(void)state;
	struct world w;
	struct strv lost = {0};
	strv_add(&lost, "its link ng1 is gone");
	make(&w, "a { } b { } c { }", "a { persist; } b { } c { }");
	find(&w, "a")->lost = &lost;
	w.rec[1].dead = true;
	w.rec[2].starting = true;
	find(&w, "c")->wanted = false;
	expect(&w, "repairs a: its link ng1 is gone\n"
		   "lets a stay without processes (persist)\n"
		   "clears up after b, which ended\n"
		   "starts b\n"
		   "clears up after c, whose start was interrupted\n");
	assert_int_equal(op_of(&w, "a"), RUN_REPAIR | RUN_MODIFY);
	assert_int_equal(op_of(&w, "b"), RUN_CREATE);
	assert_int_equal(op_of(&w, "c"), 0);
	done(&w);
	strv_done(&lost);
}

static void elements_alone_are_a_change(void **state)
{
	(void)state;
	struct world w;
	struct strv elems = {0};
	make(&w, "a { }", "a { }");
	strv_add(&elems, "elem ports4 10.0.0.2 . 10.0.0.9 . tcp . 24");
	find(&w, "a")->elems = &elems;
	expect(&w, "updates the permissions of a: an address in them has changed\n");
	strv_add(&w.rec[0].undo, elems.v[0]);
	strv_add(&w.rec[0].undo, "proxy eth0 10.0.0.2");
	expect(&w, "");
	done(&w);
	strv_done(&elems);
}

static void faults_leave_the_jail_alone(void **state)
{
	(void)state;
	struct world w;
	make(&w, "a { ip4.addr = 10.0.0.2; }", "a { ip4.addr = 10.0.0.3; } b { }");
	find(&w, "a")->fault = "why";
	find(&w, "b")->fault = "why not";
	expect(&w, "a: why\nb: why not\n");
	assert_int_equal(op_of(&w, "a"), 0);
	assert_int_equal(op_of(&w, "b"), 0);
	done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(same_is_nothing),
	    cmocka_unit_test(redirects),
	    cmocka_unit_test(permissions),
	    cmocka_unit_test(others),
	    cmocka_unit_test(restarts),
	    cmocka_unit_test(a_restart_draws_in_those_that_need_it),
	    cmocka_unit_test(a_moved_lease_restarts),
	    cmocka_unit_test(starts_and_stops),
	    cmocka_unit_test(those_put_aside_stay),
	    cmocka_unit_test(others_are_not_looked_at),
	    cmocka_unit_test(one_that_is_not_wanted_is_still_changed),
	    cmocka_unit_test(repairs),
	    cmocka_unit_test(elements_alone_are_a_change),
	    cmocka_unit_test(faults_leave_the_jail_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
