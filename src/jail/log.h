/* The file for what the commands inside a jail print: exec.consolelog, else (of services alone)
 * /var/log/jail_NAME_console.log. One that lies below the jail's path is the jail's own: it is
 * reached through the jail's tree, where no link may lead elsewhere, and with the rights of the
 * jail's root. */
#ifndef NG_JAIL_LOG_H
#define NG_JAIL_LOG_H

#include <stdbool.h>
#include "conf/jail.h"
#include "state/state.h"

/* A host's log that is larger when its jail starts is put aside as FILE.old. */
#define LOG_ROTATE (16 << 20)

struct log {
	char *path;  /* as configured, without the -R prefix; NULL: the jail keeps no log. Owned */
	bool chosen; /* by exec.consolelog */
	bool own;    /* no other jail's: the default one, or its file is called after the jail */
	size_t inside;    /* > 0: of the path, the first so many bytes are the jail's */
	pid_t pid;        /* the jail's PID 1; 0: it does not run */
	uint64_t started; /* and when it did */
	uint32_t slot;    /* its ids, while it runs */
	const char *root; /* the -R prefix; not owned */
};
/* As a running jail's record says, or as a configured one's block does. */
struct log log_of_record(const struct record *r, const char *root);
struct log log_of_conf(const struct conf_jail *j, const struct record *r, const char *root);
void log_done(struct log *l);

/* Daemons that are told to log to /dev/stderr open it anew, for which the file must be theirs: one
 * that is the jail's own is given to the jail's root.
 *
 * For a command inside: a descriptor, or -1 with err->code 0: there is none, for commands that are
 * no service. */
int log_open_append(const struct log *l, bool service, struct ng_err *err);
/* Puts a large one aside. What keeps it from being renamed is no reason not to start a jail. */
void log_rotate(const struct log *l);

/* To read: the folder it is in, for what becomes of the name (*name points into l->path); then the
 * file as it is there now, -ENOENT where it is not there. Never waits for a pipe's other end. */
int log_open_folder(const struct log *l, const char **name, struct ng_err *err) MUST_CHECK;
int log_open_read(const struct log *l, int folder, const char *name, struct ng_err *err) MUST_CHECK;

#endif
