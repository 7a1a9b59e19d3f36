/* Would these rules cut off who administers the host? Asked before they are loaded. */
#ifndef NG_FIREWALL_LOCKOUT_H
#define NG_FIREWALL_LOCKOUT_H

#include "pf/pf.h"
#include "sys/nl.h"

/* Looks at sshd's sockets and judges, as pf would: each session that is connected, and one that begins
 * from where it comes from; where there is none, one that begins somewhere on the internet. Warns of
 * each that would be cut or refused. on: rules are loaded already, so that connected
 * sessions may have states, which outlive them. What cannot be seen is not told. */
void firewall_lockout(const struct pf *pf, const struct pf_host *host, struct nl *route,
		      struct nl *filter, bool on, struct diags *out);

/* A line of /proc/net/tcp or tcp6; false where it is none. For tests. */
struct lockout_socket {
	struct ip local, remote;
	uint16_t port, remote_port;
	bool listens; /* else it is connected */
	uint64_t inode;
};
bool lockout_parse(const char *line, int family, struct lockout_socket *out);

#endif
