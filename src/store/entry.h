/* The small text files beside the trees: "key value" lines, one fact each. */
#ifndef NG_STORE_ENTRY_H
#define NG_STORE_ENTRY_H

#include <stdint.h>
#include "base/err.h"
#include "store/store.h"

/* jails/NAME/origin and templates/NAME/meta alike; strings owned, NULL where the line is missing.
 */
struct entry {
	char *backend;  /* which store_backend keeps it; a template without this line: dir */
	char *from;     /* jail: the template or jail it was cloned from; template: --from */
	char *lower;    /* the template that it needs: whose layers or blocks are below its own */
	char *upper;    /* overlay jail: the folder of its own layer; without this line: upper */
	char *template; /* jail: the version of a template that it stems from; else NULL */
	char *key;      /* template: of what went into it (key.h) */
	char *include;  /* template: --include */
	char *volume;   /* zfs: the data set */
	char *path;     /* jail: with the -R prefix */
	uint64_t bytes;
	uint64_t quota;   /* jail: what was set, 0: none */
	uint64_t project; /* jail: the number of its project quota, 0: none */
	int64_t made;
};

/* -ENOENT where there is no such file. */
int entry_read(int dir, const char *file, struct entry *e) MUST_CHECK;
int entry_write(int dir, const char *file, const struct entry *e) MUST_CHECK;
/* The same where there is one already, in one step and with it on disk. */
int entry_replace(int dir, const char *file, const struct entry *e) MUST_CHECK;
void entry_done(struct entry *e);

/* The store's folders; only root may enter them. */
enum store_kind { STORE_JAILS, STORE_TEMPLATES, STORE_ROOTS };
const char *store_kind_dir(enum store_kind kind);  /* "jails" */
const char *store_kind_file(enum store_kind kind); /* "origin" */

/* Opens STORE/jails or STORE/templates; `make`: with what is missing on the way. */
int store_open_kind(const struct store *s, enum store_kind kind, bool make) MUST_CHECK;
/* Opens the folder of one jail or template. -ENOENT. */
int store_open_entry(const struct store *s, enum store_kind kind, const char *name) MUST_CHECK;
/* Calls fn with the name and entry of everything of a kind. */
int store_each(const struct store *s, enum store_kind kind,
	       void (*fn)(void *arg, const char *name, struct entry *e), void *arg) MUST_CHECK;
bool store_same_path(const char *a, const char *b);
/* A jail or template may be called so: no slash, no leading dot, at most 200 bytes. */
int store_check_name(enum store_kind kind, const char *name, struct ng_err *err) MUST_CHECK;

#endif
