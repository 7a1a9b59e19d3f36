/* The parameter table and how names find it. */
#include "unit.h"

#include "base/str.h"
#include "conf/param.h"

/* Every parameter of the enumeration has its row, complete. */
static void complete(void **state UNUSED)
{
	for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
		const struct param *p = param_get(id);
		bool negated;
		assert_non_null(p->name);
		assert_non_null(p->text);
		assert_true(*p->name && *p->text);
		assert_int_equal(param_find(p->name, &negated), id);
		assert_false(negated);
		if (p->type == PT_INT)
			assert_true(p->min < p->max);
		if (p->type == PT_BOOL && !(p->flags & PF_READONLY))
			assert_true(str_eq(p->def, "true") || str_eq(p->def, "false"));
	}
}

static void negated(void **state UNUSED)
{
	static const struct {
		const char *name;
		enum param_id id;
	} good[] = {
	    {"nopersist", P_PERSIST},
	    {"allow.nomount", P_ALLOW_MOUNT},
	    {"allow.mount.notmpfs", P_ALLOW_MOUNT_TMPFS},
	    {"mount.nodevfs", P_MOUNT_DEVFS},
	    {"exec.noclean", P_EXEC_CLEAN},
	};
	static const char *const bad[] = {"noallow.mount",
					  "allow.nomount.tmpfs",
					  "nopath",
					  "noexec.clean",
					  "no",
					  "nonopersist",
					  "vnonet",
					  "mount.no",
					  "allow.",
					  ""};
	bool is;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(param_find(good[i].name, &is), good[i].id);
		assert_true(is);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(param_find(bad[i], &is), PARAM_NONE);
}

static void keyed(void **state UNUSED)
{
	bool is;
	assert_int_equal(param_find("meta", &is), P_META);
	assert_int_equal(param_find("meta.owner", &is), P_META);
	assert_int_equal(param_find("env.a.b", &is), P_ENV);
	assert_int_equal(param_find("meta.", &is), PARAM_NONE);
	assert_int_equal(param_find("path.x", &is), PARAM_NONE);
}

static void suggestions(void **state UNUSED)
{
	static const struct {
		const char *wrong, *right;
	} t[] = {
	    {"exec.strat", "exec.start"},
	    {"ip4_addr", "ip4.addr"},
	    {"hostname", "host.hostname"},
	    {"persits", "persist"},
	    {"noallow.mount", "allow.nomount"}, /* not its opposite, which is nearer by letters */
	    {"noexec.clean", "exec.noclean"},
	    {"nopath", "path"},
	    {"zebra", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		const char *near = param_suggest(t[i].wrong);
		if (t[i].right)
			assert_string_equal(near, t[i].right);
		else
			assert_null(near);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(complete),
	    cmocka_unit_test(negated),
	    cmocka_unit_test(keyed),
	    cmocka_unit_test(suggestions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
