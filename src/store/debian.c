#include <ctype.h>
#include <string.h>
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

/* Names of packages; what else --include takes (patterns, files of the host) is not meant here. */
static bool is_package(const char *s)
{
	if (!isalnum((unsigned char)*s))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("+-.:", *s))
			return false;
	return true;
}

/* minbase has what /etc/rc needs: sysvinit-utils and init-system-helpers are essential packages.
 * cron is what keeps a fresh jail running, as on FreeBSD; finish_template enables it. */
static int packages(const char *include, struct str *out, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};

	str_add(out, "--include=cron");
	strv_split(&names, include ? include : "", ",");
	for (size_t i = 0; i < names.n; i++) {
		if (!is_package(names.v[i]))
			return err_set(err, EINVAL,
				       "--include: \"%s\" is not the name of a package",
				       names.v[i]);
		str_addf(out, ",%s", names.v[i]);
	}
	return 0;
}

int make_debian(struct store *s, const char *suite, const char *include, const char *path,
		struct ng_err *err)
{
	autodone(str_done) struct str with = {0};
	int rc = packages(include, &with, err);
	const char *const argv[] = {"mmdebstrap", "--variant=minbase", "--mode=root",
				    str_text(&with),
				    /* apt's own user may not enter our folders. */
				    "--aptopt=APT::Sandbox::User \"root\"", suite, path, NULL};

	if (rc < 0)
		return rc;
	if (!is_suite(suite))
		return err_set(err, EINVAL,
			       "debian:%s: name a suite after the colon, such as debian:stable",
			       suite);
	return tools_run(s, argv, "mmdebstrap", NULL, err);
}
