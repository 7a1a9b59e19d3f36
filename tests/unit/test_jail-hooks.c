#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>
#include "conf/value.h"
#include "jail/hooks.h"
#include "jail/limits.h"

/* argv as "a|b|c", and whether it goes to the background. */
static void splits_to(const char *text, const char *want, bool background)
{
	struct strv v autodone(strv_done) = {0};
	struct str b autodone(str_done) = {0};
	assert_int_equal(hook_split(text, &v), background);
	for (size_t i = 0; i < v.n; i++)
		str_addf(&b, "%s%s", i ? "|" : "", v.v[i]);
	assert_string_equal(str_text(&b), want);
}

static void plain_words_need_no_shell(void **state)
{
	(void)state;
	splits_to("/bin/sh /etc/rc", "/bin/sh|/etc/rc", false);
	splits_to("  a\t b\r\n", "a|b", false);
	splits_to("a=b %c +d ,e #f @g ^h :i", "a=b|%c|+d|,e|#f|@g|^h|:i", false);
	splits_to("", "", false);
}

static void anything_special_is_for_the_shell(void **state)
{
	(void)state;
	for (const char *p = "!\"$'()*;<>?[\\]`{|}~"; *p; p++) {
		char text[] = "echo ?x", want[64];
		text[5] = *p;
		snprintf(want, sizeof(want), "/bin/sh|-c|%s", text);
		splits_to(text, want, false);
	}
	splits_to("a & b", "/bin/sh|-c|a & b", false);
	splits_to("a && b", "/bin/sh|-c|a && b", false);
	splits_to("a; b &", "/bin/sh|-c|a; b &", false);
	splits_to("a & ", "/bin/sh|-c|a & ", false); /* not at the very end */
}

static void a_last_ampersand_is_the_background(void **state)
{
	(void)state;
	splits_to("daemon -f &", "daemon|-f", true);
	splits_to("daemon&", "daemon", true);
	splits_to("&", "", true);
}

static void limit_is(const char *value, const char *file, const char *text)
{
	struct conf_rctl r;
	const char *why = NULL;
	char buf[64];
	assert_int_equal(value_rctl(value, &r, &why), 0);
	limits_text(&r, buf, sizeof(buf));
	assert_string_equal(limits_file(&r), file);
	assert_string_equal(buf, text);
}

static void limits_in_the_words_of_cgroups(void **state)
{
	(void)state;
	limit_is("memoryuse:deny=512m", "memory.max", "536870912");
	limit_is("swapuse:deny=1g", "memory.swap.max", "1073741824");
	limit_is("maxproc:deny=200", "pids.max", "200");
	limit_is("pcpu:deny=150", "cpu.max", "150000 100000");
	limit_is("readbps:throttle=10m", "io.max", "10485760");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_words_need_no_shell),
	    cmocka_unit_test(anything_special_is_for_the_shell),
	    cmocka_unit_test(a_last_ampersand_is_the_background),
	    cmocka_unit_test(limits_in_the_words_of_cgroups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
