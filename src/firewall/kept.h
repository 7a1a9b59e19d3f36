/* What pf holds, as texts: so that it can be made again when the host's interfaces have changed, or
 * somebody took the table away.
 *
 *   /run/newgate/pf/rules     the files of each ruleset as they were, "end" last
 *   /run/newgate/pf/tables    what the tables hold: their own entries, and since when
 *   /run/newgate/pf/origins   what made states, by number (lower.h)
 *   /run/newgate/pf/hash      of the text that nft(8) loaded last
 *   /run/newgate/pf/switch    "on" or "off": pfctl -e, -d; else rc.conf's pf_enable counts
 *   /run/newgate/pf/localnet  interfaces whose route_localnet is ours to switch off again
 *   /run/newgate/pf/before    the rules and tables before the last load, to go back to */
#ifndef NG_FIREWALL_KEPT_H
#define NG_FIREWALL_KEPT_H

#include <stdint.h>
#include "base/ip.h"
#include "state/state.h"

struct kept {
	struct kept_ruleset {
		char *anchor; /* "": the main one */
		char *path;   /* of its text, among the files */
		struct strv define;
		struct kept_file {
			char *path, *text;
			size_t len;
		} * file;
		size_t nfiles;
	} * ruleset;
	size_t n;
};
void kept_done(struct kept *k);
struct kept_ruleset *kept_find(struct kept *k, const char *anchor); /* or NULL */
struct kept_ruleset *kept_add(struct kept *k, const char *anchor);  /* in place of what was there */
void kept_remove(struct kept *k, const char *anchor);
const struct kept_file *kept_file(const struct kept_ruleset *r, const char *path); /* or NULL */
void kept_file_add(struct kept_ruleset *r, const char *path, const char *text, size_t len);

/* A copy with a NUL behind it; files may hold others. The caller frees. */
char *kept_bytes(const char *text, size_t len) MUST_CHECK;

void kept_format(struct str *out, const struct kept *k);
/* What is read may be anything: -EINVAL. Zero-initialise. */
int kept_parse(const char *text, size_t len, struct kept *out) MUST_CHECK;

/* The tables' contents: pf's entries, an exception with "!". */
struct kept_table {
	char *anchor, *name;
	bool own;      /* made by pfctl -t, not by a ruleset */
	bool constant; /* pfctl may not change it */
	bool overload; /* rules fill it, too: in the kernel alone */
	struct kept_entry {
		struct ipnet net;
		bool neg;
		int64_t since; /* seconds since 1970 */
	} * entry;             /* sorted */
	size_t n;
};
struct kept_tables {
	struct kept_table *v;
	size_t n;
};
void kept_tables_done(struct kept_tables *t);
struct kept_table *kept_table(struct kept_tables *t, const char *anchor,
			      const char *name); /* or NULL */
struct kept_table *kept_table_add(struct kept_tables *t, const char *anchor, const char *name);
/* Keeps the order; false: it was there (then `neg` is the new one). */
bool kept_entry_add(struct kept_table *t, const struct ipnet *net, bool neg, int64_t since);
const struct kept_entry *kept_entry_find(const struct kept_table *t,
					 const struct ipnet *net); /* or NULL */
bool kept_entry_remove(struct kept_table *t, const struct ipnet *net);
void kept_tables_format(struct str *out, const struct kept_tables *t);
void kept_tables_format_bare(struct str *out, const struct kept_tables *t); /* without times */
int kept_tables_parse(const char *text, size_t len, struct kept_tables *out) MUST_CHECK;

#endif
