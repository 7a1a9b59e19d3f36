/* A whole host laid out beside the one that is there: while it is written down, and before it takes its
 * place. */
#ifndef NG_HOST_BESIDE_H
#define NG_HOST_BESIDE_H

#include "base/err.h"

#define BESIDE_TREE "tree"

/* Makes the folder and an empty tree in it; what a killed run left there goes first. *lock is the
 * folder, held, *tree the tree: the caller closes both, also after an error (-1: not open). -EBUSY:
 * another `verb` holds it. */
int beside_open(const char *path, const char *verb, int *lock, int *tree,
		struct ng_err *err) MUST_CHECK;
/* Removes the tree, if it is there. */
int beside_remove(int lock, struct ng_err *err) MUST_CHECK;

#endif
