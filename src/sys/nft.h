/* nftables: set and map elements by netlink on the hot path, whole rulesets by nft(8). One batch is
 * one transaction of the kernel. Every operation names table `inet newgate`. */
#ifndef NG_SYS_NFT_H
#define NG_SYS_NFT_H

#include <stdbool.h>
#include "sys/nl.h"

#define NFT_TABLE "newgate"

/* One element of a set or map. Keys and data are concatenations: each field padded to 4 bytes,
 * network order, as the kernel takes them. For sets with intervals key_end holds the upper end of
 * each field, inclusive; where a field is not an interval, the same value again. Zero-initialise.
 */
struct nft_elem {
	const char *set;
	uint8_t key[64], key_end[64], data[64];
	unsigned keylen, key_endlen, datalen; /* key_endlen, datalen 0: none */
	unsigned fields;                      /* of the key; counted by nft_key */
	uint64_t expires;                     /* in so many ms; 0: not by itself */
	bool end;                             /* read: of sets of spans, what lies behind one */
};
/* Each appends a field, padded. */
void nft_key(struct nft_elem *e, const void *field, unsigned len);
void nft_key_end(struct nft_elem *e, const void *field, unsigned len);
void nft_data(struct nft_elem *e, const void *field, unsigned len);

void nft_begin(struct nl_batch *b);                         /* nl_begin and the batch's opening */
void nft_add(struct nl_batch *b, const struct nft_elem *e); /* no error where it is there already */
void nft_delete(struct nl_batch *b, const struct nft_elem *e); /* -ENOENT where it is not */
void nft_flush(struct nl_batch *b, const char *set);           /* every element of it */
int nft_commit(struct nl *nl, struct nl_batch *b, struct ng_err *err) MUST_CHECK;

/* The comment of table `inet newgate` (our fingerprint of its rules), "" for none; -ENOENT: no
 * table. nft(8) writes it for `comment "…"` in the table's block. */
int nft_fingerprint(struct nl *nl, char *buf, size_t size, struct ng_err *err) MUST_CHECK;
/* The comment within a table's user data. For tests. */
void nft_parse_comment(const void *userdata, size_t len, char *buf, size_t size);
/* A number that tells whether somebody changed a chain or a rule: every rule has a handle that is
 * given once. Elements do not count. */
int nft_hash_rules(struct nl *nl, uint64_t *hash, struct ng_err *err) MUST_CHECK;
/* Every element of one set or map. Zero-initialise; *set of each is the caller's. */
struct nft_elems {
	struct nft_elem *v;
	size_t n;
};
int nft_read_elems(struct nl *nl, const char *set, struct nft_elems *out,
		   struct ng_err *err) MUST_CHECK;
void nft_elems_done(struct nft_elems *e);
/* Every rule and every element of a map whose name begins with `maps` that counts packets and has a
 * comment, in no order. */
int nft_read_counters(struct nl *nl, const char *maps,
		      void (*fn)(void *arg, const char *comment, uint64_t packets, uint64_t bytes),
		      void *arg, struct ng_err *err) MUST_CHECK;
/* Runs `nft -f -` with the text: one transaction. The kernel's complaint goes to err. */
int nft_load(const char *ruleset, struct ng_err *err) MUST_CHECK;

#endif
