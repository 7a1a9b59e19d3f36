/* What the parts of pfctl share. */
#ifndef NG_CMD_PFCTL_H
#define NG_CMD_PFCTL_H

#include "cmd/output.h"
#include "conf/rcconf.h"
#include "firewall/firewall.h"
#include "net/net.h"

struct pfctl {
	struct state state;
	struct rcconf rc;
	struct net net;
	struct firewall f; /* what is loaded, or what is to be; made by pfctl_loaded */
	bool made;
	bool built_in;      /* it is the built-in policy, of which nothing is counted */
	const char *anchor; /* -a; "" */
	unsigned verbose;
	bool quiet, json;
	struct strv define; /* -D */
};

/* Reads rc.conf and opens the network; what is wrong is told: 0 or 1. */
int pfctl_open(struct pfctl *p) MUST_CHECK;
/* Makes what is loaded ready to be shown: p->f.pf. Told where it cannot be: 0 or 1. */
int pfctl_loaded(struct pfctl *p) MUST_CHECK;
/* As pfctl does on standard error, unless -q. */
void pfctl_say(const struct pfctl *p, const char *fmt, ...) PRINTF(2, 3);

/* pfctl_policy.c: makes the built-in policy ready instead. 0 or 1. */
int pfctl_policy(struct pfctl *p) MUST_CHECK;

/* pfctl_show.c: -s WHAT. pfctl_table.c: -t TABLE -T COMMAND ADDRESS … */
int pfctl_show(struct pfctl *p, const char *what);
int pfctl_table(struct pfctl *p, const char *table, const char *command, char **address, int n,
		bool dry);

#endif
