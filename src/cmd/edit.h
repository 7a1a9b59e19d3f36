/* jail.conf, as newgate itself changes it: whole blocks at its end, between two comment lines by
 * which they are found again. Everything else in the file is the user's and stays byte for byte.
 *
 * A new text is read and resolved before it takes the old one's place, in one step. */
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

/* Reads a text as jail.conf would be: true, or d tells the faults. */
bool edit_parse(const struct edit *e, const char *root, const char *text, struct conf *c,
		struct diags *d) MUST_CHECK;
/* What the file would be with `block` added for `jail`, and the jail as it then is. Faults go to d;
 * -EINVAL. The caller frees *text; *conf must outlive *out. */
int edit_add(const struct edit *e, const char *root, const char *jail, const char *block,
	     enum conf_purpose purpose, char **text, struct conf *conf, struct conf_jail *out,
	     struct diags *d) MUST_CHECK;
/* The text without the block that newgate wrote for the jail: 1, 0 where there is none, or -EINVAL
 * with d told where what would be left is not jail.conf any more. */
int edit_remove(const struct edit *e, const char *root, const char *jail, char **text,
		struct diags *d) MUST_CHECK;
int edit_write(const struct edit *e, const char *text, struct ng_err *err) MUST_CHECK;

#endif
