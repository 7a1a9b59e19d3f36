/* Subvolumes, through a module that is loaded when one is made or removed: libbtrfsutil is nothing
 * that a newgate without btrfs should have to load, or to have. */
#ifndef NG_STORE_BTRFS_MODULE_H
#define NG_STORE_BTRFS_MODULE_H

#include <stdbool.h>

#define BTRFS_MODULE "newgate-btrfs.so"
#define BTRFS_SYMBOL "newgate_btrfs"

/* All return 0 or -errno. */
struct btrfs_module {
	int (*create)(int parent, const char *name);
	/* `tree` is open on the top of a subvolume. */
	int (*snapshot)(int tree, int parent, const char *name, bool readonly);
	int (*remove)(int parent, const char *name); /* with those inside */
	int (*is_subvolume)(int fd);                 /* 1, 0, -errno */
};

#endif
