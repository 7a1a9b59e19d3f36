/* Would a connection pass, what decides, and what would turn the answer? Pure, and a second opinion:
 * it works on what is configured and on addresses, and knows nothing of nftables.
 *
 * The policy, in the order in which a connection meets it (rules.nft is the same, for the kernel):
 *   at an address of the host that is not of jails' networks, a port that some jail's rdr names
 *     leads to that jail: for everybody outside, for the host itself, and for a jail that may open
 *     such a connection to the internet. So does a jail's own address, where the outside can reach
 *     it, for the ports that its rdr opens.
 *   from a jail   to another one, to the host or to a network: what allow.connect lists, nothing
 *                 without it. To the internet: what it lists, everything without it; tcp 25 and the
 *                 cloud's metadata addresses (but for port 53) must be named.
 *   from outside  to a jail: what rdr opens, nothing else. To the host: not newgate's business.
 *   from the host everything. */
#ifndef NG_EXPLAIN_EXPLAIN_H
#define NG_EXPLAIN_EXPLAIN_H

#include "base/str.h"
#include "conf/jail.h"
#include "conf/value.h"

/* ---- the world ---- */

/* One value of allow.connect or rdr, read. */
struct explain_connect {
	struct conf_connect c;
	const struct conf_value *value;
	const struct ip *peer; /* the addresses of the jail that it names */
	size_t npeers;
};
struct explain_rdr {
	struct conf_rdr r;
	const struct conf_value *value;
};
struct explain_addr {
	struct ip ip, gateway;
	bool proxy; /* of a network of the host's: nothing is translated */
};
struct explain_jail {
	const char *name, *block;     /* both may be named in allow.connect */
	const struct conf_jail *conf; /* for places in files */
	struct explain_addr *addr;
	size_t naddrs;
	bool listed; /* it has allow.connect */
	struct explain_connect *connect;
	size_t nconnects;
	struct explain_rdr *rdr;
	size_t nrdrs;
	const struct conf_value *source[2]; /* nat.source, by family; NULL */
	bool inherits;                      /* it has no network of its own */
};
/* Owned: what is in the arena. */
struct explain_world {
	struct arena arena;
	struct explain_jail *jail;
	size_t n;
	struct ipnet *range; /* the jails' networks */
	size_t nranges;
	struct ip *host; /* the host's own addresses, those of the jails' networks among them */
	size_t nhosts;
	struct ip
	    outside[2]; /* with which the host itself leaves, by family; family 0: not at all */
};
/* Reads the values of one jail; w->jail[i].conf and .addr are filled in, and those of all others:
 * peers are looked up. */
void explain_read_jail(struct explain_world *w, size_t i);
void explain_world_done(struct explain_world *w);
/* The address to which a jail's redirects of that family lead; NULL. */
const struct explain_addr *explain_target(const struct explain_jail *j, int family);

/* Where clouds tell a machine its secrets: networks, NULL-terminated. */
extern const char *const explain_metadata[];

/* ---- the question ---- */

enum explain_who { WHO_INTERNET, WHO_HOST, WHO_JAIL, WHO_NOBODY };
struct explain_end {
	enum explain_who who;
	size_t jail;  /* WHO_JAIL */
	struct ip ip; /* family 0: none was named */
};
/* A jail's name, "internet", "host", or an address. -EINVAL: it is nothing of these. */
int explain_end_parse(const struct explain_world *w, const char *text,
		      struct explain_end *out) MUST_CHECK;

struct explain_question {
	struct explain_end from, to;
	enum proto proto;
	uint16_t port;
	int family; /* 0: whichever passes, IPv4 first */
};

/* ---- the answer ---- */

enum explain_rule {
	RULE_INSIDE,     /* it does not leave the jail, or the host */
	RULE_HOST_SENDS, /* what the host itself sends is not filtered */
	RULE_HOST_TAKES, /* what comes to the host from outside is not newgate's to filter */
	RULE_RDR,        /* value */
	RULE_NO_RDR,     /* from outside, only what rdr opens */
	RULE_OTHER_RDR,  /* value: the port leads to another jail */
	RULE_CONNECT,    /* value */
	RULE_DEFAULT,    /* without allow.connect: the internet */
	RULE_UNLISTED,   /* value is the list, or NULL: the default; it does not cover this */
	RULE_MAIL,       /* tcp 25 must be named */
	RULE_METADATA,   /* and so must these addresses */
	RULE_PRIVATE,    /* the internet has no way to a private address */
	RULE_NOBODY,     /* nobody has the address */
	RULE_NO_ADDRESS, /* one of both has no address, or none of that family */
	RULE_INHERITS,   /* a jail that has the host's network is the host */
	RULE_BANNED,     /* whoever asks knows of a ban (net/ban.h) */
};
const char *explain_rule_name(enum explain_rule r); /* "rdr", "unlisted"… */

/* One change of one list of one jail. */
struct explain_change {
	size_t jail;
	enum param_id param;             /* P_RDR, P_ALLOW_CONNECT */
	const char *add;                 /* NULL: nothing */
	const struct conf_value *remove; /* NULL: nothing; with add: in its place */
};

#define EXPLAIN_CHANGES 4
struct explain_answer {
	bool pass;
	enum explain_rule rule;
	const struct conf_value *value; /* of jail.conf, that decides; NULL: nothing written does */
	size_t by;                      /* whose value, or whose default */
	/* The way. family 0 where it does not get so far. */
	struct ip src, dst;
	enum explain_who at; /* where it arrives, or would */
	size_t at_jail;
	const struct conf_value *rdr; /* translated by it, or NULL */
	size_t rdr_jail;
	struct ip to; /* the address and port where it arrives */
	uint16_t to_port;
	struct ip seen;                  /* the source as the other end sees it */
	const struct conf_value *source; /* nat.source that says so, or NULL */
	/* What would turn it, all of them together; 0: nothing in jail.conf does. */
	struct explain_change change[EXPLAIN_CHANGES];
	size_t nchanges;
};
/* The strings of changes are the world's. */
void explain(struct explain_world *w, const struct explain_question *q, struct explain_answer *out);
/* The same without looking for changes. */
void explain_walk(const struct explain_world *w, const struct explain_question *q,
		  struct explain_answer *out);
/* Makes the change in the world: for explain itself, and for tests. */
void explain_apply(struct explain_world *w, const struct explain_change *c);

/* ---- in words ---- */

/* "allow.connect of postfix (jail.conf:14)" and the like: why the answer is what it is. */
void explain_reason(struct str *out, const struct explain_world *w,
		    const struct explain_question *q, const struct explain_answer *a);
/* "add "dovecot tcp 24" to allow.connect of postfix (jail.conf:14)". */
void explain_change_text(struct str *out, const struct explain_world *w,
			 const struct explain_change *c);
void explain_end_text(struct str *out, const struct explain_world *w, const struct explain_end *e);

/* ---- no port named: all of them ---- */

/* Ports with one answer. */
struct explain_span {
	enum proto proto;
	struct ports ports;
	struct explain_answer answer;
};
/* Ports of both protocols in ascending order; the caller frees the array. */
struct explain_span *explain_ports(struct explain_world *w, const struct explain_question *q,
				   size_t *n) MUST_CHECK;

#endif
