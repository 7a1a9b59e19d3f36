/* Are the elements of the table those of the running jails, all of them and no others? */
#include "base/mem.h"
#include "conf/map.h"
#include "net/elem.h"
#include "net/rules.h"

#define SHOWN 3 /* that are named; the rest are counted */

struct look {
	struct arena arena;
	struct map wanted; /* bytes of an element: 1, or 0 once it was seen */
	struct strv missing, foreign;
	const char **text; /* of each wanted one: "mail: rdr4 …" */
	size_t n;
};

/* An element as the bytes that tell it from others. An interval that ends where it begins may be
 * given without its end. */
static size_t bytes_of(const struct nft_elem *e, uint8_t *out)
{
	const uint8_t *end = e->key_endlen ? e->key_end : e->key;
	size_t set = strlen(e->set) + 1, len = set;
	memcpy(out, e->set, set);
	memcpy(out + len, e->key, e->keylen);
	len += e->keylen;
	memcpy(out + len, end, e->keylen);
	len += e->keylen;
	memcpy(out + len, e->data, e->datalen);
	return len + e->datalen;
}

#define BYTES (32 + 3 * sizeof(((struct nft_elem *)0)->key))

static void want(struct look *l, const struct record *r)
{
	for (size_t i = 0; i < r->undo.n; i++) {
		struct nft_elem e;
		uint8_t bytes[BYTES];
		const char *text = r->undo.v[i];
		if (!str_prefix(text, ELEM_UNDO) || elem_parse(text + strlen(ELEM_UNDO), &e) < 0)
			continue;
		size_t len = bytes_of(&e, bytes);
		uint8_t *key = arena_alloc(&l->arena, len);
		memcpy(key, bytes, len);
		if (map_put(&l->wanted, key, len, l->n))
			continue; /* its own redirect, by two of its values */
		l->text = mem_grow(l->text, l->n, sizeof(*l->text));
		l->text[l->n++] =
		    arena_printf(&l->arena, "%s: %s", r->name, text + strlen(ELEM_UNDO));
	}
}

static int compare(struct look *l, struct net *n, bool *seen, struct ng_err *err)
{
	for (size_t i = 0; elem_set(i); i++) {
		struct nft_elems have autodone(nft_elems_done) = {0};
		int rc = nft_read_elems(&n->filter, elem_set(i), &have, err);
		if (rc < 0)
			return rc;
		for (size_t k = 0; k < have.n; k++) {
			uint8_t bytes[BYTES];
			size_t len = bytes_of(&have.v[k], bytes);
			size_t *at = map_get(&l->wanted, bytes, len);
			if (at)
				seen[*at] = true;
			else
				strv_add(&l->foreign, elem_set(i));
		}
	}
	for (size_t i = 0; i < l->n; i++)
		if (!seen[i])
			strv_add(&l->missing, l->text[i]);
	return 0;
}

static void tell(struct strv *faults, const struct strv *what, const char *how)
{
	struct str b autodone(str_done) = {0};
	for (size_t i = 0; i < what->n && i < SHOWN; i++)
		str_addf(&b, "%s%s", i ? "; " : "", what->v[i]);
	if (what->n > SHOWN)
		str_addf(&b, "; and %zu more", what->n - SHOWN);
	if (what->n)
		strv_addf(faults, "%s (%s)", how, b.s);
}

static int look_once(struct net *n, struct strv *faults, struct ng_err *err)
{
	struct look l = {0};
	struct record *r = NULL;
	size_t count = 0;
	int rc = state_all(n->state, &r, &count, err);
	for (size_t i = 0; i < count; i++)
		if (!r[i].dead && !r[i].starting)
			want(&l, &r[i]);
	autofree bool *seen = mem_alloc((l.n + 1) * sizeof(*seen));
	if (rc == 0)
		rc = compare(&l, n, seen, err);
	if (rc == 0) {
		tell(faults, &l.missing, "elements of running jails are missing in the firewall");
		/* Those of a jail that ended by itself are cleared up with it. */
		bool leftovers = false;
		for (size_t i = 0; i < count; i++)
			leftovers |= r[i].dead || r[i].starting;
		if (!leftovers)
			tell(faults, &l.foreign, "the firewall holds elements of no jail");
	}
	for (size_t i = 0; i < count; i++)
		record_done(&r[i]);
	free(r);
	free(l.text);
	strv_done(&l.missing);
	strv_done(&l.foreign);
	map_done(&l.wanted);
	arena_done(&l.arena);
	return rc;
}

/* Jails come and go meanwhile: what is seen twice is so. */
int rules_look_elements(struct net *n, struct strv *faults, struct ng_err *err)
{
	struct strv first autodone(strv_done) = {0}, again autodone(strv_done) = {0};
	int rc = look_once(n, &first, err);
	if (rc == 0 && first.n)
		rc = look_once(n, &again, err);
	for (size_t i = 0; i < again.n && rc == 0; i++)
		if (strv_has(&first, again.v[i]))
			strv_add(faults, again.v[i]);
	return rc;
}
