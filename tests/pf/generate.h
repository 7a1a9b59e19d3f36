/* Random rulesets and packets for the router of router.h: drawn so that many rules match many
 * packets. The same seed gives the same. */
#ifndef NG_TESTS_PF_GENERATE_H
#define NG_TESTS_PF_GENERATE_H

#include "pf/eval.h"

void generate_seed(unsigned seed);
int generate_number(int n); /* 0 … n - 1 */
void generate_rules(struct str *out);
/* One that comes in on that wire. first: it begins a connection, and is no answer to another. */
void generate_packet(int wire, bool first, struct pf_packet *out);

#endif
