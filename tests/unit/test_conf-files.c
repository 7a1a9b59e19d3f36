/* Which files are read, below a root of our own. */
#include "unit.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/check.h"
#include "conf/files.h"
#include "conf/jail.h"

struct fixture {
	struct conf conf;
	struct diags diags;
	char root[64];
};

static void put(const struct fixture *f, const char *path, const char *text)
{
	autofree char *full = files_path(f->root, path);
	assert_int_equal(file_replace(full, text, strlen(text), 0644), 0);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof(*f));
	snprintf(f->root, sizeof(f->root), "/tmp/newgate-files-XXXXXX");
	*state = f;
	if (!mkdtemp(f->root))
		return -1;
	autofree char *dir = files_path(f->root, "/etc/jail.conf.d");
	return file_mkdirs(dir, 0755);
}

static int teardown(void **state)
{
	static const char *const made[] = {
	    "/etc/jail.conf.d/a.conf", "/etc/jail.conf.d/b.conf", "/etc/jail.conf.d/skipped.txt",
	    "/etc/jail.c.conf",        "/etc/jail.x_y.conf",      "/etc/jail.conf"};
	struct fixture *f = *state;
	for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
		autofree char *path = files_path(f->root, made[i]);
		unlink(path);
	}
	static const char *const folders[] = {"/etc/jail.conf.d", "/etc", ""};
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		autofree char *path = files_path(f->root, folders[i]);
		r |= rmdir(path);
	}
	conf_done(&f->conf);
	diags_done(&f->diags);
	free(f);
	return r;
}

static void assert_names(const struct conf *c, const char *expected)
{
	size_t n;
	struct str all = {0};
	autofree const char **names = conf_names(c, &n);
	for (size_t i = 0; i < n; i++)
		str_addf(&all, "%s ", names[i]);
	assert_string_equal(str_text(&all), expected);
	str_done(&all);
}

static void nothing(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(files_read_all(&f->conf, f->root, &f->diags), 0);
	assert_int_equal(f->diags.n, 0);
	assert_int_equal(f->conf.nrecords, 0);
}

static void all(void **state)
{
	struct fixture *f = *state;
	put(f, "/etc/jail.conf", "persist; main { }");
	put(f, "/etc/jail.conf.d/b.conf", "b { }");
	put(f, "/etc/jail.conf.d/a.conf", "exec.clean; a { }");
	put(f, "/etc/jail.conf.d/skipped.txt", "not { ");
	put(f, "/etc/jail.c.conf", "c { }");
	assert_int_equal(files_read_all(&f->conf, f->root, &f->diags), 0);
	assert_int_equal(f->diags.n, 0);
	assert_names(&f->conf, "main a b c ");
	struct conf_jail b = {0};
	assert_int_equal(conf_resolve(&f->conf, "b", CONF_FOR_START, &b, &f->diags), 0);
	assert_int_equal(b.nsettings, 1); /* the name alone: neither file's globals */
	conf_jail_done(&b);
}

/* A fragment that jail.conf includes itself is part of it, and is read once. */
static void included(void **state)
{
	struct fixture *f = *state;
	put(f, "/etc/jail.conf", "persist; .include \"/etc/jail.conf.d/*.conf\"; main { }");
	put(f, "/etc/jail.conf.d/a.conf", "a { }");
	assert_int_equal(files_read_all(&f->conf, f->root, &f->diags), 0);
	assert_int_equal(f->diags.n, 0);
	assert_names(&f->conf, "a main ");
	assert_int_equal(conf_check_all(&f->conf, &f->diags), 0);
	struct conf_jail a = {0};
	assert_int_equal(conf_resolve(&f->conf, "a", CONF_FOR_START, &a, &f->diags), 0);
	assert_true(conf_bool(&a, P_PERSIST));
	conf_jail_done(&a);
}

static void faults_name_the_file(void **state)
{
	struct fixture *f = *state;
	put(f, "/etc/jail.conf.d/a.conf", "a {\n\tpath = ;\n}\n");
	assert_int_equal(files_read_all(&f->conf, f->root, &f->diags), 0);
	assert_int_equal(f->diags.errors, 1);
	autofree char *path = files_path(f->root, "/etc/jail.conf.d/a.conf");
	assert_string_equal(f->diags.v[0].file, path);
	assert_int_equal(f->diags.v[0].line, 2);
}

static void one(void **state)
{
	struct fixture *f = *state;
	put(f, "/etc/jail.conf", "main { } a { } c { }");
	put(f, "/etc/jail.conf.d/a.conf", "a { persist; }");
	put(f, "/etc/jail.c.conf", "c { persist; }");
	put(f, "/etc/jail.x_y.conf", "x.y { }");
	static const struct {
		const char *jail, *names;
	} t[] = {{"a", "a "},
		 {"c", "c "},
		 {"main", "main a c "},
		 {"none", "main a c "},
		 {"x.y", "x.y "}};
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct conf c = {0};
		assert_int_equal(files_read_one(&c, f->root, t[i].jail, &f->diags), 0);
		assert_names(&c, t[i].names);
		conf_done(&c);
	}
	assert_int_equal(f->diags.n, 0);
}

static void standard_input(void **state)
{
	static const char text[] = "a {\n\tpath = ;\n}\n";
	struct fixture *f = *state;
	int ends[2], saved = dup(STDIN_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, sizeof(text) - 1), sizeof(text) - 1);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	int r = conf_read(&f->conf, "-", &f->diags);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(ends[0]);
	assert_int_equal(r, 0);
	assert_int_equal(f->diags.errors, 1);
	assert_string_equal(f->diags.v[0].file, "STDIN");
	assert_int_equal(f->diags.v[0].line, 2);
}

static void missing(void **state)
{
	struct fixture *f = *state;
	autofree char *path = files_path(f->root, "/etc/absent.conf");
	assert_int_equal(conf_read(&f->conf, path, &f->diags), -ENOENT);
	autofree char *text = diag_format(&f->diags.v[0]);
	assert_true(str_prefix(text, path));
	assert_true(str_suffix(text, ": No such file or directory"));
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(nothing),  CASE(all),
	    CASE(included), CASE(faults_name_the_file),
	    CASE(one),      CASE(standard_input),
	    CASE(missing),
	};
	return cmocka_run_group_tests_name("conf/files", tests, NULL, NULL);
}
