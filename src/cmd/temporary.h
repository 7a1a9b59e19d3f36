/* Snapshots that a command takes for itself, and those of jails that run. */
#ifndef NG_CMD_TEMPORARY_H
#define NG_CMD_TEMPORARY_H

#include "cmd/storage.h"

/* Everything here is told where it fails. */

/* The jail's lock, and its record where it runs: r->name is set then. */
bool temporary_look(struct storage *s, const char *jail, int *lock, struct record *r) MUST_CHECK;
/* Takes a snapshot; a jail that runs stands still for it where it is a copy. */
bool temporary_snapshot(struct storage *s, const char *jail, const char *name,
			const struct record *r) MUST_CHECK;

/* One that lasts as long as this process: what a killed one left goes first. Its name, which the
 * caller frees; or NULL. */
char *temporary_take(struct storage *s, const char *jail, const struct record *r) MUST_CHECK;
bool temporary_drop(struct storage *s, const char *jail, const char *name) MUST_CHECK;

#endif
