/* Half-made and half-removed things.
 *
 * What is being made grows in STORE/jails/.partial/NAME, a folder held locked, and is renamed to
 * STORE/jails/NAME when it is complete; what is being removed takes the same way back. A jail's
 * tree that belongs elsewhere, at its `path`, does so as PARENT/.BASE.newgate beside that path; the
 * folder's `origin` file names the path (and a ZFS data set) before that twin exists. So whatever a killed run leaves is
 * in an unlocked folder of .partial, and the next run that begins a stage removes all of those. */
#ifndef NG_STORE_STAGE_H
#define NG_STORE_STAGE_H

#include "store/entry.h"

struct thing;

struct stage {
	const struct store *s;
	enum store_kind kind;
	int partial; /* the folder .partial */
	int dir;     /* the stage itself, locked; -1: none is open */
	char *name;  /* owned */
	bool committed;
};
#define STAGE_NONE ((struct stage){.partial = -1, .dir = -1})

/* -EBUSY: another newgate is making or removing that very thing. */
int stage_begin(struct store *s, enum store_kind kind, const char *name, struct stage *out,
		struct ng_err *err) MUST_CHECK;
/* It as a thing to be filled, without an entry yet, to be released on its own. */
int stage_thing(const struct stage *st, struct thing *out, struct ng_err *err) MUST_CHECK;
/* Renames it into its place. The stage is over then; its descriptor stays open and locked. */
int stage_commit(struct stage *st) MUST_CHECK;
/* Takes the finished thing `name` apart: it becomes this stage, for stage_drop to remove. The stage
 * must be empty. */
int stage_take_back(struct stage *st) MUST_CHECK;
/* Removes it with its twin. */
int stage_drop(struct stage *st, struct ng_err *err);
/* For autodone: drops what was not committed. */
void stage_done(struct stage *st);

/* A path's last component, and that of its twin, which the caller frees. */
const char *stage_name(const char *path) MUST_CHECK;
char *stage_twin_name(const char *path) MUST_CHECK;
/* The folder that a jail's path lies in. No link leads there: it may be in another jail's tree, whose
 * root would choose what of the host's is replaced or removed. -ENOENT, without a word: it is not
 * there. */
int stage_open_parent(const char *path, struct ng_err *err) MUST_CHECK;
/* Removes it, where it is there. */
int stage_remove_twin(const char *path, struct ng_err *err) MUST_CHECK;

#endif
