#include "state/query.h"

#include <stdio.h>
#include "base/mem.h"

/* What a running jail has: the kernel's parameters on FreeBSD, and newgate's own. lastjid is but
 * the cursor of FreeBSD's system call. */
static bool is_running(enum param_id id)
{
	return id != PARAM_NONE && id != P_LASTJID &&
	       (param_get(id)->flags & (PF_KERNEL | PF_READONLY | PF_OURS));
}

int query_parse(struct query *q, const char *name, struct ng_err *err)
{
	*q = (struct query){.name = name};
	q->id = param_find(name, &q->negated);
	if (q->id == PARAM_NONE) {
		const char *near = param_suggest(name);

		return near ? err_set(err, ENOENT, "unknown parameter: %s (did you mean \"%s\"?)",
				      name, near)
			    : err_set(err, ENOENT, "unknown parameter: %s", name);
	}
	if (!is_running(q->id))
		return err_set(
		    err, ENOENT,
		    "unknown parameter: %s (it is jail.conf's alone; a running jail does "
		    "not keep it)",
		    name);
	q->param = param_get(q->id);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct query *x = a, *y = b;
	bool xdot = strchr(x->name, '.'), ydot = strchr(y->name, '.');

	return xdot != ydot ? xdot - ydot : strcmp(x->name, y->name);
}

struct query *query_all(size_t *n)
{
	struct query *v = NULL;

	*n = 0;
	for (enum param_id id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
		if (!is_running(id))
			continue;
		v = mem_grow(v, *n, sizeof(*v));
		v[(*n)++] = (struct query){id, param_get(id)->name, false, param_get(id)};
	}
	qsort(v, *n, sizeof(*v), by_name);
	return v;
}

/* The part of an entry behind "name=", NULL where it is another parameter's. A bare name is true.
 */
static const char *entry_value(const char *entry, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(entry, name, len) != 0)
		return NULL;
	return entry[len] == '=' ? entry + len + 1 : entry[len] == '\0' ? "true" : NULL;
}

static void add_recorded(const struct record *r, const char *name, struct strv *out)
{
	for (size_t i = 0; i < r->param.n; i++) {
		const char *value = entry_value(r->param.v[i], name);

		if (value)
			strv_add(out, value);
	}
}

/* The line "KEY=value" among those of a whole text. */
static void add_line(const char *text, const char *key, struct strv *out)
{
	autodone(strv_done) struct strv lines = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		const char *value = entry_value(lines.v[i], key);

		if (value)
			strv_add(out, value);
	}
}

/* `meta` as a whole is its lines "KEY=value"; meta.KEY is one of them, however it was set. */
static void add_keyed(const struct query *q, const struct record *r, struct strv *out)
{
	autodone(str_done) struct str whole = {0};
	size_t prefix = strlen(q->param->name) + 1;
	const char *text = record_param(r, q->param->name);

	if (!str_eq(q->name, q->param->name)) {
		add_line(text ? text : "", q->name + prefix, out);
		add_recorded(r, q->name, out);
		return;
	}
	str_add(&whole, text ? text : "");
	for (size_t i = 0; i < r->param.n; i++) {
		const char *entry = r->param.v[i];

		if (!str_prefix(entry, q->param->name) || entry[prefix - 1] != '.')
			continue;
		if (whole.len)
			str_addc(&whole, '\n');
		str_add(&whole, entry + prefix);
	}
	strv_add(out, str_text(&whole));
}

static int parent_jid(const struct record *r, const struct record *all, size_t n)
{
	const char *dot = strrchr(r->name, '.');
	size_t len = dot ? (size_t)(dot - r->name) : 0;

	for (size_t i = 0; dot && i < n; i++)
		if (!all[i].dead && strlen(all[i].name) == len &&
		    strncmp(all[i].name, r->name, len) == 0)
			return all[i].jid;
	return 0;
}

static int children(const struct record *r, const struct record *all, size_t n)
{
	size_t len = strlen(r->name);
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count +=
		    !all[i].dead && str_prefix(all[i].name, r->name) && all[i].name[len] == '.';
	return count;
}

static const char *yes_no(bool v)
{
	return v ? "true" : "false";
}

/* What the record keeps in fields of its own, and what is worked out. False: in record.param. */
static bool add_known(const struct query *q, const struct record *r, const struct record *all,
		      size_t n, struct strv *out)
{
	switch (q->id) {
	case P_JID:
		strv_addf(out, "%d", r->jid);
		return true;
	case P_NAME:
		strv_add(out, r->name);
		return true;
	case P_PATH:
		strv_add(out, r->path ? r->path : "");
		return true;
	case P_HOST_HOSTNAME:
		strv_add(out, r->hostname ? r->hostname : "");
		return true;
	case P_IP4_ADDR:
	case P_IP6_ADDR: {
		const struct strv *a = q->id == P_IP4_ADDR ? &r->ip4 : &r->ip6;

		for (size_t i = 0; i < a->n; i++)
			strv_add(out, a->v[i]);
		return true;
	}
	case P_PERSIST:
		strv_add(out, yes_no(r->persist != q->negated));
		return true;
	case P_DYING:
		strv_add(out, yes_no(r->dead != q->negated));
		return true;
	case P_PARENT:
		strv_addf(out, "%d", parent_jid(r, all, n));
		return true;
	case P_CHILDREN_CUR:
		strv_addf(out, "%d", children(r, all, n));
		return true;
	default:
		return false;
	}
}

/* FreeBSD's implications where the record does not say: addresses make a group `new`. */
static const char *sys_default(enum param_id id, const struct record *r)
{
	switch (id) {
	case P_IP4:
		return r->ip4.n ? "new" : "disable";
	case P_IP6:
		return r->ip6.n ? "new" : "disable";
	case P_HOST:
		return "new";
	default:
		return param_get(id)->def ? param_get(id)->def : "inherit";
	}
}

static bool is_true(const char *s)
{
	return *s == '\0' || strcasecmp(s, "true") == 0 || strtol(s, NULL, 10) != 0;
}

void query_value(const struct query *q, const struct record *r, const struct record *all, size_t n,
		 struct strv *out)
{
	autodone(strv_done) struct strv found = {0};
	const char *last = NULL;

	if (add_known(q, r, all, n, out))
		return;
	if (q->param->flags & PF_KEYED)
		add_keyed(q, r, &found);
	else
		add_recorded(r, q->param->name, &found);
	if (query_is_list(q)) {
		if (!found.n && q->param->def)
			strv_add(out, q->param->def);
		for (size_t i = 0; i < found.n; i++)
			if (*found.v[i])
				strv_add(out, found.v[i]);
		return;
	}
	last = found.n ? found.v[found.n - 1] : q->param->def;
	if (q->param->type == PT_SYS && !found.n)
		last = sys_default(q->id, r);
	if (q->param->type == PT_BOOL)
		strv_add(out, yes_no((last && is_true(last)) != q->negated));
	else if (q->param->type == PT_INT)
		strv_add(out, last && *last ? last : "0");
	else
		strv_add(out, last ? last : "");
}

/* Is the parameter in a group, as ip4.addr is in ip4, that is not `new` in this jail? */
static bool is_idle(const struct query *q, const struct record *r)
{
	autodone(strv_done) struct strv value = {0};
	char group[32];
	size_t len = strcspn(q->name, ".");
	struct query parent = {0};

	if (q->name[len] == '\0' || len >= sizeof(group))
		return false;
	snprintf(group, sizeof(group), "%.*s", (int)len, q->name);
	parent.name = group;
	parent.id = param_find(group, &parent.negated);
	parent.param = param_get(parent.id);
	if (parent.id == PARAM_NONE || parent.param->type != PT_SYS)
		return false;
	query_value(&parent, r, NULL, 0, &value);
	return !str_eq(value.v[0], "new");
}

bool query_is_input(const struct query *q, const struct record *r)
{
	autodone(strv_done) struct strv value = {0}, recorded = {0};

	if ((q->param->flags & PF_READONLY) || is_idle(q, r))
		return false;
	query_value(q, r, NULL, 0, &value);
	if (value.n == 0 || (value.n == 1 && *value.v[0] == '\0'))
		return false;
	add_recorded(r, q->param->name, &recorded);
	return q->param->class == HONOURED || recorded.n > 0;
}
