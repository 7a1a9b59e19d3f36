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
	char *text;
};

/* Zero-initialise. Holds at most DIAG_MAX; what comes later is only counted. */
#define DIAG_MAX 200
struct diags {
	struct diag *v;
	size_t n;
	unsigned errors, warnings;
};

void diag_error(struct diags *d, struct pos p, const char *fmt, ...) PRINTF(3, 4);
void diag_warn(struct diags *d, struct pos p, const char *fmt, ...) PRINTF(3, 4);
/* "file:line:col: text" without a newline; the caller frees. */
char *diag_format(const struct diag *d) MUST_CHECK;
void diags_done(struct diags *d);

#endif
