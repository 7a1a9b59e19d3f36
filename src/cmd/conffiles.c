#include "cmd/conffiles.h"

#include <string.h>
#include "base/file.h"
#include "cmd/cmd.h"
#include "conf/files.h"
#include "conf/jail.h"
#include "conf/rcconf.h"
#include "pf/pf.h"

static void add(struct strv *paths, const char *path)
{
	if (path[0] == '/' && !strv_has(paths, path))
		strv_add(paths, path);
}

/* Below -R; what lies elsewhere (standard input, say) is not a file of the configuration. */
static void want_file(struct strv *paths, const char *file)
{
	size_t n = strlen(cmd_root);

	if (strncmp(file, cmd_root, n) == 0)
		add(paths, file + n);
}

/* The files that jails' blocks were read from, whatever includes them, and fstab(5) files. */
static void list_conf(const struct conf *c, struct strv *paths)
{
	size_t n, m;
	autofree const char **names = conf_names(c, &n);

	for (size_t i = 0; i < c->nrecords; i++) {
		want_file(paths, c->record[i].pos.file);
		for (size_t k = 0; k < c->record[i].nparams; k++)
			want_file(paths, c->record[i].param[k].pos.file);
	}
	for (size_t i = 0; i < n; i++) {
		autodone(conf_jail_done) struct conf_jail j = {0};
		autodone(diags_done) struct diags unchecked = {0};
		if (conf_resolve(c, names[i], CONF_FOR_LIST, &j, &unchecked) < 0)
			continue;
		const struct conf_value *fstab = conf_list(&j, P_MOUNT_FSTAB, &m);
		for (size_t k = 0; k < m; k++)
			add(paths, fstab[k].text);
	}
}

/* Reads for pf_read, and notes what. */
static int note(void *arg, const char *path, char **text, size_t *len)
{
	autofree char *full = files_path(cmd_root, path);

	add(arg, path);
	return file_read(*path == '/' ? full : path, text, len);
}

/* Whatever is wrong with it: newgate check tells that. */
static void list_pf(const char *rules, struct strv *paths)
{
	static const struct pf_host nothing;
	const struct pf_reader reader = {.read = note, .arg = paths, .host = &nothing};
	autodone(pf_done) struct pf pf = {0};
	autodone(diags_done) struct diags d = {0};
	autofree char *text = NULL;
	size_t len = 0;

	if (note(paths, rules, &text, &len) == 0)
		pf_read(&pf, &reader, rules, text, len, &d);
}

void conffiles_list(const struct conf *c, struct strv *paths)
{
	autodone(rcconf_done) struct rcconf rc = {0};
	autodone(diags_done) struct diags d = {0};
	autofree char *rc_conf = files_path(cmd_root, "/etc/rc.conf");

	add(paths, "/etc/jail.conf");
	add(paths, "/etc/rc.conf");
	add(paths, "/var/lib/newgate/leases");
	list_conf(c, paths);
	bool read = rcconf_read(&rc, rc_conf, &d) == 0;
	list_pf(read && rc.pf_rules ? rc.pf_rules : "/etc/pf.conf", paths);
}
