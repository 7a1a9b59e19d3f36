/* What the verbs below `newgate host` share. */
#ifndef NG_CMD_HOSTING_H
#define NG_CMD_HOSTING_H

#include "cmd/output.h"
#include "host/files.h"
#include "host/inside.h"
#include "host/lists.h"

struct hosting {
	struct host h;
	struct host_lists l;
	struct state state;
	int lock; /* held while lists or files are changed; -1 */
};
#define HOSTING_NONE ((struct hosting){.state = {.dir = -1}, .lock = -1})
/* Reads settings and lists; to change them, waits for others who do. What is wrong is told: 0, or 1,
 * the exit status. hosting_done in any case. */
int hosting_open(struct hosting *g, bool change) MUST_CHECK;
/* Waits for others who change lists or files, and holds them off until hosting_done: 0, or 1. */
int hosting_lock(struct hosting *g) MUST_CHECK;
void hosting_done(struct hosting *g);

/* Writes the list and its tables, then lets the jails that are named (NULL-terminated) see them,
 * those that run. Told where it fails: 0 or 1. */
int hosting_save(struct hosting *g, enum host_list which, const char *const *jails);
/* Runs /etc/host/start and /etc/host/reload in the jail, if it runs. */
int hosting_reload(struct hosting *g, const char *jail);
/* Writes the made files that are not the user's, and says which were kept: 0 or 1. */
int hosting_files(struct hosting *g);

/* Steps of `init`, told where they fail: 0 or 1. That there is a range for jails, and *interface one
 * of those that have it; templates, trees and folders of all jails; all jails started, and the signing
 * jail stopped that the settings have no use for any more. */
int hosting_range(char **interface);
int hosting_trees(struct hosting *g);
int hosting_start(struct hosting *g);
/* The rest of `init`: that, with the certificates that there are, and their renewal. */
int hosting_run(struct hosting *g);
/* Has the jails take the certificate in place where some may show the one before: 0 or 1. */
int hosting_show_cert(struct hosting *g);
/* Gets the certificate that the host needs, where it needs another than it has (or `force`), and has
 * the jails take it. Without the lock. What it does or why it cannot is told: 0 or 1. */
int hosting_renew(struct hosting *g, bool force);
/* Has systemd, where it runs, call `newgate host renew`; told where that fails. */
void renew_timer(void);
/* Says what is left to do once they run: host_next.c. */
void hosting_say_next(const struct hosting *g);

/* "host domain add" and the like: a verb below `newgate host`. */
struct host_verb {
	const char *name;
	int (*run)(int argc, char **argv);
};
/* Finds argv[1] among them and runs it; told with the nearest where there is none such. */
int host_dispatch(const struct host_verb *v, size_t n, const char *what, int argc, char **argv);
int host_usage(void); /* of `newgate host`; 1 */
/* A verb's arguments, which are "[--NAME]" and nothing else: 0, or what host_usage() gives. */
int host_flag(int argc, char **argv, const char *name, bool *given);
/* "list [--json]": a row of `rows` for each entry of the list, its key the column `field`; `more`
 * (or NULL) adds what else there is to it. */
int host_list(int argc, char **argv, enum host_list which, const char *rows, const char *field,
	      const char *header,
	      void (*more)(const struct hosting *g, struct output *o, const char *rest));

/* Each in a file of its own, named after it. */
int host_init(int argc, char **argv);
int host_renew(int argc, char **argv);
int host_backup(int argc, char **argv);
int host_restore(int argc, char **argv);
int host_upgrade(int argc, char **argv);
int host_domain_verbs(int argc, char **argv);
int host_user_verbs(int argc, char **argv);
int host_alias_verbs(int argc, char **argv);
int host_site_verbs(int argc, char **argv);
int host_dns(int argc, char **argv);
int host_ban_verbs(int argc, char **argv);
int host_watch(int argc, char **argv);
int host_queue_verbs(int argc, char **argv);
int host_status(int argc, char **argv);

#endif
