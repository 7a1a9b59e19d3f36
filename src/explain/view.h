/* What is configured, as the world that explain.h walks through; and what the other firewalls of the
 * host would say. */
#ifndef NG_EXPLAIN_VIEW_H
#define NG_EXPLAIN_VIEW_H

#include "explain/explain.h"
#include "net/foreign.h"
#include "run/gather.h"

/* Jails in the order of the gathered ones. g must outlive w. */
void explain_view(struct explain_world *w, struct gather *g);

/* The first foreign chain that drops the connection, or may, on its way: FOREIGN_PASS where none
 * does. Only of a connection that newgate lets through. */
enum foreign_verdict explain_foreign(struct gather *g, const struct foreign *f,
				     const struct explain_question *q,
				     const struct explain_answer *a, struct foreign_answer *out);
/* "table ip filter, chain FORWARD: policy drop" */
void explain_foreign_text(struct str *out, const struct foreign_answer *f);
/* What mends it: command lines, and remarks. */
void explain_foreign_fix(struct str *out, const struct explain_question *q,
			 const struct explain_answer *a, const struct foreign_answer *f);

#endif
