#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/err.h"
#include "jail/attach.h"
#include "sys/path.h"

static char tree[32];
static int root = -1;

static int setup(void **arg)
{
	(void)arg;
	strcpy(tree, "/tmp/newgate-user.XXXXXX");
	if (!mkdtemp(tree))
		return -1;
	root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -1 : mkdirat(root, "etc", 0755);
}

static int teardown(void **arg)
{
	autoclose int tmp = open("/tmp", O_PATH | O_CLOEXEC);

	(void)arg;
	close(root);
	return path_remove_tree(tmp, tree + strlen("/tmp/"));
}

static void put(const char *path, const char *text)
{
	assert_int_equal(path_replace(root, path, text, strlen(text), 0644), 0);
}

static void reads_passwd_and_group(void **arg)
{
	struct jail_user u;
	struct ng_err err = {0};

	(void)arg;
	put("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"
			   "www:x:80:81:Web,,,:/srv/www:\n");
	put("/etc/group",
	    "root:x:0:\nmail:*:12:a,www,b\nwwwx:x:13:wwwx\nwww:x:81:www\nlog:x:14:www");
	assert_int_equal(user_lookup(root, "www", &u, &err), 0);
	assert_int_equal(u.uid, 80);
	assert_int_equal(u.gid, 81);
	assert_string_equal(u.home, "/srv/www");
	assert_string_equal(u.shell, "/bin/sh");
	assert_int_equal(u.ngroups, 3);
	assert_int_equal(u.groups[0], 81);
	assert_int_equal(u.groups[1], 12);
	assert_int_equal(u.groups[2], 14);
}

static void names_who_is_missing(void **arg)
{
	struct jail_user u;
	struct ng_err err = {0};

	(void)arg;
	put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nww:x:1:1::/:\n#www:x:80:80::/:\nwww\n");
	assert_int_equal(user_lookup(root, "www", &u, &err), -ENOENT);
	assert_string_equal(err.text, "www: no such user");
}

static void a_bare_root_has_root(void **arg)
{
	struct jail_user u;
	struct ng_err err = {0};

	(void)arg;
	assert_int_equal(user_lookup(root, "root", &u, &err), 0);
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.shell, "/bin/sh");
	assert_int_equal(user_lookup(root, "www", &u, &err), -ENOENT);
}

static void refuses_ids_that_no_jail_has(void **arg)
{
	static const char *const bad[] = {"80000:80",     "80:80000", "-1:0",
					  "4294967296:0", ":0",       "x:0"};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct jail_user u;
		struct ng_err err = {0};
		char line[64];

		snprintf(line, sizeof(line), "www:x:%s::/:\n", bad[i]);
		put("/etc/passwd", line);
		assert_int_equal(user_lookup(root, "www", &u, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

/* What the jail's root may put there to stop or mislead us. */
static void refuses_what_is_no_file(void **arg)
{
	struct jail_user u;
	struct ng_err err = {0};

	(void)arg;
	assert_int_equal(mkfifoat(root, "etc/passwd", 0644), 0);
	assert_int_equal(user_lookup(root, "root", &u, &err), -EINVAL);
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	/* This link leads to the tree's own, not the host's. */
	assert_int_equal(symlinkat("/../../../../../etc/hostname", root, "etc/passwd"), 0);
	assert_int_equal(user_lookup(root, "www", &u, &err), -ENOENT);
	assert_int_equal(unlinkat(root, "etc/passwd", 0), 0);
	assert_int_equal(mkdirat(root, "etc/passwd", 0755), 0);
	assert_int_equal(user_lookup(root, "root", &u, &err), -EINVAL);
}

static void refuses_too_many_groups(void **arg)
{
	struct jail_user u;
	struct ng_err err = {0};
	char text[4096] = "";

	(void)arg;
	put("/etc/passwd", "www:x:80:80::/:\n");
	for (int i = 0; i < 64; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "g%d:x:%d:www\n", i,
			 100 + i);
	put("/etc/group", text);
	assert_int_equal(user_lookup(root, "www", &u, &err), -E2BIG);
	*strrchr(text, 'g') = '\0';
	put("/etc/group", text);
	assert_int_equal(user_lookup(root, "www", &u, &err), 0);
	assert_int_equal(u.ngroups, 64);
}

static void cleans_the_environment(void **arg)
{
	autodone(strv_done) struct strv env = {0};
	struct jail_user u = {.name = "www", .home = "/srv", .shell = "/bin/ash"};

	(void)arg;
	setenv("TERM", "vt100", 1);
	setenv("SECRET", "x", 1);
	clean_env(&env, &u);
	assert_int_equal(env.n, 5);
	assert_true(strv_has(&env, "TERM=vt100"));
	assert_true(strv_has(&env, "HOME=/srv"));
	assert_true(strv_has(&env, "SHELL=/bin/ash"));
	assert_true(strv_has(&env, "USER=www"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(reads_passwd_and_group, setup, teardown),
	    cmocka_unit_test_setup_teardown(names_who_is_missing, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_bare_root_has_root, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_ids_that_no_jail_has, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_what_is_no_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(refuses_too_many_groups, setup, teardown),
	    cmocka_unit_test(cleans_the_environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
