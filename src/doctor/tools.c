/* Programs: those that newgate runs, and those that one types. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "doctor/check.h"
#include "sys/program.h"

void check_tools(struct doctor *d)
{
	static const char *const argv[] = {"nft", "--version", NULL};
	struct ng_err err = {0};
	autofree char *text = NULL;
	size_t len;
	int rc = program_read(argv, &text, &len, &err);
	if (rc == 0)
		return;
	struct finding *f =
	    found(d, DOCTOR_HINDERS, rc == -ENOENT ? "nft is missing" : "%s", err.text);
	because(f, "newgate loads its firewall with it, before the first jail with an address");
	mend(f, "apt install nftables");
}

/* The first program of that name along PATH, or NULL. The caller frees. */
static char *along_path(const char *name)
{
	const char *env = getenv("PATH");
	struct strv folders autodone(strv_done) = {0};
	strv_split(&folders, env ? env : "/usr/bin:/bin", ":");
	for (size_t i = 0; i < folders.n; i++) {
		struct str path = {0};
		str_addf(&path, "%s/%s", folders.v[i], name);
		char *file = str_take(&path);
		if (access(file, X_OK) == 0)
			return file;
		free(file);
	}
	return NULL;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void check_path(struct doctor *d)
{
	static const char *const names[] = {"jexec", "jail", "jls", "newgate"};
	const char *slash = strrchr(d->executable, '/');
	int folder = slash ? (int)(slash - d->executable) : 0;
	struct str nowhere autodone(str_done) = {0};
	struct finding *f;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		autofree char *first = along_path(names[i]);
		if (!first)
			str_addf(&nowhere, "%s%s", nowhere.len ? ", " : "", names[i]);
		if (!first || same_file(first, d->executable))
			continue;
		f = found(d, DOCTOR_ADVICE, "%s along PATH is %s, which is not this newgate's",
			  names[i], first);
		if (i == 0)
			because(f,
				"OpenJDK has a program of that name: in hooks and scripts `jexec "
				"JAIL` would start the wrong one");
		else
			because(f, "hooks and scripts that call it would start the wrong one");
		mend(f, "export PATH=%.*s:$PATH", folder, d->executable);
	}
	if (!nowhere.len)
		return;
	f = found(d, DOCTOR_ADVICE, "along PATH there is no %s", nowhere.s);
	because(f, "hooks and scripts would not find newgate's");
	mend(f, "export PATH=%.*s:$PATH", folder, d->executable);
}
