/* A jail of the host tried on a new version of its template, beside the one that runs. */
#ifndef NG_CMD_HOST_TRIAL_H
#define NG_CMD_HOST_TRIAL_H

#include "base/err.h"
#include "host/served.h"

/* A clone of the version runs as jail "upgrade_JAIL" does, but for what others would notice: nothing
 * leads to it, and what it writes is its own. 0: it does what it should (host/upgrade.h). Nothing is
 * left of it. */
int host_trial(const char *jail, const char *version, const struct served *want,
	       struct ng_err *err) MUST_CHECK;
/* Where the clone's output is, if it did not. The caller frees. */
char *host_trial_log(const char *jail) MUST_CHECK;
/* Ends what a killed one left. */
int host_trial_clear(const char *jail, struct ng_err *err) MUST_CHECK;

#endif
