/* One command of exec.*, as jail(8) runs it: on the host or inside the jail. */
#ifndef NG_JAIL_HOOKS_H
#define NG_JAIL_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/str.h"
#include "conf/jail.h"
#include "state/state.h"

/* Command lines. A string without any of !"$&'()*;<>?[\]`{|}~ is split at blanks; so is one whose
 * only such character is an & at its very end, which makes it run in the background; the rest is
 * for /bin/sh -c. Returns whether it is to run in the background. */
bool hook_split(const char *text, struct strv *argv);

/* Who runs what. */
struct hook {
	const struct conf_jail *conf;
	const struct record *record; /* the jail: NULL while it has no number yet */
	const char *root;            /* the -R prefix */
	char *const *argv;
	bool background;
};

/* On the host, in the caller's folder and with its descriptors: JID, JNAME and JPATH are set,
 * unless exec.clean. Returns when it was executed; *pidfd is its process, -1 for the background. */
int hook_host(const struct hook *h, int *pidfd, struct ng_err *err) MUST_CHECK;

/* Inside, by the jail's PID 1 over the connection `ctl`. The answers (control.h) come later.
 * service: a tag that makes it a service; NULL: not one. */
int hook_inside(const struct hook *h, int ctl, const char *service, struct ng_err *err) MUST_CHECK;

/* A command inside has failed: what to do where it was to run FreeBSD's /etc/rc or /etc/rc.shutdown
 * and the jail's root, a Linux one, has none. NULL: it was not that. The caller frees. */
char *hook_rc_advice(const struct record *r, const char *command) MUST_CHECK;

#endif
