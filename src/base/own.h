/* Where the files are that newgate needs beside its executable. */
#ifndef NG_BASE_OWN_H
#define NG_BASE_OWN_H

#include "base/macro.h"

/* The path of `name`, in the folder `dir` of the installation. Where the executable was moved as a
 * part of the whole (DESTDIR), the rest is looked for beside it; run from a build folder, in the
 * folder `build` there. The caller frees; the file need not exist. */
char *own_file(const char *build, const char *dir, const char *name) MUST_CHECK;

#endif
