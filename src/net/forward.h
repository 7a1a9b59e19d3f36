/* Forwarding, which is the whole host's: newgate switches it on where it is off, and remembers for
 * which families, since its table then stands in for a host that does not forward. */
#ifndef NG_NET_FORWARD_H
#define NG_NET_FORWARD_H

#include "net/net.h"

#define FORWARD_IP6 "/proc/sys/net/ipv6/conf/"

/* Somebody emptied /run: the table that is loaded still tells for which. */
int forward_recall(struct net *n, struct ng_err *err) MUST_CHECK;
/* Writes down what has to be switched on. switched: "", "4", "46", of now or before; 16 bytes. */
int forward_plan(struct net *n, char *switched, struct ng_err *err) MUST_CHECK;
int forward_now(struct net *n, struct ng_err *err) MUST_CHECK;
bool forward_knob_is(const char *path, const char *value);

#endif
