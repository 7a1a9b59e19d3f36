/* What a jail of the host is made of: its template, its tree, and the folders that it writes to, which
 * begin as the template has them. */
#ifndef NG_HOST_TREES_H
#define NG_HOST_TREES_H

#include "host/host.h"
#include "host/owners.h"
#include "store/store.h"

/* Makes what is missing of it, by mmdebstrap on the host where the template is not there yet, with
 * the packages of `suite`; `run` is that of store_recipe. */
typedef int trees_run(void *arg, const char *jail, const char *path, const char *script,
		      struct ng_err *err);
int trees_make(const struct host *h, struct store *s, const char *jail, trees_run *run,
	       struct ng_err *err) MUST_CHECK;
/* The same in two: template and tree, then the folders that are missing. */
int trees_make_tree(const struct host *h, struct store *s, const char *jail, trees_run *run,
		    struct ng_err *err) MUST_CHECK;
int trees_make_folders(const struct host *h, const struct store *s, const char *jail,
		       struct ng_err *err) MUST_CHECK;
/* Gives the folders of all jails below `data`, which is like HOST_DATA, to those who have the names
 * of their owners now (owners_change). */
int trees_own(int data, const struct owners *from, const struct owners *to,
	      struct ng_err *err) MUST_CHECK;

#endif
