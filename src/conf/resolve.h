/* What resolve.c and the checks share. Private to conf. */
#ifndef NG_CONF_RESOLVE_H
#define NG_CONF_RESOLVE_H

#include "conf/jail.h"

/* Is the whole string a decimal number other than 0, as the name of a block that is a jid? */
bool conf_name_is_jid(const char *name);

/* Checks the values of one jail: each by its type, then, where all were `sound` and still are,
 * against one another. */
void conf_check_values(struct conf_jail *j, enum conf_purpose purpose, bool sound, struct diags *d);

#endif
