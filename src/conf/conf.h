/* jail.conf(5), read: an ordered list of records as they were written, nothing resolved yet.
 *
 * Grammar and meaning are FreeBSD's; see jail.conf(5) in man/. Use: zero-initialise a struct conf,
 * conf_read every file, then jail.h for each jail and check.h for all of them together. */
#ifndef NG_CONF_CONF_H
#define NG_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include "base/diag.h"
#include "base/mem.h"
#include "conf/map.h"
#include "conf/param.h"

/* A string as written: literal pieces and variables, in order; no two literals side by side. */
struct conf_part {
	bool variable; /* text is a variable's name */
	const char *text;
};
struct conf_string {
	struct conf_part *part;
	size_t nparts;
	struct pos pos;
	bool quoted; /* any piece was in quotes: matters to the printer alone */
};

struct conf_param {
	const char *name;
	enum param_id id; /* PARAM_NONE: a variable, or not known */
	bool negated;     /* "nopersist" */
	bool variable;    /* $name = …; */
	bool append;      /* += */
	bool argument;    /* of the command line */
	struct conf_string *value;
	size_t nvalues; /* 0: a bare name */
	struct pos pos;
};

struct conf_record {
	const char
	    *name;   /* "*" for what stands outside of blocks; may be a wildcard such as "foo.*" */
	bool global; /* what stands outside of blocks: "*" without being written so */
	bool argument;    /* of the command line: it implies no name */
	unsigned unit;    /* wildcards count within their own unit */
	size_t wildcards; /* where those of the unit begin in conf.wildcard */
	struct conf_param *param;
	size_t nparams;
	struct pos pos;
};

/* Owns everything below it but `root`. Zero-initialise; conf_done accepts that too. */
struct conf {
	const char *root; /* "" or NULL; else included files with absolute names are below it */
	struct arena arena;
	struct conf_record *record;
	size_t nrecords;
	size_t *wildcard; /* indices of the wildcard records */
	size_t nwildcards;
	/* Files that FreeBSD reads one at a time (jail.conf.d/ *.conf) are units: what one of them
	 * says outside of blocks is nothing to the jails of another. conf_new_unit begins the next.
	 */
	unsigned unit;
	size_t unit_wildcards;
	struct map by_name; /* name of a block that is a jail: its index */
	struct map files;   /* device and inode of every file that was read */
};

/* Reads one file ("-": standard input, named STDIN in messages) with what it includes, behind what
 * was read before. Faults go to d, as many as can be found; nothing is printed. Returns 0, or
 * -errno where the file itself cannot be read (then d says so too). Check d->errors after: where
 * there are any, resolving makes no sense. */
int conf_read(struct conf *c, const char *path, struct diags *d) MUST_CHECK;
/* The same from memory; `name` stands for the file. Relative includes are taken from `dir`. */
void conf_read_text(struct conf *c, const char *name, const char *dir, const char *text, size_t len,
		    struct diags *d);
void conf_new_unit(struct conf *c);
/* Was that file read, by name or by .include? */
bool conf_has_file(const struct conf *c, const char *path);
/* Appends one `name=value…` of the command line to the record of jail `jail`, which is made where
 * there is none; each call appends to what an earlier one said, as jail(8) does. `jail` NULL: to
 * the last record. A value is literal text; those of ip4.addr and ip6.addr are split at commas,
 * each `command=word` is one word of an argument vector. A jail whose name is not known before the
 * jid is given ("jail -c path=/x persist") is called "". */
void conf_add_argument(struct conf *c, const char *jail, const char *arg, struct diags *d);
void conf_done(struct conf *c);

/* Is `name` a wildcard (one of its components is "*"), and does it cover the jail? */
bool conf_is_wildcard(const char *name);
bool conf_wildcard_match(const char *wildcard, const char *jail);

/* Why no jail can have this name: "each part between dots needs a name"; NULL where one can. A
 * number can only be the name of the jail with that jid, and is none here. */
const char *conf_name_fault(const char *name);

/* Names of all jails (no wildcards) in order of definition; NULL-terminated, the caller frees the
 * array, not the names. */
const char **conf_names(const struct conf *c, size_t *n) MUST_CHECK;
/* The jail's own block, NULL where there is none. */
const struct conf_record *conf_find(const struct conf *c, const char *name);

#endif
