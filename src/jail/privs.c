/* What each capability is for. They count in the jail's own user namespace only: over its files,
 * its network, its processes. Left out, among others: sys_module, sys_rawio, sys_time, sys_boot,
 * mknod (they count on the host alone: a promise not kept), sys_resource, dac_read_search (opens
 * files by handle), bpf, perfmon, syslog. */
#include "jail/privs.h"

#include <inttypes.h>
#include <sys/resource.h>
#include "base/num.h"
#include "conf/value.h"
#include "sys/caps.h"
#include "sys/seccomp.h"

static const char *const base_set[] = {
    "chown",       "dac_override", "fowner", "fsetid", /* root's ordinary life with files */
    "setfcap",                                         /* package managers */
    "setuid",      "setgid",       "kill", /* daemons that tend workers of another user */
    "sys_chroot",  "setpcap",              /* and that lock themselves in */
    "audit_write", /* login programs give up without it; the kernel takes no record from a jail */
};

static uint64_t cap(const char *name)
{
	int n = caps_number(name);
	return n < 0 ? 0 : CAP_BIT(n);
}

/* FreeBSD asks for three things before a jail may mount: the permission, one for the type, and
 * enforce_statfs below 2. The filter cannot tell types apart, so any one type opens them all: those
 * which the kernel lets a user namespace mount. */
static bool may_mount(const struct conf_jail *j)
{
	if (!conf_bool(j, P_ALLOW_MOUNT) || conf_int(j, P_ENFORCE_STATFS) >= 2)
		return false;
	for (enum param_id id = P_ALLOW_MOUNT_DEVFS; id <= P_ALLOW_MOUNT_ZFS; id++)
		if (conf_bool(j, id))
			return true;
	return false;
}

static bool has_sysvipc(const struct conf_jail *j)
{
	return conf_bool(j, P_ALLOW_SYSVIPC) || conf_sys(j, P_SYSVMSG) != SYS_DISABLE ||
	       conf_sys(j, P_SYSVSEM) != SYS_DISABLE || conf_sys(j, P_SYSVSHM) != SYS_DISABLE;
}

static unsigned filter_of(const struct conf_jail *j)
{
	unsigned f = 0;
	if (may_mount(j))
		f |= SC_MOUNT;
	if (conf_int(j, P_CHILDREN_MAX) > 0)
		f |= SC_NAMESPACES;
	if (has_sysvipc(j))
		f |= SC_SYSVIPC;
	if (conf_bool(j, P_ALLOW_SOCKET_AF))
		f |= SC_SOCKET_AF;
	if (conf_bool(j, P_ALLOW_SET_HOSTNAME))
		f |= SC_HOSTNAME;
	if (conf_bool(j, P_ALLOW_UNPRIVILEGED_PROC_DEBUG))
		f |= SC_PTRACE;
	return f;
}

/* capabilities: only these, of those that the jail would have. */
static uint64_t kept_caps(const struct conf_jail *j)
{
	struct arena a autodone(arena_done) = {0};
	uint64_t kept = 0;
	const char *why;
	size_t n;
	const struct conf_value *v = conf_list(j, P_CAPABILITIES, &n);
	if (!conf_is_set(j, P_CAPABILITIES))
		return UINT64_MAX;
	for (size_t i = 0; i < n; i++) {
		const char *name = value_capability(&a, v[i].text, &why);
		kept |= name ? cap(name) : 0;
	}
	return kept;
}

struct privs privs_of(const struct conf_jail *j)
{
	struct privs p = {.filter = filter_of(j), .memlock = conf_bool(j, P_ALLOW_MLOCK)};
	size_t n;
	const struct conf_value *rctl = conf_list(j, P_RCTL, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_rctl r;
		const char *why;
		if (value_rctl(rctl[i].text, &r, &why) == 0 && r.resource == RCTL_OPENFILES)
			p.files = r.amount;
	}
	if (!conf_bool(j, P_ALLOW_SUSER))
		return p;
	bool vnet = conf_sys(j, P_VNET) == SYS_NEW;
	for (size_t i = 0; i < ARRAY_SIZE(base_set); i++)
		p.caps |= cap(base_set[i]);
	if (conf_bool(j, P_ALLOW_RESERVED_PORTS))
		p.caps |= cap("net_bind_service");
	if (conf_bool(j, P_ALLOW_RAW_SOCKETS) || vnet)
		p.caps |= cap("net_raw");
	if (conf_bool(j, P_ALLOW_ROUTING) || vnet)
		p.caps |= cap("net_admin");
	/* For these calls only: the filter closes whatever else sys_admin would open. */
	if (p.filter & (SC_MOUNT | SC_HOSTNAME | SC_NAMESPACES))
		p.caps |= cap("sys_admin");
	if (p.filter & SC_SYSVIPC)
		p.caps |= cap("ipc_owner");
	/* Root may look at every process of the jail, as service scripts do by /proc/PID/exe. A
	 * process that comes in by jexec is out of reach until it is the jail's own program: it is
	 * not dumpable, and the memory it brings along belongs to the host. */
	if (p.filter & SC_PTRACE)
		p.caps |= cap("sys_ptrace");
	p.caps &= kept_caps(j);
	return p;
}

int privs_rlimits(const struct privs *p, pid_t pid)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit files = {p->files, p->files};
	/* A host that is itself a container may lack the right to raise a hard limit: then
	 * allow.mlock stays within the one that newgate was started with. */
	if (p->memlock && prlimit(pid, RLIMIT_MEMLOCK, &all, NULL) < 0 && errno != EPERM)
		return -errno;
	if (p->files && prlimit(pid, RLIMIT_NOFILE, &files, NULL) < 0 && errno != EPERM)
		return -errno;
	return 0;
}

int privs_apply(const struct privs *p)
{
	int rc = seccomp_load(p->filter);
	return rc < 0 ? rc : caps_limit(p->caps);
}

void privs_format(struct str *out, const struct privs *p)
{
	str_addf(out, "%" PRIu64 ":%u:%u:%" PRIu64, p->caps, p->filter, p->memlock, p->files);
}

int privs_parse(const char *text, struct privs *out)
{
	struct strv v autodone(strv_done) = {0};
	strv_split(&v, text, ":");
	uint64_t caps, files;
	uint32_t filter, memlock;
	if (v.n != 4 || num_u64(v.v[0], 0, UINT64_MAX, &caps) < 0 ||
	    num_u32(v.v[1], 0, SC_ALL, &filter) < 0 || num_u32(v.v[2], 0, 1, &memlock) < 0 ||
	    num_u64(v.v[3], 0, UINT64_MAX, &files) < 0)
		return -EINVAL;
	*out = (struct privs){.caps = caps, .filter = filter, .memlock = memlock, .files = files};
	return 0;
}
