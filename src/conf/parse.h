/* The grammar of jail.conf(5). Private to conf.c. */
#ifndef NG_CONF_PARSE_H
#define NG_CONF_PARSE_H

#include "conf/conf.h"

/* Reads a text into the records. `name` (kept) stands for it in messages; `dir` (NULL: the current
 * one) is where relative includes are looked for. */
void parse_text(struct conf *c, const char *name, const char *dir, const char *text, size_t len,
		struct diags *d);

/* conf.c, for parse.c: new records and parameters. Indices, since the arrays move as they grow. */
size_t conf_add_record(struct conf *c, const char *name, struct pos pos);
void conf_add_param(struct conf *c, size_t record, const struct conf_param *p);
/* Remembers that the file was read. */
void conf_note_file(struct conf *c, const char *path);

#endif
