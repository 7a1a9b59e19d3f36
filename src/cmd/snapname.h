/* JAIL@NAME on a command line. */
#ifndef NG_CMD_SNAPNAME_H
#define NG_CMD_SNAPNAME_H

#include "base/macro.h"

struct snapname {
	char *jail; /* owned */
	char *snap; /* owned; NULL: no @ */
};
struct snapname snapname_parse(const char *text) MUST_CHECK;
void snapname_done(struct snapname *n);

#endif
