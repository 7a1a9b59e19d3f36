/* Trees as ZFS data sets: clones of a snapshot, in an instant and without room.
 *
 *   BASE/templates/NAME, with a snapshot @newgate that clones are made of
 *   BASE/jails/NAME, mounted at the jail's path; its snapshots are @SNAP; @newgate.NAME is what jail
 *     NAME was cloned from
 *
 * BASE is what `newgate init --store zfs:BASE` named, else "newgate" below the data set that the
 * store's folder lies in. What newgate makes has the property newgate:store, the path of the store;
 * nothing without it is ever destroyed. A clone needs its template, and so does its entry (lower).
 *
 * Everything on disk is complete before the entry is in its place, so an entry there is a tree that
 * is there, mounted or not. */
#include "store/zfs.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "store/backend.h"
#include "store/copy.h"
#include "store/plain.h"

#define MINE "newgate:store"
#define FOR_CLONES "newgate"

static PRINTF(1, 2) char *text(const char *fmt, ...)
{
	struct str b = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	return str_take(&b);
}

/* A name as part of a data set's: what is not allowed there as :XX. */
static char *encode(const char *name)
{
	struct str b = {0};

	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (isalnum(*p) || strchr("-_.", *p))
			str_addc(&b, (char)*p);
		else
			str_addf(&b, ":%02x", *p);
	return str_take(&b);
}

/* The caller frees; NULL: the store has none, with the reason told. */
static char *base_of(const struct store *s, struct ng_err *err)
{
	autodone(entry_done) struct entry told = {0};

	if (store_told(s, &told, err) < 0)
		return NULL;
	if (told.volume)
		return take_ptr(told.volume);
	int rc = file_mkdirs(s->dir, 0755);
	autoclose int dir = rc < 0 ? rc : open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *here = dir < 0 ? NULL : zfs_volume_of(dir);
	if (!here) {
		err_set(err, EOPNOTSUPP,
			"%s is not on ZFS: name a data set (newgate init --store zfs:POOL/NAME)",
			s->dir);
		return NULL;
	}
	return text("%s/newgate", here);
}

/* The data sets that others are made below. */
static int make_base(const char *base, const char *folder, struct ng_err *err)
{
	if (zfs_exists(folder))
		return 0;
	int rc =
	    zfs_exists(base) ? 0 : ZFS(NULL, err, "create", "-p", "-o", "mountpoint=none", base);

	return rc < 0 ? rc : ZFS(NULL, err, "create", "-p", "-o", "canmount=off", folder);
}

int zfs_prepare(const struct store *s, const char *volume, struct ng_err *err)
{
	autofree char *base = volume ? mem_strdup(volume) : base_of(s, err);
	autofree char *jails = base ? text("%s/jails", base) : NULL;

	return base ? make_base(base, jails, err) : -err->code;
}

/* ---- whether it is there ---- */

static bool is_mounted(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static int mount_at(const char *volume, const char *path, struct ng_err *err)
{
	autofree char *now = zfs_get(volume, "mountpoint");
	autofree char *point = text("mountpoint=%s", path);

	if (!now)
		return err_set(err, ENOENT,
			       "there is no data set %s: is its pool imported (zpool import)?",
			       volume);
	/* That may mount it, or be done but for the mounting. */
	struct ng_err failed = {0};
	if (!str_eq(now, path) && ZFS(NULL, &failed, "set", point, volume) < 0 &&
	    !strstr(failed.text, "busy")) {
		*err = failed;
		return -err->code;
	}
	return is_mounted(path) ? 0 : ZFS_INSIST(err, "mount", volume);
}

static int ensure_mounted(const struct thing *t, struct ng_err *err)
{
	autofree char *tree = thing_tree(t);

	return is_mounted(tree) ? 0 : mount_at(t->e.volume, tree, err);
}

static bool zfs_there(const struct thing *t)
{
	return t->e.volume != NULL;
}

static bool is_mine(const struct thing *t, const char *volume)
{
	autofree char *store = zfs_get_local(volume, MINE);

	return store && str_eq(store, t->s->dir);
}

/* ---- making ---- */

static int zfs_suits(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autofree char *base = base_of(t->s, err);

	(void)src;
	if (!base)
		return 0;
	if (t->wanted)
		return 1;
	/* Found by looking at the file system alone: then it must be of use. */
	int rc = backend_check_idmap(t->dir, t->s->dir, err);
	return rc == -EOPNOTSUPP ? 0 : rc < 0 ? rc : 1;
}

static int zfs_plan(const struct source *src, struct thing *t, struct ng_err *err)
{
	autofree char *base = base_of(t->s, err);
	autofree char *name = encode(t->name);

	if (!base)
		return -err->code;
	autofree char *folder = text("%s/%s", base, store_kind_dir(t->kind));
	int rc = make_base(base, folder, err);
	if (rc < 0)
		return rc;
	/* Another jail may have had this name before it was renamed, or somebody made it. */
	free(t->e.volume);
	t->e.volume = text("%s/%s", folder, name);
	for (unsigned i = 2; zfs_exists(t->e.volume); i++) {
		free(t->e.volume);
		t->e.volume = text("%s/%s:%u", folder, name, i);
	}
	if (src && src->volume && !src->full && src->lower) {
		free(t->e.lower);
		t->e.lower = mem_strdup(src->lower);
	}
	return 0;
}

/* Where it is mounted while it is filled. */
static char *place_of(const struct thing *t)
{
	return t->kind == STORE_JAILS
		   ? mem_strdup(t->e.path)
		   : text("%s/%s/.partial/%s/root", t->s->dir, store_kind_dir(t->kind), t->name);
}

static const char *last_name(const char *volume)
{
	return strrchr(volume, '/') + 1;
}

/* The snapshot that a clone is made of. A template has one for all; a jail gets one for each. */
static int origin_of(const struct source *src, const struct thing *t, char **out,
		     struct ng_err *err)
{
	struct ng_err ignored = {0};

	if (!src->jail) {
		*out = text("%s@" FOR_CLONES, src->volume);
		return zfs_exists(*out) ? 0 : ZFS(NULL, err, "snapshot", *out);
	}
	*out = text("%s@" FOR_CLONES ".%s", src->volume, last_name(t->e.volume));
	/* One that a killed run left is of another time. */
	if (zfs_exists(*out) && zfs_destroy(*out, &ignored) < 0)
		return err_set(err, EEXIST, "%s", ignored.text);
	autofree char *mine = text(MINE "=%s", t->s->dir);
	return ZFS(NULL, err, "snapshot", "-o", mine, *out);
}

static int fill_full(const struct source *src, const struct thing *t, const char *point,
		     const char *mine, struct ng_err *err)
{
	autofree char *origin = NULL;
	struct ng_err ignored = {0};
	int rc = origin_of(src, t, &origin, err);

	if (rc == 0)
		rc = ZFS(NULL, err, "create", "-o", "canmount=noauto", "-o", point, "-o", mine,
			 t->e.volume);
	if (rc == 0)
		rc = zfs_send(origin, t->e.volume, err);
	if (src->jail && origin && zfs_destroy(origin, &ignored) < 0 && rc == 0)
		rc = err_set(err, EIO, "%s", ignored.text);
	if (rc < 0)
		return rc;
	autofree char *received = text("%s%s", t->e.volume, strchr(origin, '@'));
	rc = zfs_destroy(received, err);
	if (rc == 0)
		rc = ZFS(NULL, err, "set", "canmount=on", t->e.volume);
	autofree char *place = place_of(t);
	return rc < 0 ? rc : mount_at(t->e.volume, place, err);
}

static int make_volume(const struct source *src, const struct thing *t, const char *place,
		       struct ng_err *err)
{
	autofree char *point = text("mountpoint=%s", place);
	autofree char *mine = text(MINE "=%s", t->s->dir);
	autofree char *origin = NULL;

	if (!src || !src->volume)
		return ZFS(NULL, err, "create", "-o", point, "-o", mine, t->e.volume);
	if (src->full)
		return fill_full(src, t, point, mine, err);
	int rc = origin_of(src, t, &origin, err);
	return rc < 0 ? rc : ZFS(NULL, err, "clone", "-o", point, "-o", mine, origin, t->e.volume);
}

static int zfs_fill(const struct source *src, const struct thing *t, struct ng_err *err)
{
	autofree char *place = place_of(t);

	if (t->kind == STORE_JAILS) {
		autoclose int parent = plain_open_parent(t->e.path, err);
		if (parent < 0)
			return parent;
	}
	int rc = make_volume(src, t, place, err);
	if (rc < 0)
		return rc;
	autoclose int tree = plain_open_dir(AT_FDCWD, place, err);
	if (tree < 0 || (src && src->volume))
		return tree < 0 ? tree : take_fd(&tree);
	if (!src && fchmod(tree, t->kind == STORE_TEMPLATES ? 0755 : 0700) < 0)
		return err_sys(err, errno, "%s", place);
	rc = src ? thing_copy(t, src->tree, tree, 0, err) : 0;
	return rc < 0 ? rc : take_fd(&tree);
}

static int zfs_place(const struct thing *t, struct ng_err *err)
{
	if (t->kind == STORE_JAILS)
		return 0;
	/* Its folder was renamed under it. */
	autofree char *tree = thing_tree(t);
	autofree char *snapshot = text("%s@" FOR_CLONES, t->e.volume);
	int rc = mount_at(t->e.volume, tree, err);
	return rc < 0 ? rc : ZFS(NULL, err, "snapshot", snapshot);
}

/* ---- using ---- */

static int zfs_open(const struct thing *t, struct source *out, struct ng_err *err)
{
	int rc = ensure_mounted(t, err);

	return rc < 0 ? rc : plain_open(t, out, err);
}

static int zfs_layout(const struct thing *t, struct store_layout *out, struct ng_err *err)
{
	int rc = ensure_mounted(t, err);

	return rc < 0 ? rc : plain_layout(t, out, err);
}

/* zfs-fuse shows snapshots nowhere: a clone of one for as long as it is looked at. One that was
 * read-only would show no extended attributes. */
static int view_clone(const struct thing *t, const char *snap, struct store_view *out,
		      struct ng_err *err)
{
	autofree char *volume = text("%s:view:%s", t->e.volume, snap);
	autofree char *at = text("%s/jails/%s/.view-%s", t->s->dir, t->name, snap);
	autofree char *point = text("mountpoint=%s", at);
	autofree char *mine = text(MINE "=%s", t->s->dir);
	autofree char *from = text("%s@%s", t->e.volume, snap);
	/* One that a killed run left. */
	int rc = is_mine(t, volume) ? zfs_destroy(volume, err) : 0;

	if (rc == 0)
		rc = ZFS(NULL, err, "clone", "-o", point, "-o", mine, from, volume);
	if (rc < 0)
		return rc;
	out->volume = take_ptr(volume);
	out->at = take_ptr(at);
	out->root = plain_open_dir(AT_FDCWD, out->at, err);
	return out->root < 0 ? out->root : 0;
}

static int zfs_view(const struct thing *t, const char *snap, struct store_view *out,
		    struct ng_err *err)
{
	int rc = ensure_mounted(t, err);

	if (rc < 0)
		return rc;
	if (!snap)
		return plain_view(t, NULL, out, err);
	autoclose int folder = snapshot_open(t, snap, err);
	if (folder < 0)
		return folder;
	autofree char *tree = thing_tree(t);
	autofree char *kept = text("%s/.zfs/snapshot/%s", tree, snap);
	out->root = open(kept, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return out->root < 0 ? view_clone(t, snap, out, err) : 0;
}

static uint64_t number(const char *volume, const char *property)
{
	autofree char *value = zfs_get(volume, property);
	uint64_t n = 0;

	return value && num_u64(value, 0, UINT64_MAX, &n) == 0 ? n : 0;
}

static int zfs_usage(const struct thing *t, struct store_usage *out, struct ng_err *err)
{
	if (!zfs_exists(t->e.volume))
		return err_set(err, ENOENT, "there is no data set %s", t->e.volume);
	uint64_t all = number(t->e.volume, "referenced");
	out->own = number(t->e.volume, "usedbydataset");
	out->shared = all > out->own ? all - out->own : 0;
	out->quota = number(t->e.volume, "refquota");
	return 0;
}

static int zfs_quota(struct thing *t, uint64_t bytes, struct ng_err *err)
{
	autofree char *quota =
	    bytes ? text("refquota=%llu", (unsigned long long)bytes) : mem_strdup("refquota=none");

	return ZFS(NULL, err, "set", quota, t->e.volume);
}

static int zfs_move(const struct thing *t, const char *path, struct ng_err *err)
{
	return mount_at(t->e.volume, path, err);
}

/* ---- snapshots ---- */

/* Refuses where something was cloned from these of its snapshots; NULL: from any. */
static int check_no_clones(const struct thing *t, const struct strv *snaps, struct ng_err *err)
{
	autofree char *base = mem_strdup(t->e.volume);
	autofree char *prefix = text("%s@", t->e.volume);
	autofree char *all = NULL;
	autodone(str_done) struct str names = {0};

	/* Of jails and templates alike: below BASE. */
	for (int i = 0; i < 2 && strrchr(base, '/'); i++)
		*strrchr(base, '/') = '\0';
	int rc = ZFS(&all, err, "get", "-Hp", "-r", "-o", "name,value", "origin", base);
	if (rc < 0)
		return rc;
	char *rest = all;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *origin = strchr(line, '\t');
		if (!origin || !str_prefix(origin + 1, prefix) ||
		    (snaps && !strv_has(snaps, origin + 1 + strlen(prefix))))
			continue;
		*origin = '\0';
		str_addf(&names, "%s%s", names.len > 0 ? ", " : "", line);
	}
	return names.len == 0 ? 0
			      : err_set(err, EBUSY,
					"%s shares its blocks, as a clone: destroy that first "
					"(newgate clone --full makes clones that stand alone)",
					names.s);
}

static int zfs_snapshot(const struct thing *t, const char *name, int folder, struct ng_err *err)
{
	autofree char *full = text("%s@%s", t->e.volume, name);
	autofree char *mine = text(MINE "=%s", t->s->dir);

	(void)folder;
	return ZFS(NULL, err, "snapshot", "-o", mine, full);
}

static int zfs_forget(const struct thing *t, const char *name, int folder, struct ng_err *err)
{
	autofree char *full = text("%s@%s", t->e.volume, name);

	struct ng_err failed = {0};

	(void)folder;
	if (!is_mine(t, full) || zfs_destroy(full, &failed) == 0)
		return 0;
	return err_set(err, EBUSY, "%s", failed.text);
}

static int zfs_snapshot_size(const struct thing *t, const char *name, int folder, uint64_t *bytes,
			     struct ng_err *err)
{
	autofree char *full = text("%s@%s", t->e.volume, name);

	(void)folder;
	if (!zfs_exists(full))
		return err_set(err, ENOENT, "there is no ZFS snapshot %s", full);
	*bytes = number(full, "used");
	return 0;
}

/* The names of the snapshots that were taken after this one. */
static int later_than(const struct thing *t, const char *name, struct strv *out, struct ng_err *err)
{
	autofree char *full = text("%s@%s", t->e.volume, name);
	autofree char *all = NULL;
	bool past = false;
	int rc = ZFS(&all, err, "list", "-H", "-t", "snapshot", "-o", "name", "-s", "creation",
		     "-r", "-d", "1", t->e.volume);

	if (rc < 0)
		return rc;
	char *rest = all;
	for (char *line; (line = strsep(&rest, "\n"));) {
		if (past && strchr(line, '@'))
			strv_add(out, strchr(line, '@') + 1);
		past = past || str_eq(line, full);
	}
	return past ? 0 : err_set(err, ENOENT, "there is no ZFS snapshot %s", full);
}

static int refuse_later(const struct strv *later, struct ng_err *err)
{
	autodone(str_done) struct str names = {0};

	for (size_t i = 0; i < later->n; i++)
		str_addf(&names, "%s%s", i > 0 ? ", " : "", later->v[i]);
	return err_set(err, EEXIST,
		       "ZFS goes back past later snapshots by destroying them: %s (say -r to have "
		       "that)",
		       names.s);
}

static int zfs_restore(struct thing *t, const char *name, int folder, bool later,
		       struct ng_err *err)
{
	autodone(strv_done) struct strv newer = {0};
	autofree char *full = text("%s@%s", t->e.volume, name);
	int rc = later_than(t, name, &newer, err);

	(void)folder;
	if (rc == 0 && t->change)
		rc = err_set(err, EOPNOTSUPP,
			     "a data set of ZFS cannot be changed and go back in one step");
	if (rc == 0 && newer.n > 0 && !later)
		rc = refuse_later(&newer, err);
	if (rc == 0 && newer.n > 0)
		rc = check_no_clones(t, &newer, err);
	for (size_t i = 0; rc == 0 && i < newer.n; i++)
		rc = snapshot_hide(t, newer.v[i], err);
	if (rc == 0)
		rc = newer.n > 0 ? ZFS_INSIST(err, "rollback", "-r", full)
				 : ZFS_INSIST(err, "rollback", full);
	if (rc < 0)
		return rc;
	rc = entry_replace(t->dir, store_kind_file(t->kind), &t->e);
	return rc < 0 ? err_sys(err, rc, "writing its entry") : ensure_mounted(t, err);
}

static int zfs_mend(struct thing *t, struct ng_err *err)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(t->dir, &names);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		if (!str_prefix(names.v[i], ".view-"))
			continue;
		autofree char *volume =
		    text("%s:view:%s", t->e.volume, names.v[i] + strlen(".view-"));
		if (is_mine(t, volume) && (rc = zfs_destroy(volume, err)) < 0)
			return rc;
		if (unlinkat(t->dir, names.v[i], AT_REMOVEDIR) < 0 && errno != ENOENT)
			rc = -errno;
	}
	return rc < 0 ? err_sys(err, rc, "removing what a stopped run left") : 0;
}

/* ---- removing ---- */

static int zfs_displace(const struct thing *t, struct ng_err *err)
{
	if (!zfs_exists(t->e.volume))
		return 0;
	int rc = check_no_clones(t, NULL, err);
	if (rc < 0 || t->kind == STORE_TEMPLATES || !is_mounted(t->e.path))
		return rc;
	return ZFS(NULL, err, "unmount", t->e.volume);
}

/* The snapshot of a jail that was taken for this clone. */
static int drop_origin(const struct thing *t, struct ng_err *err)
{
	autodone(thing_done) struct thing from = THING_NONE;
	struct ng_err ignored = {0};

	if (!t->e.from || thing_open(t->s, STORE_JAILS, t->e.from, &from, &ignored) < 0 ||
	    !from.e.volume)
		return 0;
	autofree char *origin = text("%s@" FOR_CLONES ".%s", from.e.volume, last_name(t->e.volume));
	return is_mine(t, origin) ? zfs_destroy(origin, err) : 0;
}

static int zfs_drop(const struct thing *t, struct ng_err *err)
{
	int rc = t->e.volume && is_mine(t, t->e.volume) ? zfs_destroy(t->e.volume, err) : 0;

	if (rc < 0 || !t->e.volume || t->kind == STORE_TEMPLATES)
		return rc;
	/* The folder that it was mounted on. */
	if (rmdir(t->e.path) < 0 && errno != ENOENT && errno != ENOTEMPTY)
		return err_sys(err, errno, "removing %s", t->e.path);
	return drop_origin(t, err);
}

const struct store_backend backend_zfs = {
    .name = "zfs",
    .mounts = true,
    .suits = zfs_suits,
    .plan = zfs_plan,
    .fill = zfs_fill,
    .place = zfs_place,
    .there = zfs_there,
    .open = zfs_open,
    .layout = zfs_layout,
    .view = zfs_view,
    .usage = zfs_usage,
    .quota = zfs_quota,
    .move = zfs_move,
    .snapshot = zfs_snapshot,
    .forget = zfs_forget,
    .snapshot_size = zfs_snapshot_size,
    .restore = zfs_restore,
    .mend = zfs_mend,
    .displace = zfs_displace,
    .drop = zfs_drop,
};
