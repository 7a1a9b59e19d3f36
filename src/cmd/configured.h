/* What the verbs begin with that compare the configuration with what runs. */
#ifndef NG_CMD_CONFIGURED_H
#define NG_CMD_CONFIGURED_H

#include "conf/conf.h"
#include "conf/rcconf.h"
#include "run/run.h"
#include "state/state.h"

struct configured {
	struct conf conf;
	struct rcconf rc;
	struct diags diags;
	struct state state;
};
/* Reads and checks every file; what is wrong is told. 0, or 1: the exit status. Zero-initialise;
 * configured_done in any case. */
int configured_open(struct configured *c) MUST_CHECK;
/* The same but jail.conf: the caller has filled in c->conf. */
int configured_open_rest(struct configured *c) MUST_CHECK;
void configured_done(struct configured *c);

/* Is the name (no wildcard) that of a configured jail or of one that runs? Told otherwise, with the
 * nearest one. */
bool configured_knows(struct configured *c, const char *name);

/* Where the engine's notes and complaints go. */
extern const struct run_sink configured_sink;

#endif
