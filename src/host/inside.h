/* Programs run in one of the host's jails, where the tools of its service are. */
#ifndef NG_HOST_INSIDE_H
#define NG_HOST_INSIDE_H

#include "base/err.h"
#include "base/str.h"
#include "state/state.h"

/* Runs argv as the jail's root, with `input` (NULL: none) as its standard input; both outputs are
 * added to *out (NULL: nowhere). Its exit status, or -errno; -ENOENT: the jail does not run, and err
 * tells how to start it. */
int inside_run(struct state *s, const char *jail, const char *const *argv, const char *input,
	       struct str *out, struct ng_err *err) MUST_CHECK;
/* The same where it must end well: 0, or err ends with what it said last. */
int inside_do(struct state *s, const char *jail, const char *const *argv, const char *input,
	      struct str *out, struct ng_err *err) MUST_CHECK;
/* Makes the jail's service look again at its configuration: /etc/host/reload. That ends with 75,
 * having said for which file it waits, where the service is only starting: it is waited for. */
int inside_reload(struct state *s, const char *jail, struct ng_err *err) MUST_CHECK;
bool inside_runs(struct state *s, const char *jail);

#endif
