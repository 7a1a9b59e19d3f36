/* What a backup holds. DIR/RUN, one folder a run, called by its time, holds:
 *
 *   contents       this table, as text
 *   files/PATH     the configuration, as it was below / (or below -R)
 *   NAME.stream    the jails
 *
 * It is made as DIR/.RUN and gets its name when it is complete. A jail's stream may hold only what
 * changed since an earlier run of the same DIR. */
#ifndef NG_STORE_BACKUP_H
#define NG_STORE_BACKUP_H

#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "store/stream-module.h"

#define BACKUP_CONTENTS "contents"
#define BACKUP_FILES "files"

struct backup_file {
	char *path; /* absolute, without the -R prefix */
	mode_t mode;
	char sum[STREAM_SUM_HEX];
};
struct backup_jail {
	char *name;
	char *stream; /* the file's name */
	char *snap;   /* the snapshot of the jail that it shows; or NULL */
	char *since;  /* the run whose stream it continues; NULL: it is whole */
};
/* Zero-initialise; backup_done in any case. */
struct backup {
	int64_t made; /* seconds since 1970 */
	struct backup_file *file;
	size_t nfiles;
	struct backup_jail *jail;
	size_t njails;
};
/* The strings are copied. */
void backup_add_file(struct backup *b, const char *path, mode_t mode, const char *sum);
void backup_add_jail(struct backup *b, const struct backup_jail *j);
const struct backup_jail *backup_find(const struct backup *b, const char *jail); /* or NULL */

/* The table as text, closed by its own sum, and back. What is read may be anything: -EBADMSG. */
int backup_format(struct str *out, const struct backup *b, struct ng_err *err) MUST_CHECK;
int backup_parse(const char *text, size_t len, struct backup *out, struct ng_err *err) MUST_CHECK;
void backup_done(struct backup *b);

/* Of a text, in hexadecimal. */
int backup_sum(const void *data, size_t len, char hex[static STREAM_SUM_HEX],
	       struct ng_err *err) MUST_CHECK;

#endif
