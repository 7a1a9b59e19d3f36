/* A jail written as a stream: what newgate export and newgate backup share. */
#ifndef NG_CMD_EXPORTING_H
#define NG_CMD_EXPORTING_H

#include "cmd/storage.h"

struct exporting {
	struct storage *s;
	const char *jail;
	const char *snap;  /* a snapshot of it; NULL: as it is now */
	const char *since; /* only what changed since that snapshot; or NULL */
	bool live;         /* if it runs: as its files are met, without a snapshot */
	bool plain;        /* not compressed */
	int fd;
};
/* Of a jail that runs, a snapshot is taken for it and destroyed again; one that does not is kept
 * from starting meanwhile. Told where it fails. */
bool exporting_run(const struct exporting *e) MUST_CHECK;

#endif
