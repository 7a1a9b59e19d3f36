/* From fork to exec, and how soon to try again. */
#ifndef NG_INIT_SPAWN_H
#define NG_INIT_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>
#include "init/message.h"

/* Starts a child that becomes the command, with `fds` as its 0, 1 and 2, in a session or a process
 * group of its own. Returns its pid, or -errno. *report is then a descriptor that becomes readable
 * when it is known how that went. */
pid_t spawn(const struct command *c, const int fds[static 3], bool session, int *report) MUST_CHECK;
/* What the report says; code 0: the command runs. Blocks unless it is readable or the child ended.
 */
struct ctl_error spawn_report(int report);

/* Seconds before the next start, after a run of `lived` seconds that followed a pause of `last`:
 * 1, 2, 4 … SPAWN_PAUSE_MAX, and 1 again after a run of that length. */
#define SPAWN_PAUSE_MAX 60
uint32_t spawn_pause(uint32_t last, uint32_t lived);

#endif
