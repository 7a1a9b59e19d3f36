/* What a stream of changes has to say: how a tree differs from what it was, to the last attribute. */
#ifndef NG_STORE_CHANGES_H
#define NG_STORE_CHANGES_H

#include "base/str.h"
#include "store/stream-module.h"

/* Zero-initialise. Both lists are in the order of unpack_order(). */
struct changes {
	struct strv put; /* what is new or different, and the folders on the way to everything */
	struct strv removed;       /* what is gone, or gives way to something of another kind */
	char base[STREAM_SUM_HEX]; /* the old tree's sum */
};
int changes_find(const struct stream_module *m, int old, int now, struct changes *out,
		 struct ng_err *err) MUST_CHECK;
void changes_done(struct changes *c);

#endif
