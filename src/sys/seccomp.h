/* The system call filter of a jail: what is listed is allowed, the rest is EPERM, what is newer
 * than the list (Linux 6.1) is ENOSYS. The program is written when newgate is built (mkseccomp.c
 * holds the list); at run time the permissions are filled in and it is loaded. Foreign
 * architectures (i386 on x86-64) are killed by SIGSYS. */
#ifndef NG_SYS_SECCOMP_H
#define NG_SYS_SECCOMP_H

#include "base/macro.h"

/* Each opens exactly what it names. */
enum seccomp_allow {
	SC_MOUNT = 1,      /* allow.mount: the mount calls, but none that changes a mount */
	SC_NAMESPACES = 2, /* children.max > 0: unshare, setns, clone with CLONE_NEW* */
	SC_SYSVIPC = 4,    /* sysvmsg, sysvsem, sysvshm */
	SC_SOCKET_AF = 8,  /* allow.socket_af: families besides unix, inet, inet6, netlink route;
			    protocols besides TCP, UDP, ICMP */
	SC_HOSTNAME = 16,  /* allow.set_hostname */
	SC_PTRACE = 32,    /* allow.unprivileged_proc_debug (default on) */
	SC_ALL = 63
};

/* Loads the filter into the calling thread. Needs CAP_SYS_ADMIN in its user namespace (and so does
 * not set no_new_privs). 0 or -errno. */
int seccomp_load(unsigned allow) MUST_CHECK;

#endif
