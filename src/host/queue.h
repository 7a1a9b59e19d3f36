/* Letters that wait to leave, or to be put into a mailbox, as Postfix tells of them (postqueue(1),
 * -j). */
#ifndef NG_HOST_QUEUE_H
#define NG_HOST_QUEUE_H

#include <stdint.h>
#include "host/inside.h"

struct queue_letter {
	char *id;
	char *queue;  /* "active", "deferred", "hold", "incoming", "maildrop" */
	char *sender; /* NULL: it is a notice of the mail system */
	char *reason; /* why it waits, of the first recipient that has one; NULL: not tried yet */
	struct strv to;
	int64_t since; /* seconds since 1970 */
	uint64_t bytes;
};
struct queue {
	struct queue_letter *v; /* the oldest first */
	size_t n, deferred, held;
};
/* -ENOENT where the jail postfix does not run. Zero-initialise; queue_done in any case. */
int queue_read(struct state *s, struct queue *q, struct ng_err *err) MUST_CHECK;
/* The same of what postqueue -j prints; what is no such line is passed over. */
void queue_parse(struct queue *q, const char *text);
void queue_done(struct queue *q);
/* The letter of that id, or NULL. */
const struct queue_letter *queue_find(const struct queue *q, const char *id);

enum queue_deed {
	QUEUE_FLUSH,   /* try at once */
	QUEUE_HOLD,    /* keep until it is released */
	QUEUE_RELEASE, /* the opposite */
	QUEUE_REMOVE   /* for good */
};
/* Does it to the letters of these ids; to all where n is 0 (only QUEUE_FLUSH). */
int queue_do(struct state *s, enum queue_deed deed, char *const *ids, size_t n,
	     struct ng_err *err) MUST_CHECK;

#endif
