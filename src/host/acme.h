/* What is asked of the certificate authority (RFC 8555), and when. */
#ifndef NG_HOST_ACME_H
#define NG_HOST_ACME_H

#include "host/cert.h"
#include "host/lists.h"

/* Authorities take no more in one certificate. */
#define ACME_NAMES_MAX 100

/* Every name under which the host is asked for by TLS, its own first: what programs look for below
 * each domain, and the sites that have no certificate of their own. */
void acme_names(const struct host *h, const struct host_lists *l, struct strv *out);

/* Does the name lead here, and nowhere else? The authority may try any of its addresses. 0;
 * -ENOENT, -EADDRNOTAVAIL: not so; -EAGAIN: nobody could tell. err says which, beginning with the
 * name. */
int acme_leads_here(const struct host *h, const char *name, struct ng_err *err) MUST_CHECK;

/* Why another certificate is needed than this one (NULL: there is none that could be read), for
 * these names: *why; false: it is not. One that has more names stays: a name whose server is silent
 * today may be back tomorrow. */
bool acme_needed(const struct cert *c, const struct strv *names, time_t now,
		 struct str *why) MUST_CHECK;

/* The tcp ports of the authority: "443", "443 14000". */
void acme_ports(const struct host *h, struct str *out);

/* What to do about what uacme(1) said. */
const char *acme_remedy(const char *said);

#endif
