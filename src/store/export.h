/* Writing a stream of a jail. */
#ifndef NG_STORE_EXPORT_H
#define NG_STORE_EXPORT_H

#include "base/str.h"
#include "store/store.h"

struct export_how {
	const char *definition; /* the jail's block, complete; or NULL */
	const char *path;       /* as configured, without the -R prefix; or NULL */
	const char *snap;       /* the snapshot; NULL: as it is */
	const char *since;      /* only what changed since that snapshot; or NULL */
	const char *host;       /* what is written is no jail: struct stream_info's host; or NULL */
	bool live;              /* it runs */
	bool zstd;
	struct strv *left_out; /* gets the names of what no stream carries: devices, sockets */
};
/* Writes the jail's stream to fd. `dir` (with the -R prefix) is its tree where newgate made none for
 * it; or NULL. */
int export_jail(struct store *s, const char *jail, const char *dir, const struct export_how *how,
		int fd, struct ng_err *err) MUST_CHECK;
/* The same of an open folder that is no jail's tree; `name` is what the stream calls it. */
int export_folder(struct store *s, const char *name, int root, const struct export_how *how, int fd,
		  struct ng_err *err) MUST_CHECK;

#endif
