#include "cmd/importing.h"

#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "cmd/block.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/temporary.h"
#include "conf/files.h"
#include "conf/print.h"

static bool told(const struct ng_err *err)
{
	progress_end();
	warn_msg("%s", err->text);
	return false;
}

/* The block that the stream brings: one, and nothing that would read files here. */
static struct conf_record *read_definition(struct importing *i)
{
	autodone(diags_done) struct diags d = {0};
	const char *text = i->v[i->n - 1].definition;

	if (!text)
		return NULL;
	i->definition.root = cmd_root;
	conf_read_text(&i->definition, "the stream's jail.conf", "/nonexistent", text, strlen(text),
		       &d);
	if (!tell_diags(&d, false))
		return NULL;
	if (conf_find(&i->definition, i->v->info.jail) && i->definition.nrecords == 1 &&
	    i->definition.files.n == 0)
		return i->definition.record;
	warn_msg("the stream's jail.conf is not the block of %s alone", i->v->info.jail);
	return NULL;
}

/* ---- what the file says for all jails need not be said again ---- */

static bool same_values(const struct conf_param *p, const struct conf_setting *s)
{
	if (s->negated != p->negated || s->nvalues != p->nvalues)
		return false;
	for (size_t i = 0; i < p->nvalues; i++) {
		const struct conf_string *v = &p->value[i];
		bool plain = v->nparts == 0 || (v->nparts == 1 && !v->part->variable);
		if (!plain || !str_eq(v->nparts ? v->part->text : "", s->value[i].text))
			return false;
	}
	return true;
}

static bool is_said(const struct conf_param *p, const struct conf_jail *all)
{
	for (size_t i = 0; i < all->nsettings; i++)
		if (str_eq(all->setting[i].name, p->name))
			return same_values(p, &all->setting[i]);
	return false;
}

/* The stream's block is complete; here it is to be as short as if it were written here. */
static void shorten(struct conf_record *r, const char *jail)
{
	autodone(edit_done) struct edit e = {.lock = -1};
	autodone(conf_done) struct conf c = {0};
	autodone(conf_jail_done) struct conf_jail all = {0};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str empty = {0};
	autofree char *text = NULL;
	struct ng_err err = {0};
	const struct conf nothing = {.record = &(struct conf_record){.name = jail}, .nrecords = 1};
	size_t kept = 0;

	conf_print(&empty, &nothing);
	if (edit_open(&e, cmd_root, &err) < 0 ||
	    edit_add(&e, cmd_root, jail, empty.s, CONF_FOR_LIST, &text, &c, &all, &d) < 0)
		return; /* the plan tells what is wrong */
	for (size_t i = 0; i < r->nparams; i++)
		if (!is_said(&r->param[i], &all))
			r->param[kept++] = r->param[i];
	r->nparams = kept;
}

/* ---- */

static bool make_tree(struct importing *i, const struct conf_jail *j)
{
	struct ng_err err = {0};
	const struct import *last = &i->v[i->n - 1];
	const char *dir = conf_string(j, P_PATH);
	bool copy = !str_eq(i->jail, i->v->info.jail);
	const char *hostname =
	    conf_is_set(j, P_HOST_HOSTNAME) ? conf_string(j, P_HOST_HOSTNAME) : i->jail;

	if (!dir || dir[0] != '/') {
		warn_msg("%s: its path is not absolute: %s", i->jail, dir ? dir : "");
		return false;
	}
	autofree char *path = files_path(cmd_root, dir);
	if (import_jail(i->v, i->n, &i->s->store, i->jail, path, copy ? hostname : NULL, &err) < 0)
		return told(&err);
	progress_end();
	if (last->info.live)
		warn_msg("%s ran while it was exported: its files may not fit together", i->jail);
	return true;
}

/* The jail is configured here: only its tree is missing. */
static bool import_configured(struct importing *i, const struct conf_record *block)
{
	autodone(conf_jail_done) struct conf_jail j = {0};

	if (i->nargs > 0) {
		warn_msg("%s:%u: %s is configured already: change it there", block->pos.file,
			 block->pos.line, i->jail);
		return false;
	}
	if (storage_find(i->s, i->jail, &j) < 0 || !make_tree(i, &j))
		return false;
	printf("%s: imported to %s\n", i->jail, conf_string(&j, P_PATH));
	return true;
}

/* ---- with its block ---- */

/* Planned a second time, since others may have edited the file during the long work. The block is in
 * its place a moment before the tree is: what a killed run leaves then is a configured jail without a
 * tree, which the same command completes. */
static int write_block(void *arg, struct ng_err *err)
{
	struct importing *i = arg;
	autodone(block_done) struct block b = {.edit = {.lock = -1}, .again = true};

	progress_end();
	if (!block_plan(&b, NULL, i->jail, i->like, i->args, i->nargs))
		return err_set(err, EINVAL, "its block cannot be added to jail.conf");
	i->written = true; /* perhaps; what fails may have been done */
	if (!block_write(&b))
		return err_set(err, EIO, "its block cannot be added to jail.conf");
	return 0;
}

static bool import_with_block(struct importing *i)
{
	struct conf_record *like = read_definition(i);
	struct import *last = &i->v[i->n - 1];
	autodone(block_done) struct block b = {.edit = {.lock = -1}};

	if (last->definition && !like)
		return false;
	if (like)
		shorten(like, i->jail);
	i->like = like;
	/* That all is well with it is seen before the long work. */
	if (!block_plan(&b, NULL, i->jail, like, i->args, i->nargs))
		return false;
	autofree char *file = take_ptr(b.edit.path);
	edit_done(&b.edit);
	last->ready = write_block;
	last->ready_arg = i;
	if (!make_tree(i, &b.jail)) {
		if (i->written)
			block_take_back(i->jail);
		return false;
	}
	printf("%s: imported to %s, added to %s\n", i->jail, conf_string(&b.jail, P_PATH), file);
	return true;
}

/* ---- */

/* What changed of a jail that is here. */
static bool import_onto(struct importing *i)
{
	const struct record stopped = {0};
	struct ng_err err = {0};

	if (i->nargs > 0) {
		warn_msg("%s is there already: its block stays, change it there", i->jail);
		return false;
	}
	autofree char *snap = temporary_take(i->s, i->jail, &stopped);
	if (!snap)
		return false;
	bool done = import_changes(i->v, &i->s->store, i->jail, snap, &err) == 0 || told(&err);
	progress_end();
	if (!temporary_drop(i->s, i->jail, snap) || !done)
		return false;
	printf("%s: what changed since %s@%s is in it\n", i->jail, i->v->info.jail,
	       i->v->info.since);
	return true;
}

bool importing_run(struct importing *i)
{
	autoclose int lock = -1;

	if (i->v->info.host) {
		warn_msg(
		    "this is no jail but what newgate host backup wrote: newgate host restore");
		return false;
	}
	if (!i->jail)
		i->jail = i->v->info.jail;
	if (!storage_good_name(i->jail) || !storage_hold(i->s, i->jail, &lock))
		return false;
	if (i->v->info.since && store_has_jail(&i->s->store, i->jail))
		return import_onto(i);
	if (i->v->info.since) {
		warn_msg("the stream tells what changed since %s@%s, and there is no tree of %s: "
			 "import a whole one first",
			 i->v->info.jail, i->v->info.since, i->jail);
		return false;
	}
	const struct conf_record *block = conf_find(&i->s->conf, i->jail);
	bool done = block ? import_configured(i, block) : import_with_block(i);
	conf_done(&i->definition);
	i->definition = (struct conf){0};
	return done;
}
