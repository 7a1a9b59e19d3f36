/* The files that are made from share/host, with the host's settings put in for @NAME@. What the user
 * changed is the user's: it is never written over, and `diff` shows it beside what would be made. */
#ifndef NG_HOST_FILES_H
#define NG_HOST_FILES_H

#include "host/lists.h"

enum host_file_state {
	FILE_SAME,  /* as it would be made */
	FILE_NEW,   /* not there yet */
	FILE_OLDER, /* as it was made by other settings or another version: nobody changed it */
	FILE_USERS  /* somebody did */
};
struct host_file {
	char *path; /* absolute, without the -R prefix; owned */
	char *text; /* as it would be made; owned */
	bool program;
	enum host_file_state state;
};
struct host_files {
	struct host_file *v;
	size_t n;
};
/* One a file of share/host, and one a site. */
int host_files_plan(const struct host *h, const struct host_lists *l, struct host_files *out,
		    struct ng_err *err) MUST_CHECK;
/* Writes those that are new or older. *kept: how many are the user's. */
int host_files_write(const struct host *h, struct host_files *f, size_t *kept,
		     struct ng_err *err) MUST_CHECK;
void host_files_done(struct host_files *f);

/* The script that makes template host-JAIL of a Debian tree, and the packages that tree needs,
 * separated by commas; NULL: there is no such jail. */
const char *host_template_script(const char *jail);
const char *host_check_script(const char *jail); /* that sees whether its configuration is read */
const char *host_template_packages(const char *jail);
/* A file below share/host that is made for each site, with @NAME@ and the like left in; or NULL. */
const char *host_share(const char *name);
/* Puts values in for @NAME@: `pairs` is name, value, …, NULL. */
void host_fill(struct str *out, const char *text, const char *const *pairs);

#endif
