/* newgate destroy: a jail's tree, its leases, and the block that newgate wrote for it. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/edit.h"
#include "cmd/storage.h"
#include "conf/files.h"

static bool free_leases(const struct storage *s, const char *jail)
{
	struct ng_err err = {0}, again = {0};
	int rc = storage_free_leases(jail, &err);

	/* What the tree took may be free only when that is on the disk. */
	if (rc == -ENOSPC || rc == -EDQUOT) {
		autoclose int dir = open(s->store.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0 && syncfs(dir) == 0 && (rc = storage_free_leases(jail, &again)) == 0)
			return true;
	}
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc == 0;
}

/* Takes the block that newgate wrote out of jail.conf: `really`, or only to see whether that can be.
 * 1, 0 where there is none, -1 where other jails need it or the file cannot be changed: told. */
static int take_block(const char *jail, bool really)
{
	autodone(edit_done) struct edit e = {.lock = -1};
	autodone(conf_done) struct conf now = {0};
	autodone(diags_done) struct diags d = {0};
	autofree char *text = NULL;
	struct ng_err err = {0};
	int rc = edit_open(&e, cmd_root, &err);

	if (rc == 0)
		rc = edit_remove(&e, cmd_root, jail, &text, &now, &d);
	if (rc > 0 && !really)
		edit_check(&e, cmd_root, &now, &d);
	if (rc > 0 && really && edit_write(&e, text, &err) < 0)
		rc = -1;
	if (err.code != 0)
		warn_msg("%s", err.text);
	return rc < 0 || !tell_diags(&d, false) ? -1 : rc;
}

static bool remove_block(struct storage *s, const char *jail)
{
	const struct conf_record *block = conf_find(&s->conf, jail);
	int rc = block ? take_block(jail, true) : 1;

	if (rc == 0)
		printf("%s: its block stays in %s, line %u: remove it to forget the jail\n", jail,
		       block->pos.file, block->pos.line);
	return rc >= 0;
}

/* The path in the configuration, with the root before it; NULL where the jail has no block. */
static char *configured_path(struct storage *s, const char *jail)
{
	autodone(conf_jail_done) struct conf_jail j = {0};

	if (storage_find(s, jail, &j) < 0 || !conf_string(&j, P_PATH))
		return NULL;
	return files_path(cmd_root, conf_string(&j, P_PATH));
}

/* What stands behind the tree: its addresses and the block that newgate wrote. */
static bool forget(struct storage *s, const char *jail)
{
	bool freed = free_leases(s, jail);

	return remove_block(s, jail) && freed;
}

/* There is no tree in its place. A killed run may have left what it was about to remove, and the
 * block. */
static bool without_tree(struct storage *s, const char *jail, const char *path, bool own_block)
{
	struct ng_err err = {0};
	int rc =
	    path && access(path, F_OK) == 0 ? -EEXIST : store_destroy(&s->store, jail, path, &err);

	if (rc == 0 || (rc == -ENOENT && own_block))
		return forget(s, jail);
	if (rc != -ENOENT && rc != -EEXIST)
		warn_msg("%s", err.text);
	else if (path)
		warn_msg("%s: newgate made no tree for it, so %s is yours to remove", jail, path);
	else
		storage_no_jail(s, jail);
	return false;
}

static bool destroy(struct storage *s, const char *jail, bool yes)
{
	autodone(store_jail_done) struct store_jail tree = {0};
	autoclose int lock = -1;
	struct ng_err err = {0};

	if (!storage_hold(s, jail, &lock) || !storage_reread(s))
		return false;
	int rc = store_find_jail(&s->store, jail, &tree, &err);
	if (rc < 0 && rc != -ENOENT) {
		warn_msg("%s", err.text);
		return false;
	}
	autofree char *path = configured_path(s, jail);
	int block = path ? take_block(jail, false) : 0;
	if (block < 0) {
		warn_msg("so %s was not destroyed", jail);
		return false;
	}
	if (rc == -ENOENT) {
		rc = store_clear(&s->store, jail, &err);
		if (rc < 0)
			warn_msg("%s", err.text);
		return rc >= 0 && ((rc > 0 && !path) || without_tree(s, jail, path, block > 0));
	}
	if (!yes && !storage_ask("Destroy jail %s with everything in %s?", jail, tree.path))
		return false;
	if (store_destroy(&s->store, jail, path, &err) == 0)
		return forget(s, jail);
	warn_msg("%s", err.text);
	return false;
}

static int destroy_run(int argc, char **argv)
{
	struct storage s = {0};
	bool yes = false;

	for (int opt; (opt = getopt(argc, argv, "y")) != -1;) {
		if (opt != 'y')
			return usage(&cmd_destroy);
		yes = true;
	}
	if (optind == argc)
		return usage(&cmd_destroy);
	int status = storage_open(&s);
	for (int i = optind; status == 0 && i < argc; i++)
		if (!destroy(&s, argv[i], yes))
			status = 1;
	storage_done(&s);
	return status;
}

const struct cmd cmd_destroy = {
    .name = "destroy",
    .run = destroy_run,
    .args = "[-y] NAME …",
    .summary = "removes a jail's tree for good",
    .help = "  -y  without asking\n"
	    "\n"
	    "Only a tree that newgate made, of a jail that does not run. Nothing mounted in it is\n"
	    "touched: it is refused then. A block that newgate added to jail.conf goes with it.\n",
};
