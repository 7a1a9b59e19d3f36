#include "run/reconcile.h"

#include "base/mem.h"
#include "conf/map.h"
#include "run/differ.h"
#include "net/elem.h"
#include "run/run.h"

struct work {
	const struct reconcile_jail *v;
	size_t n;
	struct reconcile *out;
	struct str *why; /* of each jail that restarts or is drawn in */
	struct map by_name;
	struct edge { /* from needs to */
		size_t from, to;
	} * edge;
	size_t nedges;
};

const char *act_word(enum act_kind k)
{
	static const char *const word[] = {"repair", "stop", "restart", "start", "change", "fault"};
	return word[k];
}

PRINTF(4, 5)
static void act(struct reconcile *out, enum act_kind kind, const char *jail, const char *fmt, ...)
{
	struct str b = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n++] = (struct act){kind, jail ? mem_strdup(jail) : NULL, str_take(&b)};
}

static const char *who(const struct reconcile_jail *j)
{
	return j->block ? j->block : j->name;
}

static bool runs(const struct reconcile_jail *j)
{
	return j->rec && !j->rec->dead && !j->rec->starting;
}

/* ---- one jail by itself ---- */

static bool same_lines(const struct strv *a, const struct strv *b, const char *prefix)
{
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < a->n; i++)
			if (str_prefix(a->v[i], prefix) && !strv_has(b, a->v[i]))
				return false;
		const struct strv *other = a;
		a = b;
		b = other;
	}
	return true;
}

/* Addresses by lease or network may have moved while the parameter stayed `auto`. */
static bool moved(const struct reconcile_jail *j)
{
	struct strv now autodone(strv_done) = {0};
	if (!j->ip)
		return false;
	for (size_t i = 0; i < j->rec->ip4.n; i++)
		strv_add(&now, j->rec->ip4.v[i]);
	for (size_t i = 0; i < j->rec->ip6.n; i++)
		strv_add(&now, j->rec->ip6.v[i]);
	return !same_lines(&now, j->ip, "");
}

static void add_values(struct str *out, const struct strv *param, const char *name)
{
	size_t len = strlen(name);
	bool any = false;
	for (size_t i = 0; i < param->n; i++)
		if (strncmp(param->v[i], name, len) == 0 && param->v[i][len] == '=') {
			str_addf(out, "%s%s", any ? ", " : "", param->v[i] + len + 1);
			any = true;
		}
	if (!any)
		str_add(out, "unset");
}

/* Why the jail must start again, or nothing. */
static void why_restart(const struct reconcile_jail *j, struct str *why)
{
	bool created, negated;
	const char *what =
	    differ_fixed(j->rec,
			 &(struct differ_want){
			     .conf = j->conf, .param = j->param, .privs = j->privs, .whole = true},
			 &created);
	if (what && param_find(what, &negated) != PARAM_NONE && !str_eq(what, "path") &&
	    !str_eq(what, "jid")) {
		str_addf(why, "%s changed (", what);
		add_values(why, &j->rec->param, what);
		str_add(why, " -> ");
		add_values(why, j->param, what);
		str_addc(why, ')');
	} else if (what) {
		str_addf(why, "%s changed", what);
	} else if (moved(j)) {
		str_add(why, "its address is now");
		for (size_t i = 0; i < j->ip->n; i++)
			str_addf(why, " %s", j->ip->v[i]);
	}
}

static unsigned judge_running(struct work *w, size_t i)
{
	const struct reconcile_jail *j = &w->v[i];
	struct strv words autodone(strv_done) = {0};
	unsigned op = 0;
	if (j->fault)
		return 0;
	why_restart(j, &w->why[i]);
	if (w->why[i].len)
		return RUN_REMOVE | RUN_CREATE;
	if (j->lost->n)
		op |= RUN_REPAIR;
	reconcile_words(j, &words);
	if (words.n || (j->elems && !same_lines(&j->rec->undo, j->elems, ELEM_UNDO)))
		op |= RUN_MODIFY;
	return op;
}

static unsigned judge(struct work *w, size_t i)
{
	const struct reconcile_jail *j = &w->v[i];
	if (!j->looked_at)
		return 0;
	if (j->unwanted)
		return runs(j) ? RUN_REMOVE : 0;
	if (!j->block)
		return runs(j) && !j->rec->aside ? RUN_REMOVE : j->lost->n ? RUN_REPAIR : 0;
	if (runs(j))
		return judge_running(w, i);
	return j->wanted && !j->fault ? RUN_CREATE : 0;
}

/* ---- those that are drawn in ---- */

static void edge(struct work *w, size_t from, const char *name, size_t len)
{
	const size_t *to = map_get(&w->by_name, name, len);
	if (!to || *to == from)
		return;
	w->edge = mem_grow(w->edge, w->nedges, sizeof(*w->edge));
	w->edge[w->nedges++] = (struct edge){from, *to};
}

static void find_edges(struct work *w)
{
	for (size_t i = 0; i < w->n; i++)
		map_put(&w->by_name, who(&w->v[i]), strlen(who(&w->v[i])), i);
	for (size_t i = 0; i < w->n; i++) {
		size_t n = 0;
		const struct conf_value *v =
		    w->v[i].conf ? conf_list(w->v[i].conf, P_DEPEND, &n) : NULL;
		for (size_t k = 0; k < n; k++)
			edge(w, i, v[k].text, strlen(v[k].text));
		const char *dot = strrchr(w->v[i].name, '.');
		if (dot)
			edge(w, i, w->v[i].name, (size_t)(dot - w->v[i].name));
	}
}

static bool goes_down(unsigned op)
{
	return op & RUN_REMOVE;
}

/* One that runs and needs one that goes down goes down before it, and up again behind it. */
static bool draw_down(struct work *w, size_t i, size_t k)
{
	unsigned *op = &w->out->op[i];
	if (!runs(&w->v[i]) || goes_down(*op) || !goes_down(w->out->op[k]))
		return false;
	bool again = w->v[i].block && w->out->op[k] & RUN_CREATE && !w->v[i].fault;
	*op = again ? RUN_REMOVE | RUN_CREATE : RUN_REMOVE;
	str_addf(&w->why[i], "it needs %s, which %s", who(&w->v[k]),
		 w->out->op[k] & RUN_CREATE ? "restarts" : "stops");
	return true;
}

/* One that starts needs the others up. */
static bool draw_up(struct work *w, size_t i, size_t k)
{
	if (!(w->out->op[i] & RUN_CREATE) || runs(&w->v[k]) || w->out->op[k] || !w->v[k].block ||
	    w->v[k].fault)
		return false;
	w->out->op[k] = RUN_CREATE;
	str_addf(&w->why[k], "%s needs it", who(&w->v[i]));
	return true;
}

static void draw_in(struct work *w)
{
	find_edges(w);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < w->nedges; i++) {
			const struct edge *e = &w->edge[i];
			more |= draw_down(w, e->from, e->to);
			more |= draw_up(w, e->from, e->to);
		}
	}
	map_done(&w->by_name);
	free(w->edge);
}

/* ---- telling ---- */

static void tell_start(struct work *w, size_t i)
{
	const struct reconcile_jail *j = &w->v[i];
	struct str b autodone(str_done) = {0};
	size_t n;
	const struct conf_value *v = conf_list(j->conf, P_RDR, &n);
	if (w->why[i].len)
		str_addf(&b, ": %s", w->why[i].s);
	for (size_t k = 0; k < n; k++)
		str_addf(&b, "%s%s", k ? ", " : "; opens ", v[k].text);
	act(w->out, ACT_START, who(j), "starts %s%s", who(j), str_text(&b));
}

static void tell_words(struct work *w, size_t i, enum act_kind kind)
{
	const struct reconcile_jail *j = &w->v[i];
	struct strv words autodone(strv_done) = {0};
	if (kind == ACT_CHANGE)
		reconcile_words(j, &words);
	else
		reconcile_permissions(j, &words);
	for (size_t k = 0; k < words.n; k++)
		act(w->out, kind, who(j), "%s", words.v[k]);
	if (!words.n && kind == ACT_CHANGE)
		act(w->out, kind, who(j),
		    "updates the permissions of %s: an address in them has changed", who(j));
}

static void tell(struct work *w, size_t i)
{
	const struct reconcile_jail *j = &w->v[i];
	unsigned op = w->out->op[i];
	bool down = goes_down(op);
	if (j->looked_at && j->fault)
		act(w->out, ACT_FAULT, who(j), "%s: %s", who(j), j->fault);
	if (j->looked_at && j->rec && !runs(j) && !j->busy)
		act(w->out, ACT_REPAIR, who(j),
		    j->rec->dead ? "clears up after %s, which ended"
				 : "clears up after %s, whose start was interrupted",
		    j->name);
	if (down && op & RUN_CREATE) {
		act(w->out, ACT_RESTART, who(j), "restarts %s: %s", who(j), str_text(&w->why[i]));
		tell_words(w, i, ACT_RESTART);
	} else if (down) {
		act(w->out, ACT_STOP, who(j), "stops %s: %s", who(j),
		    w->why[i].len ? w->why[i].s
		    : j->unwanted ? "it did not run before"
				  : "no longer configured");
	} else if (op & RUN_CREATE) {
		tell_start(w, i);
	}
	for (size_t k = 0; op & RUN_REPAIR && k < j->lost->n; k++)
		act(w->out, ACT_REPAIR, who(j), "repairs %s: %s", who(j), j->lost->v[k]);
	if (op & RUN_MODIFY)
		tell_words(w, i, ACT_CHANGE);
}

void reconcile(const struct reconcile_jail *v, size_t n, const struct strv *host,
	       const struct strv *stale, struct reconcile *out)
{
	struct work w = {.v = v, .n = n, .out = out, .why = mem_alloc((n + 1) * sizeof(*w.why))};
	*out = (struct reconcile){.op = mem_alloc((n + 1) * sizeof(*out->op))};
	for (size_t i = 0; i < n; i++)
		out->op[i] = judge(&w, i);
	draw_in(&w);
	out->heal = host->n > 0;
	for (size_t i = 0; i < host->n; i++)
		act(out, ACT_REPAIR, NULL, "repairs the network: %s", host->v[i]);
	for (size_t i = 0; i < stale->n; i++)
		act(out, ACT_REPAIR, stale->v[i],
		    "clears up what is left of %s: there is no record of it", stale->v[i]);
	/* What goes away is told before what comes. */
	for (size_t i = 0; i < n; i++)
		if (goes_down(out->op[i]) && !(out->op[i] & RUN_CREATE))
			tell(&w, i);
	for (size_t i = 0; i < n; i++)
		if (!goes_down(out->op[i]) || out->op[i] & RUN_CREATE)
			tell(&w, i);
	for (size_t i = 0; i < n; i++)
		str_done(&w.why[i]);
	free(w.why);
}

void reconcile_add(struct reconcile *r, enum act_kind kind, const char *text)
{
	act(r, kind, NULL, "%s", text);
}

void reconcile_done(struct reconcile *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].jail);
		free(r->v[i].text);
	}
	free(r->v);
	free(r->op);
	*r = (struct reconcile){0};
}
