/* Asking ZFS: its commands are the interface that OpenZFS and zfs-fuse have in common. */
#ifndef NG_STORE_ZFS_H
#define NG_STORE_ZFS_H

#include <stdbool.h>
#include "store/store.h"

/* Runs "zfs ARG …" (NULL-terminated). *out, if not NULL, gets what it prints; the caller frees. */
int zfs_run(const char *const *argv, char **out, struct ng_err *err) MUST_CHECK;
#define ZFS(out, err, ...) zfs_run((const char *const[]){"zfs", __VA_ARGS__, NULL}, out, err)
/* The same, again while ZFS says that something is busy. zfs-fuse lets go of a data set only some
 * moments after it was unmounted, and tells nobody when: each try takes as long as the command. */
int zfs_insist(const char *const *argv, struct ng_err *err) MUST_CHECK;
#define ZFS_INSIST(err, ...) zfs_insist((const char *const[]){"zfs", __VA_ARGS__, NULL}, err)
/* A property's value; the caller frees; NULL: there is no such data set, or it has not got it. */
char *zfs_get(const char *volume, const char *property) MUST_CHECK;
/* The same where it was set on this very data set or snapshot, not inherited. */
char *zfs_get_local(const char *volume, const char *property) MUST_CHECK;
bool zfs_exists(const char *volume);
/* Removes a data set with its snapshots, or a snapshot. */
int zfs_destroy(const char *volume, struct ng_err *err) MUST_CHECK;
/* All blocks of a snapshot to a data set that is empty and not mounted. */
int zfs_send(const char *snapshot, const char *to, struct ng_err *err) MUST_CHECK;
/* The data set that a directory lies in; the caller frees; NULL: it is not on ZFS. */
char *zfs_volume_of(int dir) MUST_CHECK;

/* Makes the data sets below which all others go: `volume`, or NULL: where the store's folder is. */
int zfs_prepare(const struct store *s, const char *volume, struct ng_err *err) MUST_CHECK;

#endif
