/* One jail's changes in words: what opens and closes, above all. Pure. */
#include "base/mem.h"
#include "conf/value.h"
#include "run/differ.h"
#include "run/reconcile.h"

static const char *const protos[] = {[PROTO_TCP] = "tcp", [PROTO_UDP] = "udp"};

static void add_ports(struct str *b, const struct ports *p)
{
	str_addf(b, "%u", p->first);
	if (p->last != p->first)
		str_addf(b, "-%u", p->last);
}

/* ---- values, each cut into what it is made of ---- */

/* "tcp 443\0 (its port 8443)": however it was written. */
static void cut_rdr(struct arena *a, const char *value, const char *who, struct strv *out)
{
	struct str b = {0};
	struct conf_rdr r;
	const char *why;
	if (value_rdr(a, value, &r, &why) < 0) {
		strv_addf(out, "%s to %s", value, who);
		return;
	}
	str_addf(&b, "%s ", protos[r.proto]);
	add_ports(&b, &r.port);
	str_addf(&b, " to %s", who);
	if (r.to.first != r.port.first) {
		str_add(&b, " (its port ");
		add_ports(&b, &r.to);
		str_addc(&b, ')');
	}
	for (size_t i = 0; i < r.nfrom; i++) {
		char text[IPNET_TEXT];
		str_addf(&b, "%s%s", i ? ", " : " from ", ipnet_text(&r.from[i], text));
	}
	strv_take(out, str_take(&b));
}

static void cut_connect(struct arena *a, const char *value, const char *who, struct strv *out)
{
	struct conf_connect c;
	const char *why;
	char net[IPNET_TEXT];
	(void)who;
	if (value_connect(a, value, &c, &why) < 0) {
		strv_add(out, value);
		return;
	}
	const char *peer = c.peer == CONNECT_JAIL       ? c.jail
			   : c.peer == CONNECT_INTERNET ? "internet"
			   : c.peer == CONNECT_HOST     ? "host"
							: ipnet_text(&c.net, net);
	if (!c.nports)
		strv_add(out, peer);
	for (size_t i = 0; i < c.nports; i++) {
		struct str b = {0};
		str_addf(&b, "%s %s", peer, protos[c.port[i].proto]);
		if (c.port[i].port.first != 1 || c.port[i].port.last != 65535) {
			str_addc(&b, ' ');
			add_ports(&b, &c.port[i].port);
		}
		strv_take(out, str_take(&b));
	}
}

static void cut_plain(struct arena *a, const char *value, const char *who, struct strv *out)
{
	(void)a;
	(void)who;
	strv_add(out, value);
}

/* ---- lists that are compared value by value ---- */

static const struct list {
	enum param_id id;
	void (*cut)(struct arena *a, const char *value, const char *who, struct strv *out);
	const char *come, *gone; /* %1$s: the value, %2$s: the jail */
} lists[] = {
    {P_RDR, cut_rdr, "opens %1$s", "closes %1$s"},
    {P_ALLOW_CONNECT, cut_connect, "lets %2$s connect to %1$s",
     "no longer lets %2$s connect to %1$s"},
    {P_NAT_SOURCE, cut_plain, "%2$s leaves with %1$s", "%2$s no longer leaves with %1$s"},
    {P_RCTL, cut_plain, "limits %2$s: %1$s", "lifts a limit of %2$s: %1$s"},
};

static void cut_all(struct arena *a, const struct list *l, const struct strv *param,
		    const char *who, struct strv *out)
{
	const struct param *p = param_get(l->id);
	size_t len = strlen(p->name);
	bool any = false;
	for (size_t i = 0; i < param->n; i++) {
		const char *v = param->v[i];
		if (strncmp(v, p->name, len) != 0 || v[len] != '=')
			continue;
		any = true;
		if (v[len + 1])
			l->cut(a, v + len + 1, who, out);
	}
	if (!any && p->def)
		l->cut(a, p->def, who, out);
}

/* The formats are those of the table above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void tell(const struct strv *have, const struct strv * not, const char *fmt, const char *who,
		 struct strv *out)
{
	for (size_t i = 0; i < have->n; i++) {
		struct str b = {0};
		if (strv_has(not, have->v[i]))
			continue;
		str_addf(&b, fmt, have->v[i], who);
		if (strv_has(out, b.s))
			str_done(&b);
		else
			strv_take(out, str_take(&b));
	}
}
#pragma GCC diagnostic pop

static void list_words(const struct reconcile_jail *j, const struct list *l, struct strv *out)
{
	struct arena a autodone(arena_done) = {0};
	struct strv before autodone(strv_done) = {0}, after autodone(strv_done) = {0};
	cut_all(&a, l, &j->rec->param, j->name, &before);
	cut_all(&a, l, j->param, j->name, &after);
	tell(&before, &after, l->gone, j->name, out);
	tell(&after, &before, l->come, j->name, out);
}

/* ---- the others ---- */

static bool is_list(enum param_id id)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (lists[i].id == id)
			return true;
	return false;
}

/* "meta" and every "meta.KEY". */
static void keyed_values(const struct strv *param, const char *name, struct strv *out)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < param->n; i++)
		if (str_prefix(param->v[i], name) &&
		    (param->v[i][len] == '.' || param->v[i][len] == '='))
			strv_add(out, param->v[i]);
}

static bool keyed_differ(const struct reconcile_jail *j, const char *name)
{
	struct strv before autodone(strv_done) = {0}, after autodone(strv_done) = {0};
	keyed_values(&j->rec->param, name, &before);
	keyed_values(j->param, name, &after);
	bool same = before.n == after.n;
	for (size_t i = 0; i < before.n && same; i++)
		same = strv_has(&after, before.v[i]);
	return !same;
}

/* What a start alone makes use of. */
static bool is_of_start(enum param_id id)
{
	static const enum param_id ids[] = {P_EXEC_PREPARE,    P_EXEC_PRESTART,  P_EXEC_CREATED,
					    P_EXEC_START,      P_EXEC_POSTSTART, P_COMMAND,
					    P_TEMPLATE,        P_EXEC_CLEAN,     P_EXEC_JAIL_USER,
					    P_EXEC_CONSOLELOG, P_EXEC_ENV,       P_EXEC_DIR};
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		if (ids[i] == id)
			return true;
	return false;
}

static void hostname_words(const struct reconcile_jail *j, struct strv *out)
{
	const char *name = conf_string(j->conf, P_HOST_HOSTNAME);
	if (!name)
		name = j->name;
	if (!str_eq(name, j->rec->hostname))
		strv_addf(out, "names the host in %s %s (was %s)", j->name, name, j->rec->hostname);
}

static void persist_words(const struct reconcile_jail *j, struct strv *out)
{
	bool persist = conf_bool(j->conf, P_PERSIST);
	if (persist != j->rec->persist)
		strv_addf(out,
			  persist ? "lets %s stay without processes (persist)"
				  : "lets %s end with its last process (nopersist)",
			  j->name);
}

void reconcile_permissions(const struct reconcile_jail *j, struct strv *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		list_words(j, &lists[i], out);
}

void reconcile_words(const struct reconcile_jail *j, struct strv *out)
{
	reconcile_permissions(j, out);
	hostname_words(j, out);
	persist_words(j, out);
	for (enum param_id id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
		const struct param *p = param_get(id);
		if (is_list(id) || id == P_PERSIST || id == P_HOST_HOSTNAME || id == P_PATH)
			continue;
		if (p->flags & PF_KEYED ? keyed_differ(j, p->name)
					: differ_param(j->rec, j->param, id))
			strv_addf(out, "changes %s of %s%s", p->name, j->name,
				  is_of_start(id) ? " (from its next start on)" : "");
	}
}
