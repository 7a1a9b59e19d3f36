/* Elements of the sets and maps in rules.nft, as text: "rdr4 tcp . 25 : 10.100.0.2 . 25". A jail's
 * record keeps them in this form, so that a person can read what is open, and that they can be
 * taken back, or put into a table that vanished. nft(8) understands the same text. */
#ifndef NG_NET_ELEM_H
#define NG_NET_ELEM_H

#include "base/str.h"
#include "sys/ct.h"
#include "sys/nft.h"

/* What a line of struct record.undo begins with, if it is an element. */
#define ELEM_UNDO "elem "

/* Reads one; -EINVAL where it is none. */
int elem_parse(const char *text, struct nft_elem *out) MUST_CHECK;
/* And the other way round. */
void elem_format(struct str *out, const struct nft_elem *e);
/* The kernel refuses an interval that overlaps another one of its set in part. Rewrites those of the
 * "elem …" lines that do, so that none does and together they cover the same. */
void elem_part(struct strv *lines);
/* The sizes of its key's fields, without what they are padded with; how many. */
unsigned elem_fields(const struct nft_elem *e, unsigned size[static 4]);
/* Appends the statement that adds it, for nft_load. */
void elem_statement(struct str *out, const char *text);
/* The names of all sets and maps that hold elements of jails, one by one; NULL behind the last. */
const char *elem_set(size_t i);
/* Is this a connection that the element has to do with: redirected by it, permitted by it? */
bool elem_covers(const struct nft_elem *e, const struct ct_flow *f);

#endif
