/* The runs of newgate backup in one folder (store/backup.h): found and read. */
#ifndef NG_CMD_RUNS_H
#define NG_CMD_RUNS_H

#include "store/backup.h"

/* A run is called by its time, "20261123T084630Z", with ".1" and so on where two have the same. */
bool runs_is_name(const char *name);
/* The complete runs in the open folder, the latest first. */
int runs_list(int dir, struct strv *out) MUST_CHECK;
/* Reads what run `name` of the open folder holds ("." for a run that is open itself). */
int runs_read(int dir, const char *name, struct backup *out, struct ng_err *err) MUST_CHECK;

#endif
