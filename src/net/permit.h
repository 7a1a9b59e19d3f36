/* Redirects and permissions of one jail, as elements of the table: private to the network files. */
#ifndef NG_NET_PERMIT_H
#define NG_NET_PERMIT_H

#include "net/net.h"

/* Adds the "elem …" lines of rdr, allow.connect and nat.source to nj->undo. The addresses of nj are
 * known by now. */
int permit_plan(struct net *n, const struct conf_jail *j, net_lookup *lookup, void *arg,
		struct net_jail *nj, struct ng_err *err) MUST_CHECK;
/* Begins an error about one value: "FILE:LINE:COL: WHAT "TEXT"". */
int permit_fault(struct ng_err *err, const char *what, const struct conf_value *v);

/* Does a service of the host listen on that port, at an address that the outside may know? */
bool ports_taken(const struct net *n, int proto, unsigned port, int family);

#endif
