#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "store/tools.h"

/* Executables are built in src/cmd and tests/unit, what they need at run time in src/store. Whoever
 * could put a file there could as well replace the executable. */
static char *build_folder(void)
{
	static const char *const folders[] = {"/src/cmd", "/tests/unit"};
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		return NULL;
	exe[n] = '\0';
	*strrchr(exe, '/') = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (str_suffix(exe, folders[i]))
			return mem_strndup(exe, strlen(exe) - strlen(folders[i]));
	return NULL;
}

char *tools_find(const char *dir, const char *name)
{
	autofree char *build = build_folder();
	autodone(str_done) struct str b = {0};

	if (build) {
		str_addf(&b, "%s/src/store/%s", build, name);
		if (access(b.s, R_OK) == 0)
			return str_take(&b);
		b.len = 0;
	}
	str_addf(&b, "%s/%s", dir, name);
	return str_take(&b);
}
