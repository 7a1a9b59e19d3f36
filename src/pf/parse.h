/* The reader's insides. parse*.c read one statement after the other into what it says ("written"),
 * expand.c makes rules of it: one for each combination of the elements of its lists.
 *
 * A function that returns bool returns false where it has reported a fault; the rest of the
 * statement is skipped then. */
#ifndef NG_PF_PARSE_H
#define NG_PF_PARSE_H

#include "pf/pf.h"
#include "pf/token.h"

#define PF_RULES_MAX 200000u /* of one read: a list of lists of lists can mean any number */
#define PF_ENTRIES_MAX 4000000u
#define PF_INCLUDE_DEPTH 16u
#define PF_INCLUDES_MAX 1000u
#define PF_BLOCK_DEPTH 32u
#define PF_NAME_MAX 63u   /* labels, tags, each name of an anchor's path */
#define PF_PATH_MAX 1023u /* an anchor's path */
#define PF_TABLE_MAX 31u
#define PF_IFNAME_MAX 15u

/* ---- what is written ---- */

struct host {
	struct pf_addr addr;
	int af;           /* 0: of either family */
	const char *zone; /* of a link-local address: its interface, or NULL */
};
struct hosts {
	struct host *v;
	size_t n;
};
struct ranges {
	struct pf_range *v;
	size_t n;
};
struct ifnames {
	struct ifname {
		const char *name;
		bool neg, dynamic; /* dynamic: antispoof for (IF) */
	} * v;
	size_t n;
};
struct protos {
	uint8_t *v;
	size_t n;
};
struct icmps {
	struct icmp {
		int type, code;
		uint8_t proto;
	} * v;
	size_t n;
};

/* A list of rules in a ruleset. */
enum where { IN_FILTER, IN_SCRUB, IN_NAT, IN_BINAT, IN_RDR };

/* A rule before its lists are expanded. An empty list stands for any. */
struct written {
	struct pf_rule r;
	enum where where;
	struct ifnames on;
	struct protos proto;
	struct icmps icmp;
	struct hosts src, dst, pool;
	struct ranges sport, dport, user, group;
	bool flags, keep; /* "flags", "… state" was written */
	bool arrow;       /* "->" was written */
	bool pool_type;   /* round-robin and so on was written */
};
struct written written_blank(enum pf_action action, enum where where); /* says nothing yet */
void written_done(struct written *w);

/* ---- the parser ---- */

enum section {
	SECTION_NONE,
	SECTION_OPTION,
	SECTION_SCRUB,
	SECTION_QUEUE,
	SECTION_NAT,
	SECTION_FILTER
};

struct parser {
	struct pf *pf;
	const struct pf_reader *r;
	struct diags *d;
	struct tokens *tok; /* the file that is being read */
	struct macros macros;
	const char *path; /* of the ruleset that rules go to */
	enum section section;
	struct pos start;                  /* of the statement */
	unsigned included;                 /* files, so far */
	unsigned includes, blocks, braces; /* open here: files, anchors, the statement's lists */
	unsigned source, rules;            /* the last number, how many */
	bool lost; /* a list lacked its end: the current token begins a statement */
	const struct pf_state *defaults; /* set state-defaults, or NULL */
	struct load {
		const char *path, *file;
		struct pos pos;
	} * load; /* load anchor: to be read at the end */
	size_t nloads;
};

/* The current token. */
bool p_at(const struct parser *p, const char *word);
bool p_at_op(const struct parser *p, const char *op);
bool p_at_end(const struct parser *p);  /* of the statement */
bool p_at_text(const struct parser *p); /* a word or a string */
void p_next(struct parser *p);
bool p_take(struct parser *p, const char *word);
bool p_take_op(struct parser *p, const char *op);
bool p_expect(struct parser *p, const char *word);
bool p_expect_op(struct parser *p, const char *op);
/* The text of a word or string, kept; NULL: `what` was expected, reported. */
const char *p_text(struct parser *p, const char *what);
bool p_number(struct parser *p, const char *what, uint32_t max, uint32_t *out);

/* All return false. */
bool p_fault(struct parser *p, struct pos at, const char *fmt, ...) PRINTF(3, 4);
/* At a token that does not belong here: `what` was expected; `words` are those it may be a
 * misspelling of. */
bool p_unexpected(struct parser *p, const char *what, const char *const *words, size_t n);

/* Behind the word that introduces it: one item, or "{ item [,] item … }". */
typedef bool item_fn(struct parser *p, void *out);
bool p_list(struct parser *p, item_fn *item, void *out);
/* At the "{"; flags: a list may be an element, there may be no element. */
enum { LIST_NEST = 1, LIST_EMPTY = 2 };
bool p_list_items(struct parser *p, item_fn *item, void *out, unsigned flags);
/* The section that the statement belongs to; pfctl's order. */
bool p_in_section(struct parser *p, enum section s);
/* Can the name be printed and read again, and is it not too long? what: "tag". */
bool p_good_name(struct parser *p, struct pos at, const char *what, const char *name, size_t max);

/* ---- parse_host.c: addresses ---- */

bool parse_host(struct parser *p, void *hosts);             /* an item: struct hosts */
bool parse_table_name(struct parser *p, const char **name); /* "<name>" */
/* What a word means as an address: adds to hosts. len -1: no "/len" follows. */
bool resolve_host(struct parser *p, struct pos at, const char *word, int len, bool neg,
		  struct hosts *out);
struct host *hosts_add(struct hosts *h);
/* The addresses of an interface or group (mods: PF_MOD_…); false: it has none. */
bool interface_hosts(const struct pf_host *host, const char *name, unsigned mods, int len, bool neg,
		     struct hosts *out);
bool good_interface(struct parser *p, struct pos at, const char *name);

/* ---- parse_side.c: on, proto, from, to, user ---- */

bool parse_on(struct parser *p, struct written *w);        /* ["on" …] */
bool parse_af(struct parser *p, struct written *w);        /* ["inet" | "inet6"] */
bool parse_proto(struct parser *p, struct written *w);     /* ["proto" …] */
bool parse_sides(struct parser *p, struct written *w);     /* ["all" | "from" … "to" …] */
bool parse_log(struct parser *p, struct written *w);       /* behind "log" */
void parse_dir(struct parser *p, struct written *w);       /* ["in" | "out"] */
bool parse_log_quick(struct parser *p, struct written *w); /* { "log" … | "quick" } */
bool parse_label(struct parser *p, struct written *w);     /* behind "label" */
bool parse_ifname(struct parser *p, void *ifnames);        /* an item */
bool parse_ids(struct parser *p, bool group, struct ranges *out);
/* A service's name, number, or "a:b"; star: "a:*" too (*star is set). */
bool parse_port(struct parser *p, struct pos at, const char *word, struct pf_range *out,
		bool *star);

/* ---- the statements; at the word that begins them ---- */

bool parse_option(struct parser *p); /* parse_set.c */
bool parse_table(struct parser *p);  /* parse_table.c */
bool parse_scrub(struct parser *p, bool no);
bool parse_nat(struct parser *p, bool no); /* parse_nat.c: nat, rdr, binat */
bool parse_nat_anchor(struct parser *p);
bool parse_filter(struct parser *p); /* parse_filter.c: pass, block, match */
bool parse_antispoof(struct parser *p);
bool parse_anchor(struct parser *p); /* parse_anchor.c */
bool parse_load(struct parser *p);
/* Options of filter rules up to the end, or the "{" of an anchor. */
bool parse_filter_options(struct parser *p, struct written *w); /* parse_options.c */
/* "tag" and "tagged"; found: one was there. */
bool parse_tags(struct parser *p, struct written *w, bool *found);
bool parse_tos(struct parser *p, int *tos);
/* Up to and over the ")", or to the end of the line. parse_state.c. */
bool parse_state_options(struct parser *p, struct pf_state *s, bool in_parentheses);

/* parse.c: statements up to the end of the file, or to the "}" of the block. */
void parse_statements(struct parser *p, bool block);

/* ---- check.c: what pfctl refuses ---- */

/* Before it is expanded; also sets what is implied: state, flags. */
bool check_written(struct parser *p, struct written *w);
bool check_families(struct parser *p, const struct written *w); /* of translations */
bool check_rule(struct parser *p, const struct written *w, const struct pf_rule *r);

/* ---- expand.c ---- */

/* Adds the rules that the statement stands for. */
bool expand_written(struct parser *p, struct written *w);
/* pf.c: the ruleset of that path, made if it is missing. Pointers into pf->ruleset end here. */
struct pf_ruleset *pf_ruleset_at(struct pf *pf, const char *path);
/* nesting.c: anchors that contain themselves, or are too deep. */
void pf_check_nesting(const struct pf *pf, struct diags *d);
struct pf_rules *pf_rules_of(struct pf_ruleset *rs, enum where where);
void *pf_grow(struct arena *a, void *v, size_t n, size_t size); /* as mem_grow, in the arena */

#endif
