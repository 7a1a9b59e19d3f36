/* Jails that are to run, and who starts them with the host. */
#include <glob.h>
#include "conf/files.h"
#include "doctor/check.h"

static bool is_to_run(const struct rcconf *rc, const struct gather_jail *j)
{
	if (!j->block || !rc->jail_enable)
		return false;
	for (size_t i = 0; rc->jail_list && rc->jail_list[i]; i++)
		if (str_eq(rc->jail_list[i], j->block) || str_eq(rc->jail_list[i], j->name))
			return true;
	return !rc->jail_list;
}

static void check_stopped(struct doctor *d)
{
	const char *first = NULL;
	size_t n = 0;
	for (size_t i = 0; i < d->gather->n; i++) {
		const struct gather_jail *j = &d->gather->jail[i];
		if ((j->rec && !j->rec->dead) || !is_to_run(d->rc, j))
			continue;
		first = first ? first : j->name;
		n++;
	}
	if (!n)
		return;
	struct finding *f =
	    n == 1 ? found(d, DOCTOR_ADVICE, "%s does not run", first)
		   : found(d, DOCTOR_ADVICE, "%s and %zu more do not run", first, n - 1);
	because(f, "jail_enable in /etc/rc.conf says that jails are to");
	mend(f, "newgate up");
}

static bool has_file(const struct doctor *d, const char *pattern)
{
	autofree char *path = files_path(d->root, pattern);
	glob_t found = {0};
	bool is = glob(path, GLOB_NOSORT, NULL, &found) == 0;
	globfree(&found);
	return is;
}

static void check_unit(struct doctor *d)
{
	bool enabled = has_file(d, "/etc/systemd/system/*.wants/newgate.service");
	struct finding *f;
	if (!d->gather->n || !has_file(d, "/run/systemd/system") || enabled == d->rc->jail_enable)
		return;
	if (enabled) {
		f = found(d, DOCTOR_ADVICE, "no jail starts with the host");
		because(f, "newgate.service is enabled, but jail_enable in /etc/rc.conf is not "
			   "\"YES\"");
		mend(f, "echo 'jail_enable=\"YES\"' >>/etc/rc.conf");
	} else {
		f = found(d, DOCTOR_ADVICE, "newgate.service is not enabled");
		because(f, "jail_enable in /etc/rc.conf says that jails start with the host, and "
			   "nobody would start them");
		mend(f, "systemctl enable newgate");
	}
}

void check_boot(struct doctor *d)
{
	check_stopped(d);
	check_unit(d);
}
