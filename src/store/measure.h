/* What trees take on disk. */
#ifndef NG_STORE_MEASURE_H
#define NG_STORE_MEASURE_H

#include <stdint.h>
#include "base/macro.h"

/* Bytes on disk of everything in the tree; a file with several names counts once. `shared`, if not
 * NULL, gets those that other files have too, where the file system can tell (btrfs, xfs); they do
 * not count in *own then. 0 or -errno. */
int measure_tree(int dir, uint64_t *own, uint64_t *shared) MUST_CHECK;

#endif
