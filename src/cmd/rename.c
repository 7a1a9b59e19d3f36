/* newgate rename: a jail's block, tree and addresses under another name. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/edit.h"
#include "cmd/renaming.h"
#include "cmd/storage.h"
#include "conf/check.h"
#include "conf/files.h"
#include "net/lease.h"

struct rename {
	struct storage s;
	struct renaming edits;
	struct renaming_left left; /* of one that was killed */
	const char *from, *to;
	bool again; /* it was this one */
	bool half;  /* what failed could not be taken back: it is left for the next command */
};

/* ---- may it be? ---- */

static bool good_new_name(struct rename *r)
{
	const struct conf_record *there = conf_find(&r->s.conf, r->to);
	const char *dot = strrchr(r->from, '.'), *dot2 = strrchr(r->to, '.');
	size_t parent = dot ? (size_t)(dot - r->from) : 0,
	       parent2 = dot2 ? (size_t)(dot2 - r->to) : 0;
	if (there && (!r->again || conf_find(&r->s.conf, r->from)))
		warn_msg("%s:%u: %s is configured already", there->pos.file, there->pos.line,
			 r->to);
	else if (!r->again && store_has_jail(&r->s.store, r->to))
		warn_msg("there is a tree of a jail %s already (newgate destroy %s removes it)",
			 r->to, r->to);
	else if (parent != parent2 || strncmp(r->from, r->to, parent) != 0)
		warn_msg("a child stays the child of the same jail: its name begins with \"%.*s\"",
			 (int)parent + 1, r->from);
	else
		return true;
	return false;
}

static bool has_children(struct rename *r)
{
	size_t len = strlen(r->from);
	for (size_t i = 0; i < r->s.conf.nrecords; i++) {
		const struct conf_record *b = &r->s.conf.record[i];
		if (!str_prefix(b->name, r->from) || b->name[len] != '.')
			continue;
		warn_msg("%s:%u: %s belongs to %s: rename its block by hand, or remove it first",
			 b->pos.file, b->pos.line, b->name, r->from);
		return true;
	}
	return false;
}

static bool is_known(struct rename *r)
{
	size_t n;
	if (conf_find(&r->s.conf, r->from) || store_has_jail(&r->s.store, r->from) || r->again)
		return true;
	autofree const char **names = conf_names(&r->s.conf, &n);
	const char *near = str_nearest(r->from, names, n);
	if (near)
		warn_msg("there is no jail \"%s\" (did you mean \"%s\"?)", r->from, near);
	else
		warn_msg("there is no jail \"%s\"", r->from);
	return false;
}

/* One at a time: what is half done would be hard to tell apart. */
static bool none_left(struct rename *r)
{
	if (!renaming_left(cmd_root, &r->left))
		return true;
	r->again = str_eq(r->left.from, r->from) && str_eq(r->left.to, r->to);
	if (!r->again) {
		autofree char *remedy = renaming_remedy(&r->left);
		warn_msg("%s", remedy);
	}
	return r->again;
}

/* ---- doing it ---- */

/* The path of a jail as the files have it now; of one without a block its place in the store. */
static char *path_in(const struct conf *c, const char *jail)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(diags_done) struct diags d = {0};
	struct str b = {0};
	if (conf_resolve(c, jail, CONF_FOR_LIST, &j, &d) == 0 && conf_string(&j, P_PATH))
		return files_path(cmd_root, conf_string(&j, P_PATH));
	str_addf(&b, "/var/lib/newgate/roots/%s", jail);
	autofree char *path = str_take(&b);
	return files_path(cmd_root, path);
}

/* What stands in the files now is read and checked: what was written must make sense, all of it. */
static int read_again(struct conf *c)
{
	autodone(diags_done) struct diags d = {0};
	int rc = files_read_all(c, cmd_root, &d);
	if (rc == 0 && !d.errors)
		rc = conf_check_all(c, &d);
	return !tell_diags(&d, false) || rc < 0 ? -EINVAL : 0;
}

static int move_leases(const char *from, const char *to, struct ng_err *err)
{
	autodone(leases_done) struct leases l = {.fd = -1};
	int rc = leases_open(&l, cmd_root, err);
	if (rc == 0)
		rc = leases_lock(&l, err);
	if (rc < 0)
		return rc;
	rc = leases_rename(&l, from, to, err);
	leases_unlock(&l);
	return rc;
}

static bool undo(struct rename *r, struct ng_err *err)
{
	struct ng_err more = {0};
	warn_msg("%s", err->text);
	/* What the one before had done already is not known to this one. */
	r->half = r->again;
	if (renaming_undo(&r->edits, &more) < 0) {
		warn_msg("and the files could not be put back: %s", more.text);
		r->half = true;
	}
	return false;
}

/* The files first: what they make of the new name tells where the tree is to be. */
static bool carry_out(struct rename *r)
{
	autodone(conf_done) struct conf now = {0};
	struct ng_err err = {0}, more = {0};
	if (renaming_write(&r->edits, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	if (read_again(&now) < 0) {
		err_set(&err, EINVAL, "so nothing was renamed");
		return undo(r, &err);
	}
	autofree char *new_path = path_in(&now, r->to);
	if (store_rename(&r->s.store, r->from, r->to, r->left.path, new_path, &err) < 0)
		return undo(r, &err);
	if (move_leases(r->from, r->to, &err) == 0)
		return true;
	if (store_rename(&r->s.store, r->to, r->from, new_path, r->left.path, &more) < 0)
		err_prefix(&err, "%s", more.text);
	return undo(r, &err);
}

static void tell(const struct rename *r)
{
	for (size_t i = 0; i < r->edits.n; i++)
		if (r->edits.file[i].nedits)
			printf("%s: %zu place%s changed\n", r->edits.file[i].path,
			       r->edits.file[i].nedits, r->edits.file[i].nedits == 1 ? "" : "s");
	printf("%s: renamed to %s\n", r->from, r->to);
}

static bool rename_jail(struct rename *r)
{
	autofree char *rc = files_path(cmd_root, "/etc/rc.conf");
	struct ng_err err = {0};
	if (renaming_plan(&r->edits, &r->s.conf, rc, r->from, r->to, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	if (!r->again)
		r->left = (struct renaming_left){mem_strdup(r->from), mem_strdup(r->to),
						 path_in(&r->s.conf, r->from)};
	if (renaming_begin(cmd_root, &r->left, &err) < 0) {
		warn_msg("%s", err.text);
		struct ng_err later = {0}; /* another command will tell */
		if (!r->again)
			renaming_end(cmd_root, &later);
		return false;
	}
	bool done = carry_out(r);
	if (!r->half && renaming_end(cmd_root, &err) < 0) {
		warn_msg("%s: try the same once more", err.text);
		return false;
	}
	if (done) {
		state_set_failure(&r->s.state, r->from, NULL);
		tell(r);
	}
	return done;
}

/* Both jails and the files are held: what was read before is read again. */
static bool rename_held(struct rename *r)
{
	autoclose int from = -1, to = -1;
	autodone(edit_done) struct edit files = {.lock = -1};
	struct ng_err err = {0};
	if (!storage_hold_both(&r->s, r->from, r->to, &from, &to))
		return false;
	if (edit_open(&files, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	return storage_reread(&r->s) && none_left(r) && is_known(r) && good_new_name(r) &&
	       !has_children(r) && rename_jail(r);
}

static int rename_run(int argc, char **argv)
{
	struct rename r = {0};
	if (getopt(argc, argv, "+") != -1 || optind + 2 != argc)
		return usage(&cmd_rename);
	r.from = argv[optind];
	r.to = argv[optind + 1];
	if (!storage_good_name(r.to))
		return 1;
	if (str_eq(r.from, r.to)) {
		warn_msg("%s is its name already", r.to);
		return 1;
	}
	int status = storage_open(&r.s);
	if (status == 0)
		status = !rename_held(&r);
	renaming_done(&r.edits);
	renaming_left_done(&r.left);
	storage_done(&r.s);
	return status;
}

const struct cmd cmd_rename = {
    .name = "rename",
    .run = rename_run,
    .args = "OLD NEW",
    .summary = "gives a stopped jail another name",
    .help = "Its block, the jails that name it in depend and allow.connect, jail_list in rc.conf,\n"
	    "its tree (where its path says $name) and its leased addresses follow. All of it, or\n"
	    "nothing.\n",
};
