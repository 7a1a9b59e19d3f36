/* The whole mail host at one moment: what `newgate host status` shows. */
#ifndef NG_HOST_STATUS_H
#define NG_HOST_STATUS_H

#include "conf/conf.h"
#include "conf/rcconf.h"
#include "host/cert.h"
#include "host/lists.h"
#include "host/queue.h"
#include "run/overview.h"

/* One jail of the host. */
struct status_jail {
	const struct overview_jail *seen; /* of status.all; NULL: it is not configured */
	const char *name;                 /* of host_jails */
	uint64_t memory_limit;            /* rctl's memoryuse; 0: none, or it does not run */
};
struct status_mailbox {
	char *address;  /* owned */
	uint64_t used;  /* bytes, as dovecot counts them */
	uint64_t limit; /* 0: none */
	bool known;     /* used is; dovecot runs */
};
struct status_cert {
	char *file; /* absolute, without the -R prefix; owned */
	struct cert cert;
};
struct status_folder {
	const char *path;          /* below HOST_DATA */
	uint64_t used, free, size; /* bytes; the last two of its file system */
	uint64_t device;
};
/* What needs somebody to do something. A fault: something does not work, or will not within a day. */
struct status_finding {
	bool fault;
	char *text, *command; /* owned; NULL: no one command mends it */
};
struct host_status {
	struct overview all; /* every jail of the machine */
	struct status_jail *jail;
	struct queue queue;
	bool queue_known; /* postfix runs */
	size_t bans;      /* addresses that may not reach the jails now */
	struct status_mailbox *mailbox;
	struct status_cert *cert;
	struct status_folder *folder;
	struct status_finding *finding; /* faults first */
	size_t njails, nmailboxes, ncerts, nfolders, nfindings;
};
/* Looks; changes nothing. What cannot be found out is a finding. conf, rc: NULL where they cannot
 * be read. Zero-initialise; host_status_done in any case. */
int host_status_read(struct host_status *s, const struct host *h, const struct host_lists *l,
		     struct state *state, const struct conf *conf, const struct rcconf *rc,
		     struct ng_err *err) MUST_CHECK;
void host_status_done(struct host_status *s);

/* Mailboxes from what `doveadm -f tab quota get -A` prints; what is no such line is passed over. */
void status_parse_quota(struct host_status *s, const char *text);
/* What of all this needs doing, at the time `now`. */
void status_judge(struct host_status *s, const struct host *h, time_t now);

#endif
