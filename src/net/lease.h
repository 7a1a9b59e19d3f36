/* Addresses that jails got by `auto`, and networks that newgate chose: ROOT/var/lib/newgate/leases,
 * a journal of lines
 *
 *   net IF ADDR/LEN        the gateway and network of an interface, chosen once
 *   jail IF ADDR NAME      the jail's address there, the same at every start
 *   free NAME              the jail was destroyed
 *
 * New lines are appended under a lock, one write each, and synced once a command; a file that has
 * grown stale is rewritten. */
#ifndef NG_NET_LEASE_H
#define NG_NET_LEASE_H

#include <stdbool.h>
#include "base/diag.h"
#include "base/err.h"
#include "base/ip.h"

struct lease {
	char *jail; /* NULL: a network, net.addr is the gateway */
	char *ifname;
	struct ipnet net;
};
struct leases {
	char *path; /* owned */
	int fd;     /* -1: there is no file yet */
	off_t seen; /* what was read of it */
	struct lease *v;
	size_t n, stale; /* stale: lines that no longer mean anything */
	bool dirty;
};
int leases_open(struct leases *l, const char *root, struct ng_err *err) MUST_CHECK;
void leases_done(struct leases *l);
/* Holds the lock and reads what others have added meanwhile. leases_unlock lets go. */
int leases_lock(struct leases *l, struct ng_err *err) MUST_CHECK;
void leases_unlock(struct leases *l);
/* With the lock held. jail NULL: a network. */
int leases_add(struct leases *l, const char *jail, const char *ifname, const struct ipnet *net,
	       struct ng_err *err) MUST_CHECK;
int leases_free(struct leases *l, const char *jail, struct ng_err *err) MUST_CHECK;
int leases_rename(struct leases *l, const char *from, const char *to,
		  struct ng_err *err) MUST_CHECK;

/* What in the file makes no sense, or contradicts itself. */
void leases_check(const char *root, struct diags *d);

#endif
