/* What the verbs that make and remove jails' trees share. */
#ifndef NG_CMD_STORAGE_H
#define NG_CMD_STORAGE_H

#include "conf/jail.h"
#include "state/state.h"
#include "store/store.h"

struct storage {
	struct store store;
	struct state state;
	struct conf conf; /* everything that is configured */
	struct diags diags;
};
/* Opens all of it; what is wrong is told. 0, or 1: the exit status. */
int storage_open(struct storage *s) MUST_CHECK;
void storage_done(struct storage *s);

/* A name that `newgate create` and `clone` may give: told otherwise. */
bool storage_good_name(const char *name);
/* Holds the jail's lock (*fd) and sees that it does not run; told otherwise. Of two, in an order
 * that all commands agree on. Who has jail.conf open for editing (edit.h) already must not wait for
 * a jail: who holds one may be waiting for jail.conf. */
bool storage_hold(struct storage *s, const char *jail, int *fd);
bool storage_hold_both(struct storage *s, const char *a, const char *b, int *fa, int *fb);
bool storage_try_hold(struct storage *s, const char *jail, int *fd);
/* With the jail's lock held otherwise: puts right what a rebase that was killed left half done, of
 * which no jail runs. What it does, and where it fails, is told. */
bool storage_heal(struct storage *s, const char *jail);
/* The configuration once more, for who has waited for a jail: its block may have come or gone. Told
 * where it cannot be read. */
bool storage_reread(struct storage *s);
/* The jail as its block says, or -ENOENT: it has none. Its values are not checked. */
int storage_find(struct storage *s, const char *jail, struct conf_jail *out) MUST_CHECK;
/* Clones `from`, which the caller holds where it is a jail, to the tree of the jail as `j` describes
 * it; told where it fails. */
bool storage_clone(struct storage *s, const char *from, const struct conf_jail *j);

/* Says that there is none of that name, with the nearest. */
void storage_no_jail(struct storage *s, const char *jail);

/* Gives the jail's addresses to others. It does not run, nor is it started meanwhile. */
int storage_free_leases(const char *jail, struct ng_err *err) MUST_CHECK;

/* Asks on the terminal. True: yes. Where there is nobody to ask, tells to say -y. */
bool storage_ask(const char *fmt, ...) PRINTF(1, 2);

#endif
