/* What is in a stream (stream-module.h), in this order:
 *
 *   newgate/stream     "key value" lines: what this is (struct stream_info)
 *   newgate/jail.conf  the jail's block, complete in itself; missing where it had none
 *   newgate/removed    of a stream of changes: what is gone since, each name ended by a NUL
 *   root/…             the files
 *
 * A stream of changes holds what is new or different since a snapshot, folders on the way included.
 * It fits a tree that has that snapshot's sum (walk_sum). */
#ifndef NG_STORE_STREAM_H
#define NG_STORE_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define STREAM_VERSION 1
#define STREAM_INFO "newgate/stream"
#define STREAM_CONF "newgate/jail.conf"
#define STREAM_REMOVED "newgate/removed"
#define STREAM_ROOT "root"

/* Strings owned; NULL where the line is missing. */
struct stream_info {
	char *jail;
	char *backend;  /* how it was kept */
	char *path;     /* as configured, without the -R prefix */
	char *snapshot; /* which it shows; NULL: the jail as it was */
	char *since;    /* of changes: the snapshot that they begin at */
	char *base;     /* of changes: that one's sum */
	char *host;     /* it is no jail, but the host of that domain, by `newgate host backup` */
	int64_t made;   /* seconds since 1970 */
	uint64_t bytes; /* about so many are in the files: for whoever waits */
	bool live;      /* the jail was running meanwhile: its files may not fit together */
};
void stream_info_format(struct str *out, const struct stream_info *i);
/* What is read may be anything: -EBADMSG with the fault told. Lines that are not known are left to
 * later versions. */
int stream_info_parse(const char *text, size_t len, struct stream_info *out,
		      struct ng_err *err) MUST_CHECK;
void stream_info_done(struct stream_info *i);

/* The names in newgate/removed. -EBADMSG: one leads out of the tree, or is cut short. */
int stream_removed_parse(const char *text, size_t len, struct strv *out,
			 struct ng_err *err) MUST_CHECK;

#endif
