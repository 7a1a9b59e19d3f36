/* What a jail sees as its file system: worked out first, then made in two halves. The parent, which
 * has the host's rights, makes detached mounts whose owners are mapped to the jail's; the child
 * puts them together in its own mount namespace with what it may mount itself.
 *
 *   /            the jail's path, or an overlay of its layers; then `mount` lines that name the
 * path /proc        of the jail's PID namespace; what concerns the host is masked or read-only /sys
 * read-only /dev         a tmpfs with null zero full random urandom tty, pts, shm, fd: with or
 * without mount.devfs, since device nodes of a tree do not work in a jail /etc/hosts,
 * /etc/resolv.conf   the host's one copy for all jails, read-only …            the lines of `mount`
 * and mount.fstab, in order */
#ifndef NG_JAIL_MOUNTS_H
#define NG_JAIL_MOUNTS_H

#include <stdbool.h>
#include "base/mem.h"
#include "base/str.h"
#include "conf/jail.h"
#include "store/store.h"

enum mount_kind {
	MOUNT_BIND,  /* nullfs: a directory or file of the host */
	MOUNT_TMPFS, /* made by the child */
	MOUNT_OTHER, /* a file system that the parent mounts */
	MOUNT_AGAIN, /* procfs, devfs, linsysfs at a second place: bound from /proc, /dev, /sys */
};

struct mount_line {
	enum mount_kind kind;
	const char *what;   /* how messages name it: "mount", "/etc/fstab.web:3" */
	const char *source; /* the -R prefix included */
	const char *target; /* inside: "/srv/www"; "/" is the root itself */
	const char *type;
	unsigned attr;    /* sys/mount.h */
	struct strv opts; /* of the file system */
	int fd;           /* detached mount, -1: none */
};

struct mounts {
	struct arena arena;
	const struct store_layout *layout; /* not owned */
	struct mount_line *line;
	size_t n;
	bool own_net;      /* it has a network namespace: sysfs can be mounted; set by the caller */
	bool readonly;     /* path.readonly: nobody writes to the root itself */
	bool net_sysctl;   /* vnet: /proc/sys/net stays writable */
	struct strv notes; /* what could not be done as asked but hurts nobody */
	/* Detached mounts that the parent makes; -1: none. */
	int *lower; /* overlay's layers, uppermost first */
	size_t nlower;
	int base; /* the tree, or the folder of overlay's upper and work */
	int hosts, resolv, sys;
};

/* Reads and checks `mount` and mount.fstab; nothing is mounted. `root` is the -R prefix. */
int mounts_plan(struct mounts *m, const struct conf_jail *j, const struct store_layout *l,
		const char *root, struct ng_err *err) MUST_CHECK;
/* The same for its faults alone: every one of them, with its line. */
void mounts_check(const struct conf_jail *j, const char *root, struct diags *d);
/* In the parent, with the jail's user namespace: every detached mount that needs the host's rights.
 * run: ROOT/run/newgate. */
int mounts_prepare(struct mounts *m, int run, int userns, struct ng_err *err) MUST_CHECK;
/* Hands them to the child, which made its copy of *m by forking. 0 or -errno; -ECONNRESET: the
 * other end is gone. */
int mounts_send(struct mounts *m, int sock) MUST_CHECK;
int mounts_receive(struct mounts *m, int sock) MUST_CHECK;
/* In the child, as root of its namespaces: puts everything together and makes it the root. */
int mounts_enter(struct mounts *m, struct ng_err *err) MUST_CHECK;
void mounts_done(struct mounts *m); /* closes what is open */

#endif
