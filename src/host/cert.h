/* Certificates, as openssl(1) reads them. */
#ifndef NG_HOST_CERT_H
#define NG_HOST_CERT_H

#include <time.h>
#include "base/err.h"
#include "base/str.h"

struct cert {
	struct strv names;   /* of subjectAltName: hosts alone */
	char *issuer;        /* "Let's Encrypt, R11"; owned, as the next */
	char *serial;        /* hexadecimal */
	bool own;            /* signed by itself: nobody vouches for it */
	time_t since, until; /* when it is valid */
};
/* The first certificate of a file, which is that of the host. -ENOENT: there is no such file. */
int cert_read(const char *path, struct cert *out, struct ng_err *err) MUST_CHECK;
void cert_done(struct cert *c);
/* What openssl(1) says of a certificate; false where something is missing. */
bool cert_parse(const char *text, struct cert *out) MUST_CHECK;

/* Does it speak for the name, by itself or by a "*."? */
bool cert_covers(const struct cert *c, const char *name);
/* Less than 30 days are left, or than a third of what it lives at all: time for the next one. */
bool cert_due(const struct cert *c, time_t now);
/* Is it of this key? 1, 0, or -errno. */
int cert_of_key(const char *cert, const char *key, struct ng_err *err) MUST_CHECK;

#endif
