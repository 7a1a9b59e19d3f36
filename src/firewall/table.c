/* Tables as pfctl changes and shows them. What they hold is kept as pf sees it, exceptions included;
 * the kernel's set has the spans that this comes to. */
#include <time.h>
#include "base/mem.h"
#include "firewall/firewall.h"
#include "firewall/store.h"

#define FOREVER_MS ((uint64_t)LOWER_OVERLOAD_DAYS * 24 * 60 * 60 * 1000)

static void set_name(struct str *out, const struct kept_table *t, char kind, int af)
{
	const struct pf_table as = {.anchor = t->anchor, .name = t->name};

	lower_set_name(out, &as, kind, af);
}

static struct ipnet host_net(const struct ip *ip)
{
	return (struct ipnet){.addr = *ip, .len = (uint8_t)ip_bits(ip)};
}

/* ---- what rules filled ---- */

static bool elem_ip(const struct nft_elem *e, int af, struct ip *ip)
{
	*ip = (struct ip){.family = af};
	if (e->keylen != ip_size(ip))
		return false;
	memcpy(ip->bytes, e->key, ip_size(ip));
	return true;
}

/* Since when it is there, as its remaining time tells. */
static int64_t elem_since(const struct nft_elem *e)
{
	uint64_t age = e->expires && e->expires < FOREVER_MS ? FOREVER_MS - e->expires : 0;

	return time(NULL) - (int64_t)(age / 1000);
}

static int each_overloaded(struct nl *filter, const struct kept_table *t,
			   void (*fn)(void *arg, const struct ip *ip, int64_t since), void *arg,
			   struct ng_err *err)
{
	for (int six = 0; six < 2 && t->overload; six++) {
		autodone(nft_elems_done) struct nft_elems all = {0};
		struct str set autodone(str_done) = {0};
		int af = six ? AF_INET6 : AF_INET;
		struct ng_err e = {0};
		struct ip ip;

		set_name(&set, t, 'd', af);
		int rc = nft_read_elems(filter, set.s, &all, &e);
		if (rc == -ENOENT)
			continue;
		if (rc < 0) {
			*err = e;
			return err_prefix(err, "table <%s>", t->name);
		}
		for (size_t i = 0; i < all.n; i++)
			if (elem_ip(&all.v[i], af, &ip))
				fn(arg, &ip, elem_since(&all.v[i]));
	}
	return 0;
}

static void merge(void *arg, const struct ip *ip, int64_t since)
{
	struct ipnet net = host_net(ip);

	(void)kept_entry_add(arg, &net, false, since);
}

int firewall_tables(struct state *s, struct nl *filter, struct kept_tables *out, struct ng_err *err)
{
	struct kept rules autodone(kept_done) = {0};
	int rc = store_read(s, false, &rules, out, err);

	for (size_t i = 0; i < out->n && rc == 0; i++)
		rc = each_overloaded(filter, &out->v[i], merge, &out->v[i], err);
	return rc;
}

bool firewall_table_has(const struct kept_table *t, const struct ip *ip)
{
	const struct kept_entry *best = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (t->entry[i].net.addr.family == ip->family && ipnet_has(&t->entry[i].net, ip) &&
		    (!best || t->entry[i].net.len > best->net.len))
			best = &t->entry[i];
	return best && !best->neg;
}

/* ---- changes ---- */

/* A change while it is made: the table's own entries, and of the rules' those that are to go. */
struct change {
	struct firewall_change *c;
	struct kept_table *t;
	struct kept_table gone; /* entries that are to leave the rules' set */
};

static void add_entries(struct change *w)
{
	int64_t now = time(NULL);

	for (size_t i = 0; i < w->c->n; i++) {
		const struct pf_entry *e = &w->c->entry[i];
		const struct kept_entry *was = kept_entry_find(w->t, &e->net);

		if (was && was->neg != e->neg)
			w->c->changed++;
		if (kept_entry_add(w->t, &e->net, e->neg, now))
			w->c->added++;
	}
}

static void delete_entry(struct change *w, const struct ipnet *net)
{
	if (kept_entry_remove(w->t, net))
		w->c->deleted++;
}

/* Is the entry among those that are named? */
static bool is_named(const struct firewall_change *c, const struct ipnet *net)
{
	for (size_t i = 0; i < c->n; i++) {
		struct ip first = ipnet_first(&c->entry[i].net);

		if (c->entry[i].net.len == net->len && ip_eq(&first, &net->addr))
			return true;
	}
	return false;
}

static bool is_old(const struct firewall_change *c, int64_t since)
{
	return time(NULL) - since >= (int64_t)c->age;
}

/* What the rules have put in goes as other entries do. */
static void judge_overloaded(void *arg, const struct ip *ip, int64_t since)
{
	struct change *w = arg;
	struct firewall_change *c = w->c;
	struct ipnet net = host_net(ip);
	bool goes = c->op == TABLE_FLUSH || c->op == TABLE_KILL ||
		    (c->op == TABLE_DELETE && is_named(c, &net)) ||
		    (c->op == TABLE_REPLACE && !is_named(c, &net)) ||
		    (c->op == TABLE_EXPIRE && is_old(c, since));

	if (!goes || kept_entry_find(w->t, &net))
		return;
	(void)kept_entry_add(&w->gone, &net, false, since);
	c->deleted++;
}

static void remove_unnamed(struct change *w)
{
	/* A sorted copy of what is named finds the rest in one pass. */
	struct kept_table want = {0};

	for (size_t i = 0; i < w->c->n; i++)
		(void)kept_entry_add(&want, &w->c->entry[i].net, w->c->entry[i].neg, 0);
	for (size_t i = w->t->n; i-- > 0;) {
		const struct ipnet net = w->t->entry[i].net;

		if (!kept_entry_find(&want, &net))
			delete_entry(w, &net);
	}
	free(want.entry);
}

static void change_own(struct change *w)
{
	struct firewall_change *c = w->c;

	switch (c->op) {
	case TABLE_REPLACE:
		remove_unnamed(w);
		add_entries(w);
		break;
	case TABLE_ADD:
		add_entries(w);
		break;
	case TABLE_DELETE:
		for (size_t i = 0; i < c->n; i++)
			delete_entry(w, &c->entry[i].net);
		break;
	case TABLE_FLUSH:
	case TABLE_KILL:
		c->deleted += (unsigned)w->t->n;
		w->t->n = 0;
		break;
	case TABLE_EXPIRE:
		for (size_t i = w->t->n; i-- > 0;)
			if (is_old(c, w->t->entry[i].since)) {
				const struct ipnet net = w->t->entry[i].net;
				delete_entry(w, &net);
			}
		break;
	}
}

/* ---- in the kernel ---- */

static void add_spans(struct str *out, const char *set, const struct lower_spans *s)
{
	if (!s->n)
		return;
	str_addf(out, "add element inet " NFT_TABLE " %s {", set);
	for (size_t i = 0; i < s->n; i++)
		str_addf(out, "%s %s", i ? "," : "", s->v[i]);
	str_add(out, " }\n");
}

static void statements(const struct change *w, struct str *out)
{
	struct arena a autodone(arena_done) = {0};
	struct pf_entry *v = arena_alloc(&a, (w->t->n + 1) * sizeof(*v));
	char text[IP_TEXT];

	for (size_t i = 0; i < w->t->n; i++)
		v[i] = (struct pf_entry){.net = w->t->entry[i].net, .neg = w->t->entry[i].neg};
	for (int six = 0; six < 2; six++) {
		struct str set autodone(str_done) = {0};
		int af = six ? AF_INET6 : AF_INET;
		struct lower_spans spans = lower_spans(&a, v, w->t->n, af);

		set_name(&set, w->t, 't', af);
		if (w->c->created) /* no rule asks for it yet */
			str_addf(out,
				 "add set inet " NFT_TABLE " %s { type ipv%c_addr; flags interval; "
				 "auto-merge; }\n",
				 set.s, six ? '6' : '4');
		str_addf(out, "flush set inet " NFT_TABLE " %s\n", set.s);
		add_spans(out, set.s, &spans);
		if (w->c->op == TABLE_KILL)
			str_addf(out, "delete set inet " NFT_TABLE " %s\n", set.s);
		set.len = 0;
		set_name(&set, w->t, 'd', af);
		for (size_t i = 0; i < w->gone.n; i++)
			if (w->gone.entry[i].net.addr.family == af)
				str_addf(out, "delete element inet " NFT_TABLE " %s { %s }\n",
					 set.s, ip_text(&w->gone.entry[i].net.addr, text));
	}
}

static int commit(struct state *s, struct change *w, struct kept_tables *all, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	int rc;

	statements(w, &text);
	rc = nft_load(str_text(&text), err);
	if (rc < 0)
		return err_prefix(err, "table <%s>", w->c->name);
	if (w->c->op == TABLE_KILL) {
		size_t at = (size_t)(w->t - all->v);

		free(w->t->anchor);
		free(w->t->name);
		free(w->t->entry);
		memmove(w->t, w->t + 1, (all->n - at - 1) * sizeof(*w->t));
		all->n--;
	}
	return store_write_tables(s, all, err);
}

static int find_table(struct kept_tables *all, struct firewall_change *c, struct kept_table **out,
		      struct ng_err *err)
{
	struct kept_table *t = kept_table(all, c->anchor, c->name);

	if (!t && (c->op == TABLE_ADD || c->op == TABLE_REPLACE)) {
		t = kept_table_add(all, c->anchor, c->name);
		t->own = c->created = true;
	}
	if (!t)
		return err_set(err, ENOENT, "there is no table <%s>", c->name);
	if (t->constant)
		return err_set(err, EPERM, "table <%s> is const: change it in pf.conf", c->name);
	if (c->op == TABLE_KILL && !t->own)
		return err_set(err, EBUSY, "table <%s> is pf.conf's: remove it there", c->name);
	*out = t;
	return 0;
}

int firewall_table_change(struct state *s, struct nl *filter, struct firewall_change *c,
			  struct ng_err *err)
{
	struct kept rules autodone(kept_done) = {0};
	struct kept_tables all autodone(kept_tables_done) = {0};
	struct change w = {.c = c};

	c->added = c->deleted = c->changed = 0;
	c->created = false;
	autoclose int lock = store_lock(s, err);
	int rc = lock < 0 ? lock : store_read(s, false, &rules, &all, err);
	if (rc == 0)
		rc = find_table(&all, c, &w.t, err);
	if (rc == 0)
		rc = each_overloaded(filter, w.t, judge_overloaded, &w, err);
	if (rc == 0) {
		change_own(&w);
		if (!c->dry &&
		    (c->added || c->deleted || c->changed || c->created || c->op == TABLE_KILL))
			rc = commit(s, &w, &all, err);
	}
	free(w.gone.entry);
	return rc;
}
