/* jail.conf as newgate edits it: whatever stands in the file, a block that comes and goes again, or
 * changes its name, leaves every other byte alone and every other jail what it was. The files are put
 * together at random from those of tests/golden; NEWGATE_SEED=N repeats a run. */
#include "storebox.h"

#include <glob.h>
#include <time.h>
#include "cmd/edit.h"
#include "cmd/renaming.h"
#include "conf/print.h"

#define ROUNDS 400
#define RENAMES 60 /* each is synced to the disk twice */

static char **sources; /* texts of the golden files that are sound */
static size_t nsources;
static unsigned seed;
static uint64_t state;

static unsigned draw(unsigned below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(state >> 33) % below;
}

static bool sound(const char *text, struct conf *c)
{
	struct diags d = {0};

	c->root = "";
	conf_read_text(c, "text", "/nonexistent", text, strlen(text), &d);
	bool good = !d.errors;
	diags_done(&d);
	return good;
}

static int load(void **arg)
{
	const char *from = getenv("NEWGATE_SOURCE");
	autofree char *pattern = NULL;
	glob_t found = {0};

	(void)arg;
	if (!from || asprintf(&pattern, "%s/tests/golden/jail.*/*.in", from) < 0 ||
	    glob(pattern, 0, NULL, &found) != 0)
		return -1;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *text;
		size_t len;
		autodone(conf_done) struct conf c = {0};
		if (file_read(found.gl_pathv[i], &text, &len) < 0)
			return -1;
		/* An .include is relative to its file. */
		if (strlen(text) == len && !strstr(text, ".include") && sound(text, &c)) {
			sources = mem_grow(sources, nsources, sizeof(*sources));
			sources[nsources++] = text;
		} else {
			free(text);
		}
	}
	globfree(&found);
	const char *given = getenv("NEWGATE_SEED");
	seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	print_message("# NEWGATE_SEED=%u\n", seed);
	state = seed;
	return nsources < 50 ? -1 : 0;
}

static int unload(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < nsources; i++)
		free(sources[i]);
	free(sources);
	return 0;
}

static void add_filler(struct str *b)
{
	static const char *const filler[] = {
	    "",
	    "\n",
	    "\n\n\n",
	    "# a comment, with \"quotes { and } braces;\n",
	    "// another\n",
	    "/* one that\n * goes on */\n",
	    "\t  \n",
	    "# newgate begin\n",
	    "# newgate end nobody\n",
	    "#newgate begin mine\n",
	};

	str_add(b, filler[draw(ARRAY_SIZE(filler))]);
}

/* A file that reads well; it may lack the line break at its end. */
static char *random_file(void)
{
	for (;;) {
		struct str b = {0};
		autodone(conf_done) struct conf c = {0};
		for (unsigned i = draw(4); i-- > 0;) {
			add_filler(&b);
			str_add(&b, sources[draw((unsigned)nsources)]);
			if (b.len > 0 && b.s[b.len - 1] != '\n' && draw(2))
				str_addc(&b, '\n');
		}
		add_filler(&b);
		if (draw(4) == 0)
			str_add(&b, "# no line break");
		str_add(&b, "");
		char *text = str_take(&b);
		if (sound(text, &c))
			return text;
		free(text);
	}
}

static char *random_block(const char *jail)
{
	static const char *const params[] = {
	    "persist;",
	    "ip4.addr = auto;",
	    "rdr = \"tcp 80\", \"tcp 443 -> 8443\";",
	    "exec.start = \"/bin/sh -c 'echo \\\"$name\\\"'\";",
	    "$x = \"a b\"; host.hostname = \"${x}.example.org\";",
	    "meta.note = \"}; # no /* comment\";",
	    "allow.raw_sockets; noallow.mlock;",
	};
	struct str b = {0};

	str_addf(&b, "%s {\n\tpath = \"/srv/$name\";\n", jail);
	for (unsigned i = draw(5); i-- > 0;)
		str_addf(&b, "\t%s\n", params[draw(ARRAY_SIZE(params))]);
	str_add(&b, "}\n");
	return str_take(&b);
}

static char *meaning(const char *text)
{
	autodone(conf_done) struct conf c = {0};
	struct str b = {0};

	if (!sound(text, &c))
		fail_msg("seed %u: this does not read well:\n%s", seed, text);
	conf_print(&b, &c);
	str_add(&b, "");
	return str_take(&b);
}

static struct edit edit_of(const char *text)
{
	return (struct edit){
	    .path = mem_strdup("text"), .text = mem_strdup(text), .len = strlen(text), .lock = -1};
}

/* The text with the block, or NULL where it is refused. */
static char *add(const char *text, const char *jail, const char *block)
{
	autodone(edit_done) struct edit e = edit_of(text);
	autodone(conf_done) struct conf c = {0};
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(diags_done) struct diags d = {0};
	char *out = NULL;

	return edit_add(&e, "", jail, block, CONF_FOR_LIST, &out, &c, &j, &d) == 0 ? out : NULL;
}

static char *take_out(const char *text, const char *jail)
{
	autodone(edit_done) struct edit e = edit_of(text);
	autodone(conf_done) struct conf c = {0};
	autodone(diags_done) struct diags d = {0};
	char *out = NULL;

	if (edit_remove(&e, "", jail, &out, &c, &d) != 1)
		fail_msg("seed %u: the block of %s cannot be taken out of:\n%s", seed, jail, text);
	return out;
}

/* What stood there, the block's meaning behind its own, and nothing else. */
static void assert_added(const char *before, const char *block, const char *after)
{
	autofree char *was = meaning(before), *is = meaning(after), *own = meaning(block);
	struct str want autodone(str_done) = {0};

	if (!str_prefix(after, before))
		fail_msg("seed %u: bytes changed:\n%s--- to\n%s", seed, before, after);
	str_addf(&want, "%s%s", was, own);
	assert_string_equal(is, str_text(&want));
}

static void what_is_added_goes_without_a_trace(void **arg)
{
	(void)arg;
	unsigned added = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		autofree char *text = random_file(), *first = random_block("new-one"),
			      *second = random_block("new-two");
		autofree char *one = add(text, "new-one", first);
		/* A file may hold what makes any further jail a fault, such as a variable that is
		 * defined nowhere. */
		if (!one)
			continue;
		added++;
		assert_added(text, first, one);
		autofree char *both = add(one, "new-two", second);
		if (!both)
			fail_msg("seed %u: no second block behind:\n%s", seed, one);
		assert_added(one, second, both);
		/* In one order or the other. */
		bool forward = draw(2);
		autofree char *less = take_out(both, forward ? "new-one" : "new-two");
		autofree char *none = take_out(less, forward ? "new-two" : "new-one");
		size_t len = strlen(text);
		if (!str_prefix(none, text) || (strlen(none) != len && !str_eq(none + len, "\n")))
			fail_msg("seed %u: not the same again:\n%s--- but\n%s", seed, text, none);
	}
	assert_true(added > ROUNDS / 2);
}

static void a_block_is_not_read_with_what_stands_before_it(void **arg)
{
	static const char *const open[] = {
	    "web { persist; }\n/* never closed",  "web { persist; }\nexec.start = \"never closed",
	    "web { persist; }\nexec.start = a\\", "web { persist;\n",
	    "web { persist; }\nexec.start =",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
		autofree char *block = random_block("new-one");
		assert_null(add(open[i], "new-one", block));
	}
}

/* ---- names ---- */

static int make_box(void **arg)
{
	return box_make(arg);
}

static int remove_box(void **arg)
{
	return box_remove(arg);
}

/* Renames in the box's file: false where newgate does not dare to. */
static bool rename_in_file(const char *from, const char *to)
{
	autodone(conf_done) struct conf c = {0};
	autodone(diags_done) struct diags d = {0};
	struct renaming r = {0};
	struct ng_err err = {0};

	c.root = "";
	assert_int_equal(conf_read(&c, in_box("jail.conf"), &d), 0);
	assert_int_equal(d.errors, 0);
	bool done = renaming_plan(&r, &c, in_box("rc.conf"), from, to, &err) == 0 &&
		    renaming_write(&r, &err) == 0;
	renaming_done(&r);
	return done;
}

/* Everything but names is as it was: with the name put back, it is the same text. */
static void a_name_changes_and_nothing_else(void **arg)
{
	unsigned renamed = 0;

	(void)arg;
	for (unsigned i = 0; i < RENAMES; i++) {
		autofree char *file = random_file(), *block = random_block("old-name");
		autofree char *text = add(file, "old-name", block);
		if (!text)
			continue;
		put_file(in_box("jail.conf"), text);
		put_file(in_box("rc.conf"), "# mine\njail_list=\"a old-name b\"  # and so on\n");
		if (!rename_in_file("old-name", "quite-another"))
			continue;
		renamed++;
		autofree char *now = NULL;
		size_t len;
		assert_int_equal(file_read(in_box("jail.conf"), &now, &len), 0);
		assert_null(strstr(now, "old-name"));
		assert_text(in_box("rc.conf"),
			    "# mine\njail_list=\"a quite-another b\"  # and so on\n");
		/* The length tells that only names changed: three of them. */
		assert_int_equal(len - strlen(text),
				 3 * (strlen("quite-another") - strlen("old-name")));
		if (!rename_in_file("quite-another", "old-name"))
			fail_msg("seed %u: cannot go back:\n%s", seed, now);
		assert_text(in_box("jail.conf"), text);
	}
	assert_true(renamed > RENAMES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_added_goes_without_a_trace),
	    cmocka_unit_test(a_block_is_not_read_with_what_stands_before_it),
	    cmocka_unit_test_setup_teardown(a_name_changes_and_nothing_else, make_box, remove_box),
	};
	return cmocka_run_group_tests(tests, load, unload);
}
