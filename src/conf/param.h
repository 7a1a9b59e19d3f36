/* The one table of jail.conf parameters. It drives parse, check, print, `jls all`, the table in
 * jail.conf(5) and completion. */
#ifndef NG_CONF_PARAM_H
#define NG_CONF_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include "base/macro.h"

enum param_id {
	PARAM_NONE, /* not a parameter that we know */
	/* identity */
	P_JID,
	P_NAME,
	P_PATH,
	P_HOST,
	P_HOST_HOSTNAME,
	P_HOST_DOMAINNAME,
	P_HOST_HOSTUUID,
	P_HOST_HOSTID,
	P_OSRELEASE,
	P_OSRELDATE,
	P_PERSIST,
	P_CHILDREN_MAX,
	P_SECURELEVEL,
	P_DEVFS_RULESET,
	P_ENFORCE_STATFS,
	P_DEPEND,
	P_META,
	P_ENV, /* also meta.KEY, env.KEY */
	/* network */
	P_IP4,
	P_IP4_ADDR,
	P_IP4_SADDRSEL,
	P_IP6,
	P_IP6_ADDR,
	P_IP6_SADDRSEL,
	P_INTERFACE,
	P_VNET,
	P_VNET_INTERFACE,
	P_IP_HOSTNAME,
	P_RDR,
	P_ALLOW_CONNECT,
	P_NAT_SOURCE,
	/* commands */
	P_EXEC_PREPARE,
	P_EXEC_PRESTART,
	P_EXEC_CREATED,
	P_EXEC_START,
	P_COMMAND,
	P_EXEC_POSTSTART,
	P_EXEC_PRESTOP,
	P_EXEC_STOP,
	P_EXEC_POSTSTOP,
	P_EXEC_RELEASE,
	P_EXEC_CLEAN,
	P_EXEC_CONSOLELOG,
	P_EXEC_JAIL_USER,
	P_EXEC_SYSTEM_USER,
	P_EXEC_SYSTEM_JAIL_USER,
	P_EXEC_ENV,
	P_EXEC_DIR,
	P_EXEC_TIMEOUT,
	P_EXEC_FIB,
	P_STOP_TIMEOUT,
	P_SERVICE,
	/* mounts */
	P_MOUNT,
	P_MOUNT_FSTAB,
	P_MOUNT_DEVFS,
	P_MOUNT_FDESCFS,
	P_MOUNT_PROCFS,
	P_PATH_READONLY,
	P_ZFS_DATASET,
	P_ZFS_MOUNT_SNAPSHOT,
	/* store and limits */
	P_TEMPLATE,
	P_RCTL,
	P_SNAPSHOT_KEEP,
	/* what is allowed */
	P_ALLOW_DYING,
	P_ALLOW_RAW_SOCKETS,
	P_ALLOW_SET_HOSTNAME,
	P_ALLOW_SYSVIPC,
	P_ALLOW_CHFLAGS,
	P_ALLOW_QUOTAS,
	P_ALLOW_SOCKET_AF,
	P_ALLOW_MLOCK,
	P_ALLOW_EXTATTR,
	P_ALLOW_ADJTIME,
	P_ALLOW_SETTIME,
	P_ALLOW_ROUTING,
	P_ALLOW_SETAUDIT,
	P_ALLOW_READ_MSGBUF,
	P_ALLOW_NFSD,
	P_ALLOW_VMM,
	P_ALLOW_VMM_PPT,
	P_ALLOW_UNPRIVILEGED_PARENT_TAMPERING,
	P_ALLOW_RESERVED_PORTS,
	P_ALLOW_SUSER,
	P_ALLOW_UNPRIVILEGED_PROC_DEBUG,
	P_ALLOW_MOUNT,
	P_ALLOW_MOUNT_DEVFS,
	P_ALLOW_MOUNT_FDESCFS,
	P_ALLOW_MOUNT_FUSEFS,
	P_ALLOW_MOUNT_LINPROCFS,
	P_ALLOW_MOUNT_LINSYSFS,
	P_ALLOW_MOUNT_NULLFS,
	P_ALLOW_MOUNT_PROCFS,
	P_ALLOW_MOUNT_TMPFS,
	P_ALLOW_MOUNT_ZFS,
	P_CAPABILITIES,
	P_SYSVMSG,
	P_SYSVSEM,
	P_SYSVSHM,
	/* FreeBSD's emulation of us */
	P_LINUX,
	P_LINUX_OSNAME,
	P_LINUX_OSRELEASE,
	P_LINUX_OSS_VERSION,
	/* read-only: for jls alone */
	P_CPUSET_ID,
	P_DYING,
	P_PARENT,
	P_CHILDREN_CUR,
	P_LASTJID,
	PARAM_COUNT
};

enum param_type {
	PT_BOOL,
	PT_INT,
	PT_STRING,
	PT_LIST,
	PT_ADDRS,
	PT_SYS /* disable, new, inherit */,
	PT_COMMANDS
};

enum param_flag {
	PF_KERNEL = 1,   /* a property of the running jail: jls shows it, -m may change it */
	PF_CREATE = 2,   /* only at creation: "P cannot be changed after creation" */
	PF_READONLY = 4, /* may be queried, not set */
	PF_OURS = 8,     /* not FreeBSD's */
	PF_KEYED = 16,   /* NAME.KEY is this parameter too (meta, env) */
};

enum param_class { HONOURED, WITHOUT_EFFECT, REFUSED };
const char *param_class_text(enum param_class c); /* "honoured", "without effect", "refused" */
const char *param_type_text(enum param_type t);   /* "boolean", "number", "list"… */

struct param {
	const char *name; /* in its positive spelling: "persist", "allow.mount" */
	enum param_type type;
	unsigned flags;
	enum param_class class;
	const char *def;  /* default as it would be written, or NULL: unset */
	const char *text; /* one line: the meaning here; for the last two classes the reason */
	long min, max;    /* PT_INT alone */
};

const struct param *param_get(enum param_id id);
/* Finds a name as it may be written: "persist", "meta.owner"; a boolean also with "no" before its
 * last component ("nopersist", "allow.nomount"), which *negated tells. "no" elsewhere, or before
 * what is not a boolean, means nothing and is not found. */
enum param_id param_find(const char *name, bool *negated);
/* What was probably meant, or NULL. Valid until the next call. */
const char *param_suggest(const char *name);

#endif
