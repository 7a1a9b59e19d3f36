#include "sys/caps.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <linux/securebits.h>

/* The kernel's own last one: it may be newer or older than the headers we were built with. */
static int drop_bounding(uint64_t set, uint64_t *known)
{
	*known = 0;
	for (unsigned long c = 0; c < 64; c++) {
		int has = prctl(PR_CAPBSET_READ, c, 0, 0, 0);
		if (has < 0)
			break;
		*known |= CAP_BIT(c);
		if (has && !(set & CAP_BIT(c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return -errno;
		if (!has && set & CAP_BIT(c))
			return -EPERM;
	}
	return 0;
}

int caps_limit(uint64_t set)
{
	uint64_t known;
	/* Older kernels without ambient capabilities have none to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	int r = drop_bounding(set, &known);
	if (r < 0)
		return r;
	set &= known;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
	    {.effective = (uint32_t)set, .permitted = (uint32_t)set},
	    {.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)},
	};
	return capset(&head, data) < 0 ? -errno : 0;
}

int caps_file_ids(uint32_t id)
{
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (bits < 0 ||
	    prctl(PR_SET_SECUREBITS, (unsigned long)bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
		return -errno;
	setfsgid(id);
	setfsuid(id);
	/* They return the old id also on failure; an invalid id asks without changing anything. */
	bool done = setfsuid((uid_t)-1) == (int)id && setfsgid((gid_t)-1) == (int)id;
	if (prctl(PR_SET_SECUREBITS, (unsigned long)bits, 0, 0, 0) < 0)
		return -errno;
	return done ? 0 : -EPERM;
}

int caps_act_as(uid_t uid)
{
	int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	if (bits < 0 ||
	    prctl(PR_SET_SECUREBITS, (unsigned long)bits | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
		return -errno;
	int r = setresuid(uid, uid, (uid_t)-1) < 0 ? -errno : 0;
	return prctl(PR_SET_SECUREBITS, (unsigned long)bits, 0, 0, 0) < 0 ? -errno : r;
}

int caps_number(const char *name)
{
	char full[64];
	cap_value_t value;
	int n = snprintf(full, sizeof full, "cap_%s", name);
	if (n < 0 || (size_t)n >= sizeof full)
		return -EINVAL;
	for (char *p = full; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return cap_from_name(full, &value) < 0 ? -EINVAL : value;
}
