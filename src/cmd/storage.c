#include "cmd/storage.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "conf/files.h"
#include "net/lease.h"
#include "store/rebase.h"

int storage_open(struct storage *s)
{
	struct ng_err err = {0};

	*s = (struct storage){.state = {.dir = -1}};
	if (store_open(&s->store, cmd_root, &err) < 0 ||
	    state_open(&s->state, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	progress_attach(&s->store);
	int rc = files_read_all(&s->conf, cmd_root, &s->diags);
	return !tell_diags(&s->diags, true) || rc < 0;
}

void storage_done(struct storage *s)
{
	diags_done(&s->diags);
	conf_done(&s->conf);
	state_done(&s->state);
	store_done(&s->store);
}

bool storage_good_name(const char *name)
{
	const char *why = conf_name_fault(name);

	if (conf_is_wildcard(name))
		why = "it is a pattern, not the name of one jail";
	if (why)
		warn_msg("\"%s\": %s", name, why);
	return !why;
}

bool storage_heal(struct storage *s, const char *jail)
{
	struct ng_err err = {0};
	int rc = rebase_heal(&s->store, jail, &err);

	if (rc > 0)
		warn_msg("%s: a rebase of it was cut off: it is again as it was before", jail);
	else if (rc < 0)
		warn_msg("%s", err.text);
	return rc >= 0;
}

static bool hold(struct storage *s, const char *jail, bool wait, int *fd)
{
	struct ng_err err = {0};
	autodone(record_done) struct record r = {0};

	*fd = wait ? state_lock(&s->state, jail, &err) : state_trylock(&s->state, jail, NULL, &err);
	if (*fd < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	int rc = state_find(&s->state, jail, &r, &err);
	if (rc == -ENOENT || (rc == 0 && (r.dead || !str_eq(r.name, jail))))
		return storage_heal(s, jail);
	if (rc < 0)
		warn_msg("%s", err.text);
	else
		warn_msg("%s is running: stop it first (jail -r %s)", jail, jail);
	return false;
}

bool storage_hold(struct storage *s, const char *jail, int *fd)
{
	return hold(s, jail, true, fd);
}

bool storage_try_hold(struct storage *s, const char *jail, int *fd)
{
	return hold(s, jail, false, fd);
}

bool storage_hold_both(struct storage *s, const char *a, const char *b, int *fa, int *fb)
{
	return strcmp(a, b) < 0 ? storage_hold(s, a, fa) && storage_hold(s, b, fb)
				: storage_hold(s, b, fb) && storage_hold(s, a, fa);
}

bool storage_reread(struct storage *s)
{
	conf_done(&s->conf);
	diags_done(&s->diags);
	s->conf = (struct conf){0};
	s->diags = (struct diags){0};
	return files_read_all(&s->conf, cmd_root, &s->diags) == 0 && tell_diags(&s->diags, false);
}

int storage_find(struct storage *s, const char *jail, struct conf_jail *out)
{
	autodone(diags_done) struct diags unchecked = {0};

	return conf_resolve(&s->conf, jail, CONF_FOR_LIST, out, &unchecked);
}

void storage_no_jail(struct storage *s, const char *jail)
{
	size_t n;
	autofree const char **names = conf_names(&s->conf, &n);
	const char *near = str_nearest(jail, names, n);

	warn_msg("there is no jail %s%s%s%s", jail, near ? " (did you mean \"" : "",
		 near ? near : "", near ? "\"?)" : "");
}

/* A jail of the configuration that newgate made no tree for: its path is copied as it stands. */
static int clone_plain(struct storage *s, const char *from, const char *jail, const char *path,
		       const char *hostname, struct ng_err *err)
{
	autodone(conf_jail_done) struct conf_jail src = {0};

	if (storage_find(s, from, &src) < 0)
		return store_clone(&s->store, from, jail, path, hostname, err);
	autofree char *dir = files_path(cmd_root, conf_string(&src, P_PATH));
	return store_clone_dir(&s->store, dir, from, jail, path, hostname, err);
}

bool storage_clone(struct storage *s, const char *from, const struct conf_jail *j)
{
	struct ng_err err = {0};
	const char *dir = conf_string(j, P_PATH);
	bool template = store_has_template(&s->store, from);

	if (!dir || dir[0] != '/') {
		warn_msg("%s: its path is not absolute: %s", j->name, dir ? dir : "");
		return false;
	}
	autofree char *path = files_path(cmd_root, dir);
	const char *hostname =
	    conf_is_set(j, P_HOST_HOSTNAME) ? conf_string(j, P_HOST_HOSTNAME) : NULL;
	int rc = template || store_has_jail(&s->store, from)
		     ? store_clone(&s->store, from, j->name, path, hostname, &err)
		     : clone_plain(s, from, j->name, path, hostname, &err);
	if (rc == 0)
		rc = store_sync(&s->store, j->name, &err);
	progress_end();
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc == 0;
}

static bool has_lease(const struct leases *l, const char *jail)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].jail && str_eq(l->v[i].jail, jail))
			return true;
	return false;
}

int storage_free_leases(const char *jail, struct ng_err *err)
{
	autodone(leases_done) struct leases l = {.fd = -1};
	int rc = leases_open(&l, cmd_root, err);

	if (rc < 0 || !has_lease(&l, jail))
		return rc;
	rc = leases_lock(&l, err);
	if (rc < 0)
		return rc;
	rc = leases_free(&l, jail, err);
	leases_unlock(&l);
	return rc;
}

bool storage_ask(const char *fmt, ...)
{
	char answer[16] = "";
	va_list ap;

	if (!isatty(STDIN_FILENO)) {
		warn_msg("standard input is not a terminal, so nobody can confirm this: say -y");
		return false;
	}
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(" [y/N] ", stderr);
	fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return tolower((unsigned char)answer[0]) == 'y';
}
