/* Programs of the host that are asked something: what they print is the answer. */
#ifndef NG_SYS_PROGRAM_H
#define NG_SYS_PROGRAM_H

#include <stddef.h>
#include "base/err.h"

/* Runs argv[0], found in the folders of the system (not along the caller's PATH), with nothing to
 * read, and waits for its end. *out (with a NUL behind its *len bytes; the caller frees) is what it
 * wrote. -ENOENT, without a text: there is no such program. Where it fails err has its complaint.
 */
int program_read(const char *const *argv, char **out, size_t *len, struct ng_err *err) MUST_CHECK;

#endif
