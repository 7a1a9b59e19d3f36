/* What the files of the lowering share. */
#ifndef NG_PF_LOWERING_H
#define NG_PF_LOWERING_H

#include "pf/lower.h"

#define LOWER_PAIRS "ng*" /* the host ends of jails' pairs */

/* One way for a packet to match a rule: all of these. */
struct alt {
	int af; /* 0: either */
	size_t n;
	struct lower_match m[24];
};
struct alts {
	struct alt *v;
	size_t n;
};
void alts_done(struct alts *a);

/* What a rule becomes: each alternative, then the steps. */
struct item {
	struct alts alts;
	const struct lower_step *step;
	size_t nsteps;
	const char *id;
};
struct items {
	struct item *v;
	size_t n;
};
void items_done(struct items *v);

struct lowering {
	struct lower *out;
	const struct pf *pf;
	const struct pf_host *host;
	struct diags *d;
	const struct pf_iface **jails; /* the interfaces of jails */
	size_t njails;
	struct strv tags;                     /* by number - 1 */
	struct names *chains, *shared, *once; /* by name; by what they do; lowering_once */
	unsigned nshared;
	struct decision {
		const struct lower_step *step;
		size_t nsteps;
		const char *id;
	} * decision;
	size_t ndecisions;
};

/* Where rules are looked at. */
struct place {
	struct lowering *w;
	enum pf_dir dir;
	bool far;           /* on the jails' side, from or to elsewhere */
	bool local;         /* what the host sends to itself: rdr on lo0 */
	bool split;         /* TCP's flags of rules without a protocol become two alternatives */
	bool returns;       /* a copy of the filter, in front of it, that only refuses */
	const char *prefix; /* of chains' names */
	size_t ruleset;     /* index */
};

void *lowering_copy(struct lowering *w, const void *p, size_t size);
char *lowering_text(struct lowering *w, const char *fmt, ...) PRINTF(2, 3);
struct lower_op *lowering_op(struct lowering *w, enum lower_kind kind, const char *name);
struct lower_op *lowering_rule_op(struct lowering *w, const char *chain, enum pf_dir dir);
void lowering_rule(struct lowering *w, const char *chain, enum pf_dir dir,
		   const struct lower_match *m, size_t nm, const struct lower_step *s, size_t ns);
/* True the first time that it is asked about this name. */
bool lowering_once(struct lowering *w, const char *name);
bool lowering_has(const struct lowering *w, const char *chain);
/* A chain of this name, made once. False: it was there. */
bool lowering_chain(struct lowering *w, const char *name, const char *hook);
/* The chain that does this, made where there is none yet. `text` tells these steps from others. */
const char *lowering_shared(struct lowering *w, const char *text, enum pf_dir dir,
			    const struct lower_step *s, size_t n);

/* ---- lower_match.c ---- */
struct lower_match match_of(enum lower_field field, const char *value);
/* With the bytes by which a look-up finds it. */
struct lower_match match_key(struct lower_match m, const void *lo, const void *hi, size_t size);
void alts_add(struct alts *a, const struct alt *one);
void alts_add_one(struct alts *a, int af, struct lower_match m);
/* Networks that may overlap, as a set's elements; NULL: none. */
char *match_nets(struct lowering *w, const struct pf_entry *v, size_t n, int af);
/* ---- lower_iface.c ---- */
/* The interface condition alone. False: no packet here can match. */
bool match_on(const struct place *p, const char *ifname, bool neg, struct alts *out);
/* The interfaces that a name means, without any pair. */
void match_names(const struct place *p, const char *ifname, struct alts *out);
/* All conditions of a rule; no alternative: nothing here can match. Errors go to w->d. */
void match_rule(const struct place *p, const struct pf_rule *r, struct alts *out);
/* Adds a condition to every alternative. */
void alts_all(struct alts *a, struct lower_match m);
/* Does the name mean near packets of pairs (lo0); the jails' interface? */
void match_meaning(const struct lowering *w, const char *ifname, bool *near, bool *far,
		   bool *every);
const char *match_mark(struct lowering *w, uint32_t value, uint32_t last, uint32_t mask);
unsigned lowering_tag(struct lowering *w, const char *tag); /* its number, from 1 */
unsigned lowering_tag_bits(const struct lowering *w);

/* ---- lower_table.c ---- */
void lower_table(struct lowering *w, const struct pf_table *t);
/* What the user should know of the whole: warnings. */
void lower_advice(struct lowering *w);

/* ---- lower_run.c ---- */
/* Emits the items as rules of the chain: runs of alike ones as one. */
void emit_items(struct lowering *w, const char *chain, enum pf_dir dir, const struct items *v);

/* Each gives the rules of the main ruleset and its anchors, for one place, to the chain. False: there
 * are none, and no chain was made. */
/* ---- lower_filter.c ---- */
bool lower_filter(struct place *p, const char *chain);
bool filter_returns(const struct pf *pf); /* does a rule refuse what leaves, by an answer? */
/* ---- lower_nat.c ---- */
bool lower_nat(struct place *p, const char *chain);
bool lower_rdr(struct place *p, const char *chain);
/* ---- lower_scrub.c ---- */
bool lower_scrub(struct place *p, const char *chain);

#endif
