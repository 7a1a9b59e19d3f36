#include <ctype.h>
#include "store/tools.h"

/* Suites are words; anything else could be an option or a mirror of mmdebstrap's. */
static bool is_suite(const char *s)
{
	if (!isalpha((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '-')
			return false;
	return true;
}

/* minbase has what /etc/rc needs: sysvinit-utils and init-system-helpers are essential packages.
 * cron is what keeps a fresh jail running, as on FreeBSD; finish_template enables it. */
int make_debian(struct store *s, const char *suite, const char *path, struct ng_err *err)
{
	const char *const argv[] = {"mmdebstrap", "--variant=minbase", "--mode=root",
				    "--include=cron",
				    /* apt's own user may not enter our folders. */
				    "--aptopt=APT::Sandbox::User \"root\"", suite, path, NULL};

	if (!is_suite(suite))
		return err_set(err, EINVAL,
			       "debian:%s: name a suite after the colon, such as debian:stable",
			       suite);
	return tools_run(s, argv, "mmdebstrap", NULL, err);
}
