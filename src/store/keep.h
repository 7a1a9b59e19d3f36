/* Which of the snapshots that are taken by themselves stay (pure). */
#ifndef NG_STORE_KEEP_H
#define NG_STORE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "conf/value.h"

/* "auto-20261123-0900", by local time. */
#define KEEP_NAME 32
void keep_name(int64_t now, char name[static KEEP_NAME]);
bool keep_is_name(const char *name);

/* Is one due, the newest being of that time? (n 0: there is none.) */
bool keep_due(const struct conf_keep *k, const int64_t *made, size_t n, int64_t now);
/* made: the oldest first. stays[i]: one of the periods keeps it: of each of its last so many units
 * (hours, days, weeks from Monday on, months) in which there is one, the newest. */
void keep_choose(const struct conf_keep *k, const int64_t *made, size_t n, bool *stays);

#endif
