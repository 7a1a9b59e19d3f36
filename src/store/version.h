/* Versions of a template, each a complete template in a folder of its own: templates/NAME is the
 * first one, templates/NAME@2 and so on are those that `newgate template update` made. A folder's
 * name is what entries refer to; a user's NAME means the newest, NAME@1 the first. */
#ifndef NG_STORE_VERSION_H
#define NG_STORE_VERSION_H

#include "store/store.h"

/* The number in "NAME@NUMBER", else 1; *len: bytes of NAME. */
unsigned version_of(const char *name, size_t *len);
/* Do both name versions of one template? */
bool version_same(const char *a, const char *b);
/* The folder of a version. The caller frees. */
char *version_folder(const char *name, unsigned number) MUST_CHECK;
/* The newest version of the template that `name` is one of; 0: there is none. */
int version_newest(const struct store *s, const char *name, unsigned *out) MUST_CHECK;
/* The folder that a user means. -ENOENT. The caller frees *folder. */
int version_resolve(const struct store *s, const char *name, char **folder) MUST_CHECK;

#endif
