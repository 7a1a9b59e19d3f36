/* What the name servers of this host's resolv.conf(5) say: by the resolver of the C library, which
 * asks one after the other, and by TCP where an answer is long. RFC 1035, 2782, 3596, 8659. */
#ifndef NG_HOST_LOOKUP_H
#define NG_HOST_LOOKUP_H

#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"

enum lookup_type {
	LOOKUP_A,    /* "203.0.113.10" */
	LOOKUP_AAAA, /* "2001:db8::10" */
	LOOKUP_PTR,  /* "mail.example.org"; the name asked for is that of lookup_reverse() */
	LOOKUP_MX,   /* "10 mail.example.org" */
	LOOKUP_TXT,  /* its strings as one */
	LOOKUP_SRV,  /* "0 1 993 mail.example.org" */
	LOOKUP_CAA   /* "0 issue letsencrypt.org" */
};
const char *lookup_type_text(enum lookup_type t); /* "A" */

/* Adds a text for each record of that type, also where an alias (CNAME) leads to it. Names are in
 * small letters, without the dot at the end; what a name server says may hold any byte but NUL.
 *
 * 0; -ENOENT: there is no such name, or it has none of that type; -EAGAIN: nobody answered, or those
 * who did could not tell (two tries of at most three seconds a server, less where resolv.conf says so);
 * err tells either. `root`: the -R prefix, whose /etc/resolv.conf is read for its IPv4 servers where it
 * names any. */
int lookup(const char *root, enum lookup_type type, const char *name, struct strv *out,
	   struct ng_err *err) MUST_CHECK;

/* Whom to ask: lookup() below the root that is `arg`, or what a test has in its place. */
struct resolver {
	int (*ask)(void *arg, enum lookup_type type, const char *name, struct strv *out,
		   struct ng_err *err);
	void *arg;
};
int lookup_ask(void *root, enum lookup_type type, const char *name, struct strv *out,
	       struct ng_err *err) MUST_CHECK; /* for resolver.ask */

/* The address backwards: "10.113.0.203." and `zone`, or in-addr.arpa, ip6.arpa where that is NULL. The
 * caller frees. */
char *lookup_reverse(const struct ip *a, const char *zone) MUST_CHECK;

/* Reads an answer: the records of that type. 0, or -EBADMSG. For tests; lookup() calls it. */
int lookup_read(const unsigned char *answer, size_t len, enum lookup_type type,
		struct strv *out) MUST_CHECK;

#endif
