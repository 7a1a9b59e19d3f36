/* rctl's limits, by the jail's cgroup. openfiles is a resource limit of its processes (privs.h). */
#ifndef NG_JAIL_LIMITS_H
#define NG_JAIL_LIMITS_H

#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "conf/jail.h"
#include "store/store.h"

/* Sets what is configured. cg: the jail's folder, or -1: this host has no cgroup v2. path: the
 * jail's root, to find the disk that io limits are about. What the host cannot limit is told in
 * `notes`, once for each controller. */
int limits_apply(int cg, const struct conf_jail *j, const char *path, struct strv *notes,
		 struct ng_err *err) MUST_CHECK;
/* The same for `disk`, which what keeps the jail's tree has to bound; or lifts it where none is
 * configured. path: the jail's, the -R prefix included. */
int limits_disk(const struct store *s, const struct conf_jail *j, const char *path,
		struct ng_err *err) MUST_CHECK;
/* What rctl's maxproc is to be without the pids controller, 0: there is one, or no limit. The
 * jail's user namespace gets it when it is made (spawn.h). */
uint64_t limits_maxproc(int cg, const struct conf_jail *j);
/* Lifts what may be set and is not configured, in a folder that is in use. */
int limits_lift(int cg, const struct conf_jail *j, struct ng_err *err) MUST_CHECK;

/* One limit as the lines to write: the file, and its text. For tests. */
struct conf_rctl;
const char *limits_file(const struct conf_rctl *r);
void limits_text(const struct conf_rctl *r, char *buf, size_t size);

#endif
