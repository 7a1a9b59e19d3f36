#include "unit.h"

#include "base/str.h"

static void empty_string(void **state UNUSED)
{
	struct str b = {0};
	assert_string_equal(str_text(&b), "");
	str_addf(&b, "%s", "");
	assert_string_equal(b.s, "");
	str_done(&b);
	autofree char *s = str_take(&b);
	assert_string_equal(s, "");
}

static void grows(void **state UNUSED)
{
	autodone(str_done) struct str b = {0};
	for (int i = 0; i < 1000; i++)
		str_addf(&b, "%d,", i);
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(b.s[b.len], '\0');
	assert_true(str_suffix(b.s, ",998,999,"));
	str_addn(&b, "a\0b", 3);
	str_addc(&b, '!');
	assert_memory_equal(b.s + b.len - 4, "a\0b!", 5);
}

/* The text's length and the room left around every boundary of the buffer. */
static void formats_at_every_boundary(void **state UNUSED)
{
	for (int before = 0; before < 70; before++) {
		autodone(str_done) struct str b = {0};
		for (int i = 0; i < before; i++)
			str_addc(&b, 'x');
		str_addf(&b, "%s|%d", "0123456789012345678901234567890", 7);
		assert_int_equal(b.len, before + 33);
		assert_string_equal(b.s + before, "0123456789012345678901234567890|7");
	}
}

static void take_leaves_it_empty(void **state UNUSED)
{
	struct str b = {0};
	str_add(&b, "abc");
	autofree char *s = str_take(&b);
	assert_string_equal(s, "abc");
	assert_null(b.s);
	assert_int_equal(b.len, 0);
	str_done(&b);
}

static void lists(void **state UNUSED)
{
	autodone(strv_done) struct strv l = {0};
	assert_false(strv_has(&l, "a"));
	strv_split(&l, ", ,a,,b c ,", ", ");
	assert_int_equal(l.n, 3);
	assert_string_equal(l.v[0], "a");
	assert_string_equal(l.v[2], "c");
	assert_null(l.v[3]);
	for (int i = 0; i < 100; i++) {
		strv_addf(&l, "n%d", i);
		assert_null(l.v[l.n]);
	}
	assert_true(strv_has(&l, "n99"));
	assert_false(strv_has(&l, "n"));
	strv_done(&l);
	strv_split(&l, "", ",");
	assert_int_equal(l.n, 0);
}

static void prefixes(void **state UNUSED)
{
	assert_true(str_prefix("exec.start", "exec."));
	assert_true(str_prefix("", ""));
	assert_false(str_prefix("exec", "exec."));
	assert_true(str_suffix("a.conf", ".conf"));
	assert_true(str_suffix("a", ""));
	assert_false(str_suffix("conf", ".conf"));
}

static const char *const names[] = {"exec.start", "exec.stop", "ip4.addr", "ip6.addr",
				    "path",       "persist",   "vnet",     "mount.devfs"};

static const char *nearest(const char *word)
{
	return str_nearest(word, names, ARRAY_SIZE(names));
}

static void nearest_finds_what_was_meant(void **state UNUSED)
{
	assert_string_equal(nearest("exec.strat"), "exec.start"); /* neighbours swapped */
	assert_string_equal(nearest("exec.start"), "exec.start");
	assert_string_equal(nearest("exec.sto"), "exec.stop");
	assert_string_equal(nearest("ip4addr"), "ip4.addr");
	assert_string_equal(nearest("ip5.addr"), "ip4.addr"); /* the first of equals */
	assert_string_equal(nearest("pth"), "path");
	assert_string_equal(nearest("mount.devs"), "mount.devfs");
	assert_string_equal(nearest("presist"), "persist");
}

static void nearest_stays_silent(void **state UNUSED)
{
	char word[400];
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(nearest(word));
	assert_null(nearest(""));
	assert_null(nearest("x"));
	assert_null(nearest("hostname"));
	assert_null(nearest("atph")); /* half of its letters */
	assert_null(str_nearest("path", NULL, 0));
	const char *const longer[] = {word};
	assert_null(str_nearest("path", longer, 1));
}

static void check_json(const char *in, const char *out)
{
	autodone(str_done) struct str b = {0};
	str_add_json(&b, in);
	assert_string_equal(str_text(&b), out);
}

static void json_escapes(void **state UNUSED)
{
	check_json("", "\"\"");
	check_json("plain /path", "\"plain /path\"");
	check_json("a\"b\\c", "\"a\\\"b\\\\c\"");
	check_json("\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
}

static void json_is_utf8(void **state UNUSED)
{
	static const char *const good[] = {"\xc3\xa4",     "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					   "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
	/* overlong, surrogate, too large, lone continuation, cut short, never a first byte */
	static const char *const bad[] = {"\xc0\x80",
					  "\xe0\x9f\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\x80",
					  "\xe2\x82",
					  "\xc3",
					  "\xff",
					  "\xf8\x88\x80\x80"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char want[16] = "\"";
		strcat(strcat(want, good[i]), "\"");
		check_json(good[i], want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autodone(str_done) struct str b = {0};
		str_add_json(&b, bad[i]);
		assert_true(str_prefix(b.s, "\"\xef\xbf\xbd"));
		for (const char *p = b.s + 1; *p != '"'; p += 3)
			assert_memory_equal(p, "\xef\xbf\xbd", 3);
	}
	check_json("\xe2\x82z", "\"\xef\xbf\xbd\xef\xbf\xbdz\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_string),
	    cmocka_unit_test(grows),
	    cmocka_unit_test(formats_at_every_boundary),
	    cmocka_unit_test(take_leaves_it_empty),
	    cmocka_unit_test(lists),
	    cmocka_unit_test(prefixes),
	    cmocka_unit_test(nearest_finds_what_was_meant),
	    cmocka_unit_test(nearest_stays_silent),
	    cmocka_unit_test(json_escapes),
	    cmocka_unit_test(json_is_utf8),
	};
	return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
