/* The firewalls of others (ufw, firewalld, Docker, hand-made): what their chains do with a packet
 * of a jail's. newgate touches none of them, and no table's accept overrules another's drop: a
 * packet has to pass them all.
 *
 * Rules are read as nft(8) prints them in JSON. Tables that iptables-nft keeps have expressions
 * that nft cannot show; those, and the tables of the old iptables, are read as iptables-save(8)
 * prints them. A condition that is not understood, or about what is not known of the packet, makes
 * a rule one that may apply. */
#ifndef NG_NET_FOREIGN_H
#define NG_NET_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

/* The first packet of a connection, where it meets the hook. */
struct foreign_packet {
	int family;              /* AF_INET, AF_INET6 */
	const char *iif, *oif;   /* NULL: not known, or none at this hook */
	bool from_jail, to_jail; /* the link is a jail's: it has our link group */
	struct ip saddr, daddr;  /* family 0: not known */
	uint8_t proto;           /* 0: not known */
	uint16_t sport, dport;   /* 0: not known */
	bool dnat;               /* was redirected */
};

enum foreign_verdict {
	FOREIGN_PASS,
	FOREIGN_DROP,
	FOREIGN_MAYBE, /* would be dropped, unless by a rule before that is not understood */
};

enum foreign_owner { OWNER_OTHER, OWNER_UFW, OWNER_FIREWALLD, OWNER_DOCKER };

struct foreign_chain {
	const char *family, *table, *name; /* "inet", "filter", "FORWARD" */
	const char *type, *hook;           /* of a base chain ("filter", "forward"), else NULL */
	int priority;
	bool drop;   /* the policy */
	bool legacy; /* iptables-legacy's */
	bool save;   /* iptables', of either kind */
	enum foreign_owner owner;
	struct foreign_rule *rule, **last;
};

struct foreign {
	struct arena arena;
	struct foreign_chain **chain;
	size_t n;
};
/* Zero-initialise; foreign_done releases. Reads all tables but `inet newgate`. What cannot be read
 * is told in err, and the rest is there. 0 or -errno. */
int foreign_read(struct foreign *f, struct ng_err *err) MUST_CHECK;
void foreign_done(struct foreign *f);

struct foreign_answer {
	enum foreign_verdict verdict;
	const struct foreign_chain *base; /* of the hook, that drops */
	const struct foreign_chain *in;   /* where the deciding rule stands */
	const char *rule;                 /* the rule as text; NULL: the policy */
};
/* What base chain number `i` does with the packet; FOREIGN_PASS where it does not meet it, at that
 * hook ("forward", "input"). */
void foreign_judge(const struct foreign *f, size_t i, const char *hook,
		   const struct foreign_packet *p, struct foreign_answer *out);

/* What lets jails' packets pass a base chain that drops them: command lines and remarks ("# …"). in:
 * those that come from jails; out: those that go to jails. */
void foreign_fix(const struct foreign_chain *c, bool in, bool out, struct strv *lines);

/* For foreign.c's readers, and tests. */
struct json;
void foreign_read_nft(struct foreign *f, const struct json *ruleset);
/* family: "ip" or "ip6". */
void foreign_read_save(struct foreign *f, const char *family, bool legacy, char *text);

#endif
