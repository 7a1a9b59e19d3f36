/* Configuration, written: both forms parse to the same thing again. */
#ifndef NG_CONF_PRINT_H
#define NG_CONF_PRINT_H

#include "base/str.h"
#include "conf/jail.h"

/* `jail -e SEP`: the parameters of one resolved jail on one line, joined with sep. */
void conf_print_line(struct str *out, const struct conf_jail *j, const char *sep);
/* A block in jail.conf's own syntax, one parameter a line. */
void conf_print_jail(struct str *out, const struct conf_jail *j);
/* The records as written (variables kept), for golden tests and structured edits. */
void conf_print(struct str *out, const struct conf *c);
/* One value, quoted where jail.conf needs it. */
void conf_print_value(struct str *out, const char *text);

#endif
