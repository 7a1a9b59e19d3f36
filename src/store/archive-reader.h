/* What the files of newgate-archive.so share. */
#ifndef NG_STORE_ARCHIVE_READER_H
#define NG_STORE_ARCHIVE_READER_H

#include <sys/types.h>
#include "store/archive-module.h"

/* A tar archive that `read` hands out piece by piece (0 at its end, -1 with *fault said), for the
 * functions of newgate_archive. NULL: out of memory. */
struct archive_pieces {
	ssize_t (*read)(void *arg, const void **piece);
	void *arg;
	const char *fault;
};
void *archive_open_pieces(struct archive_pieces *from);

extern const struct archive_module newgate_archive;

/* {version, entries} of an ACL as the kernel has it; see linux/posix_acl_xattr.h. */
#define ACL_VERSION 2
#define ACL_NO_ID 0xffffffffu
struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};
#define ACL_TAGS 6
/* The kernel's tag and libarchive's for it. */
struct acl_tag {
	uint16_t kernel;
	int archive;
};
extern const struct acl_tag acl_tags[ACL_TAGS];

#endif
