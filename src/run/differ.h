/* How a running jail differs from what it is to be, parameter by parameter. Pure. */
#ifndef NG_RUN_DIFFER_H
#define NG_RUN_DIFFER_H

#include "jail/privs.h"
#include "state/state.h"

/* The jail as it is to be: its parameters as a record keeps them (create.h create_params). */
struct differ_want {
	const struct conf_jail *conf;
	const struct strv *param;
	const struct privs *privs;
	/* What conf does not mention is to be the default; else it stays as it is. */
	bool whole;
};

/* A default that is not mentioned and one that is written are the same. */
bool differ_param(const struct record *r, const struct strv *param, enum param_id id);
/* What takes a restart, in words ("ip4.addr"), or NULL. *created: FreeBSD's kind, fixed at
 * creation.
 */
const char *differ_fixed(const struct record *r, const struct differ_want *w, bool *created);

#endif
