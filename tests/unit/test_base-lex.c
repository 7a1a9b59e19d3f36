#include "unit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/lex.h"

/* The text in memory of exactly its size, so that the sanitizer sees a byte read behind it. */
static char *exact(const char *text, size_t len)
{
	char *s = malloc(len ? len : 1);
	assert_non_null(s);
	memcpy(s, text, len);
	return s;
}

static bool is_space(int c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

static bool is_word(int c)
{
	return isalnum(c);
}

static void end_of_nothing(void **state UNUSED)
{
	struct lex l;
	autofree char *text = exact("", 0);
	lex_init(&l, "f", text, 0);
	assert_int_equal(lex_peek(&l), -1);
	assert_int_equal(lex_peek2(&l), -1);
	assert_int_equal(lex_get(&l), -1);
	assert_int_equal(lex_get(&l), -1);
	assert_false(lex_accept(&l, "a"));
	assert_true(lex_accept(&l, ""));
	assert_int_equal(lex_while(&l, is_space), 0);
	lex_skip_line(&l);
	assert_int_equal(l.pos.line, 1);
	assert_int_equal(l.pos.col, 1);
}

static void knows_where_it_is(void **state UNUSED)
{
	struct lex l;
	autofree char *text = exact("a\tb\n\ncd # x\r\n}", 14);
	lex_init(&l, "jail.conf", text, 14);
	assert_int_equal(lex_get(&l), 'a');
	assert_int_equal(lex_get(&l), '\t');
	assert_int_equal(l.pos.col, 3); /* a tab is one column */
	assert_int_equal(lex_peek(&l), 'b');
	assert_int_equal(lex_peek2(&l), '\n');
	assert_int_equal(lex_get(&l), 'b');
	assert_int_equal(lex_while(&l, is_space), 2);
	assert_int_equal(l.pos.line, 3);
	assert_int_equal(l.pos.col, 1);
	assert_int_equal(lex_while(&l, is_word), 2);
	lex_skip_line(&l);
	assert_int_equal(lex_peek(&l), '\n');
	assert_int_equal(l.pos.line, 3);
	assert_int_equal(l.pos.col, 8);
	assert_true(lex_accept(&l, "\n}"));
	assert_int_equal(l.pos.line, 4);
	assert_int_equal(l.pos.col, 2);
	assert_int_equal(lex_peek(&l), -1);
	assert_string_equal(l.pos.file, "jail.conf");
}

static void accepts_the_whole_or_nothing(void **state UNUSED)
{
	struct lex l;
	autofree char *text = exact("+=x", 3);
	lex_init(&l, "f", text, 3);
	assert_false(lex_accept(&l, "+-"));
	assert_false(lex_accept(&l, "+=xy")); /* more than is left */
	assert_int_equal(l.pos.col, 1);
	assert_true(lex_accept(&l, "+="));
	assert_int_equal(l.pos.col, 3);
	assert_int_equal(lex_peek(&l), 'x');
	assert_int_equal(lex_peek2(&l), -1);
}

static void bytes_are_bytes(void **state UNUSED)
{
	struct lex l;
	autofree char *text = exact("\0\xff\xc3\xa4", 4);
	lex_init(&l, "f", text, 4);
	assert_int_equal(lex_get(&l), 0);
	assert_int_equal(lex_peek(&l), 0xff);
	assert_int_equal(lex_peek2(&l), 0xc3);
	assert_int_equal(lex_get(&l), 0xff);
	assert_int_equal(lex_get(&l), 0xc3);
	assert_int_equal(lex_get(&l), 0xa4);
	assert_int_equal(l.pos.col, 5);
	assert_int_equal(lex_get(&l), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(end_of_nothing),
	    cmocka_unit_test(knows_where_it_is),
	    cmocka_unit_test(accepts_the_whole_or_nothing),
	    cmocka_unit_test(bytes_are_bytes),
	};
	return cmocka_run_group_tests_name("base/lex", tests, NULL, NULL);
}
