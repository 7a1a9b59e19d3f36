/* jail.conf(5), read: an ordered list of records as they were written, nothing resolved yet.
 *
 * Grammar and meaning are FreeBSD's; see jail.conf(5) in man/. Use: zero-initialise a struct conf,
 * conf_read every file, then resolve.h for each jail. */
#ifndef NG_CONF_CONF_H
#define NG_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include "base/diag.h"
#include "base/mem.h"

/* A string as written: literal pieces and variables, in order. */
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
	bool variable; /* $name = …; */
	bool append;   /* += */
	struct conf_string *value;
	size_t nvalues; /* 0: a bare name */
	struct pos pos;
};

struct conf_record {
	const char *name; /* "*" for what stands outside of blocks; may be a wildcard such as "foo.*" */
	struct conf_param *param;
	size_t nparams;
	struct pos pos;
};

/* Owns everything below it. Zero-initialise; conf_done accepts that too. */
struct conf {
	struct arena arena;
	struct conf_record *record;
	size_t nrecords;
};

/* Reads one file ("-": standard input, named STDIN in messages) with what it includes, behind what
 * was read before. Faults go to d, as many as can be found; nothing is printed. Returns 0, or
 * -errno where the file itself cannot be read (then d says so too). Check d->errors after. */
int conf_read(struct conf *c, const char *path, struct diags *d) MUST_CHECK;
/* The same from memory; `name` stands for the file. Relative includes are taken from `dir`. */
void conf_read_text(struct conf *c, const char *name, const char *dir, const char *text, size_t len,
		    struct diags *d);
/* Appends one `name=value…` of the command line to the record of jail `jail`; each call appends to
 * what an earlier one said, as jail(8) does. `jail` NULL: to the last record. */
void conf_add_argument(struct conf *c, const char *jail, const char *arg, struct diags *d);
void conf_done(struct conf *c);

/* Is `name` a wildcard (one of its components is "*"), and does it cover the jail? */
bool conf_is_wildcard(const char *name);
bool conf_wildcard_match(const char *wildcard, const char *jail);

/* Names of all jails (no wildcards) in order of definition; NULL-terminated, the caller frees the
 * array, not the names. */
const char **conf_names(const struct conf *c, size_t *n) MUST_CHECK;

#endif
