/* Netlink as short as it can be: one buffer, one sendto, one answer. The floor has its own instead
 * of sys/nl.h so that what newgate's costs can be seen against it. */
#ifndef NG_BENCH_WIRE_H
#define NG_BENCH_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>

struct wire {
	size_t len, last; /* where the last message begins */
	_Alignas(struct nlmsghdr) char buf[4096];
};

int wire_open(int proto); /* a socket, or -errno */

void wire_message(struct wire *w, uint16_t type, uint16_t flags, const void *head, size_t len);
void wire_attr(struct wire *w, uint16_t type, const void *data, size_t len);
void wire_u32(struct wire *w, uint16_t type, uint32_t v);
void wire_text(struct wire *w, uint16_t type, const char *s);
void wire_bytes(struct wire *w, const void *data, size_t len);
size_t wire_nest(struct wire *w, uint16_t type); /* its end is wire_end(w, result) */
void wire_end(struct wire *w, size_t nest);

/* Sends all of it; `ack` is where the message begins that the kernel is to acknowledge (w->last:
 * the last one). 0 or the first -errno. The buffer is empty afterwards. */
int wire_send(struct wire *w, int sock, size_t ack);

/* Requests. Every pair has the same ends: nothing is resolved on it. */
void wire_veth(struct wire *w, const char *name, int index, int netns_pid);
void wire_up(struct wire *w, int index);
void wire_address(struct wire *w, int index, uint32_t ip);
void wire_route(struct wire *w, int index, uint32_t to, unsigned bits, uint32_t via);
/* One element of set `jails` in table `inet floor`: a transaction of its own. */
int wire_element(struct wire *w, int sock, int add, uint32_t ip);

#endif
