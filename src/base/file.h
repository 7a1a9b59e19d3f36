/* Whole files: read into memory, or replaced so that a reader sees the old or the new, no mix. */
#ifndef NG_BASE_FILE_H
#define NG_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>
#include "base/macro.h"

/* Reads the whole of `path` ("-": standard input); *out is owned by the caller and has a NUL behind
 * its *len bytes. Regular files, pipes; at most 64 MiB (-EFBIG). 0 or -errno. */
int file_read(const char *path, char **out, size_t *len) MUST_CHECK;
/* Writes a temporary file in the same folder, syncs it and renames it over `path` (a link there is
 * replaced, not followed). The mode is exact, whatever the umask. 0 or -errno. */
int file_replace(const char *path, const void *data, size_t len, mode_t mode) MUST_CHECK;
/* The same where there is nothing yet, else -EEXIST: never over what is there. */
int file_create(const char *path, const void *data, size_t len, mode_t mode) MUST_CHECK;
/* Makes `path` and its missing parents. 0 also where it exists as a directory. */
int file_mkdirs(const char *path, mode_t mode) MUST_CHECK;

#endif
