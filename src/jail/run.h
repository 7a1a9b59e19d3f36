/* The engine of jail(8): every jail walks one table of steps forward to start and backward to stop,
 * all jails at once, one command each; a step that fails undoes what came before it in reverse. */
#ifndef NG_JAIL_RUN_H
#define NG_JAIL_RUN_H

#include <stdbool.h>
#include "base/diag.h"
#include "conf/conf.h"
#include "conf/rcconf.h"
#include "jail/state.h"

enum run_op {
	RUN_CREATE = 1, RUN_MODIFY = 2, RUN_REMOVE = 4, /* -c -m -r; they combine as jail(8)'s do */
	RUN_FORCE = 8,				       /* -R: without the configuration */
};

/* Notes and complaints go through here: run itself never prints. `jail` may be NULL. */
struct run_sink {
	void (*note)(void *arg, const char *jail, const char *text);  /* "created" */
	void (*error)(void *arg, const char *jail, const char *text);
	void *arg;
};

struct run_options {
	unsigned op;
	bool quiet, verbose, print_jid, clean;
	unsigned limit;	       /* -p: commands at once; 0: no limit */
	const char *jid_file;  /* -J */
	bool terminal;	       /* `command` gets the caller's terminal */
	bool wildcard_all;     /* no names were given: all that are configured */
};

/* names: jails, jids or wildcards; n 0 with wildcard_all. Returns 0, or 1 where any failed. */
int run_jails(struct state *s, const struct conf *conf, const struct rcconf *rc,
	      const struct run_options *o, const char *const *names, size_t n,
	      const struct run_sink *sink);

/* Clears up after jails whose processes are gone: records, claims, elements, cgroups, mounts. Called
 * at the start of every command that changes something; says what it cleared through sink->note
 * where verbose. */
int run_reap(struct state *s, const struct rcconf *rc, const struct run_sink *sink);

#endif
