/* The engine of jail(8): every jail walks one table of steps forward to start and one to stop, all
 * jails at once, one command each; a start that fails undoes what came before it in reverse. */
#ifndef NG_RUN_RUN_H
#define NG_RUN_RUN_H

#include <stdbool.h>
#include "base/diag.h"
#include "conf/conf.h"
#include "conf/rcconf.h"
#include "state/state.h"

enum run_op {
	RUN_CREATE = 1,
	RUN_MODIFY = 2,
	RUN_REMOVE = 4,  /* -c -m -r; they combine as jail(8)'s do */
	RUN_FORCE = 8,   /* -R: without the configuration */
	RUN_REPAIR = 16, /* its link and routes are made again; in a plan alone */
};

/* Notes and complaints go through here: run itself never prints. `jail` may be NULL. */
struct run_sink {
	void (*note)(void *arg, const char *jail, const char *text); /* "created"; may be NULL */
	void (*error)(void *arg, const char *jail, const char *text);
	void *arg;
};

struct run_options {
	unsigned op;
	bool quiet;           /* no notes, nor complaints of jails that are not there to remove */
	bool verbose;         /* every operation is noted */
	bool print_jid;       /* note the number of what was created instead */
	bool note_removed;    /* "removed" is worth a note */
	unsigned limit;       /* -p: jails worked on at once; 0: no limit */
	const char *jid_file; /* -J */
	bool terminal;        /* `command` gets the caller's terminal */
	bool wildcard_all;    /* no names were given: all that are configured */
	bool command_line;    /* conf holds the one jail that the command line describes */
	bool aside;           /* conf is not that of /etc: newgate up leaves alone what it starts */
	bool whole;           /* a change leaves nothing as it was: what conf does not mention of a
				 jail is to be the default */
};

/* names: jails, jids or wildcards; n 0 with wildcard_all. Returns 0, or 1 where any failed. SIGINT,
 * SIGTERM and SIGHUP undo what is being started and end the rest. */
int run_jails(struct state *s, const struct conf *conf, const struct rcconf *rc,
	      const struct run_options *o, const char *const *names, size_t n,
	      const struct run_sink *sink);

/* The same for jails that each have operations of their own: no other is drawn in. */
struct run_item {
	const char *jail; /* its block, else the name of one that runs */
	unsigned op;
};
int run_plan(struct state *s, const struct conf *conf, const struct rcconf *rc,
	     const struct run_options *o, const struct run_item *v, size_t n,
	     const struct run_sink *sink);

/* Clears up after jails whose processes are gone and starts that were interrupted: processes,
 * records, claims, elements, cgroups, mounts. How many there were, or -1 where any could not be
 * cleared. A command that names its jails clears those alone, so that it does not have to look at
 * all. */
int run_reap(struct state *s, const struct rcconf *rc, const struct run_sink *sink);

#endif
