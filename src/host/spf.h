/* Would a receiver that looks at SPF take mail of a domain from an address? RFC 7208, but for macros:
 * a term that has one ("%{i}") never matches. */
#ifndef NG_HOST_SPF_H
#define NG_HOST_SPF_H

#include "host/lookup.h"

enum spf {
	SPF_PASS,
	SPF_NEUTRAL,  /* "?all", or nothing matched */
	SPF_SOFTFAIL, /* "~all" */
	SPF_FAIL,     /* "-all" */
	SPF_NONE,     /* the domain has no such record */
	SPF_BROKEN,   /* it, or one that it includes, cannot be read: no receiver goes by it */
	SPF_UNKNOWN   /* nobody answered */
};
/* why: set for the last three. */
enum spf spf_of(const struct resolver *r, const char *domain, const struct ip *from,
		struct ng_err *why) MUST_CHECK;
/* Is this TXT record one of SPF? */
bool spf_is(const char *text);

#endif
