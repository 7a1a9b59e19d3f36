/* What runs now: one record a jail below /run/newgate, replaced atomically.
 *
 *   jails/NAME     the record: "key value" lines, "end" last
 *   jids/JID       symbolic link to ../jails/NAME: claims the number and finds the jail by it
 *   slots/N        the same: claims user ids N * 65536 + SLOT_BASE …
 *   ctl/JID        the socket on which the jail's PID 1 listens
 *   failed/NAME    why the last start or stop of that jail failed
 *   last.jids, last.slots   the number given last
 *   locks/NAME     held (flock) while a command works on that jail
 * NAME is written as state_name() encodes it. Nothing here is synced to the disk: after a crash of
 * the machine nothing runs, and a record that says otherwise names a process that does not exist.
 *
 * A jail is claimed first, then recorded (`starting`) with its process, then recorded without
 * `starting`. A record whose process is gone, one that is `starting` while nobody holds its lock,
 * and a claim without a record are leftovers of a command that was killed or of a jail that ended
 * by itself: run_reap clears them (run.h). */
#ifndef NG_STATE_STATE_H
#define NG_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"

#define SLOT_BASE 0x40000000u /* first host user id of slot 0 */
#define SLOT_IDS 65536u
#define SLOT_COUNT 16384u
#define SLOT_NONE UINT32_MAX
#define JID_MAX 999999

struct state {
	char *root;   /* the -R prefix, "" for the real one; owned */
	int dir;      /* ROOT/run/newgate */
	char *cgroup; /* name of our cgroup: "newgate", with -R "newgate-HASH"; owned */
};
int state_open(struct state *s, const char *root, struct ng_err *err) MUST_CHECK;
void state_done(struct state *s);

struct record {
	char *name; /* owned, as all strings here */
	int jid;
	pid_t pid;            /* PID 1 of the jail, as the host numbers it; 0: not made yet */
	uint64_t pid_started; /* fd.h pid_start_time */
	uint32_t slot;
	int64_t since; /* seconds since 1970 */
	char *path;    /* as configured, without the -R prefix */
	char *hostname;
	char *link; /* host end of the veth pair, or NULL */
	bool persist;
	bool aside;    /* it is not of the configuration in /etc: newgate up leaves it alone */
	bool starting; /* its start has not ended yet */
	struct strv ip4, ip6; /* bare addresses */
	struct strv
	    param;        /* "name=value" of every kernel parameter and ours, for jls and jail -r */
	struct strv undo; /* what removal must take back, in order of doing: "set rdr4 HEX…",
			     "mount PATH", "proxy IF ADDR"… */
	bool dead;        /* derived, not stored: the process is gone */
};
void record_done(struct record *r);
/* The value of "name=value" in r->param, or NULL. */
const char *record_param(const struct record *r, const char *name);

/* The text of a record and back. What is read may be anything: -EINVAL with the fault told. */
void record_format(struct str *out, const struct record *r);
int record_parse(const char *text, size_t len, struct record *out, struct ng_err *err) MUST_CHECK;

/* A jail's name as a file's (and its cgroup's): '/', '%', blanks, control characters and a leading
 * '.' as %XX. The caller frees. */
char *state_name(const char *jail) MUST_CHECK;
char *state_plain_name(const char *file) MUST_CHECK; /* and back */

int state_write(struct state *s, const struct record *r, struct ng_err *err) MUST_CHECK;
/* Removes the record, then the claims that are its own. */
int state_remove(struct state *s, const struct record *r, struct ng_err *err) MUST_CHECK;
/* By name, or by jid where `who` is all digits and no jail has it as its name. -ENOENT: none. */
int state_find(struct state *s, const char *who, struct record *out, struct ng_err *err) MUST_CHECK;
/* Every record, by jid. The caller frees the array after record_done on each. A record that cannot
 * be read is given as dead, with nothing but its name. */
int state_all(struct state *s, struct record **out, size_t *n, struct ng_err *err) MUST_CHECK;

/* Claims. want 0: any, upwards from the last one given. -EEXIST: that jid is taken. A jail with the
 * name "" is called by its jid. */
int state_claim_jid(struct state *s, const char *name, int want, int *jid,
		    struct ng_err *err) MUST_CHECK;
int state_claim_slot(struct state *s, const char *name, uint32_t *slot,
		     struct ng_err *err) MUST_CHECK;
bool state_has_jid(struct state *s, const struct record *r); /* still? */
void state_release(struct state *s, int jid, uint32_t slot); /* 0, SLOT_NONE: none */
/* Removes what no record backs and no command is working on: claims, half of a record. state_stale
 * only tells whose it is, each name once. */
int state_sweep(struct state *s, struct ng_err *err) MUST_CHECK;
int state_stale(struct state *s, struct strv *jails, struct ng_err *err) MUST_CHECK;
/* The same of anything else that bears a jail's name. */
bool state_is_stale(struct state *s, const char *jail);

/* The reason why a jail's last start or stop failed; NULL: forget it. What cannot be written is not
 * worth a second complaint. */
void state_set_failure(struct state *s, const char *jail, const char *text);
char *state_failure(struct state *s, const char *jail) MUST_CHECK; /* or NULL; the caller frees */
/* Is any reason kept? Of many jails, none has to be asked for where not. */
bool state_has_failures(struct state *s);

/* Waits for and holds the jail's lock; close the descriptor to let go. */
int state_lock(struct state *s, const char *name, struct ng_err *err) MUST_CHECK;
/* The same without waiting: -EWOULDBLOCK where another command holds it; then *wait_fd, if not
 * NULL, is a descriptor on which flock(2) waits, after which state_trylock is to be tried again. */
int state_trylock(struct state *s, const char *name, int *wait_fd, struct ng_err *err) MUST_CHECK;
/* Is another command working on it? */
bool state_busy(struct state *s, const char *name);

#endif
