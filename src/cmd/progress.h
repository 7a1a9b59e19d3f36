/* What a long work has come to: on a terminal one line in its place, kept current; elsewhere a line
 * of its own every ten seconds. All on standard error. */
#ifndef NG_CMD_PROGRESS_H
#define NG_CMD_PROGRESS_H

#include "base/str.h"
#include "store/store.h"

/* The store tells it from now on. */
void progress_attach(struct store *s);
/* Takes the line away, before anything else is printed. */
void progress_end(void);

/* "root.tar: 120.0M of 300.0M, 55.2M/s, 3 s left"; total 0: nobody knows; ms: since it began. */
void progress_text(struct str *out, const char *what, uint64_t done, uint64_t total, uint64_t ms);

#endif
