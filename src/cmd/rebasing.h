/* newgate rebase, of one jail, for those who have another way to see whether it does what it should. */
#ifndef NG_CMD_REBASING_H
#define NG_CMD_REBASING_H

#include <stdbool.h>

/* Asked when the jail runs on the new version; false, and told why: back to the old one. */
typedef bool rebase_look(void *arg, const char *jail);
/* Onto the newest version of its template, what the jail itself changed being kept. The snapshot that
 * is the way back stays. Told, whatever comes of it; true: it is there, or was before. */
bool rebase_looking(const char *jail, rebase_look *look, void *arg);

#endif
