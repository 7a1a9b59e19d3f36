#include "host/spf.h"

#include <strings.h>
#include "base/mem.h"
#include "base/num.h"

#define MAX_LOOKUPS 10 /* RFC 7208, 4.6.4 */
#define MAX_MX 10

struct query {
	const struct resolver *r;
	const struct ip *from;
	struct ng_err *why;
	unsigned lookups;
};

bool spf_is(const char *text)
{
	return strncasecmp(text, "v=spf1", 6) == 0 && (text[6] == ' ' || !text[6]);
}

static enum spf evaluate(struct query *q, const char *domain);

static int broken(struct query *q, const char *domain, const char *term, const char *what)
{
	return err_set(q->why, EINVAL, "the SPF record of %s is broken: \"%s\" %s", domain, term,
		       what);
}

/* ---- terms ---- */

struct term {
	const char *domain, *text; /* whose record it is in; the whole of it */
	char *arg;                 /* behind the ":", else the domain; owned */
	unsigned bits[2];          /* of "/24//64" */
};

static void term_done(struct term *t)
{
	free(t->arg);
}

/* Cuts "/24//64" off the argument. */
static bool cut_lengths(struct term *t)
{
	char *four = strchr(t->arg, '/'), *six = strstr(t->arg, "//");

	t->bits[0] = 32;
	t->bits[1] = 128;
	if (six) {
		*six = '\0';
		if (num_u32(six + 2, 0, 128, &t->bits[1]) < 0)
			return false;
	}
	if (!four || four == six)
		return true;
	*four = '\0';
	return num_u32(four + 1, 0, 32, &t->bits[0]) == 0;
}

/* ---- what matches: 1, 0, -EAGAIN (nobody answers) or -EINVAL, with why ---- */

static bool covers(const struct query *q, const char *address, const struct term *t)
{
	struct ipnet net = {0};

	if (ip_parse(address, &net.addr) < 0 || net.addr.family != q->from->family)
		return false;
	net.len = (uint8_t)t->bits[net.addr.family == AF_INET6];
	return ipnet_has(&net, q->from);
}

static int name_covers(struct query *q, const char *name, const struct term *t)
{
	struct strv found autodone(strv_done) = {0};
	enum lookup_type type = q->from->family == AF_INET ? LOOKUP_A : LOOKUP_AAAA;
	int rc = q->r->ask(q->r->arg, type, name, &found, q->why);

	for (size_t i = 0; i < found.n; i++)
		if (covers(q, found.v[i], t))
			return 1;
	return rc == -EAGAIN ? rc : 0;
}

static int match_a(struct query *q, const struct term *t)
{
	return name_covers(q, t->arg, t);
}

static int match_mx(struct query *q, const struct term *t)
{
	struct strv found autodone(strv_done) = {0};
	int rc = q->r->ask(q->r->arg, LOOKUP_MX, t->arg, &found, q->why);

	for (size_t i = 0; i < found.n && i < MAX_MX; i++) {
		int has = name_covers(q, strchr(found.v[i], ' ') + 1, t);
		if (has)
			return has;
	}
	return rc == -EAGAIN ? rc : 0;
}

static int match_exists(struct query *q, const struct term *t)
{
	struct strv found autodone(strv_done) = {0};
	int rc = q->r->ask(q->r->arg, LOOKUP_A, t->arg, &found, q->why);

	return rc == -EAGAIN ? rc : rc == 0;
}

static int match_include(struct query *q, const struct term *t)
{
	enum spf of = evaluate(q, t->arg);

	if (of == SPF_NONE)
		err_prefix(q->why, "\"%s\" in the SPF record of %s", t->text, t->domain);
	return of == SPF_PASS ? 1 : of == SPF_UNKNOWN ? -EAGAIN : of >= SPF_NONE ? -EINVAL : 0;
}

static int match_network(struct query *q, const struct term *t, int family)
{
	struct ipnet net;

	if (ipnet_parse(t->arg, &net) < 0 || net.addr.family != family)
		return broken(q, t->domain, t->text, "has no such address");
	return family == q->from->family && ipnet_has(&net, q->from);
}

static int match_ip4(struct query *q, const struct term *t)
{
	return match_network(q, t, AF_INET);
}

static int match_ip6(struct query *q, const struct term *t)
{
	return match_network(q, t, AF_INET6);
}

/* By the name of whoever connects, which receivers should no longer look at. */
static int match_never(struct query *q UNUSED, const struct term *t UNUSED)
{
	return 0;
}

static int match_all(struct query *q UNUSED, const struct term *t UNUSED)
{
	return 1;
}

static const struct mechanism {
	const char *name;
	int (*match)(struct query *q, const struct term *t);
	bool looks_up, has_lengths;
} mechanisms[] = {
    {"all", match_all, false, false},      {"ip4", match_ip4, false, false},
    {"ip6", match_ip6, false, false},      {"a", match_a, true, true},
    {"mx", match_mx, true, true},          {"include", match_include, true, false},
    {"exists", match_exists, true, false}, {"ptr", match_never, true, false},
};

static int count_lookup(struct query *q, const char *domain)
{
	if (++q->lookups <= MAX_LOOKUPS)
		return 0;
	return err_set(q->why, EINVAL,
		       "the SPF record of %s needs more than %d further lookups: receivers give up",
		       domain, MAX_LOOKUPS);
}

static int matches(struct query *q, const char *domain, const char *text, const char *name)
{
	size_t n = strcspn(name, ":/");
	const char *given = name[n] == ':' ? name + n + 1 : name + n;
	const struct mechanism *m = NULL;
	struct term t autodone(term_done) = {.domain = domain, .text = text};

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms) && !m; i++)
		if (strlen(mechanisms[i].name) == n &&
		    strncasecmp(mechanisms[i].name, name, n) == 0)
			m = &mechanisms[i];
	if (!m)
		return broken(q, domain, text, "is no mechanism");
	t.arg = mem_strdup(given);
	if (m->has_lengths && !cut_lengths(&t))
		return broken(q, domain, text, "has no such length");
	if (m->looks_up && !*t.arg) {
		free(t.arg);
		t.arg = mem_strdup(domain);
	}
	int rc = m->looks_up ? count_lookup(q, domain) : 0;
	if (rc < 0 || (m->looks_up && strchr(t.arg, '%')))
		return rc;
	return m->match(q, &t);
}

/* ---- records ---- */

static enum spf redirected(struct query *q, const char *domain, const char *to)
{
	if (count_lookup(q, domain) < 0)
		return SPF_BROKEN;
	enum spf of = evaluate(q, to);
	return of == SPF_NONE ? SPF_BROKEN : of;
}

static enum spf by_terms(struct query *q, const char *domain, const char *record)
{
	static const char qualifiers[] = "+?~-"; /* in the order of enum spf */
	struct strv term autodone(strv_done) = {0};
	const char *redirect = NULL;

	strv_split(&term, record, " ");
	for (size_t i = 1; i < term.n; i++) {
		const char *text = term.v[i], *equals = strchr(text, '=');
		const char *q1 = strchr(qualifiers, *text);
		enum spf result = q1 ? (enum spf)(q1 - qualifiers) : SPF_PASS;

		if (equals && !memchr(text, ':', (size_t)(equals - text))) {
			if (strncasecmp(text, "redirect=", 9) == 0)
				redirect = text + 9;
			continue;
		}
		int rc = matches(q, domain, text, text + (q1 != NULL));
		if (rc < 0)
			return rc == -EAGAIN ? SPF_UNKNOWN : SPF_BROKEN;
		if (rc)
			return result;
	}
	return redirect ? redirected(q, domain, redirect) : SPF_NEUTRAL;
}

static enum spf evaluate(struct query *q, const char *domain)
{
	struct strv found autodone(strv_done) = {0};
	const char *record = NULL;
	int rc = q->r->ask(q->r->arg, LOOKUP_TXT, domain, &found, q->why);

	if (rc == -EAGAIN)
		return SPF_UNKNOWN;
	for (size_t i = 0; i < found.n; i++) {
		if (!spf_is(found.v[i]))
			continue;
		if (record) {
			err_set(q->why, EINVAL,
				"%s has more than one SPF record: no receiver goes by either",
				domain);
			return SPF_BROKEN;
		}
		record = found.v[i];
	}
	if (record)
		return by_terms(q, domain, record);
	err_set(q->why, ENOENT, "%s has no SPF record", domain);
	return SPF_NONE;
}

enum spf spf_of(const struct resolver *r, const char *domain, const struct ip *from,
		struct ng_err *why)
{
	struct query q = {.r = r, .from = from, .why = why};

	return evaluate(&q, domain);
}
