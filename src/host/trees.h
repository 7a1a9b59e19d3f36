/* What a jail of the host is made of: its template, its tree, and the folders that it writes to, which
 * begin as the template has them. */
#ifndef NG_HOST_TREES_H
#define NG_HOST_TREES_H

#include "host/host.h"
#include "store/store.h"

/* Makes what is missing of it, by mmdebstrap on the host where the template is not there yet, with
 * the packages of `suite`; `run` is that of store_recipe. */
typedef int trees_run(void *arg, const char *jail, const char *path, const char *script,
		      struct ng_err *err);
int trees_make(const struct host *h, struct store *s, const char *jail, trees_run *run,
	       struct ng_err *err) MUST_CHECK;

#endif
