/* The parent's half: reading the lines, and the mounts that need the host's rights. */
#include "jail/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/num.h"
#include "conf/files.h"
#include "conf/value.h"
#include "jail/net.h"
#include "sys/fd.h"
#include "sys/mount.h"

/* ---- lines ---- */

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
		return err_set(err, EINVAL, "%s: fdescfs can only be at /dev/fd of the jail",
			       l->what);
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
			return err_set(err, EINVAL, "%s: \"%s\" is not a size (such as 64m)",
				       l->what, o);
		if (o[0] == 's' && bytes)
			strv_addf(&l->opts, "size=%llu", (unsigned long long)bytes);
	} else if (str_prefix(o, "inodes=") || str_prefix(o, "nr_inodes=")) {
		strv_addf(&l->opts, "nr_inodes=%s", strchr(o, '=') + 1);
	} else if (str_prefix(o, "mode=") || str_prefix(o, "uid=") || str_prefix(o, "gid=")) {
		strv_add(&l->opts, o);
	} else {
		return err_set(
		    err, EINVAL,
		    "%s: tmpfs has no option \"%s\" (it has size, mode, uid, gid, inodes)", l->what,
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
			rc = err_set(err, EINVAL, "%s: %s has no option \"%s\" here", l->what,
				     l->type, v.v[i]);
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
			       "%s: %s is not below the jail's path %s; a jail's mounts exist in "
			       "the jail only",
			       what, c->dir, path);
	for (size_t i = 0; i < ARRAY_SIZE(provided); i++)
		if (str_eq(c->type, provided[i].type))
			return add_provided(m, &l, provided[i].place, err);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (str_eq(c->type, refused[i].type))
			return err_set(err, EOPNOTSUPP, "%s: %s: %s", what, c->type,
				       refused[i].why);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (str_eq(c->type, types[i].theirs))
			l.type = types[i].ours;
	l.source = c->device;
	if (l.kind == MOUNT_BIND || c->device[0] == '/') {
		autofree char *source = files_path(root, c->device);
		l.source = arena_strndup(&m->arena, source, strlen(source));
	}
	if (l.kind == MOUNT_BIND && c->device[0] != '/')
		return err_set(err, EINVAL, "%s: %s: nullfs needs an absolute path", what,
			       c->device);
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
		return err_set(err, EINVAL, "%s: %s", what, why);
	return rc ? 0 : add_line(m, j, root, what, &c, err);
}

static int read_fstab(struct mounts *m, const struct conf_jail *j, const char *root,
		      const char *file, struct ng_err *err)
{
	autofree char *path = files_path(root, file), *text = NULL;
	size_t len;
	int rc = file_read(path, &text, &len);
	if (rc < 0)
		return err_sys(err, rc, "mount.fstab: %s", path);
	unsigned number = 0;
	for (char *p = text, *next; rc == 0 && p && *p; p = next) {
		next = strchr(p, '\n');
		if (next)
			*next++ = '\0';
		p[strcspn(p, "#\r")] = '\0';
		rc = parse_line(m, j, root, arena_printf(&m->arena, "%s:%u", path, ++number), p,
				err);
	}
	return rc;
}

int mounts_plan(struct mounts *m, const struct conf_jail *j, const struct store_layout *layout,
		const char *root, struct ng_err *err)
{
	*m = (struct mounts){.layout = layout, .base = -1, .hosts = -1, .resolv = -1, .sys = -1};
	while (!layout->path && layout->lower[m->nlower])
		m->nlower++;
	m->lower = mem_resize(NULL, m->nlower + 1, sizeof(*m->lower));
	for (size_t i = 0; i < m->nlower; i++)
		m->lower[i] = -1;
	m->net_sysctl = conf_sys(j, P_VNET) == SYS_NEW;
	size_t n;
	const struct conf_value *v = conf_list(j, P_MOUNT, &n);
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = parse_line(m, j, root, "mount", v[i].text, err);
	v = conf_list(j, P_MOUNT_FSTAB, &n);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_fstab(m, j, root, v[i].text, err);
	if (rc < 0)
		mounts_done(m);
	return rc;
}

void mounts_done(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		macro_close(&m->line[i].fd);
		strv_done(&m->line[i].opts);
	}
	for (size_t i = 0; i < m->nlower; i++)
		macro_close(&m->lower[i]);
	macro_close(&m->base);
	macro_close(&m->hosts);
	macro_close(&m->resolv);
	macro_close(&m->sys);
	free(m->line);
	free(m->lower);
	strv_done(&m->notes);
	arena_done(&m->arena);
	*m = (struct mounts){.base = -1, .hosts = -1, .resolv = -1, .sys = -1};
}

/* ---- detached mounts ---- */

/* Copies a tree and maps its owners. What is mounted below comes along: on FreeBSD a jail sees all
 * that is below its path. A file system among it that cannot map owners shows them as nobody. */
static int clone_mapped(struct mounts *m, const char *path, bool recursive, unsigned attr,
			int userns, struct ng_err *err)
{
	autoclose int fd = mount_clone(AT_FDCWD, path, recursive);
	if (fd < 0)
		return err_sys(err, fd, "%s", path);
	int rc = mount_restrict(fd, attr, recursive);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	rc = mount_idmap(fd, userns, recursive);
	if (rc < 0 && recursive) {
		rc = mount_idmap(fd, userns, false);
		if (rc == 0)
			strv_addf(
			    &m->notes,
			    "a file system mounted below %s cannot map owners: they show as nobody",
			    path);
	}
	return rc < 0 ? rc : take_fd(&fd);
}

static int no_idmap(struct ng_err *err, int rc, const char *path)
{
	if (err->code)
		return -err->code;
	return err_sys(
	    err, rc,
	    "%s: its file system cannot map owners to the jail's (idmapped mounts); put it on "
	    "ext4, xfs, btrfs or, from Linux 6.3, tmpfs",
	    path);
}

static int prepare_root(struct mounts *m, int userns, struct ng_err *err)
{
	const struct store_layout *l = m->layout;
	if (l->path) {
		m->base = clone_mapped(m, l->path, true, MOUNT_NODEV, userns, err);
		return m->base < 0 ? no_idmap(err, m->base, l->path) : 0;
	}
	for (size_t i = 0; i < m->nlower; i++) {
		m->lower[i] =
		    clone_mapped(m, l->lower[i], false, MOUNT_RO | MOUNT_NODEV, userns, err);
		if (m->lower[i] < 0)
			return no_idmap(err, m->lower[i], l->lower[i]);
	}
	autofree char *folder = mem_strndup(l->upper, (size_t)(strrchr(l->upper, '/') - l->upper));
	m->base = clone_mapped(m, folder, false, MOUNT_NODEV, userns, err);
	return m->base < 0 ? no_idmap(err, m->base, folder) : 0;
}

/* A file or folder of the host's own, read-only and with its own owners. */
static int clone_shared(int dir, const char *path)
{
	autoclose int fd = mount_clone(dir, path, false);
	if (fd < 0)
		return fd;
	int rc = mount_restrict(fd, MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, false);
	return rc < 0 ? rc : take_fd(&fd);
}

static int prepare_line(struct mounts *m, struct mount_line *l, int userns, struct ng_err *err)
{
	if (l->kind == MOUNT_BIND) {
		l->fd = clone_mapped(m, l->source, false, l->attr, userns, err);
		if (l->fd >= 0 || err->code)
			return l->fd < 0 ? err_prefix(err, "%s", l->what) : 0;
		strv_addf(&m->notes,
			  "%s: the file system of %s cannot map owners: they show as nobody",
			  l->what, l->source);
		l->fd = mount_clone(AT_FDCWD, l->source, false);
		int rc = l->fd < 0 ? l->fd : mount_restrict(l->fd, l->attr, false);
		return rc < 0 ? err_sys(err, rc, "%s: %s", l->what, l->source) : 0;
	}
	if (l->kind != MOUNT_OTHER)
		return 0;
	l->fd = mount_new(l->type, l->source, (const char *const *)l->opts.v, l->attr);
	if (l->fd == -ENODEV)
		return err_set(err, ENODEV, "%s: this host's kernel has no file system \"%s\"",
			       l->what, l->type);
	if (l->fd < 0)
		return err_sys(err, l->fd, "%s: %s %s %s", l->what, l->type, l->source,
			       mount_reason());
	int rc = mount_idmap(l->fd, userns, false);
	if (rc < 0)
		strv_addf(&m->notes, "%s: %s cannot map owners: they show as nobody", l->what,
			  l->type);
	return 0;
}

int mounts_prepare(struct mounts *m, int run, int userns, struct ng_err *err)
{
	int rc = prepare_root(m, userns, err);
	for (size_t i = 0; i < m->n && rc == 0; i++)
		rc = prepare_line(m, &m->line[i], userns, err);
	if (rc < 0)
		return rc;
	/* No file, no mount: a command that does not manage the network writes none. */
	m->hosts = clone_shared(run, NET_HOSTS);
	m->resolv = clone_shared(run, NET_RESOLV);
	if (!m->own_net) {
		/* A user namespace that does not own its network cannot mount sysfs: it gets the
		 * host's, without what is mounted below (cgroups, securityfs). */
		m->sys = clone_shared(AT_FDCWD, "/sys");
		if (m->sys < 0)
			return err_sys(err, m->sys, "/sys");
	}
	return 0;
}

/* ---- from the parent to the child ---- */

/* Every descriptor of *m in one order, which both sides share. The caller frees the array. */
static int **slots(struct mounts *m, size_t *n)
{
	int **v = mem_resize(NULL, m->nlower + m->n + 4, sizeof(*v));
	*n = 0;
	v[(*n)++] = &m->base;
	v[(*n)++] = &m->hosts;
	v[(*n)++] = &m->resolv;
	v[(*n)++] = &m->sys;
	for (size_t i = 0; i < m->nlower; i++)
		v[(*n)++] = &m->lower[i];
	for (size_t i = 0; i < m->n; i++)
		v[(*n)++] = &m->line[i].fd;
	return v;
}

/* A packet carries as many as one may (fd.h), and for each slot whether it is among them. */
#define PACKET 8

int mounts_send(const struct mounts *m, int sock)
{
	size_t n;
	autofree int **v = slots((struct mounts *)(uintptr_t)m, &n);
	for (size_t i = 0; i < n; i += PACKET) {
		uint8_t present[PACKET] = {0};
		int fds[PACKET];
		unsigned nfds = 0;
		for (size_t k = 0; k < PACKET && i + k < n; k++) {
			present[k] = *v[i + k] >= 0;
			if (present[k])
				fds[nfds++] = *v[i + k];
		}
		int rc = fd_send(sock, present, sizeof(present), fds, nfds);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int mounts_receive(struct mounts *m, int sock)
{
	size_t n;
	autofree int **v = slots(m, &n);
	for (size_t i = 0; i < n; i += PACKET) {
		uint8_t present[PACKET];
		int fds[PACKET];
		unsigned nfds = PACKET, next = 0;
		ssize_t len = fd_recv(sock, present, sizeof(present), fds, &nfds);
		if (len != sizeof(present))
			return len < 0 ? (int)len : -ECONNRESET;
		for (size_t k = 0; k < PACKET && i + k < n; k++)
			if (present[k] && next < nfds)
				*v[i + k] = fds[next++];
	}
	return 0;
}
