/* What `newgate init` does, for verbs that go on from there. */
#ifndef NG_CMD_INIT_H
#define NG_CMD_INIT_H

/* Writes the first files, made to fit the host; says what it did, and nothing of what could be done
 * next. 0 or 1. */
int init_first_files(void);

#endif
