/* What the kernel holds of table `inet newgate`, read back to be compared. */
#include "sys/nft.h"

#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include "base/mem.h"
#include "sys/nlread.h"

static uint16_t nft_type(uint16_t type)
{
	return (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
}

/* Asks again where the ruleset changed while it was dumped. `reset` forgets what came so far. */
static int dump(struct nl *nl, uint16_t type, uint16_t attr, uint16_t attr2, const char *set,
		int (*fn)(const struct nlmsghdr *h, void *arg), void (*reset)(void *arg), void *arg,
		struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch b = {0};
	struct nfgenmsg head = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};
	int rc;
	do {
		*err = (struct ng_err){0};
		reset(arg);
		nl_begin(&b);
		nl_message(&b, nft_type(type), NLM_F_DUMP, &head, sizeof head);
		nl_attr_str(&b, attr, NFT_TABLE);
		if (set)
			nl_attr_str(&b, attr2, set);
		rc = nl_query(nl, &b, fn, arg, err);
	} while (rc == -EAGAIN);
	return rc;
}

/* --- rules --- */

#define HASH_START UINT64_C(0xcbf29ce484222325) /* FNV-1a */

struct hashing {
	uint64_t hash, before;
	uint16_t table; /* the attribute that names the table */
};

static void begin_hash(void *arg)
{
	struct hashing *s = arg;
	s->hash = s->before;
}

/* Everything of the message but its head, which counts the transactions of all tables, and of a rule
 * what it does, which may count packets: its handle stands for that. */
static int hash_message(const struct nlmsghdr *h, void *arg)
{
	struct hashing *s = arg;
	const struct nlattr *tb[NFTA_RULE_EXPRESSIONS + 1];
	const void *rest;
	char table[64];
	size_t len;
	if (!nlread_head(h, sizeof(struct nfgenmsg), &rest, &len))
		return -EBADMSG;
	nlread_attrs(rest, len, tb, NFTA_RULE_EXPRESSIONS);
	nlread_str(tb[s->table], table, sizeof table);
	if (strcmp(table, NFT_TABLE) != 0)
		return 0;
	const uint8_t *skip = NULL, *end = NULL;
	if (s->table == NFTA_RULE_TABLE && tb[NFTA_RULE_EXPRESSIONS]) {
		skip = (const uint8_t *)tb[NFTA_RULE_EXPRESSIONS];
		end = skip + tb[NFTA_RULE_EXPRESSIONS]->nla_len;
	}
	for (const uint8_t *p = rest; len; p++, len--)
		if (p < skip || p >= end)
			s->hash = (s->hash ^ *p) * UINT64_C(0x100000001b3);
	return 0;
}

int nft_hash_rules(struct nl *nl, uint64_t *hash, struct ng_err *err)
{
	struct hashing s = {.before = HASH_START, .table = NFTA_CHAIN_TABLE};
	int rc = dump(nl, NFT_MSG_GETCHAIN, NFTA_CHAIN_TABLE, 0, NULL, hash_message, begin_hash, &s,
		      err);
	s = (struct hashing){.before = s.hash, .table = NFTA_RULE_TABLE};
	if (rc == 0)
		rc = dump(nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, 0, NULL, hash_message, begin_hash,
			  &s, err);
	*hash = s.hash;
	return rc;
}

/* --- elements --- */

struct reading {
	struct nft_elems *out;
	const char *set;
};

static void begin_elems(void *arg)
{
	struct reading *r = arg;
	r->out->n = 0;
}

static uint64_t read_be64(const struct nlattr *a)
{
	uint64_t v = 0;
	const uint8_t *p = nlread_bytes(a, 8, NULL);
	for (int i = 0; p && i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static unsigned take(const struct nlattr *a, uint8_t *to, size_t size)
{
	const struct nlattr *tb[NFTA_DATA_VALUE + 1];
	size_t len = 0;
	nlread_nested(a, tb, NFTA_DATA_VALUE);
	const void *data = nlread_bytes(tb[NFTA_DATA_VALUE], 1, &len);
	if (!data || len > size)
		return 0;
	memcpy(to, data, len);
	return (unsigned)len;
}

static void read_elem(void *arg, const struct nlattr *a)
{
	struct reading *r = arg;
	const struct nlattr *tb[NFTA_SET_ELEM_KEY_END + 1];
	struct nft_elem e = {.set = r->set};
	nlread_nested(a, tb, NFTA_SET_ELEM_KEY_END);
	e.expires = read_be64(tb[NFTA_SET_ELEM_EXPIRATION]);
	e.end = nlread_be32(tb[NFTA_SET_ELEM_FLAGS]) & NFT_SET_ELEM_INTERVAL_END;
	e.keylen = take(tb[NFTA_SET_ELEM_KEY], e.key, sizeof e.key);
	e.key_endlen = take(tb[NFTA_SET_ELEM_KEY_END], e.key_end, sizeof e.key_end);
	e.datalen = take(tb[NFTA_SET_ELEM_DATA], e.data, sizeof e.data);
	r->out->v = mem_grow(r->out->v, r->out->n, sizeof *r->out->v);
	r->out->v[r->out->n++] = e;
}

static int each_elem(const struct nlmsghdr *h, void (*fn)(void *arg, const struct nlattr *a),
		     void *arg)
{
	const struct nlattr *tb[NFTA_SET_ELEM_LIST_ELEMENTS + 1];
	const void *rest;
	size_t len;
	if (!nlread_head(h, sizeof(struct nfgenmsg), &rest, &len))
		return -EBADMSG;
	nlread_attrs(rest, len, tb, NFTA_SET_ELEM_LIST_ELEMENTS);
	const char *p = nlread_bytes(tb[NFTA_SET_ELEM_LIST_ELEMENTS], 0, &len);
	/* A list of attributes of one type: nlread_attrs would keep the last alone. */
	while (p && len >= NLA_HDRLEN) {
		const struct nlattr *a = (const void *)p;
		size_t step = NLA_ALIGN((size_t)a->nla_len);
		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return -EBADMSG;
		fn(arg, a);
		p += step;
		len = step < len ? len - step : 0;
	}
	return 0;
}

static int read_elems(const struct nlmsghdr *h, void *arg)
{
	return each_elem(h, read_elem, arg);
}

int nft_read_elems(struct nl *nl, const char *set, struct nft_elems *out, struct ng_err *err)
{
	struct reading r = {.out = out, .set = set};
	return dump(nl, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET, set,
		    read_elems, begin_elems, &r, err);
}

/* --- counters --- */

struct counting {
	const char *maps; /* beginning of their names */
	struct names {
		char (*v)[128];
		size_t n;
	} names;
	struct counted {
		char comment[128];
		uint64_t packets, bytes;
	} * v;
	size_t n;
};

static void counting_done(struct counting *c)
{
	free(c->names.v);
	free(c->v);
}

/* An expression; true where it counts. */
static bool read_counter(const struct nlattr *a, struct counted *out)
{
	const struct nlattr *tb[NFTA_EXPR_DATA + 1], *data[NFTA_COUNTER_PACKETS + 1];
	char name[32];
	nlread_nested(a, tb, NFTA_EXPR_DATA);
	nlread_str(tb[NFTA_EXPR_NAME], name, sizeof name);
	if (strcmp(name, "counter") != 0)
		return false;
	nlread_nested(tb[NFTA_EXPR_DATA], data, NFTA_COUNTER_PACKETS);
	out->packets = read_be64(data[NFTA_COUNTER_PACKETS]);
	out->bytes = read_be64(data[NFTA_COUNTER_BYTES]);
	return true;
}

static void count(struct counting *c, const struct nlattr *userdata, struct counted one)
{
	size_t len;
	const void *data = nlread_bytes(userdata, 1, &len);
	if (data)
		nft_parse_comment(data, len, one.comment, sizeof one.comment);
	if (!one.comment[0])
		return;
	c->v = mem_grow(c->v, c->n, sizeof *c->v);
	c->v[c->n++] = one;
}

static int count_rule(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[NFTA_RULE_USERDATA + 1];
	struct counted one = {0};
	const void *rest;
	char table[64];
	size_t len;
	if (!nlread_head(h, sizeof(struct nfgenmsg), &rest, &len))
		return -EBADMSG;
	nlread_attrs(rest, len, tb, NFTA_RULE_USERDATA);
	nlread_str(tb[NFTA_RULE_TABLE], table, sizeof table);
	const char *p = nlread_bytes(tb[NFTA_RULE_EXPRESSIONS], 0, &len);
	if (strcmp(table, NFT_TABLE) != 0 || !tb[NFTA_RULE_USERDATA])
		return 0;
	while (p && len >= NLA_HDRLEN) {
		const struct nlattr *a = (const void *)p;
		size_t step = NLA_ALIGN((size_t)a->nla_len);
		if (a->nla_len < NLA_HDRLEN || a->nla_len > len)
			return -EBADMSG;
		if (read_counter(a, &one)) {
			count(arg, tb[NFTA_RULE_USERDATA], one);
			return 0;
		}
		p += step;
		len = step < len ? len - step : 0;
	}
	return 0;
}

static void count_elem(void *arg, const struct nlattr *a)
{
	const struct nlattr *tb[NFTA_SET_ELEM_EXPR + 1];
	struct counted one = {0};
	nlread_nested(a, tb, NFTA_SET_ELEM_EXPR);
	if (read_counter(tb[NFTA_SET_ELEM_EXPR], &one))
		count(arg, tb[NFTA_SET_ELEM_USERDATA], one);
}

static int count_elems(const struct nlmsghdr *h, void *arg)
{
	return each_elem(h, count_elem, arg);
}

static int note_map(const struct nlmsghdr *h, void *arg)
{
	struct counting *c = arg;
	const struct nlattr *tb[NFTA_SET_NAME + 1];
	const void *rest;
	char table[64], name[128];
	size_t len;
	if (!nlread_head(h, sizeof(struct nfgenmsg), &rest, &len))
		return -EBADMSG;
	nlread_attrs(rest, len, tb, NFTA_SET_NAME);
	nlread_str(tb[NFTA_SET_TABLE], table, sizeof table);
	nlread_str(tb[NFTA_SET_NAME], name, sizeof name);
	if (strcmp(table, NFT_TABLE) != 0 || strncmp(name, c->maps, strlen(c->maps)) != 0)
		return 0;
	c->names.v = mem_grow(c->names.v, c->names.n, sizeof *c->names.v);
	memcpy(c->names.v[c->names.n++], name, sizeof name);
	return 0;
}

static void begin_rules(void *arg)
{
	((struct counting *)arg)->n = 0;
}

static void begin_maps(void *arg)
{
	((struct counting *)arg)->names.n = 0;
}

static void go_on(void *arg)
{
	(void)arg;
}

int nft_read_counters(struct nl *nl, const char *maps,
		      void (*fn)(void *arg, const char *comment, uint64_t packets, uint64_t bytes),
		      void *arg, struct ng_err *err)
{
	autodone(counting_done) struct counting c = {.maps = maps};
	int rc =
	    dump(nl, NFT_MSG_GETRULE, NFTA_RULE_TABLE, 0, NULL, count_rule, begin_rules, &c, err);
	if (rc == 0)
		rc = dump(nl, NFT_MSG_GETSET, NFTA_SET_TABLE, 0, NULL, note_map, begin_maps, &c,
			  err);
	for (size_t i = 0; i < c.names.n && rc == 0; i++)
		rc = dump(nl, NFT_MSG_GETSETELEM, NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_LIST_SET,
			  c.names.v[i], count_elems, go_on, &c, err);
	for (size_t i = 0; i < c.n && rc == 0; i++)
		fn(arg, c.v[i].comment, c.v[i].packets, c.v[i].bytes);
	return rc;
}

void nft_elems_done(struct nft_elems *e)
{
	free(e->v);
	*e = (struct nft_elems){0};
}
