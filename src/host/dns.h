/* The DNS records that a web and mail host wants, and whether the DNS has them, or others that serve
 * as well. */
#ifndef NG_HOST_DNS_H
#define NG_HOST_DNS_H

#include "host/lists.h"
#include "host/lookup.h"

enum dns_what {
	DNS_HOST, /* addresses of the mail host: its and no others */
	DNS_WEB,  /* addresses of what the web jail serves */
	DNS_MX,
	DNS_SPF, /* of a domain, and of the mail host itself, which names itself in HELO */
	DNS_DKIM,
	DNS_DMARC,
	DNS_STS,    /* MTA-STS, RFC 8461: its id changes with the policy that the web jail serves */
	DNS_TLSRPT, /* RFC 8460 */
	DNS_SRV,    /* where clients find what, RFC 6186, 8314, 5804 */
	DNS_CAA,    /* who may certify: none is fine, another is not */
	DNS_PTR,    /* what the provider of an address has to set */
	DNS_HELO    /* no record: what postfix calls itself */
};
enum dns_state {
	DNS_UNSEEN, /* not compared */
	DNS_FINE,
	DNS_MISSING,
	DNS_WRONG,
	DNS_UNKNOWN /* nobody answered */
};
const char *dns_state_text(enum dns_state s); /* "fine", "missing", … */

struct dns_record {
	enum dns_what what;
	enum lookup_type type;
	char *zone; /* the domain below which it stands; owned, as the next */
	char *name; /* the whole one, without a dot at the end */
	char *data; /* as lookup.h has it; NULL: there must be none of that type */
	/* After dns_check(), where it is not fine: */
	enum dns_state state;
	char *why;    /* "names 198.51.100.1, which is not this host" */
	char *remedy; /* "set  example.org. MX 10 mail.example.org." */
};
struct dns {
	struct dns_record *v;
	size_t n;
	char *policy_fault; /* what is wrong with the MTA-STS policy itself, or NULL */
};
/* The records of every domain and site. */
int dns_of(const struct host *h, const struct host_lists *l, struct dns *out,
	   struct ng_err *err) MUST_CHECK;
void dns_done(struct dns *r);

/* Those below one domain (NULL: all) as a zone file, what others have to set as comments. */
void dns_zone(const struct dns *r, const char *domain, struct str *out);
/* One of them as a line of a zone file: "example.org. MX 10 mail.example.org." */
void dns_line(const struct dns_record *r, const char *data, struct str *out);
const char *dns_type_text(const struct dns_record *r);

/* Compares those below the domain (NULL: all) with what is there. Once twenty seconds were spent waiting
 * for answers that did not come, the rest stays unseen. How many are not fine. */
size_t dns_check(const struct host *h, struct dns *r, const char *domain,
		 const struct resolver *dns);

/* The value of a "tag=value; tag=value" record's tag, without its blanks; NULL: it has none. The
 * caller frees. */
char *dns_tag(const char *text, const char *tag) MUST_CHECK;

#endif
