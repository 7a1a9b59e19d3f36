/* The lines of `mount` and mount.fstab: fstab(5) in FreeBSD's words, in Linux' meaning. */
#include <string.h>
#include "base/file.h"
#include "base/num.h"
#include "conf/files.h"
#include "conf/value.h"
#include "jail/mounts.h"
#include "sys/mount.h"

/* Where dir lies below path: "/…", "/" for path itself, NULL outside of it. Both absolute. */
static const char *below(struct arena *a, const char *path, const char *dir)
{
	struct strv p autodone(strv_done) = {0}, d autodone(strv_done) = {0};
	strv_split(&p, path, "/");
	strv_split(&d, dir, "/");
	for (size_t i = 0; i < p.n; i++)
		if (i >= d.n || !str_eq(p.v[i], d.v[i]))
			return NULL;
	struct str b autodone(str_done) = {0};
	for (size_t i = p.n; i < d.n; i++) {
		if (str_eq(d.v[i], "..") || str_eq(d.v[i], "."))
			return NULL;
		str_addf(&b, "/%s", d.v[i]);
	}
	return b.len ? arena_strndup(a, b.s, b.len) : "/";
}

/* FreeBSD's names of what Linux has under another. */
static const struct {
	const char *theirs, *ours;
} types[] = {
    {"cd9660", "iso9660"},
    {"msdosfs", "vfat"},
    {"ext2fs", "ext4"},
};

static const struct {
	const char *type, *why;
} refused[] = {
    {"ufs", "Linux does not read UFS; copy the files into a directory and use nullfs"},
    {"unionfs", "make the jail with `newgate clone`, which joins layers by overlay"},
    {"nfs", "mount it on the host and give the directory to the jail by nullfs"},
    {"zfs", "mount the dataset on the host and give the directory to the jail by nullfs"},
    {"smbfs", "mount it on the host and give the directory to the jail by nullfs"},
};

/* File systems that newgate provides in every jail: their usual place, and what stands there. */
static const struct {
	const char *type, *place;
} provided[] = {
    {"devfs", "/dev"},    {"procfs", "/proc"}, {"linprocfs", "/proc"}, {"proc", "/proc"},
    {"linsysfs", "/sys"}, {"sysfs", "/sys"},   {"fdescfs", "/dev/fd"},
};

static int add_provided(struct mounts *m, struct mount_line *l, const char *place,
			struct ng_err *err)
{
	if (str_eq(l->target, place))
		return 0; /* it is there */
	if (str_eq(place, "/dev/fd"))
		return err_set(err, EINVAL, "fdescfs can only be at /dev/fd of the jail");
	l->kind = MOUNT_AGAIN;
	l->source = place;
	m->line = mem_grow(m->line, m->n, sizeof(*m->line));
	m->line[m->n++] = *l;
	return 0;
}

/* Options that every mount has. true: taken. */
static bool common_option(struct mount_line *l, const char *o)
{
	static const struct {
		const char *name;
		unsigned attr;
	} flags[] = {
	    {"ro", MOUNT_RO},
	    {"nosuid", MOUNT_NOSUID},
	    {"noexec", MOUNT_NOEXEC},
	    {"nodev", MOUNT_NODEV},
	    {"nosymfollow", MOUNT_NOSYMFOLLOW},
	    {"rw", 0},
	    {"late", 0},
	    {"noatime", 0},
	    {"linrdlnk", 0},
	    {"bind", 0},
	    {"noro", 0},
	    {"multilabel", 0},
	    {"exec", 0},
	    {"suid", 0},
	    {"failok", 0},
	    {"auto", 0},
	    {"noasync", 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (str_eq(o, flags[i].name)) {
			l->attr |= flags[i].attr;
			return true;
		}
	return str_prefix(o, "ruleset=");
}

/* tmpfs(5)'s options in the kernel's words. */
static int tmpfs_option(struct mount_line *l, const char *o, struct ng_err *err)
{
	uint64_t bytes;
	if (str_prefix(o, "size=") || str_prefix(o, "maxfilesize=")) {
		const char *v = strchr(o, '=') + 1;
		if (num_size(v, &bytes) < 0)
			return err_set(err, EINVAL, "\"%s\" is not a size (such as 64m)", o);
		if (o[0] == 's' && bytes)
			strv_addf(&l->opts, "size=%llu", (unsigned long long)bytes);
	} else if (str_prefix(o, "inodes=") || str_prefix(o, "nr_inodes=")) {
		strv_addf(&l->opts, "nr_inodes=%s", strchr(o, '=') + 1);
	} else if (str_prefix(o, "mode=") || str_prefix(o, "uid=") || str_prefix(o, "gid=")) {
		strv_add(&l->opts, o);
	} else {
		return err_set(err, EINVAL,
			       "tmpfs has no option \"%s\" (it has size, mode, uid, gid, inodes)",
			       o);
	}
	return 0;
}

static int set_options(struct mount_line *l, const char *options, struct ng_err *err)
{
	struct strv v autodone(strv_done) = {0};
	strv_split(&v, options, ",");
	l->attr |= MOUNT_NODEV;
	for (size_t i = 0; i < v.n; i++) {
		if (common_option(l, v.v[i]))
			continue;
		int rc = 0;
		if (l->kind == MOUNT_TMPFS)
			rc = tmpfs_option(l, v.v[i], err);
		else if (l->kind == MOUNT_OTHER)
			strv_add(&l->opts, v.v[i]);
		else
			rc = err_set(err, EINVAL, "%s has no option \"%s\" here", l->type, v.v[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static enum mount_kind kind_of(const struct conf_mount *c)
{
	if (str_eq(c->type, "nullfs") || str_eq(c->type, "bind") || str_eq(c->type, "none"))
		return MOUNT_BIND;
	return str_eq(c->type, "tmpfs") ? MOUNT_TMPFS : MOUNT_OTHER;
}

static int add_line(struct mounts *m, const struct conf_jail *j, const char *root, const char *what,
		    const struct conf_mount *c, struct ng_err *err)
{
	const char *path = conf_string(j, P_PATH);
	struct mount_line l = {.what = what, .type = c->type, .kind = kind_of(c), .fd = -1};
	l.target = below(&m->arena, path, c->dir);
	if (!l.target)
		return err_set(err, EINVAL,
			       "%s is not below the jail's path %s; a jail's mounts exist in "
			       "the jail only",
			       c->dir, path);
	for (size_t i = 0; i < ARRAY_SIZE(provided); i++)
		if (str_eq(c->type, provided[i].type))
			return add_provided(m, &l, provided[i].place, err);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (str_eq(c->type, refused[i].type))
			return err_set(err, EOPNOTSUPP, "%s: %s", c->type, refused[i].why);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq(c->type, types[i].theirs))
			l.type = types[i].ours;
	l.source = c->device;
	if (l.kind == MOUNT_BIND || c->device[0] == '/') {
		autofree char *source = files_path(root, c->device);
		l.source = arena_strndup(&m->arena, source, strlen(source));
	}
	if (l.kind == MOUNT_BIND && c->device[0] != '/')
		return err_set(err, EINVAL, "%s: nullfs needs an absolute path", c->device);
	int rc = set_options(&l, c->options, err);
	m->line = mem_grow(m->line, m->n, sizeof(*m->line));
	m->line[m->n++] = l;
	return rc;
}

static int parse_line(struct mounts *m, const struct conf_jail *j, const char *root,
		      const char *what, const char *text, struct ng_err *err)
{
	struct conf_mount c;
	const char *why = NULL;
	int rc = value_mount(&m->arena, text, &c, &why);
	if (rc < 0)
		return err_set(err, EINVAL, "%s", why);
	return rc ? 0 : add_line(m, j, root, what, &c, err);
}

/* One way through all lines. */
struct walk {
	struct mounts *m;
	const struct conf_jail *j;
	const char *root;
	struct diags *diags; /* gets every fault; NULL: the first ends the walk */
	struct ng_err *err;
};

/* A fault, at `pos` for diagnostics, which `what` names for an error. */
static int tell(const struct walk *w, struct pos pos, const char *what)
{
	if (!w->diags)
		return err_prefix(w->err, "%s", what);
	diag_error_of(w->diags, w->j->block, pos, "%s", w->err->text);
	*w->err = (struct ng_err){0};
	return 0;
}

static int walk_line(const struct walk *w, struct pos pos, const char *what, const char *text)
{
	int rc = parse_line(w->m, w->j, w->root, what, text, w->err);
	return rc < 0 ? tell(w, pos, what) : 0;
}

static int walk_fstab(const struct walk *w, const struct conf_value *file)
{
	autofree char *path = files_path(w->root, file->text), *text = NULL;
	size_t len;
	int rc = file_read(path, &text, &len);
	if (rc < 0) {
		err_sys(w->err, rc, "%s", path);
		if (rc == -ENOENT)
			err_set(w->err, ENOENT,
				"%s: No such file or directory (an empty one will do)", path);
		return tell(w, file->pos, "mount.fstab");
	}
	struct arena *a = &w->m->arena;
	struct pos pos = {.file = arena_strndup(a, path, strlen(path))};
	if (strlen(text) != len) {
		err_set(w->err, EINVAL, "a NUL byte is in this file: it is not text");
		return tell(w, pos, path);
	}
	for (char *p = text, *next; rc == 0 && p && *p; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		p[strcspn(p, "#\r")] = '\0';
		pos.line++;
		pos.col = (unsigned)strspn(p, " \t") + 1;
		rc = walk_line(w, pos, arena_printf(a, "%s:%u", path, pos.line), p);
	}
	return rc;
}

static int walk_lines(const struct walk *w)
{
	size_t n;
	const struct conf_value *v = conf_list(w->j, P_MOUNT, &n);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = walk_line(w, v[i].pos, "mount", v[i].text);
	v = conf_list(w->j, P_MOUNT_FSTAB, &n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = walk_fstab(w, &v[i]);
	return rc;
}

int mounts_plan(struct mounts *m, const struct conf_jail *j, const struct store_layout *layout,
		const char *root, struct ng_err *err)
{
	struct walk w = {.m = m, .j = j, .root = root, .err = err};
	*m = (struct mounts){.layout = layout, .base = -1, .hosts = -1, .resolv = -1, .sys = -1};
	while (!layout->path && layout->lower[m->nlower])
		m->nlower++;
	m->lower = mem_resize(NULL, m->nlower + 1, sizeof(*m->lower));
	for (size_t i = 0; i < m->nlower; i++)
		m->lower[i] = -1;
	m->readonly = conf_bool(j, P_PATH_READONLY);
	m->net_sysctl = conf_sys(j, P_VNET) == SYS_NEW;
	int rc = walk_lines(&w);
	if (rc < 0)
		mounts_done(m);
	return rc;
}

void mounts_check(const struct conf_jail *j, const char *root, struct diags *d)
{
	struct mounts m = {.base = -1, .hosts = -1, .resolv = -1, .sys = -1};
	struct ng_err err = {0};
	struct walk w = {.m = &m, .j = j, .root = root, .diags = d, .err = &err};
	(void)walk_lines(&w);
	mounts_done(&m);
}
