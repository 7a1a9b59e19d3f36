/* New versions of the templates that the host's jails are clones of, and whether a jail that runs on one
 * does what it should. */
#ifndef NG_HOST_UPGRADE_H
#define NG_HOST_UPGRADE_H

#include "host/served.h"
#include "host/trees.h"

/* Makes template host-JAIL anew where anything that it is made of is: its packages, of which the newest
 * version is taken, or fetched by mmdebstrap where that is in use already; the script of this newgate.
 * *made: the version, owned by the caller; NULL: nothing is new. */
int upgrade_template(struct store *s, const char *jail, trees_run *run, char **made,
		     struct ng_err *err) MUST_CHECK;
/* One that does not do what it should is to be nobody's: the next clone, and the next upgrade, begin
 * with what there is then. Packages that were fetched for it go too. */
int upgrade_forget(struct store *s, const char *jail, const char *version,
		   struct ng_err *err) MUST_CHECK;

/* Jail `name`, which runs and is like `jail`: it listens on all of `want`, reads its configuration
 * without complaint, and answers. -EINVAL and the like, and err tells what is wrong. */
int upgrade_check(struct state *st, const char *name, const char *jail, const struct served *want,
		  struct ng_err *err) MUST_CHECK;

#endif
