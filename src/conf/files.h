/* Which files hold the configuration, below the root that -R or NEWGATE_ROOT names. */
#ifndef NG_CONF_FILES_H
#define NG_CONF_FILES_H

#include "conf/conf.h"

/* Joins root ("" for the real one) and an absolute path. The caller frees. */
char *files_path(const char *root, const char *path) MUST_CHECK;

/* Everything that is configured: /etc/jail.conf, then /etc/jail.conf.d/ *.conf and
 * /etc/jail.NAME.conf in name order, each file once even where jail.conf includes it. Each is a
 * unit of its own (conf.h), as FreeBSD reads them one at a time. No file at all is no fault: there
 * are no jails then. 0, or -errno where a file that is there cannot be read; faults in them go to
 * d. `root` must outlive c. */
int files_read_all(struct conf *c, const char *root, struct diags *d) MUST_CHECK;
/* The same but /etc/jail.conf, whose text the caller has read into c, with its root. */
int files_read_rest(struct conf *c, struct diags *d) MUST_CHECK;
/* As rc.d/jail looks for one jail: the first that is there of /etc/jail.NAME.conf,
 * /etc/jail.conf.d/NAME.conf, /etc/jail.conf. In NAME, "." and "/" read "_". */
int files_read_one(struct conf *c, const char *root, const char *jail, struct diags *d) MUST_CHECK;

#endif
