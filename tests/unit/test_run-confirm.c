/* What newgate up --confirm writes down of running jails means the same when it is read again. */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "jail/create.h"
#include "run/confirm.h"
#include "sys/path.h"

static char root[] = "/tmp/newgate-confirm.XXXXXX";
static struct state state;

static int setup(void **arg)
{
	struct ng_err err = {0};
	(void)arg;
	return mkdtemp(root) && state_open(&state, root, &err) == 0 ? 0 : -1;
}

static int teardown(void **arg)
{
	(void)arg;
	state_done(&state);
	autoclose int tmp = open("/tmp", O_PATH | O_CLOEXEC);
	return path_remove_tree(tmp, root + strlen("/tmp/"));
}

static const char *const params[] = {
    "path=/srv/a b/$c\\d\"e'f#g;{}",
    "persist=true",
    "allow.raw_sockets=true",
    "exec.start=echo \"$HOME\" > /x; true && a",
    "exec.start=second",
    "meta.note=one\ntwo\t\\ =, \xc3\xa4",
    "env=A=1\nB=2",
    "ip4.addr=10.0.0.2/24",
    "ip4.addr=auto",
    "ip6.addr=lo9|fd00::2",
    "rdr=tcp 443 -> 8443 from 192.0.2.0/24, 198.51.100.7",
    "allow.connect=b tcp 24 143",
    "allow.connect=nobody",
    "depend=b",
    "depend=nobody",
    "stop.timeout=3",
    "privs=1:2:0:0",
};

static struct record record(const char *name)
{
	struct record r = {.name = mem_strdup(name)};
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		strv_add(&r.param, params[i]);
	return r;
}

/* The world of both tests: `a` runs with all of the above, `b` is only configured. */
static void keep(struct gather *g, struct gather_jail v[2], struct record *r, const char *b)
{
	struct ng_err err = {0};
	*g = (struct gather){.jail = v, .n = 2};
	v[0] = (struct gather_jail){.name = r->name, .block = r->name, .rec = r};
	v[1] = (struct gather_jail){.name = b, .block = b};
	for (size_t i = 0; i < 2; i++)
		map_put(&g->by_name, v[i].name, strlen(v[i].name), i);
	if (confirm_keep(&state, g, &err) < 0)
		fail_msg("%s", err.text);
}

static void comes_back_the_same(void **arg)
{
	(void)arg;
	struct gather g;
	struct gather_jail v[2];
	struct record r = record("odd.name:x");
	struct confirm_kept kept;
	struct diags d = {0};
	struct ng_err err = {0};
	struct conf_jail j;
	struct strv again = {0};
	keep(&g, v, &r, "b");
	if (confirm_read(&state, &kept, &d, &err) < 0)
		fail_msg("%s %s", err.text, d.n ? d.v[0].text : "");
	assert_int_equal(kept.n, 1);
	assert_string_equal(kept.names[0], r.name);
	assert_null(kept.names[1]);
	assert_non_null(conf_find(&kept.conf, "b"));
	if (conf_resolve(&kept.conf, r.name, CONF_FOR_START, &j, &d) < 0)
		fail_msg("%s", d.v[0].text);
	create_params(&again, &j, &(struct privs){0});
	for (size_t i = 0; i < ARRAY_SIZE(params); i++) {
		bool dropped = str_suffix(params[i], "=nobody") || str_prefix(params[i], "privs=");
		if (strv_has(&again, params[i]) == dropped)
			fail_msg("%s: %s", dropped ? "kept" : "lost", params[i]);
	}
	strv_done(&again);
	conf_jail_done(&j);
	confirm_kept_done(&kept);
	map_done(&g.by_name);
	record_done(&r);
	diags_done(&d);
}

static void only_one_is_kept_and_forgotten(void **arg)
{
	(void)arg;
	struct gather g;
	struct gather_jail v[2];
	struct record r = record("a"), other = record("other");
	struct confirm_kept kept;
	struct diags d = {0};
	struct ng_err err = {0};
	int left;
	keep(&g, v, &r, "b");
	map_done(&g.by_name);
	keep(&g, v, &other, "b");
	assert_int_equal(confirm_read(&state, &kept, &d, &err), 0);
	assert_null(conf_find(&kept.conf, "a"));
	confirm_kept_done(&kept);
	assert_int_equal(confirm_look(&state, &left), CONFIRM_ORPHANED);
	confirm_forget(&state);
	assert_int_equal(confirm_look(&state, &left), CONFIRM_NONE);
	assert_int_equal(confirm_read(&state, &kept, &d, &err), -ENOENT);
	confirm_kept_done(&kept);
	map_done(&g.by_name);
	record_done(&r);
	record_done(&other);
}

/* ---- the process that waits ---- */

static int gone_back(void)
{
	struct state s;
	struct ng_err err = {0};
	if (state_open(&s, root, &err) < 0)
		return 1;
	int fd = openat(s.dir, "back", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0;
}

static int start(unsigned seconds)
{
	struct gather g;
	struct gather_jail v[2];
	struct record r = record("a");
	struct ng_err err = {0};
	int sock = -1;
	keep(&g, v, &r, "b");
	map_done(&g.by_name);
	record_done(&r);
	unlinkat(state.dir, "back", 0);
	if (confirm_start(&state, seconds, gone_back, &sock, &err) < 0)
		fail_msg("%s", err.text);
	return sock;
}

static bool went_back(void)
{
	return faccessat(state.dir, "back", F_OK, 0) == 0;
}

static void waits_for_the_change_to_be_made(void **arg)
{
	(void)arg;
	int left = 0, sock = start(600);
	assert_int_equal(confirm_look(&state, &left), CONFIRM_WAITING);
	assert_int_equal(left, -1);
	assert_int_equal(confirm_applied(sock), 0);
	assert_int_equal(confirm_look(&state, &left), CONFIRM_WAITING);
	assert_in_range(left, 590, 600);
	assert_int_equal(confirm_ask(&state, "keep"), 0);
	assert_int_equal(confirm_end(sock), 'k');
	assert_int_equal(confirm_look(&state, &left), CONFIRM_NONE);
	assert_false(went_back());
	close(sock);
}

static void goes_back_when_asked(void **arg)
{
	(void)arg;
	int left, sock = start(600);
	assert_int_equal(confirm_ask(&state, "back"), 0);
	assert_int_equal(confirm_end(sock), 'b');
	assert_true(went_back());
	assert_int_equal(confirm_look(&state, &left), CONFIRM_NONE);
	close(sock);
}

static void goes_back_by_itself(void **arg)
{
	(void)arg;
	int sock = start(1);
	assert_int_equal(confirm_applied(sock), 0);
	assert_int_equal(confirm_end(sock), 'b');
	assert_true(went_back());
	close(sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(comes_back_the_same),
	    cmocka_unit_test(only_one_is_kept_and_forgotten),
	    cmocka_unit_test(waits_for_the_change_to_be_made),
	    cmocka_unit_test(goes_back_when_asked),
	    cmocka_unit_test(goes_back_by_itself),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
