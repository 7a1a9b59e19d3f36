/* What pf(4) would do with a packet: its semantics once more, on the checked rules, independent of
 * nftables. explain and the property test ask it; nothing that loads rules does.
 *
 * pf looks at a packet once for each interface that it crosses: `in` where it comes from the wire,
 * `out` where it leaves. Per crossing: set skip; a state's packet passes, translated as the state
 * says; scrub; translation (binat, then rdr on the way in or nat on the way out, the first that
 * matches); the filter, which sees the translated addresses: the last that matches wins, `quick`
 * ends; nothing matched: pass, without a state. */
#ifndef NG_PF_EVAL_H
#define NG_PF_EVAL_H

#include "pf/pf.h"

struct pf_packet {
	int af;
	uint8_t proto;
	struct ip src, dst;
	uint16_t sport, dport;
	uint8_t flags; /* TCP's TH_… */
	int icmp_type, icmp_code;
	int tos;
	uint32_t uid, gid; /* of the host's own socket; UINT32_MAX: none */
	const char *tag;   /* at most one at a time; NULL */
	bool fragment;
};

/* One crossing. jails: `iface` is a pair of the jails' interface; near: the other side is a jail or
 * the host itself, so that rules without `on` and those on lo0 count too (see pf.h). */
struct pf_crossing {
	enum pf_dir dir;
	const struct pf_iface *iface;
	bool jails, near;
};

struct pf_verdict {
	enum { PF_VERDICT_PASS, PF_VERDICT_BLOCK } verdict;
	enum pf_return ret;                /* of a block */
	bool skipped;                      /* set skip */
	bool by_state;                     /* a state's packet: no rule was asked */
	const struct pf_rule *rule;        /* that decided; NULL: the default, or skipped */
	const char *anchor;                /* the ruleset that it stands in */
	const struct pf_rule *translation; /* nat, rdr, binat that was applied, or NULL */
	bool keeps_state;
	struct pf_packet packet; /* as it goes on */
};

/* A world keeps the states and the tables' contents; several packets may pass through it. */
struct pf_world {
	const struct pf *pf;
	const struct pf_host *host;
	struct pf_states *states; /* owned; opaque */
	/* The answer for the rules of anchor newgate/…: what jail.conf asks for. Returns 1 pass, 0
	 * block, -1 says nothing about it. NULL: nothing is asked for. */
	int (*newgate)(void *arg, const struct pf_crossing *c, const struct pf_packet *p);
	/* The redirect of jail.conf that applies; true with *to and *port. */
	bool (*newgate_rdr)(void *arg, const struct pf_crossing *c, const struct pf_packet *p,
			    struct ip *to, uint16_t *port);
	bool (*newgate_nat)(void *arg, const struct pf_crossing *c, const struct pf_packet *p,
			    struct ip *from);
	/* Which route leads to the address (no-route, urpf-failed): the interface, or NULL. */
	const struct pf_iface *(*route)(void *arg, const struct ip *to);
	void *arg;
};
/* Judges one crossing; a state that it makes stays in the world. p is not changed. */
void pf_eval(struct pf_world *w, const struct pf_crossing *c, const struct pf_packet *p,
	     struct pf_verdict *out);
void pf_world_done(struct pf_world *w); /* forgets the states */

#endif
