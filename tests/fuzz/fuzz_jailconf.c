/* jail.conf: whatever is accepted prints as a text that is accepted too and means the same;
 * whatever resolves can be read by type. */
#include "base/str.h"
#include "conf/check.h"
#include "conf/jail.h"
#include "conf/print.h"
#include "fuzz.h"

/* No folder: nothing is included from the disk. */
#define NOWHERE "/nonexistent"

static void read_text(struct conf *c, const char *text, size_t len, struct diags *d)
{
	c->root = NOWHERE;
	conf_read_text(c, "fuzz", NOWHERE, text, len, d);
}

/* All jails as blocks, unchecked. False where one does not resolve. */
static bool print_blocks(const struct conf *c, struct str *out)
{
	autodone(diags_done) struct diags d = {0};
	size_t n;
	autofree const char **names = conf_names(c, &n);
	bool ok = true;
	for (size_t i = 0; i < n; i++) {
		autodone(conf_jail_done) struct conf_jail j = {0};
		int r = conf_resolve(c, names[i], CONF_FOR_LIST, &j, &d);
		FUZZ_CHECK((r == 0) == (j.name != NULL));
		ok &= r == 0;
		if (r == 0)
			conf_print_jail(out, &j);
	}
	FUZZ_CHECK(ok == !d.errors);
	return ok;
}

static void means_the_same(const struct str *text, const struct str *blocks)
{
	autodone(conf_done) struct conf c = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str again = {0};
	read_text(&c, str_text(text), text->len, &d);
	FUZZ_CHECK(!d.errors);
	FUZZ_CHECK(print_blocks(&c, &again));
	FUZZ_CHECK(str_eq(str_text(&again), str_text(blocks)));
}

static void read_all(const struct conf_jail *j)
{
	autodone(str_done) struct str line = {0};
	for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
		size_t n;
		const struct conf_value *v = conf_list(j, id, &n);
		for (size_t i = 0; i < n; i++)
			FUZZ_CHECK(v[i].text[0] || id == P_COMMAND);
		const char *s = conf_string(j, id);
		FUZZ_CHECK(!s || *s);
		const struct param *p = param_get(id);
		if (p->type == PT_INT && p->min < p->max && !(p->flags & PF_READONLY) && p->def)
			FUZZ_CHECK(conf_int(j, id) >= p->min && conf_int(j, id) <= p->max);
		FUZZ_CHECK(conf_sys(j, id) <= SYS_INHERIT);
		FUZZ_CHECK(conf_bool(j, id) || !conf_bool(j, id));
	}
	conf_print_line(&line, j, "|");
	FUZZ_CHECK(line.len || !*j->block);
}

static void start_all(const struct conf *c)
{
	autodone(diags_done) struct diags d = {0}, stop = {0};
	size_t n;
	autofree const char **names = conf_names(c, &n);
	int all = conf_check_all(c, &d);
	FUZZ_CHECK((all == 0) == !d.errors);
	for (size_t i = 0; i < n; i++) {
		autodone(conf_jail_done) struct conf_jail j = {0};
		autodone(conf_jail_done) struct conf_jail s = {0};
		int r = conf_resolve(c, names[i], CONF_FOR_START, &j, &d);
		FUZZ_CHECK(all < 0 || r == 0);
		if (r == 0)
			read_all(&j);
		/* What may start may stop. */
		int end = conf_resolve(c, names[i], CONF_FOR_STOP, &s, &stop);
		FUZZ_CHECK(r < 0 || end == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodone(conf_done) struct conf c = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str written = {0}, blocks = {0};

	read_text(&c, (const char *)data, size, &d);
	if (d.errors)
		return 0;
	start_all(&c);
	if (!print_blocks(&c, &blocks))
		return 0;
	conf_print(&written, &c);
	means_the_same(&written, &blocks);
	means_the_same(&blocks, &blocks);
	return 0;
}
