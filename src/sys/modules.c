#include "sys/modules.h"

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

bool modules_gone(char *release, size_t size)
{
	char path[128];
	struct utsname u;
	if (access("/proc/modules", F_OK) < 0 || uname(&u) < 0)
		return false;
	snprintf(release, size, "%s", u.release);
	snprintf(path, sizeof path, "/lib/modules/%s", u.release);
	return access(path, F_OK) < 0;
}
