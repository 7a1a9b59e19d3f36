#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

/* Parses, and writes what was understood. */
static char *again(const char *text)
{
	static char out[256];
	struct arena a = {0};
	struct json *j;
	size_t at = 999;
	out[0] = '\0';
	if (json_parse(&a, text, strlen(text), &j, &at) < 0) {
		snprintf(out, sizeof out, "at %zu", at);
	} else {
		static const char types[] = "nTF#\"[{";
		for (const struct json *c = j->first ? j->first : j; c; c = c->next) {
			size_t n = strlen(out);
			snprintf(out + n, sizeof out - n, "%s%c%s ", c->name ? c->name : "",
				 types[c->type], c->text);
		}
	}
	arena_done(&a);
	return out;
}

static void reads_values(void **state UNUSED)
{
	assert_string_equal(again("null"), "n ");
	assert_string_equal(again(" [true,false , null] "), "T F n ");
	assert_string_equal(again("[0,-1,12.5e+3,1E9,0.1]"), "#0 #-1 #12.5e+3 #1E9 #0.1 ");
	assert_string_equal(again("{\"a\":\"x\",\"b\":{},\"c\":[]}"), "a\"x b{ c[ ");
	assert_string_equal(again("[]"), "[ ");
}

static void reads_strings(void **state UNUSED)
{
	assert_string_equal(again("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\"\\/\b\f\n\r\t ");
	assert_string_equal(again("\"\\u00e4\\u20ac\\ud83d\\ude00\""),
			    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 ");
	/* What stands for no character. */
	assert_string_equal(again("\"\\u0000\\ud800\\udc00\\ud800x\""),
			    "\"\xef\xbf\xbd\xf0\x90\x80\x80\xef\xbf\xbdx ");
	assert_string_equal(again("\"\""), "\" ");
}

static void refuses_the_rest(void **state UNUSED)
{
	static const char *const bad[] = {"",        " ",          "[",   "[1",        "[1,",
					  "[1,]",    "[,]",        "{",   "{1:2}",     "{\"a\"}",
					  "{\"a\":", "{\"a\":1,}", "\"",  "\"\\x\"",   "\"\\u12\"",
					  "\"\n\"",  "01",         "-",   "1.",        "1e",
					  "tru",     "nullx",      "1 2", "[1}",       "+1",
					  "'a'",     "\"\\",       "NaN", "{\"a\" 1}", "[1 2]"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_memory_equal(again(bad[i]), "at ", 3);
	assert_string_equal(again("[1, x]"), "at 4");
}

static void is_bounded(void **state UNUSED)
{
	char text[2 * JSON_DEPTH + 8];
	for (size_t depth = JSON_DEPTH; depth <= JSON_DEPTH + 1; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		assert_int_equal(strncmp(again(text), "at ", 3) == 0, depth > JSON_DEPTH);
	}
}

static void finds_members(void **state UNUSED)
{
	static const char text[] = "{\"a\": {\"b\": 5}, \"c\": \"x\", \"d\": [1]}";
	struct arena a = {0};
	struct json *j;
	assert_int_equal(json_parse(&a, text, strlen(text), &j, NULL), 0);
	assert_string_equal(json_get_text(json_get(j, "a"), "b"), "5");
	assert_string_equal(json_get_text(j, "c"), "x");
	assert_string_equal(json_get_text(j, "a"), "");
	assert_string_equal(json_get_text(json_get(j, "d"), "b"), "");
	assert_null(json_get(j, "z"));
	assert_null(json_get(NULL, "z"));
	assert_string_equal(json_text(NULL), "");
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_values),     cmocka_unit_test(reads_strings),
	    cmocka_unit_test(refuses_the_rest), cmocka_unit_test(is_bounded),
	    cmocka_unit_test(finds_members),
	};
	return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
