/* Reading archives, through a module that is loaded when one is read: libarchive brings twenty
 * libraries along, which would make every start of newgate slower.
 *
 * The module only reads. Names and contents come from a stranger; what is done with them is decided
 * in unpack.c. */
#ifndef NG_STORE_ARCHIVE_MODULE_H
#define NG_STORE_ARCHIVE_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "base/err.h"

#define ARCHIVE_MODULE "newgate-archive.so"
#define ARCHIVE_SYMBOL "newgate_archive"

/* One entry; strings last until the next one is read. */
struct archive_file {
	const char *path;
	const char *link; /* text of a symbolic link; of a hard link the path of an earlier entry */
	bool hard;
	mode_t mode; /* with its type */
	uint32_t uid, gid;
	int64_t size;
	struct timespec mtime;
};

struct archive_module {
	/* A tar archive, plain or compressed by gzip, bzip2, xz or zstd. NULL: out of memory. */
	void *(*open)(int fd);
	/* These return 1, 0 at the end, -1 with error() told. */
	int (*next)(void *a, struct archive_file *out);
	/* A piece of the entry's contents; what lies between pieces is a hole. */
	int (*data)(void *a, const void **piece, size_t *len, int64_t *offset);
	/* The entry's next extended attribute, ACLs among them as the kernel has them. */
	int (*xattr)(void *a, const char **name, const void **value, size_t *len);
	const char *(*error)(void *a);
	void (*close)(void *a);
};

/* Loads newgate-archive.so, once. NULL: err tells why. */
const struct archive_module *archive_load(struct ng_err *err) MUST_CHECK;
/* Another table of the same module. */
const void *archive_symbol(const char *symbol, struct ng_err *err) MUST_CHECK;

#endif
