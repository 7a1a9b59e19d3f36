/* Where the trees of templates and jails are kept, and how a jail's root is put together from them.
 *
 * Below /var/lib/newgate, in folders that only root may enter (trees hold setuid programs):
 *
 * templates/NAME, NAME@2 …: a template's versions (version.h): the tree in root, with ordinary
 * owners, never changed while a jail uses it; meta says what it was made of (entry.h), beside it
 * are the script that made it and the defaults of its clones.
 *
 * jails/NAME: origin says where the tree is and what it was cloned from (entry.h); of an overlay,
 * upper and work, the lower layer being the template's; snapshots; rebase, while one is under way.
 *
 * roots/NAME: the `path` that `newgate create` gives a jail that names none.
 *
 * jails/.partial/NAME, templates/.partial/NAME: what is half made or half removed (stage.h).
 *
 * A jail made by `dir` has its whole tree at its `path`. One made by overlay has there an empty
 * folder: the layers are joined in the jail's own mount namespace when it starts. A jail whose path
 * is simply an existing directory needs no entry here at all. */
#ifndef NG_STORE_STORE_H
#define NG_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/macro.h"

struct store {
	bool full;  /* clones share nothing with what they are made of, and need nothing of it */
	char *root; /* the -R prefix, "" for the real one; owned */
	char *dir;  /* ROOT/var/lib/newgate; owned */
	/* Told what a long step is doing, one line each without a newline; may be NULL. */
	void (*note)(void *arg, const char *text);
	/* Told how far one is, in bytes, as often as it likes; total 0: nobody knows. May be NULL.
	 */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *note_arg;
};
/* Only names the folders; they are made when something is put there. */
int store_open(struct store *s, const char *root, struct ng_err *err) MUST_CHECK;
void store_done(struct store *s);
/* What new trees are to be kept as: "zfs", "zfs:DATASET", "btrfs", "overlay", "dir"; trees that are
 * there stay what they are. Refuses what this host cannot do, naming what is missing. Without it
 * the file systems decide. */
int store_choose(const struct store *s, const char *how, struct ng_err *err) MUST_CHECK;

/* How to mount a jail's root. All strings owned by the layout. */
struct store_layout {
	char *path;         /* the directory itself; NULL for an overlay */
	char **lower;       /* overlay: bottom layers, uppermost first, NULL-terminated */
	char *upper, *work; /* in one folder, of one file system */
};
/* `path` is the jail's path as configured, the -R prefix included. -ENOENT: nothing is there and
 * nothing was cloned: the message says what to type. */
int store_layout(const struct store *s, const char *jail, const char *path,
		 struct store_layout *out, struct ng_err *err) MUST_CHECK;
void store_layout_done(struct store_layout *l);

/* Clones `from` (a template, else a jail that was cloned here and is not running) to be jail `jail`
 * at `path`. Gives it its own machine-id and hostname (NULL: the jail's name), and takes its ssh
 * host keys away. A clone that fails or is killed leaves nothing that the next call would trip
 * over. -EEXIST: the jail, or something at path, exists already. */
int store_clone(struct store *s, const char *from, const char *jail, const char *path,
		const char *hostname, struct ng_err *err) MUST_CHECK;
/* The same from a directory that no entry describes, such as the path of a jail made by hand. */
int store_clone_dir(struct store *s, const char *dir, const char *from, const char *jail,
		    const char *path, const char *hostname, struct ng_err *err) MUST_CHECK;

/* Waits until what tells of a new clone is on the disk, before anything names or uses it: where power
 * takes that away, nobody has used the clone, and it counts as not made. Not a part of cloning, as
 * it takes a disk's time. */
int store_sync(const struct store *s, const char *jail, struct ng_err *err) MUST_CHECK;

/* Removes what a clone of that name has left that was killed, or cut off from power before
 * store_sync. 1: there was something. */
int store_clear(struct store *s, const char *jail, struct ng_err *err) MUST_CHECK;

/* Removes the jail's tree, which must have been made here. Refuses (-EBUSY) where anything is
 * mounted at or below it. `path` NULL: wherever it was made; else it must be there. The caller has
 * made sure that the jail is not running. */
int store_destroy(struct store *s, const char *jail, const char *path,
		  struct ng_err *err) MUST_CHECK;

/* The jail's tree becomes that of jail `to`, at new_path (both with the -R prefix). What was done
 * already by a run that was killed is not done again; what fails is taken back. The caller has made
 * sure that neither runs. */
int store_rename(struct store *s, const char *from, const char *to, const char *old_path,
		 const char *new_path, struct ng_err *err) MUST_CHECK;

/* What is known of a jail's tree. Strings owned. */
struct store_jail {
	char *backend; /* "overlay", "dir" */
	char *from;    /* template or jail */
	char *path;    /* with the -R prefix */
};
/* -ENOENT, without a text: nothing was made here for this jail. */
int store_find_jail(const struct store *s, const char *jail, struct store_jail *out,
		    struct ng_err *err) MUST_CHECK;
void store_jail_done(struct store_jail *j);
/* The names of all jails that have a tree here, in their order. */
struct strv;
int store_jails(const struct store *s, struct strv *out, struct ng_err *err) MUST_CHECK;
bool store_has_jail(const struct store *s, const char *jail);
bool store_has_template(const struct store *s, const char *name); /* NAME[@VERSION] */

/* A jail's complete tree, to be read: as it is (snap NULL; of a running jail it changes meanwhile),
 * or as a snapshot has it. -ENOENT. */
struct store_view {
	int root;          /* O_RDONLY | O_DIRECTORY */
	char *volume, *at; /* what was made for it and ends with it, mounted there; or NULL */
};
#define STORE_VIEW_NONE ((struct store_view){.root = -1})
int store_view(const struct store *s, const char *jail, const char *snap, struct store_view *out,
	       struct ng_err *err) MUST_CHECK;
/* The template that the jail was cloned from, as it is. -ENOENT: it is not there any more. */
int store_view_origin(const struct store *s, const char *jail, struct store_view *out,
		      struct ng_err *err) MUST_CHECK;
void store_view_done(struct store_view *v);

/* Keeps a jail's tree as it is now. Of a jail that runs that is what a power cut would leave it, if
 * the caller has frozen it: a copy (overlay, dir) takes a while. -EEXIST. */
int store_snapshot(const struct store *s, const char *jail, const char *name,
		   struct ng_err *err) MUST_CHECK;
int store_snapshot_destroy(const struct store *s, const char *jail, const char *name,
			   struct ng_err *err) MUST_CHECK;
/* Makes the tree what it was when the snapshot was taken. Where that cannot be without losing later
 * snapshots (zfs), they are destroyed if `later` is said, else it is refused (-EEXIST). The jail
 * must not run. A run that is killed leaves the tree as it was or as it is to be. */
int store_rollback(const struct store *s, const char *jail, const char *name, bool later,
		   struct ng_err *err) MUST_CHECK;
/* Can it be called so? Letters, digits and "_.:-", 1 to 100 of them, a letter or digit first. */
int store_snapshot_check(const char *name, struct ng_err *err) MUST_CHECK;

bool store_has_snapshot(const struct store *s, const char *jail, const char *name,
			struct ng_err *err); /* told where not */
/* Does a snapshot of this jail copy files, which takes a while, rather than ask the file system? */
bool store_copies(const struct store *s, const char *jail);

struct store_snapshot {
	char *name; /* owned */
	int64_t made;
	uint64_t bytes; /* that would be free without it */
};
/* The oldest first. */
int store_snapshots(const struct store *s, const char *jail, struct store_snapshot **out, size_t *n,
		    struct ng_err *err) MUST_CHECK;
void store_snapshots_free(struct store_snapshot *v, size_t n);

/* What a jail's tree takes on disk, in bytes. */
struct store_usage {
	uint64_t own;    /* what would be free without it */
	uint64_t shared; /* what others hold too */
	uint64_t quota;  /* 0: none */
};
int store_usage(const struct store *s, const char *jail, struct store_usage *out,
		struct ng_err *err) MUST_CHECK;
/* Bounds it, 0: lifts the bound; of an overlay what the jail changes, else the whole tree. path:
 * the jail's, the -R prefix included. -EOPNOTSUPP: what keeps it cannot. */
int store_set_quota(const struct store *s, const char *jail, const char *path, uint64_t bytes,
		    struct ng_err *err) MUST_CHECK;

/* What a template is made of. */
struct store_recipe {
	/* "busybox", "debian:SUITE", "oci:DIR[:TAG]", a template, a directory, a file
	 * .tar[.gz|.xz|.zst]. */
	const char *from;
	const char *include; /* debian: further packages, separated by commas; or NULL */
	const char *script;  /* text that a shell runs in a jail made from the template `from`; or
				NULL */
	bool fresh;          /* even where the very same was made before */
	bool again; /* an update: the script runs over what the newest was made of, as its own
				did, not in the newest */
	/* Runs the script in the jail of that name, whose tree is at path, and ends the jail; with
	 * script NULL ends it where a killed run left it. Needed with a script. */
	int (*run)(void *arg, const char *jail, const char *path, const char *script,
		   struct ng_err *err);
	void *run_arg;
};
/* What came of it. Strings owned. */
struct store_made {
	char *name; /* of the version */
	char *from; /* what it was made of */
	char *like; /* the version whose tree could be taken; or NULL */
	bool same;  /* nothing is new: name is the version that was the newest before */
};
void store_made_done(struct store_made *m);
/* Makes the first version of a template. -EEXIST: there is one of that name. */
int store_template_make(struct store *s, const char *name, const struct store_recipe *r,
			struct store_made *out, struct ng_err *err) MUST_CHECK;
/* Makes the next version, NAME@2 and so on: with a script by running that in the newest one, else
 * of what the newest was made of. r->from is not looked at; r->include NULL: the packages that the
 * newest has. Clones keep theirs. */
int store_template_update(struct store *s, const char *name, const struct store_recipe *r,
			  struct store_made *out, struct ng_err *err) MUST_CHECK;
/* store_template_make of nothing but a `from`. */
int store_template_create(struct store *s, const char *name, const char *from,
			  struct ng_err *err) MUST_CHECK;
/* What a clone's block in jail.conf is to begin with, a "parameter=value" a line; NULL: nothing.
 * The caller frees. */
char *store_template_defaults(const struct store *s, const char *name) MUST_CHECK;
/* NAME: all versions of it, or none. -EBUSY: there are clones that need them. */
int store_template_destroy(struct store *s, const char *name, struct ng_err *err) MUST_CHECK;

struct store_template {
	char *name, *from; /* owned; name without the version */
	unsigned version;
	uint64_t bytes;  /* of its own: a layer's are its template's */
	int64_t made;    /* seconds since 1970 */
	unsigned clones; /* jails made from it, those that need it and others */
};
/* In the order of their names and versions. */
int store_templates(const struct store *s, struct store_template **out, size_t *n,
		    struct ng_err *err) MUST_CHECK;
void store_templates_free(struct store_template *t, size_t n);

#endif
