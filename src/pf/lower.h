/* A checked ruleset as operations for nftables (pure). nft.h makes text of them.
 *
 * ---- how pf's meaning is kept ----
 * `in` is judged at prerouting behind redirection, `out` at postrouting behind source NAT: there the
 * addresses are those that pf's filter sees. nftables takes the first rule that matches, pf the last
 * (or the first that is quick): so the quick rules stand in order, and behind them the others in
 * reverse. An anchor is cut the same way, its quick part jumped to among the quick rules, the rest
 * among the others. Where rules set tags (or `match` has an effect), which applies even if another
 * rule decides in the end, they stand in their order, each notes itself in the packet's mark, and
 * what is noted last is done.
 *
 * A state is a bit in the connection's mark: LOWER_IN was set by a rule that passed its packet
 * inwards, so that packets of that direction pass inwards and the answers outwards; LOWER_OUT the
 * other way round. Where the first packets passed without a state, an answer may be what makes one:
 * LOWER_REPLY_IN and LOWER_REPLY_OUT, with the directions the other way round. A connection without
 * a bit is judged packet by packet.
 *
 * Runs of rules that are alike but for an address, a port, an interface or what they do become one
 * look-up. Every rule keeps its counter: the rule's or the element's comment is its id, see
 * lower_id().
 *
 * ---- the jails' side (pf.h) ----
 * Host ends of jails' pairs are in link group 28263 and named ng*. A packet that comes in on one is
 * `near` where it goes to the host or to another pair, one that leaves on one where it came from a
 * pair or from the host itself; these are judged with all others. The rest is `far`: rules that name
 * the jails' interface stand once more in a chain of their own for it.
 *
 * ---- the anchor newgate/… ----
 * rdr-anchor and nat-anchor jump to the chains that serve jail.conf without a pf.conf. In the filter
 * the anchor passes what a jail sends with LOWER_NEWGATE in the packet's mark, which has the chains
 * `input` and `forward` decide it by allow.connect; and what jail.conf's rdr lets in. What leads
 * from a jail elsewhere meets the anchor where it enters, whether or not other rules name the
 * jails' interface. */
#ifndef NG_PF_LOWER_H
#define NG_PF_LOWER_H

#include "pf/pf.h"

/* Of the connection's mark. The bits from 16 to 26 number what made the state, see origin. */
#define LOWER_IN 0x10000000u
#define LOWER_OUT 0x20000000u
#define LOWER_REPLY_IN 0x80000000u
#define LOWER_REPLY_OUT 0x08000000u
#define LOWER_STATE (LOWER_IN | LOWER_OUT | LOWER_REPLY_IN | LOWER_REPLY_OUT)
#define LOWER_RETURN 0x40000000u /* our own answer to what was blocked may leave */
#define LOWER_ORIGIN_SHIFT 16
#define LOWER_ORIGIN_MAX 2047
/* Of the packet's mark. The bits from 16 to 30 hold the tag, and above it what was decided. */
#define LOWER_NEWGATE 0x80000000u
#define LOWER_MARK_SHIFT 16
#define LOWER_MARK_BITS 15

enum lower_field {
	LF_IFACE,     /* the interface of the chain's direction; "ng*" for all that begin so */
	LF_PAIR,      /* it is a jail's pair; no value */
	LF_FROM_PAIR, /* out: the packet came in on one */
	LF_TO_PAIR,   /* in: it will leave on one */
	LF_FAMILY,    /* ipv4, ipv6 */
	LF_PROTO,
	LF_SRC,
	LF_DST,
	LF_SPORT,
	LF_DPORT,
	LF_FLAGS, /* "SET/OF" as numbers */
	LF_ICMP_TYPE,
	LF_ICMP_CODE,
	LF_TOS,
	LF_OPTIONS,   /* IP options; no value */
	LF_SRC_LOCAL, /* an address of this host */
	LF_DST_LOCAL,
	LF_SRC_LOCAL_HERE, /* of the packet's interface */
	LF_DST_LOCAL_HERE,
	LF_DST_KIND, /* local, broadcast… */
	LF_SRC_NO_ROUTE,
	LF_DST_NO_ROUTE,
	LF_URPF_FAILED,
	LF_UID,
	LF_GID,
	LF_CHANCE, /* of 2^32 - 1 */
	LF_MARK,   /* "VALUE/MASK" of the packet; VALUE may be a span */
	LF_CT_MARK,
	LF_CT_DIRECTION,
	LF_CT_STATE,
	LF_CT_STATUS,
	LF_CT_SOURCE /* of the connection's first packet */
};
struct lower_match {
	enum lower_field field;
	bool neg, key; /* key: a single value or a span, which a look-up can hold */
	int af;        /* of addresses and ICMP */
	const char *value;
	uint8_t lo[16], hi[16]; /* of a key */
};

enum lower_do {
	LD_ACCEPT,
	LD_DROP,
	LD_RETURN,
	LD_GOTO,      /* arg: chain */
	LD_JUMP,      /* arg: chain */
	LD_STATE,     /* a: bits, b: origin */
	LD_MARK,      /* a: value, b: mask */
	LD_LOG,       /* arg: prefix */
	LD_REJECT,    /* arg: "tcp reset", "icmp 1", … */
	LD_ADD,       /* arg: set; the source's address. af */
	LD_OVER_RATE, /* arg: set; more than a in b seconds from a source. af */
	LD_OVER_CONN, /* arg: set; more than a connections from a source. af */
	LD_OVER_MAX,  /* more than a connections */
	LD_ROOM,      /* arg: set; the source is in it or there is room. af */
	LD_NO_DF,
	LD_MIN_TTL, /* a. af */
	LD_MAX_MSS, /* a */
	LD_SET_TOS, /* a. af */
	LD_DNAT, /* arg: "to …", "prefix to …"; b: the protocol of its ports, 256: TCP and UDP. af */
	LD_SNAT,
	LD_MASQUERADE /* arg: ports, or NULL */
};
struct lower_step {
	enum lower_do what;
	int af;
	const char *arg;
	uint32_t a, b;
};

enum lower_kind { LOWER_SET, LOWER_CHAIN, LOWER_RULE };
struct lower_op {
	enum lower_kind kind;
	const char *name; /* of the set, of the chain, of the rule's chain */
	/* a set */
	const char *type;
	bool dynamic; /* filled by rules; else spans from a table */
	uint32_t size;
	unsigned days; /* until the kernel forgets an element; 0: never */
	const char **elem;
	size_t nelems;
	/* a chain: "nat prerouting -100", or NULL */
	const char *hook;
	/* a rule */
	size_t chain; /* the operation that makes its chain */
	enum pf_dir dir;
	struct lower_match *match;
	size_t nmatches;
	struct lower_step *step;
	size_t nsteps;
	const char *id; /* NULL: no rule of pf's, not counted */
	/* many: one look-up of the fields of `match` that `keys` tells, else as above */
	size_t *keys, nkeys;
	struct lower_elem {
		const struct lower_match *match; /* as many as the rule has; nkeys of them count */
		struct lower_step verdict;
		const char *id;
	} * many;
	size_t nmany;
};

/* Owned; the strings of pf and host must outlive it. */
struct lower {
	struct arena arena;
	struct lower_op *op;
	size_t n;
	struct strv localnet; /* interfaces that redirect to 127.0.0.1 ("all": any) */
	bool newgate;         /* the filter names the anchor newgate/… */
	/* What made a state, by number - 1: labels, and rules whose overload flushes. In: those that
	 * have their number already. */
	struct strv origin;
};
/* Lowers everything. What nftables cannot do is an error, what is kept in another way a warning. */
void pf_lower(struct lower *l, const struct pf *pf, const struct pf_host *host, struct diags *d);
void lower_done(struct lower *l);
/* A line an operation, for people and for golden tests. */
void lower_print(struct str *out, const struct lower *l);

/* "RULESET.SECTION.NR": the ruleset's place in pf->ruleset, a letter (s, b, r, n, f), the rule's nr.
 * The rule, or NULL where it is none. */
const struct pf_rule *lower_id(const struct pf *pf, const char *id);
/* The name of the set that a table is: kind 't' as loaded, 'd' filled by overload. */
void lower_set_name(struct str *out, const struct pf_table *t, char kind, int af);
/* How long the kernel remembers what overload put into a table: so long that the age of an entry can
 * be told from what is left. */
#define LOWER_OVERLOAD_DAYS 3650
/* Is the table the overload of some rule? Then it has the second kind of set, too. */
bool lower_is_overload(const struct pf *pf, const struct pf_table *t);

/* A table's entries as disjoint spans of one family ("a-b", "a/len", "a"): the most specific entry
 * decides. The strings are the arena's. */
struct lower_spans {
	const char **v;
	size_t n;
};
struct lower_spans lower_spans(struct arena *a, const struct pf_entry *entry, size_t n, int af);

#endif
