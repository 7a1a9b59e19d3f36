#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/macro.h"
#include "cmd/output.h"

/* What two rows look like; the caller frees. */
static char *printed(bool json)
{
	static const char *const list[] = {"a", "b\"c"};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct output *o = output_open(f, json, "jails");

	output_row(o);
	output_str(o, "name", "Name", "web");
	output_num(o, "jid", "JID", 7);
	output_bytes(o, "memory", "Memory", 1536);
	output_bool(o, "persist", "Persist", true);
	output_list(o, "ports", "Ports", list, 2);
	output_row(o);
	output_str(o, "name", "Name", "müller");
	output_num(o, "jid", "JID", 12);
	output_bytes(o, "memory", "Memory", 1023);
	output_bool(o, "persist", "Persist", false);
	output_list(o, "ports", "Ports", list, 0);
	assert_int_equal(output_close(o), 0);
	fclose(f);
	return text;
}

static void aligns_columns(void **arg)
{
	autofree char *text = printed(false);

	(void)arg;
	assert_string_equal(text, "Name    JID  Memory  Persist  Ports\n"
				  "web       7    1.5K  yes      a b\"c\n"
				  "müller   12   1023B  no       -\n");
}

/* Two tables, the second with nothing in it in JSON. */
static char *printed_two(bool json)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct output *o = output_open(f, json, "a");

	output_row(o);
	output_str(o, "name", "Name", "web");
	output_next(o, "b");
	for (int i = 0; i < 2; i++) {
		output_row(o);
		output_num(o, "n", "N", 1);
	}
	output_next(o, "c");
	assert_int_equal(output_close(o), 0);
	fclose(f);
	return text;
}

static void has_several_tables(void **arg)
{
	autofree char *text = printed_two(false), *json = printed_two(true);

	(void)arg;
	assert_string_equal(text, "Name\nweb\nN\n1\n1\n");
	assert_string_equal(json, "{\"a\": [\n  {\"name\": \"web\"}\n], \"b\": [\n"
				  "  {\"n\": 1},\n  {\"n\": 1}\n], \"c\": []}\n");
}

static void writes_json(void **arg)
{
	autofree char *text = printed(true);

	(void)arg;
	assert_string_equal(
	    text,
	    "{\"jails\": [\n"
	    "  {\"name\": \"web\", \"jid\": 7, \"memory\": 1536, \"persist\": true, \"ports\": "
	    "[\"a\", \"b\\\"c\"]},\n"
	    "  {\"name\": \"müller\", \"jid\": 12, \"memory\": 1023, \"persist\": false, "
	    "\"ports\": "
	    "[]}\n]}\n");
}

static void no_rows_is_valid_json(void **arg)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	(void)arg;
	assert_int_equal(output_close(output_open(f, true, "jails")), 0);
	fclose(f);
	assert_string_equal(text, "{\"jails\": []}\n");
	free(text);
}

static void rounds_sizes(void **arg)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct output *o = output_open(f, false, "x");
	static const uint64_t sizes[] = {0, 1048575, 1048576, UINT64_MAX, 5368709120};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		output_row(o);
		output_bytes(o, "b", "B", sizes[i]);
	}
	assert_int_equal(output_close(o), 0);
	fclose(f);
	assert_string_equal(text, "    B\n   0B\n 1.0M\n 1.0M\n16.0E\n 5.0G\n");
	free(text);
}

/* On a terminal of 30 columns a long cell is cut, what would act on the terminal is not sent. */
static void fits_a_terminal(void **arg)
{
	struct winsize w = {.ws_col = 30, .ws_row = 24};
	autoclose int master = posix_openpt(O_RDWR | O_NOCTTY);
	char got[512];
	size_t n = 0;

	(void)arg;
	assert_true(master >= 0);
	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	FILE *f = fopen(ptsname(master), "w");
	assert_non_null(f);
	assert_int_equal(ioctl(fileno(f), TIOCSWINSZ, &w), 0);
	setenv("NO_COLOR", "1", 1);
	struct output *o = output_open(f, false, "x");
	output_row(o);
	output_str(o, "a", "A", "a long text that does not fit\033[2J");
	output_num(o, "b", "B", 12345);
	output_str(o, "c", "C", "short");
	assert_int_equal(output_close(o), 0);
	/* A terminal hands on what was written in pieces of its own. */
	for (unsigned lines = 0; lines < 2; lines += got[n++] == '\n') {
		assert_true(n < sizeof(got) - 1);
		assert_int_equal(read(master, got + n, 1), 1);
	}
	got[n] = '\0';
	assert_string_equal(got, "A                     B  C\r\n"
				 "a long text tha…  12345  short\r\n");
	fclose(f);
}

static void tells_a_full_disk(void **arg)
{
	FILE *f = fopen("/dev/full", "w");
	struct output *o = NULL;

	(void)arg;
	assert_non_null(f);
	o = output_open(f, true, "x");
	assert_int_equal(output_close(o), -ENOSPC);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(aligns_columns),     cmocka_unit_test(writes_json),
	    cmocka_unit_test(has_several_tables), cmocka_unit_test(no_rows_is_valid_json),
	    cmocka_unit_test(rounds_sizes),       cmocka_unit_test(fits_a_terminal),
	    cmocka_unit_test(tells_a_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
