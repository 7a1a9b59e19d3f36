/* The few lines of rc.conf(5) that concern jails. Shell assignments only: NAME="value", comments,
 * continuation lines; anything that would need a shell to evaluate is a fault. Other variables are
 * left alone, without a word, unless they look like one of ours misspelt. */
#ifndef NG_CONF_RCCONF_H
#define NG_CONF_RCCONF_H

#include <stdbool.h>
#include "base/diag.h"
#include "base/ip.h"
#include "base/mem.h"

struct rc_interface {
	const char *name;
	bool cloned; /* listed in cloned_interfaces: newgate makes it */
	struct ipnet
	    *addr; /* "inet A netmask M", "inet A/len", "inet6 A prefixlen L", "inet6 A/len" */
	size_t naddrs;
	struct pos pos;
};

struct rcconf {
	struct arena arena;
	bool jail_enable, jail_reverse_stop, pf_enable, gateway_enable;
	bool jail_enable_set;   /* it is said at all, YES or NO */
	const char **jail_list; /* NULL-terminated, or NULL */
	struct pos jail_list_pos;
	const char *pf_rules; /* default "/etc/pf.conf" */
	struct rc_interface *interface;
	size_t ninterfaces;
};

/* Reads `path`; a file that does not exist gives the defaults. */
int rcconf_read(struct rcconf *rc, const char *path, struct diags *d) MUST_CHECK;
void rcconf_read_text(struct rcconf *rc, const char *name, const char *text, size_t len,
		      struct diags *d);
const struct rc_interface *rcconf_interface(const struct rcconf *rc,
					    const char *name); /* or NULL */
void rcconf_done(struct rcconf *rc);

#endif
