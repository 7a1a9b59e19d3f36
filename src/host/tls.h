/* The host's certificate and its key, in HOST_ETC/tls:
 *
 *   key.pem        made once; it never leaves the host, nor goes into a jail that has no use for it
 *   own.pem        a certificate of that key that nobody vouches for
 *   fullchain.pem  what the jails show: the authority's, and own.pem until that arrives
 *   ca.pem         what the web mail believes beside Debian's authorities: own.pem and acme.ca's
 *
 * A new certificate is one of the same key, so that both fit at any moment: one file is replaced.
 * Before that, TLS_NOT_SHOWN is made, for whoever has the services read it to remove: there, some of
 * them may still show the one before. */
#ifndef NG_HOST_TLS_H
#define NG_HOST_TLS_H

#include "host/cert.h"
#include "host/host.h"

#define HOST_TLS HOST_ETC "/tls"
#define TLS_NOT_SHOWN HOST_DATA "/acme/not-shown"

/* Makes what is missing of the four; own.pem anew where it is not of the hostname. */
int tls_make_own(const struct host *h, struct ng_err *err) MUST_CHECK;
/* What fullchain.pem is now. */
int tls_read(const struct host *h, struct cert *out, struct ng_err *err) MUST_CHECK;
/* A request for a certificate of these names, as PEM. */
int tls_request(const struct host *h, const struct strv *names, struct str *out,
		struct ng_err *err) MUST_CHECK;
/* Puts the chain in place if it is one of our key, for these names, valid now; else what is there
 * stays, and err tells why. */
int tls_install(const struct host *h, const char *chain, const struct strv *names,
		struct ng_err *err) MUST_CHECK;
/* Keeps a copy of the file of certificates, and has acme.ca name it. */
int tls_take_ca(struct host *h, const char *file, struct ng_err *err) MUST_CHECK;
/* The text of acme.ca's file; added to *out. Nothing where none is set. */
int tls_more_ca(const struct host *h, struct str *out, struct ng_err *err) MUST_CHECK;

#endif
