/* One jail with its wildcards applied, variables replaced and every value checked. */
#ifndef NG_CONF_JAIL_H
#define NG_CONF_JAIL_H

#include "base/ip.h"
#include "conf/conf.h"
#include "conf/param.h"

struct conf_value {
	const char *text;
	struct pos pos;
};

/* One parameter of the jail, in the order in which it was first set. */
struct conf_setting {
	enum param_id id; /* PARAM_NONE with CONF_FOR_LIST alone */
	const char *name; /* as spelt: "allow.nomount", "meta.owner" */
	bool negated;     /* spelt with "no" */
	bool argument;    /* given on the command line: the values of `command` are then the words
			     of an argument vector, not strings for a shell */
	struct conf_value *value;
	size_t nvalues;
	const struct conf_value
	    *item; /* the same as a list: no empty ones, addresses split at commas */
	size_t nitems;
	struct pos pos;
};

/* Owns its arrays; texts may be the configuration's, which must outlive it. */
struct conf_jail {
	struct arena arena;
	const char *block; /* the name of its block: how depend and conf_resolve know it */
	const char
	    *name; /* never NULL; "" where a jail of the command line has neither name nor jid */
	int jid;   /* as configured, 0: the next free one */
	bool argument;    /* described on the command line, in no file */
	const char *path; /* where the tree is if the parameter does not say; NULL without a name */
	struct pos pos;   /* of the block */
	struct conf_setting *setting;
	size_t nsettings;
	const struct conf_setting *by_id[PARAM_COUNT]; /* or NULL; not the keyed ones (meta.KEY) */
};

enum conf_purpose {
	CONF_FOR_START, /* everything is checked, unknown parameters are faults */
	CONF_FOR_STOP,  /* kernel parameters that are unknown or ill-formed do not matter */
	CONF_FOR_LIST,  /* put together, but not checked: to be printed */
};

/* Assembles and checks the jail of block `name`, by itself; what needs the others is in check.h.
 * Returns 0, -ENOENT where no block has that name, -EINVAL where d now has errors about it; *out is
 * then empty. Several faults are reported in one go. */
int conf_resolve(const struct conf *c, const char *name, enum conf_purpose purpose,
		 struct conf_jail *out, struct diags *d) MUST_CHECK;
void conf_jail_done(struct conf_jail *j);

/* Typed reading; values were checked, so these cannot fail. An unset parameter gives its default.
 */
bool conf_is_set(const struct conf_jail *j, enum param_id id);
bool conf_bool(const struct conf_jail *j, enum param_id id);
long conf_int(const struct conf_jail *j, enum param_id id);
/* The last value. NULL: unset and no default, or empty. */
const char *conf_string(const struct conf_jail *j, enum param_id id);
/* The values of a list, empty strings left out. *n is 0 where unset (but allow.connect's default).
 */
const struct conf_value *conf_list(const struct conf_jail *j, enum param_id id, size_t *n);
enum conf_sys { SYS_DISABLE, SYS_NEW, SYS_INHERIT };
/* disable/new/inherit with FreeBSD's implications (ip4.addr implies ip4=new, host.* host=new…). */
enum conf_sys conf_sys(const struct conf_jail *j, enum param_id id);
struct pos conf_pos(const struct conf_jail *j,
		    enum param_id id); /* of the setting, else the block */

#endif
