/* Would a connection pass where pf.conf is the firewall? The way of the first packet, and of the answer
 * to it, through pf's crossings, each judged by pf/eval.h; what jail.conf asks for is asked of explain.h where the rules name it
 * (anchor "newgate/…"). */
#ifndef NG_EXPLAIN_PF_H
#define NG_EXPLAIN_PF_H

#include "explain/explain.h"
#include "pf/eval.h"

/* Somebody on the internet, where the question names nobody: addresses for documentation, in no
 * table that anybody keeps. */
#define EXPLAIN_SOMEBODY4 "192.0.2.1"
#define EXPLAIN_SOMEBODY6 "2001:db8::1"

struct explain_hop {
	struct pf_crossing crossing;
	struct pf_packet before;
	struct pf_verdict v;
};
struct explain_pf {
	struct explain_hop hop[2]; /* in, out; as many as there are */
	size_t nhops;
	struct explain_hop back; /* where the answer to it is blocked: it would come back there */
	bool unanswered;
	bool pass, reached; /* reached: the walk came to pf at all; else a alone tells */
	/* As explain.h would have it: where it arrives, with which source. The rule is the built-in
	 * policy's, which counts where the anchor decided. */
	struct explain_answer a;
};
/* q->port is one port. */
void explain_pf(struct explain_world *w, const struct pf *pf, const struct pf_host *host,
		const struct explain_question *q, struct explain_pf *out);
/* Did the anchor newgate/… decide there? */
bool explain_pf_newgate(const struct explain_hop *h);
/* The point that decides. */
const struct explain_hop *explain_pf_last(const struct explain_pf *p); /* or NULL */
/* "in on eth0: pass, by /etc/pf.conf:12: pass in on eth0 …", without a newline. */
void explain_pf_hop(struct str *out, const struct pf *pf, const struct explain_hop *h);
/* "redirected to 10.0.0.2 port 80 by /etc/pf.conf:7: rdr …"; nothing where nothing was translated. */
void explain_pf_translation(struct str *out, const struct pf *pf, const struct explain_hop *h);
/* A rule that would turn the answer, and where it belongs; nothing where none would. */
void explain_pf_change(struct str *out, const struct explain_pf *p);

#endif
