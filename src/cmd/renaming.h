/* A jail's other name, put into every file of the configuration that has the old one: its block,
 * the values of depend and allow.connect that name it, and jail_list in rc.conf(5). Every other byte
 * stays. */
#ifndef NG_CMD_RENAMING_H
#define NG_CMD_RENAMING_H

#include "base/err.h"
#include "conf/conf.h"

struct renamed_file {
	char *path, *was, *text; /* owned */
	size_t len;              /* of was */
	struct renaming_edit {
		size_t at, len;
		char *text;
	} * edit;
	size_t nedits;
};
struct renaming {
	const char *from, *to;
	struct renamed_file *file;
	size_t n;
};
/* Works the new texts out; writes nothing. rc: the path of rc.conf. A place that cannot be changed by
 * itself is told: -EINVAL. Zero-initialise; renaming_done in any case. */
int renaming_plan(struct renaming *r, const struct conf *c, const char *rc, const char *from,
		  const char *to, struct ng_err *err) MUST_CHECK;
/* Puts them in place, or all of the old ones back. */
int renaming_write(struct renaming *r, struct ng_err *err) MUST_CHECK;
int renaming_undo(struct renaming *r, struct ng_err *err);
void renaming_done(struct renaming *r);

/* While a rename is under way ROOT/var/lib/newgate/rename holds "OLD\nNEW\nPATH\n" (PATH: of the tree,
 * before). If newgate is killed, the same command again finishes what is left: every step sees
 * whether it was done. The caller has jail.conf open for editing (edit.h). */
struct renaming_left {
	char *from, *to, *path; /* owned */
};
int renaming_begin(const char *root, const struct renaming_left *l, struct ng_err *err) MUST_CHECK;
int renaming_end(const char *root, struct ng_err *err);
/* Is one left? */
bool renaming_left(const char *root, struct renaming_left *out);
void renaming_left_done(struct renaming_left *l);
/* For other commands: what is to be done about one that is left, or NULL: none is, or it is under
 * way. The caller frees. */
char *renaming_complaint(const char *root) MUST_CHECK;
char *renaming_remedy(const struct renaming_left *l) MUST_CHECK;

#endif
