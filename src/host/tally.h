/* Failures, counted by address, in a room that does not grow: who comes from more addresses than there
 * is room for has others forgotten that fell into the same bucket, and which do is for chance to say. */
#ifndef NG_HOST_TALLY_H
#define NG_HOST_TALLY_H

#include <stdint.h>
#include "base/ip.h"
#include "host/host.h"

#define TALLY_ADDRESSES 8192

struct tally; /* the caller frees it */
struct tally *tally_new(void) MUST_CHECK;
/* Counts one more, at a time in seconds that never goes back. True: with it, there are as many as the
 * terms bear; the count begins anew then. */
bool tally_add(struct tally *t, const struct ipnet *net, int64_t now, const struct host_ban *terms);

#endif
