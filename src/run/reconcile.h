/* What newgate up has to do: from what is configured and what runs to a list of actions, each told
 * in words. Pure: it decides over what gather.h has found. */
#ifndef NG_RUN_RECONCILE_H
#define NG_RUN_RECONCILE_H

#include "conf/jail.h"
#include "jail/privs.h"
#include "state/state.h"

/* One jail from both sides. Nothing here is owned. */
struct reconcile_jail {
	const char *name;  /* the record's, else the one it will have */
	const char *block; /* NULL: not configured */
	const struct conf_jail
	    *conf;                /* of the block, else of the record; NULL: it cannot be read */
	const struct strv *param; /* of conf, for the record */
	const struct privs *privs;
	const struct record *rec; /* NULL: it does not run */
	const struct strv *elems; /* its lines of record.undo, as planned; NULL: not known */
	const struct strv *ip;    /* its addresses, as planned; NULL: not known */
	const struct strv *lost;  /* of its link and routes, a sentence each */
	const char *fault;        /* why it cannot be planned, or NULL */
	bool busy;                /* another command is just starting or clearing it up */
	bool wanted;              /* is to run */
	bool unwanted;            /* is not to run, though it is configured */
	bool looked_at;           /* it is one of those that the command is about */
};

enum act_kind {
	ACT_REPAIR, /* the host's part, where jail is NULL; else leftovers of a jail, or its link */
	ACT_STOP,
	ACT_RESTART,
	ACT_START,
	ACT_CHANGE,
	ACT_FAULT, /* cannot be put right: why */
};
const char *act_word(enum act_kind k); /* "repair", "stop"… */

struct act {
	enum act_kind kind;
	char *jail; /* as run_item wants it; NULL: the host's part */
	char *text; /* "opens tcp 25 to mail" */
};
struct reconcile {
	struct act *v;
	size_t n;
	unsigned *op; /* of each jail: enum run_op, 0: nothing */
	bool heal;    /* the host's part */
};
/* host: faults of what all jails share. stale: of whom something is there without a
 * record (stray.h). */
void reconcile(const struct reconcile_jail *v, size_t n, const struct strv *host,
	       const struct strv *stale, struct reconcile *out);
void reconcile_done(struct reconcile *r);
/* Tells one more thing that is to be done, behind the others. */
void reconcile_add(struct reconcile *r, enum act_kind kind, const char *text);

/* words.c: the difference of one jail's changeable parameters, a sentence each; and of those alone
 * that say who may connect to whom, and what it may use. */
void reconcile_words(const struct reconcile_jail *j, struct strv *out);
void reconcile_permissions(const struct reconcile_jail *j, struct strv *out);

#endif
