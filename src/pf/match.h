/* Does a criterion of a rule hold for a packet? The parts of eval.c that look at one thing. */
#ifndef NG_PF_MATCH_H
#define NG_PF_MATCH_H

#include "pf/eval.h"

/* What rules are asked of: `iface` and its side count, not the direction. */
struct pf_at {
	const struct pf_world *w;
	const struct pf_crossing *c;
	const char *anchor; /* whose rules: tables are looked up there first */
};
bool match_iface(const struct pf_at *at, const char *ifname, bool neg);
bool match_addr(const struct pf_at *at, const struct pf_addr *a, const struct ip *ip, bool is_src);
/* An address of the pool for the packet's family; false where it has none. The first: which one
 * round-robin or chance would choose is not known here. */
bool match_pool(const struct pf_at *at, const struct pf_pool *p, int af, struct ip *out);
/* Everything of a filter rule but its interface and direction. */
bool match_filter(const struct pf_at *at, const struct pf_rule *r, const struct pf_packet *p);
/* The same of a translation rule, whose sides may be given the other way round (binat inwards). */
bool match_nat(const struct pf_at *at, const struct pf_rule *r, const struct pf_packet *p);

#endif
