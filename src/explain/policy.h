/* The built-in policy as a pf.conf(5): what would have to stand there so that pf did what newgate does
 * without one. Without macros and tables, so that what pfctl -sn and -sr show says all of it. */
#ifndef NG_EXPLAIN_POLICY_H
#define NG_EXPLAIN_POLICY_H

#include "explain/explain.h"
#include "pf/host.h"

/* Nothing where there is no interface of jails. The order is that of rules.nft; tags stand for what it
 * asks of conntrack: newgate_rdr has been redirected, newgate_open is for a port that rdr opens at a
 * jail's own address, newgate_dns for a name server. */
void explain_policy(struct str *out, const struct explain_world *w, const struct pf_host *host);

#endif
