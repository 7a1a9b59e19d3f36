/* What there was before a change with --confirm is made to be again, and told; the exit status. For
 * the process that waits, and for newgate confirm. */
#ifndef NG_CMD_GOBACK_H
#define NG_CMD_GOBACK_H

#include <stdbool.h>

int go_back(void);
/* How it ended, in words; jails: not pf alone. */
const char *go_back_words(bool jails, bool kept);

#endif
