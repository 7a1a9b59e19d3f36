/* What is needed to ban: the bans, the host's settings for them, and a look at its network. */
#ifndef NG_HOST_BANNING_H
#define NG_HOST_BANNING_H

#include "conf/rcconf.h"
#include "host/host.h"
#include "net/ban.h"

struct banning {
	struct host host; /* its settings, where there are any */
	struct host_ban terms;
	struct rcconf rc;
	struct net net; /* opened for a change alone */
	struct bans bans;
};
#define BANNING_NONE ((struct banning){.bans = BANS_NONE})
/* The bans are locked until banning_done. */
int banning_open(struct banning *b, struct state *s, bool change, struct ng_err *err) MUST_CHECK;
void banning_done(struct banning *b);

#endif
