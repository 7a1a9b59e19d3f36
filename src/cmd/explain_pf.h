/* newgate explain where pf.conf is the firewall. */
#ifndef NG_CMD_EXPLAIN_PF_H
#define NG_CMD_EXPLAIN_PF_H

#include "cmd/output.h"
#include "explain/pf.h"
#include "run/gather.h"

/* What is loaded, or would be. */
struct explain_rules;
/* NULL where pf is off, or where its rules cannot be read, which is told (*status 1). To be freed by
 * explain_rules_free. */
struct explain_rules *explain_rules_read(struct gather *g, const struct rcconf *rc, int *status);
void explain_rules_free(struct explain_rules *r);
void explain_rules_ask(struct explain_rules *r, struct explain_world *w,
		       const struct explain_question *q, struct explain_pf *out);

/* The points that were passed, what was translated there, and a change, a line each: as text they are
 * indented. */
void explain_rules_print(const struct explain_rules *r, const struct explain_pf *p);
void explain_rules_row(const struct explain_rules *r, const struct explain_pf *p, struct output *o);
/* What decides, in a line: the last point. */
void explain_rules_reason(const struct explain_rules *r, const struct explain_pf *p,
			  struct str *out);
/* All ports of both protocols, those alike together; the caller frees. */
struct explain_span *explain_rules_ports(struct explain_rules *r, struct explain_world *w,
					 const struct explain_question *q, size_t *n) MUST_CHECK;

#endif
