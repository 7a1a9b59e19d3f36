/* Reading a stream into a tree. */
#ifndef NG_STORE_IMPORT_H
#define NG_STORE_IMPORT_H

#include "store/archive-module.h"
#include "store/store.h"
#include "store/stream-module.h"
#include "store/stream.h"

/* A stream whose head was read. Zero-initialise; import_done in any case. */
struct import {
	const struct store *s; /* is told how far it is */
	struct stream_info info;
	char *definition; /* or NULL; owned */
	struct strv removed;
	/* Called when every file has come, and is whole, before the tree takes its place. May be
	 * NULL. */
	int (*ready)(void *arg, struct ng_err *err);
	void *ready_arg;
	/* import.c's own */
	const struct stream_module *m;
	const struct archive_module *tar;
	void *stream, *archive;
	bool more; /* `ahead` is the entry to take next */
	struct archive_file ahead;
	uint64_t read;
};
int import_open(struct import *i, const struct store *s, int fd, struct ng_err *err) MUST_CHECK;
/* The files of a whole stream and of those with the changes since, n in all and in order, become
 * the tree of jail `jail` at `path` (with the -R prefix). hostname NULL: with the
 * identity that they have. What is cut short, altered or hostile leaves nothing. -EEXIST: the jail,
 * or something at path, exists already. */
int import_jail(struct import *v, size_t n, struct store *s, const char *jail, const char *path,
		const char *hostname, struct ng_err *err) MUST_CHECK;
/* The files of a whole stream, into an empty folder. Where it fails, what came of it stays there. */
int import_folder(struct import *i, int folder, struct ng_err *err) MUST_CHECK;
/* A stream of changes is applied to the jail's tree as snapshot `snap` of it has it, which was taken
 * just now: all of it, or nothing. The jail must not run. */
int import_changes(struct import *i, struct store *s, const char *jail, const char *snap,
		   struct ng_err *err) MUST_CHECK;
void import_done(struct import *i);

#endif
