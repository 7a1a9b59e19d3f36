/* Entering a running jail, as jexec(8) does. */
#ifndef NG_JAIL_ATTACH_H
#define NG_JAIL_ATTACH_H

#include <signal.h>
#include <stdbool.h>
#include "jail/console.h"
#include "state/state.h"

struct attach {
	char *const *argv; /* NULL: the user's shell, interactive */
	char *const *env;  /* "NAME=value" in addition to the caller's or the clean one; or NULL */
	const char *dir;   /* NULL: / (with clean: the user's home) */
	const char *host_user;   /* -u: looked up on the host */
	const char *jail_user;   /* -U: looked up in the jail */
	bool clean;              /* -l: exec.clean's environment */
	const sigset_t *mask;    /* the command's signal mask; NULL: the caller's own */
	struct console *console; /* a terminal inside instead of the caller's (console.h), or NULL
				  */
};
/* Runs the command in the jail with the caller's terminal, signals and process group (or with a
 * console's), under the jail's capabilities, filter and cgroup, and waits for it. Returns its wait
 * status (>= 0), or -errno with err told. Afterwards the caller is as it was, but not dumpable. */
int attach_run(struct state *s, const struct record *r, const struct attach *a, struct ng_err *err);

/* passwd(5) and group(5) of a tree, read without leaving it. `root`: a directory descriptor. A name
 * may be "USER:GROUP", and each of them a number, which needs no entry. */
struct jail_user {
	uint32_t uid, gid;
	uint32_t groups[64]; /* gid among them */
	unsigned ngroups;
	char name[64], home[256], shell[256];
};
int user_lookup(int root, const char *name, struct jail_user *out, struct ng_err *err) MUST_CHECK;
/* The same from the host's user database; his ids must be ones that a jail has. */
int user_lookup_host(const char *name, struct jail_user *out, struct ng_err *err) MUST_CHECK;

/* exec.clean's environment for a user: TERM kept, HOME, SHELL, USER, and a PATH as Linux roots need
 * it (FreeBSD's is /bin:/usr/bin). strv of "NAME=value". */
void clean_env(struct strv *env, const struct jail_user *u);

#endif
