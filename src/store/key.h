/* What goes into a template, as one line: two that are made of the same have the same key, and so
 * the second need not be made. */
#ifndef NG_STORE_KEY_H
#define NG_STORE_KEY_H

#include "base/str.h"
#include "store/store.h"

/* Of what `r` names; NULL in *key: nobody can tell. The caller frees. `base`: the version
 * that r->from names, where it is a template, and its entry; else both are NULL. */
struct entry;
int key_make(struct store *s, const struct store_recipe *r, const char *base,
	     const struct entry *entry, char **key, struct ng_err *err) MUST_CHECK;

/* The SHA-256 of a file below a tree, in hexadecimal; NULL where it cannot be read. */
char *key_of_file(int dir, const char *path) MUST_CHECK;

#endif
