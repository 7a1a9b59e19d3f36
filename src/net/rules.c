#include "net/rules.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include "base/mem.h"
#include "base/num.h"
#include "firewall/firewall.h"
#include "net/ban.h"
#include "net/elem.h"
#include "net/range.h"
#include "net/hooks_nft.h" /* hooks_nft[]: the bytes of hooks.nft */
#include "net/hooks_pf_nft.h"
#include "net/rules_nft.h"
#include "sys/fd.h"

/* "newgate HASH", and " 4", " 6" or " 46" with the rules by which newgate stands in for a host that
 * does not forward. */
#define FINGERPRINT 64
#define FINGERPRINT_IS "newgate "

static bool is_elem(const char *line)
{
	return str_prefix(line, ELEM_UNDO);
}

/* --- the table --- */

static void add_networks(struct str *out, const struct strv *made)
{
	for (size_t i = 0; i < made->n; i++) {
		const char *addr = strchr(made->v[i], ' ');
		struct ipnet net;
		char text[IPNET_TEXT];
		if (!addr || ipnet_parse(addr + 1, &net) < 0)
			continue;
		net.addr = ipnet_first(&net);
		str_addf(out, "add element inet " NFT_TABLE " ranges%c { %s }\n",
			 net.addr.family == AF_INET ? '4' : '6', ipnet_text(&net, text));
	}
}

static void add_transit(struct str *out, const char *family)
{
	str_addf(out, "add rule inet " NFT_TABLE " transit meta nfproto %s drop\n", family);
}

static void add_count(struct str *out, const char *what, const char *spread, uint32_t groups,
		      uint32_t buckets)
{
	str_addf(out,
		 "add rule inet " NFT_TABLE " crowd %sadd @tracked { iif . %s mod %u . "
		 "numgen random mod %u ct count over 64 } goto deny\n",
		 what, spread, groups, buckets);
}

/* rules.nft says why: a quarter of what the host tracks, in groups of 256 buckets of 64. */
static void add_crowd(struct str *out)
{
	char text[32];
	uint32_t most;
	if (fd_get(AT_FDCWD, "/proc/sys/net/netfilter/nf_conntrack_max", text, sizeof text) < 0)
		*text = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (num_u32(text, 256, 1 << 24, &most) < 0)
		most = 1 << 16; /* of a host with a gigabyte or more */
	uint32_t buckets = most / 4 / 64, groups = buckets > 256 ? buckets / 256 : 1;
	buckets /= groups;
	add_count(out, "oifgroup 28263 ", "numgen random", groups, buckets);
	str_add(out, "add rule inet " NFT_TABLE " crowd oifgroup 28263 return\n");
	add_count(out, "", "jhash ip daddr", groups, buckets);
	add_count(out, "", "jhash ip6 daddr", groups, buckets);
}

/* FNV-1a. Who wants to deceive us about our own table is root already. */
static uint64_t hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

/* What running jails have in it. */
static int add_elements(struct net *n, struct str *out, struct ng_err *err)
{
	struct record *r = NULL;
	size_t count = 0;
	int rc = state_all(n->state, &r, &count, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < r[i].undo.n && !r[i].dead; k++)
			if (is_elem(r[i].undo.v[k]))
				elem_statement(out, r[i].undo.v[k] + strlen(ELEM_UNDO));
		record_done(&r[i]);
	}
	free(r);
	return 0;
}

static int load(struct net *n, const struct rules_facts *f, const char *fingerprint,
		const char *rules, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	struct bans bans autodone(bans_done) = BANS_NONE; /* nobody changes them meanwhile */
	/* The first line makes the second valid where there is none. */
	str_addf(&text,
		 "add table inet " NFT_TABLE "\ndelete table inet " NFT_TABLE "\n"
		 "table inet " NFT_TABLE " {\n\tcomment \"%s\"\n}\n%s",
		 fingerprint, rules);
	if (f->pf)
		str_add(&text, str_text(&f->pf->text));
	int rc = add_elements(n, &text, err);
	if (rc == 0)
		rc = bans_open(&bans, n->state, err);
	if (rc < 0)
		return rc;
	bans_statements(&bans, time(NULL), &text);
	rc = nft_load(str_text(&text), err);
	return rc < 0 ? err_prefix(err, "table inet " NFT_TABLE) : 0;
}

/* The table as it is to be, and its fingerprint. */
static void make_rules(const struct rules_facts *f, struct str *rules,
		       char want[static FINGERPRINT])
{
	str_addn(rules, rules_nft, sizeof rules_nft);
	if (f->pf)
		str_addn(rules, hooks_pf_nft, sizeof hooks_pf_nft);
	else
		str_addn(rules, hooks_nft, sizeof hooks_nft);
	add_networks(rules, f->made);
	add_crowd(rules);
	if (f->drop4)
		add_transit(rules, "ipv4");
	if (f->drop6)
		add_transit(rules, "ipv6");
	if (f->pf)
		str_addf(rules, "# pf %s\n", f->pf->hash);
	snprintf(want, FINGERPRINT, FINGERPRINT_IS "%016" PRIx64 "%s%s%s", hash(str_text(rules)),
		 f->drop4 || f->drop6 ? " " : "", f->drop4 ? "4" : "", f->drop6 ? "6" : "");
}

/* Below /run/newgate: the fingerprint of the table that was loaded last, and what the kernel made
 * of it (nft_hash_rules). */
#define LOADED "rules"

/* Only a help for rules_look: that it cannot be written is no reason to fail. */
static void note_loaded(struct net *n, const char *fingerprint)
{
	struct ng_err ignored = {0};
	struct str text autodone(str_done) = {0};
	uint64_t made;
	if (nft_hash_rules(&n->filter, &made, &ignored) < 0)
		return;
	str_addf(&text, "%s %016" PRIx64 "\n", fingerprint, made);
	autoclose int fd =
	    openat(n->state->dir, LOADED, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0 && fd_write_all(fd, text.s, text.len) < 0)
		unlinkat(n->state->dir, LOADED, 0);
}

static int load_and_note(struct net *n, const struct rules_facts *f, const struct str *rules,
			 const char *want, struct ng_err *err)
{
	*err = (struct ng_err){0};
	int rc = load(n, f, want, str_text(rules), err);
	if (rc == 0)
		note_loaded(n, want);
	return rc;
}

int rules_ready(struct net *n, const struct rules_facts *f, bool *loaded, struct ng_err *err)
{
	struct str rules autodone(str_done) = {0}, again autodone(str_done) = {0};
	char want[FINGERPRINT], have[128];

	make_rules(f, &rules, want);
	int rc = nft_fingerprint(&n->filter, have, sizeof have, err);
	bool tables = f->pf && f->pf->made && !f->pf->same; /* hold something else */
	if (rc >= 0 && !*loaded && str_eq(have, want) && !tables)
		return 0;
	*loaded = false;
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = pf_ready(n, f, err);
	if (rc < 0)
		return rc;
	rules.len = 0;
	make_rules(f, &rules, want);
	rc = load_and_note(n, f, &rules, want, err);
	*loaded = rc == 0;
	/* The first table of all may have brought connection tracking into the kernel, and with it
	 * how many there can be. */
	memcpy(have, want, sizeof want);
	make_rules(f, &again, want);
	if (rc == 0 && !str_eq(have, want))
		rc = load_and_note(n, f, &again, want, err);
	return rc == 0 && f->pf ? firewall_keep(f->pf, err) : rc;
}

int rules_are_loaded(struct net *n, const struct rules_facts *f, struct ng_err *err)
{
	struct str rules autodone(str_done) = {0};
	char want[FINGERPRINT], have[128];
	struct ng_err e = {0};

	make_rules(f, &rules, want);
	int rc = nft_fingerprint(&n->filter, have, sizeof have, &e);
	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		*err = e;
	return rc < 0 ? rc : str_eq(have, want);
}

int rules_switched(struct net *n, char *text, size_t size, struct ng_err *err)
{
	char have[128];
	*text = '\0';
	int rc = nft_fingerprint(&n->filter, have, sizeof have, err);
	const char *digits = rc >= 0 && str_prefix(have, FINGERPRINT_IS)
				 ? strchr(have + strlen(FINGERPRINT_IS), ' ')
				 : NULL;
	if (digits)
		snprintf(text, size, "%s", digits + 1);
	if (rc == -ENOENT)
		*err = (struct ng_err){0};
	return rc < 0 && rc != -ENOENT ? rc : 0;
}

int rules_look(struct net *n, const struct rules_facts *f, struct strv *faults, struct ng_err *err)
{
	struct str rules autodone(str_done) = {0};
	struct str now autodone(str_done) = {0};
	char want[FINGERPRINT], have[128], loaded[128];
	uint64_t made;

	make_rules(f, &rules, want);
	int rc = nft_fingerprint(&n->filter, have, sizeof have, err);
	if (rc == -ENOENT) {
		*err = (struct ng_err){0};
		strv_add(faults, "table inet " NFT_TABLE " is gone");
		return 0;
	}
	if (rc < 0)
		return rc;
	if (!str_eq(have, want)) {
		strv_add(faults,
			 "table inet " NFT_TABLE " is not of this newgate and its networks");
		return 0;
	}
	rc = nft_hash_rules(&n->filter, &made, err);
	if (rc < 0)
		return rc;
	str_addf(&now, "%s %016" PRIx64 "\n", want, made);
	if (fd_get(n->state->dir, LOADED, loaded, sizeof loaded) >= 0 && str_prefix(loaded, want) &&
	    !str_eq(loaded, now.s))
		strv_add(faults, "somebody changed the rules of table inet " NFT_TABLE);
	rc = bans_look(n, faults, err);
	return rc < 0 ? rc : rules_look_elements(n, faults, err);
}

/* --- elements --- */

/* Puts the elements among the lines into the batch; how many. */
static unsigned put(struct nl_batch *b, const struct strv *lines,
		    void (*fn)(struct nl_batch *b, const struct nft_elem *e))
{
	unsigned count = 0;
	for (size_t i = 0; lines && i < lines->n; i++) {
		struct nft_elem e;
		if (is_elem(lines->v[i]) && elem_parse(lines->v[i] + strlen(ELEM_UNDO), &e) == 0) {
			fn(b, &e);
			count++;
		}
	}
	return count;
}

/* Is it the same key of the same set? "elem rdr4 tcp . 25 : 10.100.0.2 . 25" up to " : ". */
static bool same_key(const char *a, const char *b)
{
	const char *data = strstr(a, " : ");
	size_t len = data ? (size_t)(data - a) : strlen(a);
	return strncmp(a, b, len) == 0 && (data ? str_prefix(b + len, " : ") : !b[len]);
}

const char *rules_claimed(const struct record *r, const char *line)
{
	for (size_t i = 0; is_elem(line) && i < r->undo.n; i++)
		if (same_key(line, r->undo.v[i]))
			return r->undo.v[i] + strlen(ELEM_UNDO);
	return NULL;
}

/* Whose is it, that the kernel says is there already? Of a jail that runs: err names it. What jails
 * left that have ended goes to `stale`. */
static int find_owners(struct net *n, const struct strv *add, const char *link, struct strv *stale,
		       struct ng_err *err)
{
	struct record *r = NULL;
	size_t count = 0;
	int rc = state_all(n->state, &r, &count, err);

	for (size_t i = 0; i < count; i++) {
		bool own = r[i].link && link && str_eq(r[i].link, link);
		for (size_t k = 0; k < add->n && !own; k++) {
			const char *claim = rules_claimed(&r[i], add->v[k]);
			if (claim && !r[i].dead)
				rc = err_set(err, EEXIST, "%s: jail \"%s\" has that already", claim,
					     r[i].name);
			else if (claim)
				strv_addf(stale, ELEM_UNDO "%s", claim);
		}
		record_done(&r[i]);
	}
	free(r);
	return rc;
}

static int commit(struct net *n, const struct strv *const del[2], const struct strv *add,
		  struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	nft_begin(&b);
	unsigned deleted = put(&b, del[0], nft_delete) + put(&b, del[1], nft_delete);
	unsigned added = put(&b, add, nft_add);
	if (deleted)
		n->host->deleted = true;
	return deleted || added ? nft_commit(&n->filter, &b, err) : 0;
}

int rules_change(struct net *n, const struct strv *del, const struct strv *add, const char *link,
		 struct ng_err *err)
{
	autodone(strv_done) struct strv stale = {0};
	int rc = commit(n, (const struct strv *[2]){del, NULL}, add, err);

	if (!add || (rc != -EEXIST && rc != -EBUSY))
		return rc;
	*err = (struct ng_err){0};
	rc = find_owners(n, add, link, &stale, err);
	if (rc < 0)
		return rc;
	if (!stale.n)
		return err_set(err, EEXIST, "a port is redirected twice");
	return commit(n, (const struct strv *[2]){del, &stale}, add, err);
}

int rules_delete_each(struct net *n, const struct strv *del, struct ng_err *err)
{
	int first = 0;
	for (size_t i = 0; i < del->n; i++) {
		struct ng_err e = {0};
		struct strv one = {.v = &del->v[i], .n = 1};
		int rc = rules_change(n, &one, NULL, NULL, &e);
		if (rc < 0 && rc != -ENOENT && first == 0) {
			first = rc;
			*err = e;
		}
	}
	return first;
}

/* --- connections --- */

struct flush {
	const struct nft_elem *elem;
	size_t nelems;
};

static bool concerns(const struct ct_flow *f, void *arg)
{
	const struct flush *want = arg;
	for (size_t i = 0; i < want->nelems; i++)
		if (elem_covers(&want->elem[i], f))
			return true;
	return false;
}

/* Over the socket that elements are changed over: closing another one after elements were deleted
 * would wait (nl_close_later). */
int rules_flush_addresses(struct net *n, const struct ip *ips, size_t nips, struct ng_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < nips && rc == 0; i++)
		rc = ct_flush_address(&n->filter, &ips[i], err);
	return rc < 0 ? err_prefix(err, "connection tracking") : 0;
}

int rules_flush_elements(struct net *n, const struct strv *lines, struct ng_err *err)
{
	if (!lines->n)
		return 0;
	autofree struct nft_elem *elem = mem_alloc(lines->n * sizeof *elem);
	struct flush want = {.elem = elem};
	for (size_t i = 0; i < lines->n; i++)
		if (is_elem(lines->v[i]) &&
		    elem_parse(lines->v[i] + strlen(ELEM_UNDO), &elem[want.nelems]) == 0)
			want.nelems++;
	int rc = ct_flush(&n->filter, concerns, &want, err);
	return rc < 0 ? err_prefix(err, "connection tracking") : 0;
}
