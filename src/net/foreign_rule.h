/* One rule of somebody else's. Private to foreign*.c. */
#ifndef NG_NET_FOREIGN_RULE_H
#define NG_NET_FOREIGN_RULE_H

#include "net/foreign.h"

enum foreign_key {
	KEY_UNKNOWN,
	KEY_IIF,
	KEY_OIF,
	KEY_IIFGROUP,
	KEY_OIFGROUP,
	KEY_FAMILY, /* "ipv4", "ipv6" */
	KEY_SADDR,
	KEY_DADDR,
	KEY_PROTO,
	KEY_SPORT,
	KEY_DPORT,
	KEY_CT_STATE,
	KEY_CT_STATUS,
};

/* Is the packet's value one of these? */
struct foreign_condition {
	enum foreign_key key;
	bool negate;
	bool unknown;       /* there are values that were not understood */
	const char **value; /* "ng*", "10.0.0.0/8", "80", "80-90", "new" */
	size_t n;
	struct foreign_condition *next;
};

enum foreign_action {
	ACTION_NONE, /* counts, logs, marks */
	ACTION_ACCEPT,
	ACTION_DROP,
	ACTION_RETURN,
	ACTION_JUMP,
	ACTION_GOTO,
	ACTION_UNKNOWN, /* may end the packet's way */
};

struct foreign_rule {
	struct foreign_condition *condition;
	enum foreign_action action;
	const char *target; /* of jump and goto: a chain of the same table */
	const char *text;
	struct foreign_rule *next;
};

struct foreign_chain *foreign_find(const struct foreign *f, const char *family, const char *table,
				   const char *name, bool legacy);
struct foreign_chain *foreign_add_chain(struct foreign *f, const char *family, const char *table,
					const char *name, bool legacy);
struct foreign_rule *foreign_add_rule(struct foreign *f, struct foreign_chain *c);
struct foreign_condition *foreign_add_condition(struct foreign *f, struct foreign_rule *r,
						enum foreign_key key);
void foreign_add_value(struct foreign *f, struct foreign_condition *c, const char *value);

#endif
