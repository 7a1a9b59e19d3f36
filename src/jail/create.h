/* Making one jail and taking it away again: everything on the host that belongs to it, in order,
 * and back in reverse. What runs inside and around it is the engine's (run.h). */
#ifndef NG_JAIL_CREATE_H
#define NG_JAIL_CREATE_H

#include "net/net.h"
#include "jail/spawn.h"
#include "state/state.h"
#include "store/store.h"

/* What one command holds of the host. */
struct host {
	struct state *state;
	const struct rcconf *rc;
	struct store store;
	struct net net;
	bool net_open;
	int cgroup; /* folder of all jails, -1: this host has no cgroup v2 */
};
int host_open(struct host *h, struct state *s, const struct rcconf *rc,
	      struct ng_err *err) MUST_CHECK;
void host_done(struct host *h);
/* The network is opened when it is first needed: removing a plain jail needs none of it. */
int host_net(struct host *h, struct ng_err *err) MUST_CHECK;

/* A jail on its way: zero-initialise, create_done releases. */
struct create {
	char *path; /* the -R prefix included */
	struct store_layout layout;
	struct mounts mounts;
	struct net_jail net;
	struct privs privs;
	bool viewed; /* an overlay is mounted at path for the hooks */
};
void create_done(struct create *c);

/* Claims: a number, user ids, addresses. The record is filled in but for its process. The caller
 * holds the lock; of a jail without a name, *lock is -1, and is its number's afterwards. -EEXIST,
 * -EADDRINUSE: another jail has the jid, the address. */
int create_claim(struct host *h, const struct conf_jail *j, net_lookup *lookup, void *arg,
		 int *lock, struct create *c, struct record *r, struct ng_err *err) MUST_CHECK;
/* An overlay jail's root exists in the jail only. For exec.prepare and exec.prestart, which may
 * want to write below path, it is mounted there on the host, and taken away again before the jail
 * is made: an overlay's upper layer must not be in use twice. Nothing for other jails. */
int create_view(struct host *h, const struct conf_jail *j, struct create *c, struct record *r,
		struct ng_err *err) MUST_CHECK;
int create_unview(struct create *c, struct record *r, struct ng_err *err) MUST_CHECK;
/* The jail itself, on its way (spawn.h). Notes are what could not be done as asked. */
int create_make(struct host *h, const struct conf_jail *j, struct create *c, struct record *r,
		struct process *out, struct strv *notes, struct ng_err *err) MUST_CHECK;

/* Takes back all that a record stands for, its processes having ended: elements, mounts, cgroup,
 * claims, the record itself. Goes on past errors; the first is told. */
int create_undo(struct host *h, const struct record *r, struct ng_err *err);

/* Opens what that will need of the network, for the time in which the jail's end is awaited. */
void create_undo_ahead(struct host *h, const struct record *r);

/* "name=value" of everything that is set, for the record. */
void create_params(struct strv *out, const struct conf_jail *j, const struct privs *p);

#endif
