/* The inside of the engine (run.h): one job a jail, and the tables of steps that it walks. */
#ifndef NG_RUN_JOB_H
#define NG_RUN_JOB_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include "conf/jail.h"
#include "conf/map.h"
#include "jail/create.h"
#include "run/depend.h"
#include "run/run.h"

struct job;

/* One line of a table: a list of commands, or a function. */
struct step {
	enum param_id list; /* PARAM_NONE: fn */
	enum { ON_HOST, INSIDE } where;
	int (*fn)(struct job *j); /* 0, or -errno with the complaint made */
};

/* What a job waits for. */
enum wait { WAIT_NOT, WAIT_LOCK, WAIT_HOST, WAIT_MADE, WAIT_INSIDE, WAIT_END };

struct job {
	struct engine *e;
	size_t index; /* in engine.job and engine.graph */
	char *who;    /* name, or jid as given */
	unsigned op;  /* enum run_op */
	bool named;   /* by the user: it must be there (to stop) or not be there (to start) */
	bool may_start, may_modify, may_restart;
	bool only_if_stopped; /* goes up again only if it was we who brought it down */

	struct conf_jail conf; /* resolved; conf.name NULL: none */
	struct conf kept;      /* of a record, where no configuration has the jail */
	struct record rec;
	struct create create;
	struct process proc;
	int lock;
	int netns; /* the ended jail's, for what of it comes back; or -1 */

	/* Where it is. table NULL: not begun, or done. */
	const struct step *table;
	size_t item;     /* next command of the step's list */
	bool going_down; /* which of its stages */
	bool claimed, made, gone, failed;

	enum wait wait;
	int pidfd;        /* WAIT_LOCK, WAIT_HOST */
	int64_t deadline; /* ms of the monotonic clock, 0: none */
	char *text;       /* of the running command */
};

struct engine {
	const struct conf *conf;
	const struct run_options *o;
	const struct run_sink *sink;
	struct host host;
	struct depend graph;
	struct job **job;
	size_t n;
	struct map by_name;
	size_t active, active_max;
	size_t making; /* jobs in WAIT_MADE */
	bool surveyed; /* names and addresses of all jails are told */
	bool reaped;
	bool interrupted;
	bool failed;
	sigset_t mask; /* the caller's: we hear of signals by a descriptor, commands as ever */
	FILE *jid_file;
};

/* ---- job.c: the walk ---- */

/* The jail's note or complaint. */
void job_note(const struct job *j, const char *fmt, ...) PRINTF(2, 3);
void job_error(struct job *j, const char *fmt, ...) PRINTF(2, 3);
/* The same by an error; returns -err->code. */
int job_told(struct job *j, const struct ng_err *err);
/* Walks on until it waits or has come to an end; then the table is NULL. */
void job_walk(struct job *j);
/* What it waited for has come. */
void job_event(struct job *j);
/* The time is over, or (`why` NULL) the user is tired of it. */
void job_timeout(struct job *j);
void job_done(struct job *j); /* releases all */
int64_t job_now(void);
/* A running jail's end that we have caused: waits for it. */
void job_wait_end(int pidfd);
bool job_await_end(int pidfd, int ms); /* false: not in that time */

extern const struct step job_start[], job_stop[], job_force[], job_modify[], job_repair[];

/* ---- stop.c, start.c: the steps ---- */
/* Refuses, as FreeBSD's kernel does, a jail that would end as soon as it is made. */
int start_check(struct job *j);
void start_undo(struct job *j); /* whatever of a start was done */
/* vnet.interface: before the jail's processes are ended, and when they have. */
void stop_hold_links(struct job *j);
void stop_return_links(struct job *j, bool tell);

/* ---- modify.c ---- */
int modify_apply(struct job *j);
/* Is there a difference that only a restart can make? */
bool modify_needs_restart(struct job *j);

/* ---- repair.c ---- */
/* Makes its link and routes again where they are gone; then, if asked to, changes it. */
int repair_apply(struct job *j);

/* ---- reap.c ---- */
/* Ends what a record (with its lock held) still has and takes it back. */
int reap_one(struct host *h, struct record *r, struct ng_err *err);
/* run_reap, telling of it only where the user wants to hear everything. */
int reap_all(struct engine *e);

/* ---- select.c ---- */
struct job *select_add(struct engine *e, const char *who, bool named);
int select_jobs(struct engine *e, const char *const *names, size_t n);
/* Exactly these, in the order that depend wants. */
void select_plan(struct engine *e, const struct run_item *v, size_t n);
/* Before the first start: every jail's name and address, for /etc/hosts and for leases. */
int select_survey(struct engine *e, struct ng_err *err);
int select_lookup(void *engine, const char *jail, struct ip *ips, size_t max);

#endif
