/* The block that `newgate create` and `newgate clone` add to jail.conf for a new jail. */
#ifndef NG_CMD_BLOCK_H
#define NG_CMD_BLOCK_H

#include "cmd/edit.h"
#include "cmd/storage.h"

struct block {
	struct edit edit;
	bool again; /* its warnings were told already */
	char *text; /* the whole of jail.conf with it; owned */
	struct conf conf;
	struct conf_jail jail; /* as it will be */
	char *from;            /* what it is to be cloned from; owned */
};
/* Works it out, writing nothing: what `like` has (or NULL), but for what must be a jail's own where
 * that is another jail's block; the arguments ("param=value", n of them); and what every jail needs
 * that neither they nor the file set. With a storage, b->from is chosen where it is NULL (what
 * `template` says), and what a template has for its jails is in the block too. Told where it fails:
 * false. */
bool block_plan(struct block *b, struct storage *s, const char *jail,
		const struct conf_record *like, char *const *args, int n) MUST_CHECK;
/* Puts jail.conf in place. */
bool block_write(struct block *b) MUST_CHECK;
/* Takes the jail's block out again, if it is there; told where it cannot be. */
void block_take_back(const char *jail);
void block_done(struct block *b);

/* Both verbs end like this: clones `from` (held where it is a jail; NULL: what
 * `template` says) and writes the block.
 * Returns the exit status. */
int block_make(struct storage *s, const char *from, const char *jail, const char *like,
	       char *const *args, int n);

#endif
