/* pf.conf(5) of FreeBSD: read, expanded, checked, printed (pure).
 *
 * What is here is what pf(4) itself holds after pfctl has loaded a file: macros are gone, every list
 * is expanded to one rule an element, names of services and of the host's interfaces are resolved.
 * Three things work on it and know nothing of each other: print (pfctl -s), eval.h (what pf would do
 * with a packet) and lower.h (what nftables is to do).
 *
 * ---- the jails' side ----
 * Every jail hangs on a routed pair of its own, whose host end stands for the interface that
 * jail.conf names (`interface = "lo100"`): struct pf_iface with `jails` set. On FreeBSD such a jail
 * shares the host's network stack, so its packets cross lo0 or nothing where here they cross the
 * pair. Files written for FreeBSD are to mean the same, and naming lo100 is to mean the jails' side:
 *   jail to jail         in on the pair, then out on the next: both judged, by the rules that name no
 *                        interface, or lo0, or the jails' interface (or a group of either)
 *   jail to host         in on the pair: judged like that. Not `out`.
 *   host to jail         out on the pair: judged like that. Not `in`.
 *   jail to elsewhere    in on the pair: only by rules that name the jails' interface (or a group of
 *                        it) in `on`; else it passes, without a state. Then out on the outer
 *                        interface, as a packet of the host's own.
 *   elsewhere to jail    in on the outer interface; then out on the pair, again only by rules that
 *                        name the jails' interface.
 * The anchor newgate/… is asked about what jails send, wherever it goes.
 * "Elsewhere to jail" and "jail to elsewhere" are decided by the destination after redirection and
 * by the source before nat. */
#ifndef NG_PF_PF_H
#define NG_PF_PF_H

#include <stdbool.h>
#include <stdint.h>
#include "base/diag.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"
#include "pf/host.h"

enum pf_action {
	PF_PASS,
	PF_BLOCK,
	PF_MATCH,
	PF_ANCHOR, /* in any section: the rules of `anchor` are evaluated here */
	PF_SCRUB,
	PF_NO_SCRUB,
	PF_NAT,
	PF_NO_NAT,
	PF_BINAT,
	PF_NO_BINAT,
	PF_RDR,
	PF_NO_RDR
};
enum pf_dir { PF_INOUT, PF_IN, PF_OUT };

/* ---- addresses ---- */

enum pf_addr_type {
	PF_ADDR_ANY,
	PF_ADDR_NET,     /* net; host bits are kept, but do not count */
	PF_ADDR_RANGE,   /* net.addr … last */
	PF_ADDR_TABLE,   /* name */
	PF_ADDR_DYNAMIC, /* (name:mod): the interface's addresses as they are at any time */
	PF_ADDR_NO_ROUTE,
	PF_ADDR_URPF_FAILED
};
enum { PF_MOD_NETWORK = 1, PF_MOD_BROADCAST = 2, PF_MOD_PEER = 4, PF_MOD_NOALIAS = 8 };
struct pf_addr {
	enum pf_addr_type type;
	bool neg;
	struct ipnet net;
	struct ip last;
	const char *name;
	unsigned mods; /* PF_MOD_… */
	int len;       /* PF_ADDR_DYNAMIC: "/N" behind it, or -1 */
};

enum pf_op {
	PF_OP_ANY,
	PF_OP_EQ,
	PF_OP_NE,
	PF_OP_LT,
	PF_OP_LE,
	PF_OP_GT,
	PF_OP_GE,
	PF_OP_RANGE,  /* a:b, both included */
	PF_OP_INSIDE, /* a >< b: both excluded */
	PF_OP_OUTSIDE /* a <> b: below a or above b */
};
/* Ports; uids and gids (UINT32_MAX: unknown) likewise. Use pf_op_has. */
struct pf_range {
	enum pf_op op;
	uint32_t a, b;
};
bool pf_op_has(const struct pf_range *r, uint32_t value);

struct pf_side {
	struct pf_addr addr;
	struct pf_range port;
};

/* ---- translation ---- */

enum pf_pool_type { PF_POOL_ROUND_ROBIN, PF_POOL_RANDOM, PF_POOL_SOURCE_HASH, PF_POOL_BITMASK };
struct pf_pool {
	struct pf_addr *addr; /* PF_ADDR_NET, _RANGE, _DYNAMIC, _TABLE (round-robin only) */
	size_t n;             /* 0: no "->" (the no-rules) */
	enum pf_pool_type type;
	const char *key; /* of source-hash, or NULL */
	bool sticky, static_port;
	uint16_t port_first, port_last; /* 0: none written. nat: where the source port comes from.
	                                 * rdr: the new port; with port_shift, a:b -> port c:* */
	bool port_shift;
};

/* ---- state ---- */

enum pf_keep { PF_STATE_NONE, PF_STATE_KEEP, PF_STATE_MODULATE, PF_STATE_SYNPROXY };
struct pf_state {
	enum pf_keep keep; /* PF_STATE_KEEP of pass rules is implied */
	bool implied;      /* keep was not written */
	uint32_t max, max_src_nodes, max_src_states, max_src_conn; /* 0: no limit */
	uint32_t rate, rate_seconds;                               /* max-src-conn-rate rate/s */
	const char *overload;                                      /* table, or NULL */
	enum { PF_FLUSH_NONE, PF_FLUSH_RULE, PF_FLUSH_GLOBAL } flush;
	enum { PF_TRACK_NONE, PF_TRACK_GLOBAL, PF_TRACK_RULE } track;
	bool sloppy, no_sync, if_bound, floating;
	struct pf_timeout {
		const char *name; /* "tcp.established" */
		uint32_t seconds;
	} * timeout;
	size_t ntimeouts;
};

/* ---- rules ---- */

enum pf_return {
	PF_RETURN_POLICY, /* neither was written; resolved to drop or return by the reader */
	PF_RETURN_DROP,
	PF_RETURN,     /* RST for TCP, unreachable for the rest */
	PF_RETURN_RST, /* return_ttl */
	PF_RETURN_ICMP /* return_icmp, return_icmp6: type << 8 | code */
};

struct pf_rule {
	enum pf_action action;
	struct pos pos;  /* where it is written; of an expanded list, the rule's first word */
	unsigned nr;     /* "@nr": its place among the rules of its ruleset and section */
	unsigned source; /* rules that came of one written rule have one number */
	enum pf_dir dir;
	bool quick, log, log_all;
	bool pass; /* nat pass, rdr pass, binat pass */
	const char *log_if;
	const char *ifname; /* an interface, a group, or NULL: any */
	bool ifnot;
	int af;        /* AF_INET, AF_INET6, 0 */
	uint8_t proto; /* IPPROTO_…, 0: any */
	struct pf_side src, dst;

	enum pf_return ret;
	uint8_t return_ttl;
	uint16_t return_icmp, return_icmp6;

	bool flags_set; /* flags count: written, or implied for TCP by keeping state */
	bool flags_implied;
	uint8_t flags, flags_of;  /* TH_…: (packet & flags_of) == flags; flags_of 0: any */
	int icmp_type, icmp_code; /* -1: any */
	struct pf_state state;
	const char *label, *tag, *tagged; /* NULL */
	bool not_tagged;
	int tos;                     /* -1 */
	uint32_t prob;               /* of UINT32_MAX; 0: always */
	struct pf_range user, group; /* PF_OP_ANY: not asked */
	bool allow_opts, fragment;

	struct pf_pool pool;  /* nat, rdr; binat: one address */
	struct pf_side binat; /* binat's redirect side: unused otherwise */
	const char *
	    anchor; /* PF_ANCHOR: absolute path without a leading '/', "a/b", or "a/" and a star; an
	                        * inline one without a name has "_N" */
	struct pf_scrub {
		bool no_df, random_id, reassemble_tcp, fragment_reassemble;
		uint8_t min_ttl;
		uint16_t max_mss;
		int set_tos; /* -1 */
	} scrub;             /* PF_SCRUB, and `scrub (…)` of match and pass rules */
};

/* ---- rulesets ---- */

struct pf_rules {
	struct pf_rule *v;
	size_t n;
};
struct pf_ruleset {
	const char *path;                               /* "" is the main one; "newgate/web" */
	struct pf_rules scrub, nat, binat, rdr, filter; /* anchors stand in them as PF_ANCHOR */
};

struct pf_table {
	const char *name, *anchor; /* "" is the main ruleset's */
	struct pos pos;
	bool persist, constant, counters;
	bool
	    initialised; /* addresses or a file were given (also `{ }`): a load replaces what is there */
	struct pf_entry {
		struct ipnet net; /* host bits 0 */
		bool neg;
	} * entry; /* sorted, no duplicates; names and interfaces are resolved, files are read */
	size_t n;
	bool referenced;
};

struct pf_options {
	const char **skip;        /* interfaces and groups, NULL-terminated, or NULL */
	bool block_return;        /* set block-policy return */
	bool if_bound;            /* set state-policy */
	const char *loginterface; /* NULL: none */
	bool require_order;       /* default true */
	struct pf_timeout *timeout;
	size_t ntimeouts;
	struct str
	    text; /* of the options as `pfctl -sa` would tell them back: one "set …" a line */
};

/* Owned: everything is in the arena, but for options.text. */
struct pf {
	struct arena arena;
	struct pf_options options;
	struct pf_table *table; /* by (anchor, name) */
	size_t ntables;
	struct pf_ruleset *ruleset; /* [0] is the main one; the others by path */
	size_t nrulesets;
	struct strv files; /* that were read, as named */
};

/* Reads files for the reader, so that it touches none itself: include, table … file, load anchor.
 * 0 with *text (owned by the caller from then on, NUL-terminated, len bytes), or -errno. */
struct pf_reader {
	int (*read)(void *arg, const char *path, char **text, size_t *len);
	void *arg;
	const struct pf_host *host;
	const char *const *define; /* -D: "macro=value", NULL-terminated, or NULL */
	const char
	    *anchor; /* the text is for this anchor (pfctl -a); NULL or "": the main ruleset */
};
/* Adds what the text says to `pf` (zero-initialised, or what was read before: anchors one by one).
 * `name` (kept) stands for it in messages. Faults go to d, in pfctl's words where it has some. */
void pf_read(struct pf *pf, const struct pf_reader *r, const char *name, const char *text,
	     size_t len, struct diags *d);
/* After the last text: anchors that are named are there, tables that are named exist (an empty one
 * is made, with a warning), labels and numbers are given out. */
void pf_finish(struct pf *pf, const struct pf_reader *r, struct diags *d);
void pf_done(struct pf *pf);

const struct pf_ruleset *pf_find_ruleset(const struct pf *pf, const char *path); /* or NULL */
/* The table that a rule of `anchor` means by `name`: the anchor's own, else the main ruleset's. */
const struct pf_table *pf_find_table(const struct pf *pf, const char *anchor, const char *name);
/* Do rules of the pattern "a/" and a star mean the ruleset "a/b"? */
bool pf_anchor_matches(const char *pattern, const char *path);
/* The anchors "newgate/JAIL": what jail.conf itself asks for. The rules come from jail.conf, not from
 * pf.conf; see lower.h. */
#define PF_ANCHOR_NEWGATE "newgate"
bool pf_is_newgate(const char *anchor); /* an anchor rule's: is it one of these? */
bool pf_names_newgate(const struct pf *pf);

/* ---- print ---- */

/* One rule as `pfctl -sr` and `pfctl -sn` show it, without a newline. Read again, it gives the same
 * rule. */
void pf_print_rule(struct str *out, const struct pf *pf, const struct pf_rule *r);
void pf_print_addr(struct str *out, const struct pf_addr *a, int af);
void pf_print_table(struct str *out, const struct pf_table *t); /* as in a file */
/* As `pfctl -vsT` shows it: "cpa-r-C", a tab, the name and, of an anchor's, a tab and the anchor. */
void pf_print_table_flags(struct str *out, const struct pf_table *t);
/* A whole ruleset: a text that, read again, gives the same. what: "options tables scrub nat filter"
 * are all. Inline anchors are printed with their braces. */
enum {
	PF_PRINT_OPTIONS = 1,
	PF_PRINT_TABLES = 2,
	PF_PRINT_SCRUB = 4,
	PF_PRINT_NAT = 8,
	PF_PRINT_FILTER = 16,
	PF_PRINT_ALL = 31
};
void pf_print(struct str *out, const struct pf *pf, const char *path, unsigned what);

#endif
