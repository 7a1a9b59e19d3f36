/* Domains, users, aliases and sites: one a line, comments and order as the user has them; and the
 * tables that postfix, opendkim and nginx have of them. */
#ifndef NG_HOST_LISTS_H
#define NG_HOST_LISTS_H

#include "host/host.h"

enum host_list {
	LIST_DOMAINS, /* domains: "example.org" */
	LIST_USERS, /* dovecot/users: passwd-file, "ADDRESS:HASH::::::userdb_quota_rule=*:storage=1G" */
	LIST_ALIASES, /* aliases: "ADDRESS TARGET, TARGET", "@DOMAIN TARGET": all that is left */
	LIST_SITES,   /* sites: "NAME static", "NAME proxy JAIL PORT" */
	LIST_COUNT
};
struct host_lists {
	struct strv of[LIST_COUNT]; /* whole lines */
};
/* A list that is not there yet is empty. */
int host_lists_read(const struct host *h, struct host_lists *l, struct ng_err *err) MUST_CHECK;
/* Writes the one list, then all tables. */
int host_lists_write(const struct host *h, const struct host_lists *l, enum host_list which,
		     struct ng_err *err) MUST_CHECK;
/* The tables alone: what is made of the lists. */
int host_tables_write(const struct host *h, const struct host_lists *l,
		      struct ng_err *err) MUST_CHECK;
void host_lists_done(struct host_lists *l);

/* An entry's key is what stands before the first blank or colon, in letters of either size. The index
 * of its line, or -1. */
int host_entry(const struct host_lists *l, enum host_list which, const char *key);
/* From *i on, the next line that is an entry; false at the end. *key: owned by the caller; *rest
 * points into the line, behind the key and what divides them. */
bool host_next(const struct host_lists *l, enum host_list which, size_t *i, char **key,
	       const char **rest);
/* Replaces the entry's line, or adds it. */
void host_set(struct host_lists *l, enum host_list which, const char *key, const char *line);
void host_unset(struct host_lists *l, enum host_list which, int line);

/* A user's line: its hash and quota (either may be NULL; owned by the caller), and the line of them. */
void host_user_parse(const char *rest, char **hash, char **quota);
char *host_user_line(const char *address, const char *hash, const char *quota) MUST_CHECK;
/* The same line with another hash or quota (NULL: as it is); what else it has stays. */
char *host_user_changed(const char *line, const char *hash, const char *quota) MUST_CHECK;
/* What sites lead to: "JAIL tcp PORT", each once. */
void host_proxies(const struct host_lists *l, struct strv *out);

#endif
