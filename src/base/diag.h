/* Diagnostics of configuration files: several in one run, each at file:line:column. */
#ifndef NG_BASE_DIAG_H
#define NG_BASE_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include "base/macro.h"

/* A place in a file. `file` is not owned. line 0: the whole file; col 0: the whole line. */
struct pos {
	const char *file;
	unsigned line, col; /* from 1; columns count bytes, a tab is one */
};

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum diag_level level;
	char *file;
	unsigned line, col;
	char *subject;   /* whose fault it is, or NULL */
	unsigned others; /* that have the very same fault, from the same place */
	char *last;      /* the one of them that was told last */
	char *text;      /* visible, and cut in its middle where it is longer than DIAG_TEXT */
};

/* Zero-initialise. Holds at most DIAG_MAX; what comes later is only counted. */
#define DIAG_MAX 200
#define DIAG_TEXT 1000
struct diags {
	struct diag *v;
	size_t n;
	unsigned errors, warnings;
	unsigned repeated; /* of the errors: others, of all of them */
};

void diag_error(struct diags *d, struct pos p, const char *fmt, ...) PRINTF(3, 4);
void diag_warn(struct diags *d, struct pos p, const char *fmt, ...) PRINTF(3, 4);
/* An error of one of many: what stands in one place may be wrong for each of them, and is told
 * once.
 */
void diag_error_of(struct diags *d, const char *subject, struct pos p, const char *fmt, ...)
    PRINTF(4, 5);
/* A warning that is the same for many is given once, and none takes the room that faults need: half
 * of what is kept is theirs. */
void diag_warn_once(struct diags *d, struct pos p, const char *fmt, ...) PRINTF(3, 4);
/* "file:line:col: subject: text" without a newline; the caller frees. */
char *diag_format(const struct diag *d) MUST_CHECK;
/* How many were counted, but not kept. */
size_t diags_dropped(const struct diags *d);
void diags_done(struct diags *d);

#endif
