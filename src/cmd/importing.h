/* A jail made of streams: what newgate import and newgate restore share. */
#ifndef NG_CMD_IMPORTING_H
#define NG_CMD_IMPORTING_H

#include "cmd/storage.h"
#include "store/import.h"

struct importing {
	struct storage *s;
	struct import *v; /* a whole one and the changes since, opened */
	size_t n;
	const char *jail; /* NULL: its own name */
	char *const *args;
	int nargs;
	/* importing.c's own */
	struct conf definition;
	const struct conf_record *like; /* of it */
	bool written;                   /* its block may be in jail.conf */
};
/* Makes its tree and, where it is not configured, its block. Told, whatever comes of it. */
bool importing_run(struct importing *i) MUST_CHECK;

#endif
