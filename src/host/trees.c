#include "host/trees.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "conf/files.h"
#include "host/files.h"
#include "store/copy.h"
#include "sys/path.h"

#define FROM "debian:bookworm"

/* What is kept outside of the trees, so that a jail can be made anew without losing it. */
static const struct {
	const char *jail, *data, *inside;
} folders[] = {
    {"web", "web/roundcube", "srv/roundcube"},
    {"web", "web/sites", "srv/sites"},
    {"web", "acme/challenge", "srv/acme"},
    {"acme", "acme/state", "srv/state"},
    {"postfix", "postfix/spool", "var/spool/postfix"},
    {"postfix", "postfix/lib", "var/lib/postfix"},
    {"postfix", "postfix/maps", "srv/maps"},
    {"dovecot", "dovecot/vmail", "srv/vmail"},
    {"dovecot", "dovecot/lib", "var/lib/dovecot"},
    {"rspamd", "rspamd/lib", "var/lib/rspamd"},
    {"rspamd", "rspamd/redis", "var/lib/redis"},
};

/* Two steps, so that a changed script needs no download: the packages, then the script over them. */
static int make_template(struct store *s, const char *jail, const char *name, trees_run *run,
			 struct ng_err *err)
{
	struct store_made made autodone(store_made_done) = {0},
			       last autodone(store_made_done) = {0};
	struct str packages autodone(str_done) = {0};
	const struct store_recipe first = {.from = FROM, .include = host_template_packages(jail)};

	str_addf(&packages, "%s-packages", name);
	if (!store_has_template(s, packages.s)) {
		int rc = store_template_make(s, packages.s, &first, &made, err);
		if (rc < 0)
			return rc;
	}
	const struct store_recipe then = {
	    .from = packages.s, .script = host_template_script(jail), .run = run};
	return store_template_make(s, name, &then, &last, err);
}

/* Beside its place first, so that what is there is whole. */
static int make_folder(const struct host *h, int tree, const char *data, const char *inside,
		       struct ng_err *err)
{
	autofree char *path = host_path(h, HOST_DATA "/%s", data);
	autofree char *half = host_path(h, HOST_DATA "/%s.new.%d", data, getpid());
	struct ng_err text = {0};

	if (access(path, F_OK) == 0)
		return 0;
	int rc = file_mkdirs(half, 0700);
	autoclose int to = rc < 0 ? -1 : open(half, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int from = path_open(tree, inside, O_RDONLY | O_DIRECTORY, 0);
	if (rc == 0 && to >= 0 && from >= 0)
		rc = copy_tree(from, to, 0, -1, &text);
	else
		rc = rc < 0 ? rc : from < 0 ? from : -errno;
	if (text.code)
		return err_set(err, text.code, "%s: %s", path, text.text);
	if (rc == 0 && rename(half, path) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

int trees_make_tree(const struct host *h, struct store *s, const char *jail, trees_run *run,
		    struct ng_err *err)
{
	struct str name autodone(str_done) = {0}, where autodone(str_done) = {0};
	int rc = 0;

	str_addf(&name, "host-%s", jail);
	str_addf(&where, "/var/lib/newgate/roots/%s", jail);
	autofree char *path = host_path(h, "%s", where.s);
	if (!store_has_template(s, name.s))
		rc = make_template(s, jail, name.s, run, err);
	if (rc == 0 && !store_has_jail(s, jail))
		rc = store_clone(s, name.s, jail, path, jail, err);
	return rc;
}

int trees_make_folders(const struct host *h, const struct store *s, const char *jail,
		       struct ng_err *err)
{
	struct store_view view autodone(store_view_done) = STORE_VIEW_NONE;
	int rc = store_view(s, jail, NULL, &view, err);

	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc == 0; i++)
		if (str_eq(folders[i].jail, jail))
			rc = make_folder(h, view.root, folders[i].data, folders[i].inside, err);
	return rc;
}

int trees_make(const struct host *h, struct store *s, const char *jail, trees_run *run,
	       struct ng_err *err)
{
	int rc = trees_make_tree(h, s, jail, run, err);

	return rc < 0 ? rc : trees_make_folders(h, s, jail, err);
}

int trees_own(int data, const struct owners *from, const struct owners *to, struct ng_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && rc == 0; i++) {
		autoclose int fd =
		    path_open_nolink(data, folders[i].data, O_RDONLY | O_DIRECTORY, 0);

		if (fd != -ENOENT)
			rc = fd < 0 ? err_sys(err, fd, "it")
				    : owners_change(fd, folders[i].jail, from, to, err);
		if (rc < 0)
			err_prefix(err, "%s in the backup", folders[i].data);
	}
	return rc;
}
