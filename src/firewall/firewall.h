/* pf on this host: which texts it holds, made ready for nftables; tables, states and counters.
 *
 * What is loaded stands in table `inet newgate` beside the chains that serve jail.conf, and goes
 * there with them in one transaction: net.h does that (net_pf_load). Here is what goes before and
 * after. /run/newgate/pf keeps what was loaded (kept.h). */
#ifndef NG_FIREWALL_FIREWALL_H
#define NG_FIREWALL_FIREWALL_H

#include "conf/rcconf.h"
#include "firewall/host.h"
#include "firewall/kept.h"
#include "pf/lower.h"
#include "state/state.h"

/* Is pf on? As pfctl -e or -d said last, else by rc.conf's pf_enable. */
bool firewall_is_on(const struct state *s, const struct rcconf *rc);
/* Was anything loaded since the host booted? It is kept while pf is off. */
bool firewall_holds(const struct state *s);
int firewall_switch(struct state *s, bool on, struct ng_err *err) MUST_CHECK;

/* A text that is to be a ruleset from now on. */
struct firewall_load {
	const char *anchor; /* "": the main one */
	const char *path;   /* read below the state's root, as are the files that it names */
	const char *text;   /* or NULL; the path is its name then */
	size_t len;
	const char *const *define; /* -D; NULL-terminated, or NULL */
	bool before; /* none of this: the rules and tables of before the last load, all of them */
};

struct firewall {
	struct state *state;
	const struct rcconf *rc;
	struct nl *route, *filter;
	char hash[20]; /* of the rules (not of what tables hold) that are to be loaded; "": nothing
			* was loaded yet */
	int lock;
	/* Made by firewall_make. */
	bool made;
	bool loaded; /* some rules of pf's were loaded before */
	bool same;   /* rules and tables are what is loaded */
	struct firewall_host host;
	struct kept kept;
	struct kept_tables tables;
	struct pf pf;
	struct lower lower;
	struct str text; /* for nft(8) */
};
/* Tells the hash of what was loaded last; and holds the lock on /run/newgate/pf until
 * firewall_done. */
int firewall_open(struct firewall *f, struct state *s, const struct rcconf *rc, struct nl *route,
		  struct nl *filter, struct ng_err *err) MUST_CHECK;
void firewall_done(struct firewall *f);
/* Makes everything ready that is to be loaded; changes nothing. load NULL: what was loaded last, else
 * rc.conf's pf_rules. jails: see host.h. -EINVAL: d has the faults, err says how many. */
int firewall_make(struct firewall *f, const struct strv *jails, const struct firewall_load *load,
		  struct diags *d, struct ng_err *err) MUST_CHECK;
/* It was loaded: writes down what. */
int firewall_keep(struct firewall *f, struct ng_err *err) MUST_CHECK;
/* pf was switched off: gives back what is not needed then. */
void firewall_leave(struct state *s);

/* ---- tables: table.c ---- */

enum firewall_op {
	TABLE_ADD,
	TABLE_DELETE,
	TABLE_REPLACE, /* exactly these */
	TABLE_FLUSH,
	TABLE_EXPIRE, /* those that are older than `age` seconds */
	TABLE_KILL    /* the table itself; only one that pfctl made */
};
struct firewall_change {
	const char *anchor, *name;
	enum firewall_op op;
	const struct pf_entry *entry;
	size_t n;
	uint64_t age;
	bool dry;                         /* only count */
	unsigned added, deleted, changed; /* out */
	bool created;                     /* out */
};
/* -ENOENT: there is no such table. -EPERM: it is const. In the kernel and in what is kept, or in
 * neither. */
int firewall_table_change(struct state *s, struct nl *filter, struct firewall_change *c,
			  struct ng_err *err) MUST_CHECK;
/* What the tables hold, those that rules filled (overload) included. */
int firewall_tables(struct state *s, struct nl *filter, struct kept_tables *out,
		    struct ng_err *err) MUST_CHECK;
/* Is the address in it? */
bool firewall_table_has(const struct kept_table *t, const struct ip *ip);

/* ---- states and counters: states.c ---- */

/* Is it a state of pf's? Else a connection that passed packet by packet. */
struct ct_flow;
bool firewall_is_state(const struct ct_flow *f);
/* The label of the rule that made it, or NULL. The strings are origins'. */
const char *firewall_label(const struct strv *origins, const struct ct_flow *f);
int firewall_origins(struct state *s, struct strv *out, struct ng_err *err) MUST_CHECK;
struct firewall_kill {
	const struct ipnet *from, *to; /* NULL: any */
	const char *label;             /* NULL: any */
};
/* How many states were ended, or -errno. */
int firewall_kill(struct state *s, struct nl *filter, const struct firewall_kill *k,
		  struct ng_err *err) MUST_CHECK;

/* Packets that a rule decided, since the rules were loaded. */
struct firewall_counter {
	const struct pf_rule *rule;
	const struct pf_ruleset *ruleset;
	uint64_t packets, bytes;
};
struct firewall_counters {
	struct firewall_counter *v; /* the caller frees */
	size_t n;
};
/* By the rules of pf, which must be what is loaded: firewall_make(f, …, NULL, …). */
int firewall_count(const struct pf *pf, struct nl *filter, struct firewall_counters *out,
		   struct ng_err *err) MUST_CHECK;

#endif
