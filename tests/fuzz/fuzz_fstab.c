/* The small languages of values: mount lines, addresses, redirects, permissions, limits. Each line
 * of the input is given to all of them. */
#include <string.h>

#include "base/str.h"
#include "conf/value.h"
#include "fuzz.h"

static bool in_order(const struct ports *p)
{
	return p->first >= 1 && p->first <= p->last;
}

static void mount_line(struct arena *a, const char *line)
{
	struct conf_mount m = {0};
	const char *why = NULL;
	int r = value_mount(a, line, &m, &why);
	FUZZ_CHECK(r == 0 || r == 1 || (r == -EINVAL && why && *why));
	if (r == 0)
		FUZZ_CHECK(m.dir[0] == '/' && m.device && m.type && m.options);
}

static void address(struct arena *a, int family, const char *line)
{
	struct conf_addr addr;
	const char *why = NULL;
	int r = value_addr(a, family, line, &addr, &why);
	FUZZ_CHECK(r == 0 || (why && *why));
	if (r == 0)
		FUZZ_CHECK(!addr.addr.family || addr.addr.family == family);
}

static void redirect(struct arena *a, const char *line)
{
	struct conf_rdr rdr;
	const char *why = NULL;
	if (value_rdr(a, line, &rdr, &why) < 0) {
		FUZZ_CHECK(why && *why);
		return;
	}
	FUZZ_CHECK(rdr.proto == PROTO_TCP || rdr.proto == PROTO_UDP);
	FUZZ_CHECK(in_order(&rdr.port) && in_order(&rdr.to));
	FUZZ_CHECK(rdr.port.last - rdr.port.first == rdr.to.last - rdr.to.first);
}

static void permission(struct arena *a, const char *line)
{
	struct conf_connect c;
	const char *why = NULL;
	if (value_connect(a, line, &c, &why) < 0) {
		FUZZ_CHECK(why && *why);
		return;
	}
	FUZZ_CHECK((c.peer == CONNECT_JAIL) == (c.jail != NULL));
	for (size_t i = 0; i < c.nports; i++)
		FUZZ_CHECK(in_order(&c.port[i].port) && c.port[i].proto != PROTO_ANY);
}

static void limit(const char *line)
{
	struct conf_rctl rctl;
	const char *why = NULL;
	int r = value_rctl(line, &rctl, &why);
	FUZZ_CHECK(r == 0 ? rctl.amount > 0 : why && *why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodone(arena_done) struct arena a = {0};
	autodone(strv_done) struct strv lines = {0};
	autofree char *text = mem_strndup((const char *)data, size);

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		mount_line(&a, lines.v[i]);
		address(&a, AF_INET, lines.v[i]);
		address(&a, AF_INET6, lines.v[i]);
		redirect(&a, lines.v[i]);
		permission(&a, lines.v[i]);
		limit(lines.v[i]);
	}
	return 0;
}
