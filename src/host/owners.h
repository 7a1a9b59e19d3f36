/* Who owns what the jails write, by name: Debian gives its services the next free number, which in a
 * tree that was made at another time may be another one. */
#ifndef NG_HOST_OWNERS_H
#define NG_HOST_OWNERS_H

#include <stdint.h>
#include "host/host.h"
#include "store/store.h"

struct owner {
	char *jail, *name; /* owned */
	bool group;
	uint32_t id;
};
/* Zero-initialise. */
struct owners {
	struct owner *v;
	size_t n;
};
/* The users and groups of each jail's tree. */
int owners_of_tree(const struct store *s, const char *tree, const char *jail, struct owners *out,
		   struct ng_err *err) MUST_CHECK; /* of one, as those of `jail` */
int owners_of_trees(const struct store *s, struct owners *out, struct ng_err *err) MUST_CHECK;
/* Adds those of one passwd(5) or group(5). */
void owners_add(struct owners *o, const char *jail, bool group, const char *text);
/* "JAIL user|group ID NAME" lines, and back: -EBADMSG. */
void owners_format(struct str *out, const struct owners *o);
int owners_parse(const char *text, struct owners *out, struct ng_err *err) MUST_CHECK;
/* What has the id in `from` has this one in `to`; itself where it is nobody's there or here. */
uint32_t owners_now(const struct owners *from, const struct owners *to, const char *jail,
		    bool group, uint32_t id);
/* One of the jail who has another number in `to`; or NULL. */
const struct owner *owners_moved(const struct owners *from, const struct owners *to,
				 const char *jail);
/* Gives everything below the folder, and itself, to those who have the names now. Nobody else may
 * change it meanwhile; cut short, it must not be done again. */
int owners_change(int folder, const char *jail, const struct owners *from, const struct owners *to,
		  struct ng_err *err) MUST_CHECK;
void owners_done(struct owners *o);

#endif
