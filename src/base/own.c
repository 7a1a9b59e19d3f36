#include "base/own.h"

#include <limits.h>
#include "base/mem.h"
#include "base/str.h"

/* Whoever could put a file where these lead could as well replace the executable. */
char *own_file(const char *build, const char *dir, const char *name)
{
	static const char *const built[] = {"/src/cmd", "/tests/unit"};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	struct str b = {0};

	exe[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(exe, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(built); i++)
		if (str_suffix(exe, built[i])) {
			str_addn(&b, exe, strlen(exe) - strlen(built[i]));
			str_addf(&b, "/%s/%s", build, name);
			return str_take(&b);
		}
	if (str_suffix(exe, NG_SBINDIR))
		str_addn(&b, exe, strlen(exe) - strlen(NG_SBINDIR));
	str_addf(&b, "%s/%s", dir, name);
	return str_take(&b);
}
