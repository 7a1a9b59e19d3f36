/* A whole configuration, checked before anything is changed: every jail by itself, then all of them
 * against one another. One walk over the jails; each look-up is one step. */
#ifndef NG_CONF_CHECK_H
#define NG_CONF_CHECK_H

#include "conf/conf.h"
#include "conf/rcconf.h"

/* Resolves every jail for its start and checks what concerns several: names, numbers, addresses and
 * redirects used twice, jails that depend and allow.connect name, dependency loops. Faults and
 * warnings go to d, in order of the jails. Returns 0, or -EINVAL where there were faults. */
int conf_check_all(const struct conf *c, struct diags *d) MUST_CHECK;

/* The jails of rc.conf's jail_list are configured. Returns 0, or -EINVAL where d now has faults. */
int conf_check_list(const struct conf *c, const struct rcconf *rc, struct diags *d) MUST_CHECK;

#endif
