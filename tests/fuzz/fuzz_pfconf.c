/* pf.conf: whatever is accepted prints as a text that is accepted too and means the same; and it
 * becomes operations for nftables. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "fuzz.h"
#include "pf/nft.h"
#include "pfhost.h"

#define AGAIN_MAX 20

struct input {
	const char *text;
	size_t len;
	unsigned again;
};

/* "again" is the text itself, some times: of what includes and loads itself. Nothing is read from
 * the disk. */
static int read_text(void *arg, const char *path, char **text, size_t *len)
{
	struct input *in = arg;
	static const char list[] = "10.0.0.0/8 ! 10.1.0.0/16 # list\n2001:db8::/32\n";

	if (str_eq(path, "again") && in->again++ < AGAIN_MAX) {
		*text = mem_alloc(in->len + 1);
		memcpy(*text, in->text, in->len);
		*len = in->len;
	} else if (str_eq(path, "list")) {
		*text = mem_strdup(list);
		*len = strlen(list);
	} else {
		return -ENOENT;
	}
	return 0;
}

/* Within the braces of another? */
static bool is_unnamed(const char *path)
{
	const char *slash = strrchr(path, '/');
	return (slash ? slash + 1 : path)[0] == '_';
}

static void print_all(const struct pf *pf, struct str *out)
{
	for (size_t i = 0; i < pf->nrulesets; i++)
		if (!is_unnamed(pf->ruleset[i].path)) {
			str_addf(out, "# %s\n", pf->ruleset[i].path);
			pf_print(out, pf, pf->ruleset[i].path, PF_PRINT_ALL);
		}
}

static void check_rules(const struct pf_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++) {
		const struct pf_rule *r = &rules->v[i];
		FUZZ_CHECK(r->nr == i && r->source && r->pos.file && r->pos.line);
		FUZZ_CHECK(r->ret != PF_RETURN_POLICY || r->action != PF_BLOCK);
		FUZZ_CHECK((r->action == PF_ANCHOR) == (r->anchor != NULL));
		FUZZ_CHECK(!(r->flags & ~r->flags_of));
	}
}

static void check_all(const struct pf *pf)
{
	for (size_t i = 0; i < pf->nrulesets; i++) {
		const struct pf_ruleset *rs = &pf->ruleset[i];
		FUZZ_CHECK(i == 0 ? !*rs->path : strcmp(rs[-1].path, rs->path) < 0);
		check_rules(&rs->scrub);
		check_rules(&rs->nat);
		check_rules(&rs->binat);
		check_rules(&rs->rdr);
		check_rules(&rs->filter);
		for (size_t k = 0; k < rs->filter.n; k++) {
			const struct pf_rule *r = &rs->filter.v[k];
			if (r->src.addr.type == PF_ADDR_TABLE)
				FUZZ_CHECK(pf_find_table(pf, rs->path, r->src.addr.name));
		}
	}
}

static void means_the_same(const struct pf *pf, const struct pf_reader *r,
			   const struct str *expected)
{
	struct pf again = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str out = {0};

	for (size_t i = 0; i < pf->nrulesets; i++) {
		struct str text = {0};
		struct pf_reader inner = *r;
		if (is_unnamed(pf->ruleset[i].path))
			continue;
		inner.anchor = pf->ruleset[i].path;
		pf_print(&text, pf, inner.anchor, PF_PRINT_ALL);
		pf_read(&again, &inner, "printed", str_text(&text), text.len, &d);
		str_done(&text);
	}
	pf_finish(&again, r, &d);
	print_all(&again, &out);
	if (d.errors || !str_eq(str_text(&out), str_text(expected))) {
		for (size_t i = 0; i < d.n; i++) {
			autofree char *text = diag_format(&d.v[i]);
			fprintf(stderr, "%s\n", text);
		}
		fprintf(stderr, "%s--- gives\n%s", str_text(expected), str_text(&out));
	}
	FUZZ_CHECK(!d.errors);
	FUZZ_CHECK(str_eq(str_text(&out), str_text(expected)));
	pf_done(&again);
}

/* Every jump leads to a chain that is made, and text comes of all of it. */
static void lowers(const struct pf *pf, const struct pf_host *host)
{
	struct lower l = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str nft = {0}, ops = {0};

	pf_lower(&l, pf, host, &d);
	for (size_t i = 0; i < l.n; i++) {
		const struct lower_op *o = &l.op[i];
		if (o->kind != LOWER_RULE)
			continue;
		FUZZ_CHECK(o->chain < l.n && l.op[o->chain].kind == LOWER_CHAIN);
		FUZZ_CHECK(str_eq(l.op[o->chain].name, o->name));
		FUZZ_CHECK(o->nmany || o->nsteps);
		FUZZ_CHECK(!o->id || lower_id(pf, o->id));
		for (size_t k = 0; k < o->nmany; k++)
			FUZZ_CHECK(!o->many[k].id || lower_id(pf, o->many[k].id));
	}
	pf_nft(&nft, &l, true);
	lower_print(&ops, &l);
	lower_done(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {(const char *)data, size, 0};
	struct pf_reader r = {.read = read_text, .arg = &in, .host = pfhost()};
	struct pf pf = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str out = {0};

	pf_read(&pf, &r, "fuzz", in.text, in.len, &d);
	pf_finish(&pf, &r, &d);
	if (!d.errors) {
		check_all(&pf);
		print_all(&pf, &out);
		means_the_same(&pf, &r, &out);
		lowers(&pf, r.host);
	}
	pf_done(&pf);
	return 0;
}
