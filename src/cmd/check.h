/* newgate check: what it reads besides jail.conf. */
#ifndef NG_CMD_CHECK_H
#define NG_CMD_CHECK_H

#include "conf/rcconf.h"
#include "firewall/host.h"
#include "pf/pf.h"

/* Reads the ruleset at `path` as loading it would: faults and warnings go to d; returns how many
 * files were read. NULL: rc.conf's pf_rules, if pf is enabled. */
size_t check_pf(const struct rcconf *rc, const char *path, struct diags *d);
/* The same, but only reads: pf and host are the caller's to release. */
size_t check_pf_read(const struct rcconf *rc, const char *path, struct pf *pf,
		     struct firewall_host *host, struct diags *d);

#endif
