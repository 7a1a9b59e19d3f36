#include "cmd/exporting.h"

#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/temporary.h"
#include "conf/files.h"
#include "conf/print.h"
#include "store/export.h"

static bool told(const struct ng_err *err)
{
	progress_end();
	warn_msg("%s", err->text);
	return false;
}

static void tell_left_out(const char *jail, const struct strv *names)
{
	if (names->n > 0)
		warn_msg("%s: left out what no stream carries: %s%s", jail, names->v[0],
			 names->n > 1 ? " and more devices or sockets" : ", a device or socket");
}

static bool write_stream(const struct exporting *e, const char *snap, bool live)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(strv_done) struct strv left_out = {0};
	autodone(str_done) struct str block = {0};
	autofree char *dir = NULL;
	struct ng_err err = {0};
	const char *path = NULL;

	/* The block as the jail has it, all that is said for several jails included. */
	if (storage_find(e->s, e->jail, &j) == 0) {
		conf_print_jail(&block, &j);
		path = conf_string(&j, P_PATH);
		dir = path ? files_path(cmd_root, path) : NULL;
	}
	const struct export_how how = {
	    .definition = block.s,
	    .path = path,
	    .snap = snap,
	    .since = e->since,
	    .live = live,
	    .zstd = !e->plain,
	    .left_out = &left_out,
	};
	if (export_jail(&e->s->store, e->jail, dir, &how, e->fd, &err) < 0)
		return told(&err);
	progress_end();
	tell_left_out(e->jail, &left_out);
	return true;
}

static bool from_temporary(const struct exporting *e, const struct record *r, int *lock)
{
	if (!store_has_jail(&e->s->store, e->jail)) {
		warn_msg("%s is running, and newgate, which did not make its tree, can take no "
			 "snapshot of it: stop it first (jail -r %s), or say --live to take its "
			 "files as they are met",
			 e->jail, e->jail);
		return false;
	}
	autofree char *name = temporary_take(e->s, e->jail, r);
	if (!name)
		return false;
	macro_close(lock);
	bool done = write_stream(e, name, false);
	return temporary_drop(e->s, e->jail, name) && done;
}

bool exporting_run(const struct exporting *e)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(record_done) struct record r = {0};
	autoclose int lock = -1;

	if (!store_has_jail(&e->s->store, e->jail) && storage_find(e->s, e->jail, &j) < 0) {
		storage_no_jail(e->s, e->jail);
		return false;
	}
	if (e->snap)
		return write_stream(e, e->snap, false);
	if (!temporary_look(e->s, e->jail, &lock, &r))
		return false;
	if (!r.name)
		return write_stream(e, NULL, false);
	if (!e->live)
		return from_temporary(e, &r, &lock);
	macro_close(&lock); /* it may be stopped meanwhile */
	return write_stream(e, NULL, true);
}
