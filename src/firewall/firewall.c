#include "firewall/firewall.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include "base/file.h"
#include "conf/files.h"
#include "firewall/store.h"
#include "pf/nft.h"
#include "sys/fd.h"
#include "sys/nft.h"

/* ---- on and off ---- */

bool firewall_is_on(const struct state *s, const struct rcconf *rc)
{
	char text[8];

	if (fd_get(s->dir, PF_SWITCH, text, sizeof(text)) < 0)
		return rc->pf_enable;
	return str_prefix(text, "on");
}

bool firewall_holds(const struct state *s)
{
	return faccessat(s->dir, PF_RULES, F_OK, 0) == 0;
}

int firewall_switch(struct state *s, bool on, struct ng_err *err)
{
	const struct str text = {.s = on ? (char *)"on\n" : (char *)"off\n", .len = on ? 3 : 4};

	return store_put(s, PF_SWITCH, &text, err);
}

/* ---- open ---- */

int firewall_open(struct firewall *f, struct state *s, const struct rcconf *rc, struct nl *route,
		  struct nl *filter, struct ng_err *err)
{
	*f = (struct firewall){.state = s, .rc = rc, .route = route, .filter = filter, .lock = -1};
	f->lock = store_lock(s, err);
	if (f->lock < 0)
		return f->lock;
	if (fd_get(s->dir, PF_HASH, f->hash, sizeof(f->hash)) < 0)
		f->hash[0] = '\0';
	f->hash[strcspn(f->hash, "\n")] = '\0';
	f->loaded = f->hash[0];
	return 0;
}

void firewall_done(struct firewall *f)
{
	if (f->lock >= 0)
		close(f->lock);
	firewall_host_done(&f->host);
	kept_done(&f->kept);
	kept_tables_done(&f->tables);
	lower_done(&f->lower);
	pf_done(&f->pf);
	str_done(&f->text);
	*f = (struct firewall){.lock = -1};
}

/* ---- texts ---- */

/* Where pf_read gets a ruleset's files: those that were kept, or the host's, which are then kept. */
struct source {
	struct kept_ruleset *ruleset;
	const char *root;
	bool fresh;
};

static int read_source(void *arg, const char *path, char **text, size_t *len)
{
	struct source *s = arg;
	const struct kept_file *f = kept_file(s->ruleset, path);

	if (f) {
		*text = kept_bytes(f->text, f->len);
		*len = f->len;
		return 0;
	}
	if (!s->fresh)
		return -ENOENT;
	autofree char *real = *path == '/' ? files_path(s->root, path) : mem_strdup(path);
	int rc = file_read(real, text, len);
	if (rc == 0)
		kept_file_add(s->ruleset, path, *text, *len);
	return rc;
}

static int read_ruleset(struct firewall *f, struct kept_ruleset *r, bool fresh,
			const char *const *define, struct diags *d, struct ng_err *err)
{
	struct source source = {r, f->state->root, fresh};
	const struct pf_reader reader = {.read = read_source,
					 .arg = &source,
					 .host = &f->host.host,
					 .define = define,
					 .anchor = r->anchor};
	autofree char *text = NULL;
	size_t len;
	int rc = read_source(&source, r->path, &text, &len);

	if (rc < 0)
		return err_sys(err, rc, "%s", r->path);
	pf_read(&f->pf, &reader, r->path, text, len, d);
	return 0;
}

static void add_load(struct firewall *f, const struct firewall_load *load)
{
	struct kept_ruleset *r = kept_add(&f->kept, load->anchor);

	r->path = mem_strdup(load->path);
	if (load->text)
		kept_file_add(r, load->path, load->text, load->len);
	for (size_t i = 0; load->define && load->define[i]; i++)
		strv_add(&r->define, load->define[i]);
}

static int read_rulesets(struct firewall *f, const struct firewall_load *load, struct diags *d,
			 struct ng_err *err)
{
	static const char nothing[] = "";
	int rc = 0;

	if (load && !load->before)
		add_load(f, load);
	if (!kept_find(&f->kept, "")) { /* anchors alone: the main ruleset is empty */
		const struct firewall_load empty = {
		    .anchor = "", .path = "/etc/pf.conf", .text = nothing};
		add_load(f, &empty);
	}
	for (size_t i = 0; i < f->kept.n && rc == 0; i++) {
		struct kept_ruleset *r = &f->kept.ruleset[i];
		bool fresh = load && !load->before && str_eq(load->anchor, r->anchor);

		rc = read_ruleset(f, r, fresh, (const char *const *)r->define.v, d, err);
	}
	const struct pf_reader names = {.host = &f->host.host};
	if (rc == 0)
		pf_finish(&f->pf, &names, d);
	return rc;
}

/* ---- tables ---- */

static void entries_to_pf(struct pf *pf, struct pf_table *t, const struct kept_table *k)
{
	t->entry = arena_alloc(&pf->arena, (k->n + 1) * sizeof(*t->entry));
	t->n = k->n;
	for (size_t i = 0; i < k->n; i++)
		t->entry[i] = (struct pf_entry){.net = k->entry[i].net, .neg = k->entry[i].neg};
}

/* Was the table's content given by the text that is loaded now? Else it stays what it is. */
static bool is_given(const struct pf_table *t, const struct firewall_load *load)
{
	return load && !load->before && t->initialised && str_eq(load->anchor, t->anchor);
}

static void table_to_kept(struct kept_tables *out, const struct pf *pf, const struct pf_table *t,
			  const struct kept_table *old)
{
	struct kept_table *k = kept_table_add(out, t->anchor, t->name);
	int64_t now = time(NULL);

	k->constant = t->constant;
	k->overload = lower_is_overload(pf, t);
	for (size_t i = 0; i < t->n; i++) {
		const struct kept_entry *was = old ? kept_entry_find(old, &t->entry[i].net) : NULL;

		(void)kept_entry_add(k, &t->entry[i].net, t->entry[i].neg, was ? was->since : now);
	}
}

/* Tables that pfctl made stay until it removes them. */
static void add_own_tables(struct firewall *f)
{
	struct pf *pf = &f->pf;

	for (size_t i = 0; i < f->tables.n; i++) {
		const struct kept_table *k = &f->tables.v[i];
		struct pf_table *all;

		if (!k->own || pf_find_table(pf, k->anchor, k->name))
			continue;
		all = arena_alloc(&pf->arena, (pf->ntables + 1) * sizeof(*all));
		if (pf->ntables)
			memcpy(all, pf->table, pf->ntables * sizeof(*all));
		all[pf->ntables++] = (struct pf_table){
		    .name = arena_strndup(&pf->arena, k->name, strlen(k->name)),
		    .anchor = arena_strndup(&pf->arena, k->anchor, strlen(k->anchor)),
		    .persist = true};
		pf->table = all;
	}
}

static bool same_tables(const struct kept_tables *a, const struct kept_tables *b)
{
	struct str x autodone(str_done) = {0}, y autodone(str_done) = {0};

	kept_tables_format_bare(&x, a);
	kept_tables_format_bare(&y, b);
	return str_eq(str_text(&x), str_text(&y));
}

/* What tables hold at run time stays; *same: nothing is different from before. */
static void settle_tables(struct firewall *f, const struct firewall_load *load, bool *same)
{
	struct kept_tables now = {0};

	add_own_tables(f);
	for (size_t i = 0; i < f->pf.ntables; i++) {
		struct pf_table *t = &f->pf.table[i];
		struct kept_table *k = kept_table(&f->tables, t->anchor, t->name);

		if (k && !is_given(t, load))
			entries_to_pf(&f->pf, t, k);
		table_to_kept(&now, &f->pf, t, k);
		now.v[now.n - 1].own = k && k->own;
	}
	*same = same_tables(&now, &f->tables);
	kept_tables_done(&f->tables);
	f->tables = now;
}

/* The addresses that rules have put into a table live in the kernel alone: they are loaded again. */
static int add_overloaded(struct firewall *f, const struct firewall_load *load, struct ng_err *err)
{
	for (size_t i = 0; i < f->pf.ntables; i++) {
		const struct pf_table *t = &f->pf.table[i];

		if (is_given(t, load) || !lower_is_overload(&f->pf, t))
			continue;
		for (int six = 0; six < 2; six++) {
			struct str set autodone(str_done) = {0};
			autodone(nft_elems_done) struct nft_elems all = {0};
			struct ng_err e = {0};

			lower_set_name(&set, t, 'd', six ? AF_INET6 : AF_INET);
			int rc = nft_read_elems(f->filter, set.s, &all, &e);
			if (rc < 0 && rc != -ENOENT) {
				*err = e;
				return rc;
			}
			store_add_elements(&f->text, set.s, &all, six ? AF_INET6 : AF_INET);
		}
	}
	return 0;
}

/* ---- make ---- */

static void hash_text(const char *s, char out[static 20])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	snprintf(out, 20, "%016" PRIx64, h);
}

static int has_faults(const struct firewall *f, const struct diags *d, struct ng_err *err)
{
	if (!d->errors)
		return 0;
	const struct kept_ruleset *r = kept_find((struct kept *)&f->kept, "");
	return err_set(err, EINVAL, "%s has %u fault%s", r ? r->path : "pf.conf", d->errors,
		       d->errors == 1 ? "" : "s");
}

int firewall_make(struct firewall *f, const struct strv *jails, const struct firewall_load *load,
		  struct diags *d, struct ng_err *err)
{
	const struct firewall_load first = {.anchor = "", .path = f->rc->pf_rules};
	struct str rules autodone(str_done) = {0};
	bool same = false;
	char before[sizeof(f->hash)];

	memcpy(before, f->hash, sizeof(before));
	int rc = store_read(f->state, load && load->before, &f->kept, &f->tables, err);
	if (rc == 0)
		rc = store_read_origins(f->state, &f->lower.origin, err);
	if (rc == 0)
		rc = firewall_host_read(&f->host, f->route, jails, err);
	if (rc < 0)
		return rc;
	if (!load && !kept_find(&f->kept, ""))
		load = &first;
	rc = read_rulesets(f, load, d, err);
	if (rc < 0 || (rc = has_faults(f, d, err)) < 0)
		return rc;
	settle_tables(f, load, &same);
	pf_lower(&f->lower, &f->pf, &f->host.host, d);
	if ((rc = has_faults(f, d, err)) < 0)
		return rc;
	pf_nft(&rules, &f->lower, false);
	hash_text(str_text(&rules), f->hash);
	pf_nft(&f->text, &f->lower, true);
	f->same = same && str_eq(before, f->hash);
	f->made = true;
	return add_overloaded(f, load, err);
}

int firewall_keep(struct firewall *f, struct ng_err *err)
{
	struct str hash = {.s = f->hash, .len = strlen(f->hash)};
	int rc = store_write(f->state, &f->kept, &f->tables, &f->lower.origin, err);

	if (rc == 0)
		rc = store_localnet(f->state, &f->lower.localnet, err);
	return rc < 0 ? rc : store_put(f->state, PF_HASH, &hash, err);
}

void firewall_leave(struct state *s)
{
	const struct strv none = {0};
	struct ng_err ignored = {0};

	(void)!store_localnet(s, &none, &ignored);
}
