/* The keys with which a domain's mail is signed: RSA, 2048 bits, selector DKIM_SELECTOR; made by
 * openssl(1). RFC 6376. */
#ifndef NG_HOST_DKIM_H
#define NG_HOST_DKIM_H

#include "host/host.h"

#define DKIM_SELECTOR "ng"
/* Makes the key where there is none yet. */
int dkim_make_key(const struct host *h, const char *domain, struct ng_err *err) MUST_CHECK;
/* What the TXT record at ng._domainkey.DOMAIN holds: "v=DKIM1; k=rsa; p=…". The caller frees. */
int dkim_record(const struct host *h, const char *domain, char **out,
		struct ng_err *err) MUST_CHECK;

#endif
