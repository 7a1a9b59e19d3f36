/* The roots that newgate makes itself. */
#include "storebox.h"

#include <sys/wait.h>
#include "store/store.h"
#include "store/tools.h"

static struct store store;
static struct ng_err err;

static int setup(void **arg)
{
	return box_make(arg) < 0 || store_open(&store, box, &err) < 0 ? -1 : 0;
}

static int teardown(void **arg)
{
	store_done(&store);
	return box_remove(arg);
}

static const char *in_root(const char *name)
{
	return in_box("var/lib/newgate/templates/_base/root/%s", name);
}

/* Runs a command inside the template, and gives what it prints. */
static char *run_inside(const char *script)
{
	autodone(str_done) struct str out = {0};
	int ends[2], status;
	char buf[1024];

	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(dup2(ends[1], 1) == 1);
		CHECK(chroot(in_root("")) == 0 && chdir("/") == 0);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		CHECK(!"sh runs");
	}
	close(ends[1]);
	for (ssize_t n; (n = read(ends[0], buf, sizeof(buf))) > 0;)
		str_addn(&out, buf, (size_t)n);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return str_take(&out);
}

static void busybox_is_a_root(void **arg)
{
	(void)arg;
	if (store_template_create(&store, "_base", "busybox", &err) < 0)
		fail_msg("%s", err.text);
	/* Each of these is a program of the new root, found along PATH. */
	autofree char *text = run_inside(
	    "PATH=/sbin:/usr/sbin:/bin:/usr/bin; for p in ls awk ping wget httpd nc ip ps "
	    "vi sleep id; do command -v $p >/dev/null || echo missing: $p; done; id -un; "
	    "stat -c %a /tmp /root /etc/shadow; cat /etc/hostname /etc/machine-id /etc/hosts "
	    "/etc/resolv.conf");
	assert_string_equal(text, "root\n1777\n700\n600\n");
	autofree char *login =
	    run_inside("HOME=/; . /etc/profile; echo $PATH; grep ^nobody: /etc/passwd");
	assert_string_equal(
	    login, "/sbin:/usr/sbin:/bin:/usr/bin\nnobody:x:65534:65534:nobody:/:/bin/false\n");
	assert_int_equal(stat_of(in_root("bin/busybox")).st_mode, S_IFREG | 0755);
	assert_true(S_ISLNK(stat_of(in_root("bin/sh")).st_mode));
	/* Ours, since it came without. */
	assert_int_equal(stat_of(in_root("etc/rc")).st_mode, S_IFREG | 0755);
	assert_int_equal(stat_of(in_root("etc/rc.shutdown")).st_mode, S_IFREG | 0755);
	autofree char *rc = run_inside("sh -n /etc/rc && sh -n /etc/rc.shutdown && echo fine");
	assert_string_equal(rc, "fine\n");
}

static void hear(void *arg, const char *text)
{
	str_addf(arg, "%s|", text);
}

static void programs_of_the_host_are_run(void **arg)
{
	autodone(str_done) struct str noted = {0}, out = {0};
	const char *const missing[] = {"newgate-has-no-such-program", NULL};
	const char *const fails[] = {"sh", "-c", "echo one; echo >&2 two; exit 3", NULL};
	const char *const dies[] = {"sh", "-c", "kill -9 $$", NULL};
	const char *const prints[] = {"printf", "a\nb", NULL};
	const char *const mounts[] = {"mount", "-t", "tmpfs", "tmpfs", box, NULL};

	(void)arg;
	store.note = hear;
	store.note_arg = &noted;
	assert_int_equal(tools_run(&store, missing, "the-package", NULL, &err), -ENOENT);
	assert_contains(err.text, "apt install the-package");
	assert_int_equal(tools_run(&store, fails, "x", NULL, &err), -EIO);
	assert_string_equal(err.text, "sh failed with status 3: two");
	assert_string_equal(str_text(&noted), "one|two|");
	assert_int_equal(tools_run(&store, dies, "x", NULL, &err), -EINTR);
	assert_int_equal(tools_run(NULL, prints, "x", &out, &err), 0);
	assert_string_equal(out.s, "a\nb");
	/* What it mounts ends with it. */
	assert_int_equal(tools_run(NULL, mounts, "x", NULL, &err), 0);
	assert_int_equal(path_mounted_below(box, NULL), 0);
}

static void odd_sources_are_refused(void **arg)
{
	static const struct {
		const char *from, *text;
	} bad[] = {
	    {"debian:", "name a suite"},
	    {"debian:--help", "name a suite"},
	    {"debian:book worm", "name a suite"},
	    {"nonsense", "no such file or directory, nor a template; it is busybox, debian:SUITE"},
	    {"/etc/passwd", "does not end as a tar archive's does"},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct ng_err){0};
		assert_true(store_template_create(&store, "_base", bad[i].from, &err) < 0);
		assert_contains(err.text, bad[i].text);
		assert_false(store_has_template(&store, "_base"));
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    TEST(busybox_is_a_root),
	    TEST(programs_of_the_host_are_run),
	    TEST(odd_sources_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
