/* One packet of base/ctl.h: read with its descriptors, and checked. */
#ifndef NG_INIT_MESSAGE_H
#define NG_INIT_MESSAGE_H

#include <stddef.h>
#include "base/ctl.h"
#include "base/macro.h"

/* Zero-initialise. Everything in it is owned; message_done accepts an empty one. */
struct message {
	struct ctl_head *head; /* a mapping of `size` bytes */
	size_t size;
	int fds[3];
	unsigned nfds;
};

/* Reads the next packet, which has `size` bytes. 0, -EBADMSG, -EMSGSIZE, or what mmap and recvmsg
 * say; the packet is consumed in any case and *m must be released in any case. */
int message_read(int sock, size_t size, struct message *m) MUST_CHECK;
void message_done(struct message *m);

/* The command of a CTL_RUN or CTL_SERVICE. Points into the message. */
struct command {
	const struct ctl_exec *exec;
	const uint32_t *groups;
	const char *cwd, *tag;
	char *strings; /* argc arguments, then envc variables */
};
/* Checks a body; nothing in it is trusted but its length. `body` is aligned as uint32_t. 0 or
 * -EBADMSG. */
int command_parse(const void *body, size_t len, struct command *out) MUST_CHECK;

#endif
