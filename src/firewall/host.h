/* The host's interfaces, and the names of its services and users, as pf.conf(5) asks for them. */
#ifndef NG_FIREWALL_HOST_H
#define NG_FIREWALL_HOST_H

#include "base/mem.h"
#include "base/str.h"
#include "pf/host.h"
#include "sys/nl.h"

struct firewall_host {
	struct pf_host host;
	struct arena arena;
};
/* jails: "IF ADDR/LEN" of every gateway: those interfaces stand for the jails' pairs, whether or not
 * they are there yet. Link-local addresses are left out, as are the pairs. Zero-initialise. */
int firewall_host_read(struct firewall_host *h, struct nl *route, const struct strv *jails,
		       struct ng_err *err) MUST_CHECK;
void firewall_host_done(struct firewall_host *h);

#endif
