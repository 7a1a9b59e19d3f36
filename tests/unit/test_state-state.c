#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/mem.h"
#include "state/state.h"
#include "sys/fd.h"
#include "sys/path.h"

static char root[] = "/tmp/newgate-state.XXXXXX";

static int setup(void **arg)
{
	static struct state s;
	struct ng_err err = {0};
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	if (!mkdtemp(root) || state_open(&s, root, &err) < 0)
		return -1;
	*arg = &s;
	return 0;
}

static int teardown(void **arg)
{
	state_done(*arg);
	autoclose int tmp = open("/tmp", O_PATH | O_CLOEXEC);
	return path_remove_tree(tmp, root + strlen("/tmp/"));
}

static struct record sample(const char *name)
{
	struct record r = {.name = mem_strdup(name), .jid = 7, .slot = 3, .since = 1700000000};
	r.pid = getpid();
	assert_int_equal(pid_start_time(r.pid, &r.pid_started), 0);
	r.path = mem_strdup("/srv/a b\\c\nd");
	r.hostname = mem_strdup("");
	r.persist = true;
	strv_add(&r.ip4, "10.0.0.2");
	strv_add(&r.ip6, "fd00::2");
	strv_add(&r.param, "meta.note=one\ntwo\\");
	strv_add(&r.param, "persist=true");
	strv_add(&r.undo, "mount /x");
	return r;
}

static void assert_same(const struct record *a, const struct record *b)
{
	struct str x autodone(str_done) = {0}, y autodone(str_done) = {0};
	record_format(&x, a);
	record_format(&y, b);
	assert_string_equal(str_text(&x), str_text(&y));
}

static void written_is_read_back(void **arg)
{
	struct ng_err err = {0};
	struct record r autodone(record_done) = sample("we/b."), got autodone(record_done) = {0};
	assert_int_equal(state_write(*arg, &r, &err), 0);
	assert_int_equal(state_find(*arg, "we/b.", &got, &err), 0);
	assert_same(&r, &got);
	assert_string_equal(got.path, "/srv/a b\\c\nd");
	assert_string_equal(record_param(&got, "meta.note"), "one\ntwo\\");
	assert_null(record_param(&got, "meta.not"));
	assert_false(got.dead);
}

static void a_process_that_is_gone_makes_a_record_dead(void **arg)
{
	struct ng_err err = {0};
	struct record r autodone(record_done) = sample("web"), got autodone(record_done) = {0};
	r.pid_started++;
	assert_int_equal(state_write(*arg, &r, &err), 0);
	assert_int_equal(state_find(*arg, "web", &got, &err), 0);
	assert_true(got.dead);
}

static void found_by_name_before_jid(void **arg)
{
	struct ng_err err = {0};
	struct record a autodone(record_done) = sample("web"),
			b autodone(record_done) = sample("8");
	int jid;
	assert_int_equal(state_claim_jid(*arg, "web", 8, &jid, &err), 0);
	a.jid = jid;
	assert_int_equal(state_write(*arg, &a, &err), 0);
	struct record got autodone(record_done) = {0}, got2 autodone(record_done) = {0};
	assert_int_equal(state_find(*arg, "8", &got, &err), 0);
	assert_string_equal(got.name, "web");
	assert_int_equal(state_write(*arg, &b, &err), 0);
	assert_int_equal(state_find(*arg, "8", &got2, &err), 0);
	assert_string_equal(got2.name, "8");
	struct record none = {0};
	assert_int_equal(state_find(*arg, "9", &none, &err), -ENOENT);
	assert_string_equal(err.text, "\"9\" not found");
	assert_int_equal(state_find(*arg, "99999999999", &none, &err), -ENOENT);
}

static void claims_exclude_and_move_on(void **arg)
{
	struct ng_err err = {0};
	int a, b, c;
	uint32_t s1, s2;
	assert_int_equal(state_claim_jid(*arg, "a", 0, &a, &err), 0);
	assert_int_equal(state_claim_jid(*arg, "b", 0, &b, &err), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(state_claim_jid(*arg, "c", a, &c, &err), -EEXIST);
	state_release(*arg, b, SLOT_NONE);
	assert_int_equal(state_claim_jid(*arg, "c", 0, &c, &err), 0);
	assert_true(c > b); /* a number is not given again at once */
	assert_int_equal(state_claim_jid(*arg, "d", b, &b, &err), 0);
	assert_int_equal(state_claim_slot(*arg, "a", &s1, &err), 0);
	assert_int_equal(state_claim_slot(*arg, "b", &s2, &err), 0);
	assert_int_not_equal(s1, s2);
	assert_true(s1 < SLOT_COUNT && s2 < SLOT_COUNT);
}

static void removal_takes_only_its_own_claims(void **arg)
{
	struct ng_err err = {0};
	struct record r autodone(record_done) = sample("a");
	int jid;
	assert_int_equal(state_claim_jid(*arg, "other", r.jid, &jid, &err), 0);
	assert_int_equal(state_write(*arg, &r, &err), 0);
	assert_int_equal(state_remove(*arg, &r, &err), 0);
	assert_int_equal(state_claim_jid(*arg, "a", jid, &jid, &err), -EEXIST);
	struct record none = {0};
	assert_int_equal(state_find(*arg, "a", &none, &err), -ENOENT);
}

static void sweep_spares_what_is_locked_or_recorded(void **arg)
{
	struct state *s = *arg;
	struct ng_err err = {0};
	int locked, stray, recorded;
	assert_int_equal(state_claim_jid(s, "locked", 0, &locked, &err), 0);
	assert_int_equal(state_claim_jid(s, "stray", 0, &stray, &err), 0);
	assert_int_equal(state_claim_jid(s, "recorded", 0, &recorded, &err), 0);
	struct record r autodone(record_done) = sample("recorded");
	assert_int_equal(state_write(s, &r, &err), 0);
	autoclose int lock = state_lock(s, "locked", &err);
	assert_true(lock >= 0);
	struct strv stale autodone(strv_done) = {0};
	assert_int_equal(state_stale(s, &stale, &err), 0);
	assert_int_equal(stale.n, 1);
	assert_string_equal(stale.v[0], "stray");
	assert_int_equal(state_sweep(s, &err), 0);
	int jid;
	assert_int_equal(state_claim_jid(s, "x", locked, &jid, &err), -EEXIST);
	assert_int_equal(state_claim_jid(s, "x", recorded, &jid, &err), -EEXIST);
	assert_int_equal(state_claim_jid(s, "x", stray, &jid, &err), 0);
}

static void a_lock_is_held_until_closed(void **arg)
{
	struct state *s = *arg;
	struct ng_err err = {0};
	autoclose int lock = state_lock(s, "a", &err);
	assert_true(lock >= 0);
	autoclose int wait = -1;
	assert_int_equal(state_trylock(s, "a", &wait, &err), -EWOULDBLOCK);
	assert_true(wait >= 0);
	autoclose int other = state_trylock(s, "b", NULL, &err);
	assert_true(other >= 0);
	close(take_fd(&lock));
	autoclose int again = state_trylock(s, "a", NULL, &err);
	assert_true(again >= 0);
}

static void all_are_listed_by_jid_and_a_broken_one_is_dead(void **arg)
{
	struct state *s = *arg;
	struct ng_err err = {0};
	struct record a autodone(record_done) = sample("a"), b autodone(record_done) = sample("b");
	a.jid = 9;
	assert_int_equal(state_write(s, &a, &err), 0);
	assert_int_equal(state_write(s, &b, &err), 0);
	struct str path autodone(str_done) = {0};
	str_addf(&path, "%s/run/newgate/jails/bro%%2Fken", root);
	assert_int_equal(file_replace(path.s, "name x\n", 7, 0644), 0);
	struct record *all;
	size_t n;
	assert_int_equal(state_all(s, &all, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_string_equal(all[0].name, "bro/ken");
	assert_true(all[0].dead);
	assert_string_equal(all[1].name, "b");
	assert_string_equal(all[2].name, "a");
	for (size_t i = 0; i < n; i++)
		record_done(&all[i]);
	free(all);
}

static void bad_records_are_refused(void **arg)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"", "cut short"},
	    {"name a", "cut short"},
	    {"name a\njid 1\n", "cut short"},
	    {"jid 1\nend\n", "no name"},
	    {"name a\nname b\nend\n", "line 2"},
	    {"name \nend\n", "line 1"},
	    {"name a\njid x\nend\n", "line 2"},
	    {"name a\njid 1000000\nend\n", "line 2"},
	    {"name a\npid 1\nend\n", "line 2"},
	    {"name a\npid -1 2\nend\n", "line 2"},
	    {"name a\nslot 16384\nend\n", "line 2"},
	    {"name a\npath x\\y\nend\n", "line 2"},
	    {"name a\npath x\\\nend\n", "line 2"},
	};
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct record r = {0};
		struct ng_err err = {0};
		assert_int_equal(record_parse(bad[i].text, strlen(bad[i].text), &r, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i].why));
		assert_null(r.name);
	}
	struct record r autodone(record_done) = {0};
	struct ng_err err = {0};
	assert_int_equal(record_parse("name a\nlater thing\nend\n", 23, &r, &err), 0);
	record_done(&r);
	assert_int_equal(record_parse("name a\0\nend\n", 12, &r, &err), -EINVAL);
}

#define STATE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    STATE_TEST(written_is_read_back),
	    STATE_TEST(a_process_that_is_gone_makes_a_record_dead),
	    STATE_TEST(found_by_name_before_jid),
	    STATE_TEST(claims_exclude_and_move_on),
	    STATE_TEST(removal_takes_only_its_own_claims),
	    STATE_TEST(sweep_spares_what_is_locked_or_recorded),
	    STATE_TEST(a_lock_is_held_until_closed),
	    STATE_TEST(all_are_listed_by_jid_and_a_broken_one_is_dead),
	    cmocka_unit_test(bad_records_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
