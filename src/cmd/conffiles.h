/* Every file that the configuration consists of. */
#ifndef NG_CMD_CONFFILES_H
#define NG_CMD_CONFFILES_H

#include "base/str.h"
#include "conf/conf.h"

/* Paths as seen below -R: jail.conf(5) and what it includes, fstab(5) files that it names, rc.conf(5),
 * pf.conf(5) and what that reads, the leases. They need not all be there. */
void conffiles_list(const struct conf *c, struct strv *paths);

#endif
