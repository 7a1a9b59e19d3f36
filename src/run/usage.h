/* What running jails use now: their cgroups, one dump of the links, their PID 1s asked all at once.
 * Made for a thousand jails: no file is read twice, no program run. */
#ifndef NG_RUN_USAGE_H
#define NG_RUN_USAGE_H

#include "jail/control.h"
#include "sys/cgroup.h"

struct usage {
	struct cgroup_usage cg; /* zero where the host has no cgroup v2 */
	bool net;               /* the jail has a link; counted as the jail sees it: */
	uint64_t rx_bytes, rx_packets, tx_bytes, tx_packets;
	bool answered; /* PID 1 told about its services */
	struct control_services services;
};

/* What the kernel counts, no PID 1 being asked: for who reads again and again. */
int usage_counters(struct state *s, const struct record *r, size_t n, struct usage *out,
		   struct ng_err *err) MUST_CHECK;
/* Fills out[i] for record r[i]; dead ones stay zero. What a jail cannot tell now stays zero too:
 * only what concerns all of them is an error. */
int usage_read(struct state *s, const struct record *r, size_t n, struct usage *out,
	       struct ng_err *err) MUST_CHECK;

#endif
