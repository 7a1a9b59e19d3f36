/* Reads a jail.conf and prints what it means: the warnings, then each jail as a block and as
 * `jail -e` lists it. Where there are faults, prints those and exits 1.
 *
 * What is printed must mean the same when it is read again; that is checked on the way (exit 2). */
#include <stdio.h>

#include "base/str.h"
#include "conf/check.h"
#include "conf/jail.h"
#include "conf/print.h"

static bool list_only; /* -l: put together, not checked */

static void show(const struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		autofree char *text = diag_format(&d->v[i]);
		puts(text);
	}
}

/* All jails, as blocks and as lines. */
static bool resolve_all(const struct conf *c, struct str *out, struct diags *d)
{
	size_t n;
	autofree const char **names = conf_names(c, &n);
	bool ok = true;
	for (size_t i = 0; i < n; i++) {
		autodone(conf_jail_done) struct conf_jail j = {0};
		if (conf_resolve(c, names[i], list_only ? CONF_FOR_LIST : CONF_FOR_START, &j, d) <
		    0) {
			ok = false;
			continue;
		}
		conf_print_jail(out, &j);
		conf_print_line(out, &j, "|");
		str_addc(out, '\n');
	}
	return ok;
}

/* The blocks alone are a configuration again. */
static void print_blocks(const struct conf *c, struct str *out)
{
	struct diags d = {0};
	size_t n;
	autofree const char **names = conf_names(c, &n);
	for (size_t i = 0; i < n; i++) {
		autodone(conf_jail_done) struct conf_jail j = {0};
		if (conf_resolve(c, names[i], CONF_FOR_LIST, &j, &d) == 0)
			conf_print_jail(out, &j);
	}
	diags_done(&d);
}

/* Reads `text` as a configuration and compares what it resolves to. */
static bool same_again(const struct str *text, const char *expected, const char *what)
{
	autodone(conf_done) struct conf c = {0};
	struct diags d = {0};
	struct str out = {0};
	conf_read_text(&c, what, NULL, str_text(text), text->len, &d);
	bool ok = !d.errors && resolve_all(&c, &out, &d) && str_eq(str_text(&out), expected);
	if (!ok) {
		printf("NOT THE SAME AGAIN: %s\n%s--- gives\n%s", what, str_text(text),
		       str_text(&out));
		show(&d);
	}
	str_done(&out);
	diags_done(&d);
	return ok;
}

int main(int argc, char **argv)
{
	autodone(conf_done) struct conf c = {0};
	struct diags d = {0};
	struct str out = {0}, written = {0}, blocks = {0};

	list_only = argc > 2 && str_eq(argv[1], "-l");
	if (argc != 2 + list_only)
		return 2;
	int r = conf_read(&c, argv[argc - 1], &d);
	if (r == 0 && !d.errors && !list_only)
		r = conf_check_all(&c, &d);
	struct diags again = {0}; /* resolving repeats the warnings */
	if (r == 0 && !d.errors && !resolve_all(&c, &out, list_only ? &d : &again))
		r = -EINVAL;
	diags_done(&again);
	show(&d);
	int status = r < 0 || d.errors ? 1 : 0;
	diags_done(&d);
	if (!status) {
		fputs(str_text(&out), stdout);
		conf_print(&written, &c);
		print_blocks(&c, &blocks);
		if (!same_again(&written, str_text(&out), "as written") ||
		    !same_again(&blocks, str_text(&out), "resolved"))
			status = 2;
	}
	str_done(&out);
	str_done(&written);
	str_done(&blocks);
	return status;
}
