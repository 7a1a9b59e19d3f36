#include "conf/param.h"

#include <limits.h>
#include <string.h>

#include "base/str.h"
#include "conf/map.h"

#define K PF_KERNEL
#define CO (PF_KERNEL | PF_CREATE)
#define RO (PF_KERNEL | PF_READONLY)

/* The reasons that several parameters share. */
#define INITIAL_NS "Linux gives this to the host's own user namespace only"
#define LINUX_ITSELF "the jail runs on Linux itself, there is nothing to emulate"

static const struct param table[PARAM_COUNT] = {
    [PARAM_NONE] = {""},

    /* identity */
    [P_JID] = {"jid", PT_INT, CO, HONOURED, NULL,
	       "number of the jail; the next free one where none is given", 0, 999999},
    [P_NAME] = {"name", PT_STRING, K, HONOURED, NULL,
		"name of the jail: the block's, else the jid"},
    [P_PATH] = {"path", PT_STRING, CO, HONOURED, NULL,
		"root directory; /var/lib/newgate/roots/NAME where none is given"},
    [P_HOST] = {"host", PT_SYS, K, WITHOUT_EFFECT, NULL,
		"a jail always has a hostname of its own: host.hostname, else its name"},
    [P_HOST_HOSTNAME] = {"host.hostname", PT_STRING, K, HONOURED, NULL, "hostname inside"},
    [P_HOST_DOMAINNAME] = {"host.domainname", PT_STRING, K, HONOURED, NULL, "NIS domain inside"},
    [P_HOST_HOSTUUID] = {"host.hostuuid", PT_STRING, K, HONOURED, NULL,
			 "kept and shown by jls; nothing inside the jail reads it"},
    [P_HOST_HOSTID] = {"host.hostid", PT_INT, K, HONOURED, NULL,
		       "kept and shown by jls; nothing inside the jail reads it", 0, UINT_MAX},
    [P_OSRELEASE] = {"osrelease", PT_STRING, CO, WITHOUT_EFFECT, NULL,
		     "Linux has one release for all; it cannot tell a jail another"},
    [P_OSRELDATE] = {"osreldate", PT_INT, CO, WITHOUT_EFFECT, NULL, "Linux has no such number", 0,
		     INT_MAX},
    [P_PERSIST] = {"persist", PT_BOOL, K, HONOURED, "false", "the jail may be without processes"},
    [P_CHILDREN_MAX] = {"children.max", PT_INT, K, HONOURED, "0",
			"child jails allowed; above 0, programs inside may make namespaces too", 0,
			999999},
    [P_SECURELEVEL] = {"securelevel", PT_INT, K, WITHOUT_EFFECT, "-1",
		       "Linux has no securelevel; what it would forbid is forbidden to every jail",
		       -1, 3},
    [P_DEVFS_RULESET] = {"devfs_ruleset", PT_INT, CO, HONOURED, "0",
			 "4 is the usual set of harmless devices; so is every other number, with a "
			 "warning",
			 0, 65535},
    [P_ENFORCE_STATFS] = {"enforce_statfs", PT_INT, K, HONOURED, "2",
			  "2: allow.mount has no effect; 0, 1: it has; a jail sees only its own "
			  "mounts with each",
			  0, 2},
    [P_DEPEND] = {"depend", PT_LIST, 0, HONOURED, NULL, "jails that must be up before this one"},
    [P_META] = {"meta", PT_STRING, K | PF_KEYED, HONOURED, NULL,
		"free text, shown by jls; meta.KEY too"},
    [P_ENV] = {"env", PT_STRING, K | PF_KEYED, HONOURED, NULL,
	       "free text, shown by jls; env.KEY too"},

    /* network */
    [P_IP4] = {"ip4", PT_SYS, K, HONOURED, NULL,
	       "inherit: the host's own network stack; new, disable: by ip4.addr"},
    [P_IP4_ADDR] = {"ip4.addr", PT_ADDRS, K, HONOURED, NULL,
		    "IPv4 addresses: [IF|]ADDR[/MASK], or auto for a free one that stays"},
    [P_IP4_SADDRSEL] =
	{"ip4.saddrsel", PT_BOOL, K, WITHOUT_EFFECT, "true",
	 "Linux chooses source addresses by the route; the first address is preferred"},
    [P_IP6] = {"ip6", PT_SYS, K, HONOURED, NULL,
	       "inherit: the host's own network stack; new, disable: by ip6.addr"},
    [P_IP6_ADDR] = {"ip6.addr", PT_ADDRS, K, HONOURED, NULL,
		    "IPv6 addresses: [IF|]ADDR[/LENGTH], or auto for a free one that stays"},
    [P_IP6_SADDRSEL] =
	{"ip6.saddrsel", PT_BOOL, K, WITHOUT_EFFECT, "true",
	 "Linux chooses source addresses by the route; the first address is preferred"},
    [P_INTERFACE] = {"interface", PT_STRING, 0, HONOURED, NULL,
		     "the host's interface whose network the addresses belong to"},
    [P_VNET] = {"vnet", PT_SYS, CO, HONOURED, NULL,
		"every jail has a network stack of its own; vnet: interfaces may be moved in"},
    [P_VNET_INTERFACE] = {"vnet.interface", PT_LIST, 0, HONOURED, NULL,
			  "the host's interfaces moved into the jail"},
    [P_IP_HOSTNAME] = {"ip_hostname", PT_BOOL, 0, REFUSED, "false",
		       "what a name server will say cannot be checked beforehand; write the "
		       "address in ip4.addr or ip6.addr"},
    [P_RDR] = {"rdr", PT_LIST, K | PF_OURS, HONOURED, NULL,
	       "ports of the host that lead to the jail: \"tcp 443 -> 8443\""},
    [P_ALLOW_CONNECT] = {"allow.connect", PT_LIST, K | PF_OURS, HONOURED, "internet",
			 "to whom the jail may open connections: \"dovecot tcp 24 143\""},
    [P_NAT_SOURCE] = {"nat.source", PT_ADDRS, K | PF_OURS, HONOURED, NULL,
		      "address of the host with which the jail's connections leave, one a family"},

    /* commands */
    [P_EXEC_PREPARE] = {"exec.prepare", PT_COMMANDS, 0, HONOURED, NULL,
			"run on the host before everything else"},
    [P_EXEC_PRESTART] = {"exec.prestart", PT_COMMANDS, 0, HONOURED, NULL,
			 "run on the host before the jail is made"},
    [P_EXEC_CREATED] = {"exec.created", PT_COMMANDS, 0, HONOURED, NULL,
			"run on the host as soon as the jail is made"},
    [P_EXEC_START] = {"exec.start", PT_COMMANDS, 0, HONOURED, NULL, "run inside to start the jail"},
    [P_COMMAND] = {"command", PT_COMMANDS, 0, HONOURED, NULL, "run inside after exec.start"},
    [P_EXEC_POSTSTART] = {"exec.poststart", PT_COMMANDS, 0, HONOURED, NULL,
			  "run on the host when the jail is up"},
    [P_EXEC_PRESTOP] = {"exec.prestop", PT_COMMANDS, 0, HONOURED, NULL,
			"run on the host before the jail is stopped"},
    [P_EXEC_STOP] = {"exec.stop", PT_COMMANDS, 0, HONOURED, NULL, "run inside to stop the jail"},
    [P_EXEC_POSTSTOP] = {"exec.poststop", PT_COMMANDS, 0, HONOURED, NULL,
			 "run on the host when the jail is gone"},
    [P_EXEC_RELEASE] = {"exec.release", PT_COMMANDS, 0, HONOURED, NULL,
			"run on the host after everything else"},
    [P_EXEC_CLEAN] = {"exec.clean", PT_BOOL, 0, HONOURED, "false",
		      "commands start with a clean environment"},
    [P_EXEC_CONSOLELOG] = {"exec.consolelog", PT_STRING, 0, HONOURED, NULL,
			   "file on the host for the output of the commands inside"},
    [P_EXEC_JAIL_USER] = {"exec.jail_user", PT_STRING, 0, HONOURED, NULL,
			  "user that runs the commands inside"},
    [P_EXEC_SYSTEM_USER] = {"exec.system_user", PT_STRING, 0, HONOURED, NULL,
			    "user that runs the commands on the host"},
    [P_EXEC_SYSTEM_JAIL_USER] = {"exec.system_jail_user", PT_BOOL, 0, HONOURED, "false",
				 "exec.jail_user is one of the host's users"},
    [P_EXEC_ENV] = {"exec.env", PT_LIST, PF_OURS, HONOURED, NULL,
		    "NAME=value for the environment of the commands inside"},
    [P_EXEC_DIR] = {"exec.dir", PT_STRING, PF_OURS, HONOURED, NULL,
		    "folder in which the commands inside start"},
    [P_EXEC_TIMEOUT] = {"exec.timeout", PT_INT, 0, HONOURED, "0",
			"seconds that a command may take; 0: any time", 0, INT_MAX / 1000},
    [P_EXEC_FIB] = {"exec.fib", PT_INT, 0, WITHOUT_EFFECT, "0",
		    "a jail has a network stack with one routing table of its own", 0, 65535},
    [P_STOP_TIMEOUT] = {"stop.timeout", PT_INT, 0, HONOURED, "10",
			"seconds from SIGTERM to SIGKILL; 0: no SIGTERM", 0, INT_MAX / 1000},
    [P_SERVICE] = {"service", PT_COMMANDS, PF_OURS, HONOURED, NULL,
		   "foreground command that the jail's PID 1 keeps running"},

    /* mounts */
    [P_MOUNT] = {"mount", PT_LIST, 0, HONOURED, NULL, "fstab(5) line to mount"},
    [P_MOUNT_FSTAB] = {"mount.fstab", PT_LIST, 0, HONOURED, NULL, "fstab(5) file to mount"},
    [P_MOUNT_DEVFS] = {"mount.devfs", PT_BOOL, 0, HONOURED, "false",
		       "a private, minimal /dev, which a jail has in any case"},
    [P_MOUNT_FDESCFS] = {"mount.fdescfs", PT_BOOL, 0, HONOURED, "false",
			 "/dev/fd, which a jail has in any case"},
    [P_MOUNT_PROCFS] = {"mount.procfs", PT_BOOL, 0, HONOURED, "false",
			"/proc, which a jail has in any case"},
    [P_PATH_READONLY] = {"path.readonly", PT_BOOL, CO | PF_OURS, HONOURED, "false",
			 "the root cannot be written; what must be is mounted over it"},
    [P_ZFS_DATASET] = {"zfs.dataset", PT_LIST, 0, REFUSED, NULL,
		       "a data set cannot be handed to a jail's user namespace; mount it below the "
		       "jail's path instead"},
    [P_ZFS_MOUNT_SNAPSHOT] = {"zfs.mount_snapshot", PT_BOOL, K, WITHOUT_EFFECT, "false",
			      "no data sets are handed to jails"},

    /* store and limits */
    [P_TEMPLATE] = {"template", PT_STRING, PF_OURS, HONOURED, NULL,
		    "template to clone while nothing exists at path"},
    [P_RCTL] = {"rctl", PT_LIST, K | PF_OURS, HONOURED, NULL,
		"limit, in rctl(8)'s words: \"memoryuse:deny=512m\""},
    [P_SNAPSHOT_KEEP] = {"snapshot.keep", PT_STRING, PF_OURS, HONOURED, NULL,
			 "what newgate snapshot auto keeps: \"hourly 24, daily 7, weekly 4\""},

    /* what is allowed */
    [P_ALLOW_DYING] = {"allow.dying", PT_BOOL, 0, WITHOUT_EFFECT, "false",
		       "name and number of a jail are free as soon as it is gone"},
    [P_ALLOW_RAW_SOCKETS] = {"allow.raw_sockets", PT_BOOL, K, HONOURED, "false",
			     "raw and packet sockets, hence ping"},
    [P_ALLOW_SET_HOSTNAME] = {"allow.set_hostname", PT_BOOL, K, HONOURED, "false",
			      "the jail may change its hostname; FreeBSD's default is true"},
    [P_ALLOW_SYSVIPC] = {"allow.sysvipc", PT_BOOL, K, HONOURED, "false",
			 "System V IPC of the jail's own, never the host's: all three of "
			 "sysvmsg, sysvsem, sysvshm = new"},
    [P_ALLOW_CHFLAGS] = {"allow.chflags", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_QUOTAS] = {"allow.quotas", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_SOCKET_AF] = {"allow.socket_af", PT_BOOL, K, HONOURED, "false",
			   "address families besides unix, inet, inet6 and netlink's routes"},
    [P_ALLOW_MLOCK] = {"allow.mlock", PT_BOOL, K, HONOURED, "false",
		       "memory may be locked without limit"},
    [P_ALLOW_EXTATTR] = {"allow.extattr", PT_BOOL, K, WITHOUT_EFFECT, "false",
			 "user attributes are always allowed; " INITIAL_NS " for the system's"},
    [P_ALLOW_ADJTIME] = {"allow.adjtime", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_SETTIME] = {"allow.settime", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_ROUTING] = {"allow.routing", PT_BOOL, K, HONOURED, "false",
			 "the jail may change addresses, routes and filters of its own stack"},
    [P_ALLOW_SETAUDIT] = {"allow.setaudit", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_READ_MSGBUF] = {"allow.read_msgbuf", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_NFSD] = {"allow.nfsd", PT_BOOL, K, WITHOUT_EFFECT, "false", INITIAL_NS},
    [P_ALLOW_VMM] = {"allow.vmm", PT_BOOL, K, WITHOUT_EFFECT, "false",
		     "a jail's /dev has no device for virtual machines"},
    [P_ALLOW_VMM_PPT] = {"allow.vmm_ppt", PT_BOOL, K, WITHOUT_EFFECT, "false",
			 "a jail's /dev has no device for virtual machines"},
    [P_ALLOW_UNPRIVILEGED_PARENT_TAMPERING] = {"allow.unprivileged_parent_tampering", PT_BOOL, K,
					       WITHOUT_EFFECT, "false",
					       "a jail's users are never the host's users"},
    [P_ALLOW_RESERVED_PORTS] = {"allow.reserved_ports", PT_BOOL, K, HONOURED, "true",
				"the jail's root may listen on ports below 1024"},
    [P_ALLOW_SUSER] = {"allow.suser", PT_BOOL, K, HONOURED, "true",
		       "the jail's root has root's rights inside"},
    [P_ALLOW_UNPRIVILEGED_PROC_DEBUG] = {"allow.unprivileged_proc_debug", PT_BOOL, K, HONOURED,
					 "true", "debuggers may be used inside"},
    [P_ALLOW_MOUNT] =
	{"allow.mount", PT_BOOL, K, HONOURED, "false",
	 "with one of allow.mount.TYPE, whichever: the jail's root may mount what Linux lets "
	 "a user namespace mount"},
    [P_ALLOW_MOUNT_DEVFS] = {"allow.mount.devfs", PT_BOOL, K, WITHOUT_EFFECT, "false",
			     "no user namespace can make devices; use mount.devfs"},
    [P_ALLOW_MOUNT_FDESCFS] = {"allow.mount.fdescfs", PT_BOOL, K, WITHOUT_EFFECT, "false",
			       "Linux has no fdescfs; /dev/fd is a link"},
    [P_ALLOW_MOUNT_FUSEFS] = {"allow.mount.fusefs", PT_BOOL, K, WITHOUT_EFFECT, "false",
			      "a jail's /dev has no fuse"},
    [P_ALLOW_MOUNT_LINPROCFS] = {"allow.mount.linprocfs", PT_BOOL, K, WITHOUT_EFFECT, "false",
				 "a jail has Linux's own /proc"},
    [P_ALLOW_MOUNT_LINSYSFS] = {"allow.mount.linsysfs", PT_BOOL, K, WITHOUT_EFFECT, "false",
				"a jail has Linux's own /sys"},
    [P_ALLOW_MOUNT_NULLFS] = {"allow.mount.nullfs", PT_BOOL, K, HONOURED, "false",
			      "see allow.mount"},
    [P_ALLOW_MOUNT_PROCFS] = {"allow.mount.procfs", PT_BOOL, K, HONOURED, "false",
			      "see allow.mount"},
    [P_ALLOW_MOUNT_TMPFS] = {"allow.mount.tmpfs", PT_BOOL, K, HONOURED, "false", "see allow.mount"},
    [P_ALLOW_MOUNT_ZFS] = {"allow.mount.zfs", PT_BOOL, K, WITHOUT_EFFECT, "false",
			   "no data sets are handed to jails"},
    [P_CAPABILITIES] = {"capabilities", PT_LIST, K | PF_OURS, HONOURED, NULL,
			"of the capabilities that the jail would have, only these: \"chown\", "
			"\"setuid\""},
    [P_SYSVMSG] = {"sysvmsg", PT_SYS, K, HONOURED, "disable",
		   "new: System V messages of the jail's own; inherit is refused"},
    [P_SYSVSEM] = {"sysvsem", PT_SYS, K, HONOURED, "disable",
		   "new: System V semaphores of the jail's own; inherit is refused"},
    [P_SYSVSHM] = {"sysvshm", PT_SYS, K, HONOURED, "disable",
		   "new: System V shared memory of the jail's own; inherit is refused"},

    /* FreeBSD's emulation of us */
    [P_LINUX] = {"linux", PT_SYS, K, WITHOUT_EFFECT, NULL, LINUX_ITSELF},
    [P_LINUX_OSNAME] = {"linux.osname", PT_STRING, K, WITHOUT_EFFECT, NULL, LINUX_ITSELF},
    [P_LINUX_OSRELEASE] = {"linux.osrelease", PT_STRING, K, WITHOUT_EFFECT, NULL, LINUX_ITSELF},
    [P_LINUX_OSS_VERSION] = {"linux.oss_version", PT_INT, K, WITHOUT_EFFECT, NULL, LINUX_ITSELF, 0,
			     INT_MAX},

    /* read-only */
    [P_CPUSET_ID] = {"cpuset.id", PT_INT, RO, HONOURED, NULL, "for jls alone", 0, INT_MAX},
    [P_DYING] = {"dying", PT_BOOL, RO, HONOURED, NULL, "for jls alone"},
    [P_PARENT] = {"parent", PT_INT, RO, HONOURED, NULL, "for jls alone", 0, INT_MAX},
    [P_CHILDREN_CUR] = {"children.cur", PT_INT, RO, HONOURED, NULL, "for jls alone", 0, INT_MAX},
    [P_LASTJID] = {"lastjid", PT_INT, RO, HONOURED, NULL, "for jls alone", 0, INT_MAX},
};

const struct param *param_get(enum param_id id)
{
	return &table[id];
}

const char *param_class_text(enum param_class c)
{
	static const char *const text[] = {
	    [HONOURED] = "honoured", [WITHOUT_EFFECT] = "without effect", [REFUSED] = "refused"};
	return text[c];
}

const char *param_type_text(enum param_type t)
{
	static const char *const text[] = {
	    [PT_BOOL] = "boolean",      [PT_INT] = "number",
	    [PT_STRING] = "string",     [PT_LIST] = "list",
	    [PT_ADDRS] = "addresses",   [PT_SYS] = "disable, new or inherit",
	    [PT_COMMANDS] = "commands",
	};
	return text[t];
}

/* Name to id, filled at the first look-up: every statement of a file asks once. */
#define SLOTS 512
static unsigned char slot[SLOTS];
_Static_assert(PARAM_COUNT < 256 && PARAM_COUNT * 2 < SLOTS, "ids fit a slot, slots stay sparse");

static void fill(void)
{
	for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
		size_t i = map_hash(table[id].name, strlen(table[id].name)) % SLOTS;
		while (slot[i])
			i = (i + 1) % SLOTS;
		slot[i] = (unsigned char)id;
	}
}

static enum param_id find_exact(const char *name, size_t len)
{
	static bool filled;
	if (!filled)
		fill();
	filled = true;
	for (size_t i = map_hash(name, len) % SLOTS; slot[i]; i = (i + 1) % SLOTS) {
		const char *known = table[slot[i]].name;
		if (strncmp(known, name, len) == 0 && !known[len])
			return slot[i];
	}
	return PARAM_NONE;
}

/* "meta.KEY": the part before the first dot names a keyed parameter, and a key follows. */
static enum param_id find_keyed(const char *name)
{
	const char *dot = strchr(name, '.');
	if (!dot || !dot[1])
		return PARAM_NONE;
	enum param_id id = find_exact(name, (size_t)(dot - name));
	return table[id].flags & PF_KEYED ? id : PARAM_NONE;
}

/* "allow.nomount" for "allow.mount". */
static enum param_id find_negated(const char *name, size_t len)
{
	const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
	char plain[64];

	if (!str_prefix(last, "no") || len >= sizeof(plain))
		return PARAM_NONE;
	size_t head = (size_t)(last - name);
	memcpy(plain, name, head);
	memcpy(plain + head, last + 2, len - head - 2);
	enum param_id id = find_exact(plain, len - 2);
	return table[id].type == PT_BOOL ? id : PARAM_NONE;
}

enum param_id param_find(const char *name, bool *negated)
{
	size_t len = strlen(name);
	*negated = false;
	enum param_id id = find_exact(name, len);
	if (!id)
		id = find_keyed(name);
	if (!id) {
		id = find_negated(name, len);
		*negated = id != PARAM_NONE;
	}
	return id;
}

/* "noallow.mount": the "no" stands before the wrong component. What is nearest by letters would be
 * the opposite of what was meant. */
static const char *suggest_negated(const char *name)
{
	static char buf[64];
	size_t len = strlen(name);
	if (len >= sizeof(buf))
		return NULL;
	for (const char *part = name; part; part = strchr(part, '.')) {
		part += *part == '.';
		if (!str_prefix(part, "no"))
			continue;
		size_t head = (size_t)(part - name);
		memcpy(buf, name, head);
		memcpy(buf + head, part + 2, len - head - 1);
		enum param_id id = find_exact(buf, len - 2);
		if (!id)
			continue;
		if (table[id].type != PT_BOOL)
			return table[id].name;
		const char *dot = strrchr(buf, '.');
		size_t last = dot ? (size_t)(dot + 1 - buf) : 0;
		memmove(buf + last + 2, buf + last, len - 1 - last);
		memcpy(buf + last, "no", 2);
		return buf;
	}
	return NULL;
}

/* "hostname" for "host.hostname", where one parameter alone ends so. */
static const char *suggest_longer(const char *name)
{
	const char *found = NULL;
	for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
		const char *dot = strrchr(table[id].name, '.');
		if (!dot || !str_eq(dot + 1, name))
			continue;
		if (found)
			return NULL;
		found = table[id].name;
	}
	return found;
}

const char *param_suggest(const char *name)
{
	const char *names[PARAM_COUNT];
	size_t n = 0;

	const char *found = suggest_negated(name);
	if (!found)
		found = suggest_longer(name);
	if (found)
		return found;
	for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++)
		if (!(table[id].flags & PF_READONLY))
			names[n++] = table[id].name;
	return str_nearest(name, names, n);
}
