#include "cmd/runs.h"

#include <fcntl.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "store/copy.h"

#define PATTERN "20261123T084630Z"

bool runs_is_name(const char *name)
{
	size_t n = strlen(PATTERN);

	if (strlen(name) < n || (name[n] != '\0' && name[n] != '.'))
		return false;
	for (size_t i = 0; i < n; i++) {
		bool digit = PATTERN[i] >= '0' && PATTERN[i] <= '9';
		if (digit ? name[i] < '0' || name[i] > '9' : name[i] != PATTERN[i])
			return false;
	}
	return true;
}

static int by_time(const void *a, const void *b)
{
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

int runs_list(int dir, struct strv *out)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(dir, &names);

	for (size_t i = 0; i < names.n; i++)
		if (runs_is_name(names.v[i]))
			strv_add(out, names.v[i]);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof(*out->v), by_time);
	return rc;
}

int runs_read(int dir, const char *name, struct backup *out, struct ng_err *err)
{
	autodone(str_done) struct str path = {0};
	autofree char *text = NULL;
	size_t len = 0;

	/* Whatever the folder is called, also where the way to it has changed since it was opened. */
	str_addf(&path, "/proc/self/fd/%d/%s/" BACKUP_CONTENTS, dir, name);
	int rc = file_read(path.s, &text, &len);
	if (rc < 0)
		return err_sys(err, rc, "%s/" BACKUP_CONTENTS, name);
	rc = backup_parse(text, len, out, err);
	return rc < 0 ? err_prefix(err, "%s/" BACKUP_CONTENTS, name) : 0;
}
