/* Does anybody listen there? By /proc/PID/net, which shows the network of that process. */
#ifndef NG_EXPLAIN_LISTEN_H
#define NG_EXPLAIN_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/ip.h"
#include "conf/value.h"

/* pid 0: of the caller's own network. ip: where it arrives; family 0: at any address. 1: somebody
 * does; 0: nobody; -errno. *local: only at another address, such as 127.0.0.1, somebody does. */
int listens(pid_t pid, const struct ip *ip, enum proto proto, uint16_t port, bool *local);
/* One line of /proc/net/tcp and the like: false where it is no socket that takes what is new. For
 * tests. */
bool listen_parse(const char *line, int family, enum proto proto, struct ip *ip, uint16_t *port);

#endif
