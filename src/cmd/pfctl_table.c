/* pfctl -t TABLE -T COMMAND: the addresses that a table holds. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/pfctl.h"

struct entries {
	struct pf_entry *v;
	size_t n;
};

static void entries_done(struct entries *e)
{
	free(e->v);
}

/* "ADDRESS", "NET/LEN", "!ADDRESS". */
static bool read_entry(const char *text, struct entries *out)
{
	struct pf_entry e = {.neg = *text == '!'};

	if (ipnet_parse(text + e.neg, &e.net) < 0) {
		warn_msg("\"%s\" is not an address or a network", text);
		return false;
	}
	e.net.addr = ipnet_first(&e.net);
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = e;
	return true;
}

static bool read_entries(char **address, int n, struct entries *out)
{
	for (int i = 0; i < n; i++)
		if (!read_entry(address[i], out))
			return false;
	return true;
}

static void print_entry(const struct kept_entry *e, char buf[static IPNET_TEXT + 1])
{
	char text[IPNET_TEXT];
	bool whole = e->net.len == ip_bits(&e->net.addr);

	ipnet_text(&e->net, text);
	if (whole && strchr(text, '/'))
		*strchr(text, '/') = '\0';
	snprintf(buf, IPNET_TEXT + 1, "%s%s", e->neg ? "!" : "", text);
}

static int show(const struct pfctl *p, const struct kept_table *t)
{
	char text[IPNET_TEXT + 1];

	if (!p->json) {
		for (size_t i = 0; i < t->n; i++) {
			print_entry(&t->entry[i], text);
			printf("%s%s\n", *text == '!' ? "  " : "   ", text);
		}
		return 0;
	}
	struct output *o = output_open(stdout, true, "addresses");
	for (size_t i = 0; i < t->n; i++) {
		print_entry(&t->entry[i], text);
		output_row(o);
		output_str(o, "address", "", text);
		output_num(o, "since", "", (uint64_t)t->entry[i].since);
	}
	return output_close(o) < 0;
}

static int test(const struct pfctl *p, const struct kept_table *t, char **address, int n)
{
	int hits = 0;

	for (int i = 0; i < n; i++) {
		struct ip ip;

		if (ip_parse(address[i], &ip) < 0) {
			warn_msg("\"%s\" is not an address", address[i]);
			return 1;
		}
		hits += firewall_table_has(t, &ip);
	}
	pfctl_say(p, "%d/%d addresses match.\n", hits, n);
	return hits < n ? 2 : 0;
}

static int look(struct pfctl *p, const char *table, bool testing, char **address, int n)
{
	struct kept_tables all autodone(kept_tables_done) = {0};
	struct ng_err err = {0};

	if (firewall_tables(&p->state, &p->net.filter, &all, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	const struct kept_table *t = kept_table(&all, p->anchor, table);
	if (!t) {
		warn_msg("Table does not exist.");
		return 1;
	}
	return testing ? test(p, t, address, n) : show(p, t);
}

static void tell(const struct pfctl *p, const struct firewall_change *c, int n)
{
	if (c->created)
		pfctl_say(p, "1 table created.\n");
	switch (c->op) {
	case TABLE_ADD:
		pfctl_say(p, "%u/%d addresses added.\n", c->added, n);
		break;
	case TABLE_DELETE:
		pfctl_say(p, "%u/%d addresses deleted.\n", c->deleted, n);
		break;
	case TABLE_REPLACE:
		if (c->added)
			pfctl_say(p, "%u addresses added.\n", c->added);
		if (c->deleted)
			pfctl_say(p, "%u addresses deleted.\n", c->deleted);
		if (c->changed)
			pfctl_say(p, "%u addresses changed.\n", c->changed);
		if (!c->added && !c->deleted && !c->changed)
			pfctl_say(p, "no changes.\n");
		break;
	case TABLE_FLUSH:
		pfctl_say(p, "%u addresses deleted.\n", c->deleted);
		break;
	case TABLE_EXPIRE:
		pfctl_say(p, "%u/%u addresses expired.\n", c->deleted, c->deleted + c->changed);
		break;
	case TABLE_KILL:
		pfctl_say(p, "1 table deleted.\n");
		break;
	}
}

int pfctl_table(struct pfctl *p, const char *table, const char *command, char **address, int n,
		bool dry)
{
	static const struct {
		const char *name;
		enum firewall_op op;
	} ops[] = {{"add", TABLE_ADD},     {"delete", TABLE_DELETE}, {"replace", TABLE_REPLACE},
		   {"flush", TABLE_FLUSH}, {"expire", TABLE_EXPIRE}, {"kill", TABLE_KILL}};
	struct entries e autodone(entries_done) = {0};
	struct firewall_change c = {.anchor = p->anchor, .name = table, .dry = dry};
	struct ng_err err = {0};
	size_t i = 0;

	if (str_eq(command, "show") || str_eq(command, "test"))
		return look(p, table, *command == 't', address, n);
	while (i < ARRAY_SIZE(ops) && !str_eq(command, ops[i].name))
		i++;
	if (i == ARRAY_SIZE(ops)) {
		warn_msg("-T %s: add, delete, expire, flush, kill, replace, show or test", command);
		return 1;
	}
	c.op = ops[i].op;
	if (c.op == TABLE_EXPIRE && (n != 1 || num_u64(address[0], 0, UINT32_MAX, &c.age) < 0)) {
		warn_msg("-T expire SECONDS");
		return 1;
	}
	if (c.op != TABLE_EXPIRE && !read_entries(address, n, &e))
		return 1;
	c.entry = e.v;
	c.n = e.n;
	if (firewall_table_change(&p->state, &p->net.filter, &c, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	tell(p, &c, n);
	return 0;
}
