/* Bringing a jail onto another version of its template.
 *
 * Three trees tell what is to be done: the old version, the new one, and the jail's. What only the
 * template changed is changed in the jail, what only the jail changed stays; what both changed, and
 * not alike, is a conflict, and somebody has to choose. An overlay has the new version below it from
 * then on; any other tree gets what is new as files of its own. */
#ifndef NG_STORE_REBASE_H
#define NG_STORE_REBASE_H

#include "store/diff.h"
#include "store/store.h"

struct rebase_change {
	char *path;          /* as seen from inside; owned */
	enum diff_what what; /* that the template did to it */
	bool conflict;
};

/* What is to be done. Zero-initialise; rebase_done in any case. */
struct rebase {
	char *jail, *from, *to; /* versions; owned */
	struct rebase_change *v;
	size_t n, conflicts;
};
/* Looks, and changes nothing. `to`: a version, or a template of which the newest is meant; NULL: the
 * newest of the jail's own. -EALREADY: the jail is on it. Of a jail that runs the answer may be
 * another one when it has stopped. */
int rebase_plan(const struct store *s, const char *jail, const char *to, struct rebase *out,
		struct ng_err *err) MUST_CHECK;
void rebase_done(struct rebase *r);

/* Does it, after a snapshot of that name has been taken. overwrite: in a conflict the template wins,
 * else the jail. The jail does not run, and the caller holds it. Where it fails, the jail is as it
 * was. What is killed on the way goes back by itself before anything else is done with the jail. */
int rebase_apply(const struct store *s, const struct rebase *r, const char *snapshot,
		 bool overwrite, struct ng_err *err) MUST_CHECK;
/* The jail is going to run on the new version: whoever is killed from now on leaves it there. */
int rebase_try(const struct store *s, const char *jail, struct ng_err *err) MUST_CHECK;
/* It is there to stay. */
int rebase_commit(const struct store *s, const char *jail, struct ng_err *err) MUST_CHECK;
/* It is not: everything is as it was at the snapshot. The jail does not run. */
int rebase_back(const struct store *s, const char *jail, struct ng_err *err) MUST_CHECK;

#define REBASE_MARK "rebase" /* in the jail's folder while one is under way, or was killed */
/* Of one that was killed before the jail could run again: goes back. 1: it did, 0: there was
 * nothing, -errno. The caller holds the jail, which does not run. */
int rebase_heal(const struct store *s, const char *jail, struct ng_err *err) MUST_CHECK;
/* Of one that was killed later, when the jail may have run on the new version: it stays there. 1,
 * once, with the snapshot that is the way back (the caller frees), 0, -errno. */
int rebase_left(const struct store *s, const char *jail, char **snapshot,
		struct ng_err *err) MUST_CHECK;

#endif
