/* jail.conf, as newgate itself changes it: whole blocks at its end, between two comment lines by
 * which they are found again. Everything else in the file is the user's and stays byte for byte.
 *
 * A new text is read before it takes the old one's place, in one step: it must mean the same but for
 * that block. */
#ifndef NG_CMD_EDIT_H
#define NG_CMD_EDIT_H

#include "base/err.h"
#include "conf/jail.h"

struct edit {
	char *path; /* ROOT/etc/jail.conf, without links; owned */
	char *text; /* as it is now, "" where there is no file; owned */
	size_t len;
	int lock; /* held from edit_open to edit_done */
};
int edit_open(struct edit *e, const char *root, struct ng_err *err) MUST_CHECK;
void edit_done(struct edit *e);

/* What the file would be with `block` added for `jail`, and the jail as it then is. Faults go to d;
 * -EINVAL. The caller frees *text; *conf must outlive *out. */
int edit_add(const struct edit *e, const char *root, const char *jail, const char *block,
	     enum conf_purpose purpose, char **text, struct conf *conf, struct conf_jail *out,
	     struct diags *d) MUST_CHECK;
/* The text without the block that newgate wrote for the jail, and what it then means: 1, 0 where
 * there is no such block, or -EINVAL with d told where it cannot be taken out. The caller frees. */
int edit_remove(const struct edit *e, const char *root, const char *jail, char **text,
		struct conf *now, struct diags *d) MUST_CHECK;
/* What would be wrong with the whole of the configuration, and is not now, if `now` took the place
 * of jail.conf: two jails that want one port, say. `now` gets the other files added. */
void edit_check(const struct edit *e, const char *root, struct conf *now, struct diags *d);
int edit_write(const struct edit *e, const char *text, struct ng_err *err) MUST_CHECK;

#endif
