/* Parameters of a running jail, as jls(8) shows them: from its record, else the table's default. */
#ifndef NG_STATE_QUERY_H
#define NG_STATE_QUERY_H

#include <stdbool.h>
#include "conf/param.h"
#include "state/state.h"

/* One parameter that was asked for. */
struct query {
	enum param_id id;
	const char *name; /* as asked for: "persist", "nopersist", "meta.owner"; not owned */
	bool negated;     /* spelt with "no" */
	const struct param *param; /* its line of the table */
};

/* -ENOENT where a running jail has no parameter of that name; err says what there is. `name` must
 * outlive the query. */
int query_parse(struct query *q, const char *name, struct ng_err *err) MUST_CHECK;
/* Every parameter, those without a dot first, each group sorted. The caller frees the array. */
struct query *query_all(size_t *n) MUST_CHECK;
static inline bool query_is_list(const struct query *q)
{
	return q->param->type == PT_LIST || q->param->type == PT_ADDRS ||
	       q->param->type == PT_COMMANDS;
}
/* Adds the value to `out`: for a list its values, else exactly one text, "" where it is unset. A
 * boolean is "true" or "false" in the spelling that was asked for. `all`: every record, for parent
 * and children.cur. */
void query_value(const struct query *q, const struct record *r, const struct record *all, size_t n,
		 struct strv *out);
/* Would `jail -c` make use of it for a jail like this one? Not where it can only be read, where its
 * group (ip4 of ip4.addr) is not `new`, where nothing was set, or what was not has no effect. */
bool query_is_input(const struct query *q, const struct record *r);

#endif
