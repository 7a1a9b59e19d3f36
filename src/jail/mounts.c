/* The parent's half: the mounts that need the host's rights. */
#include "jail/mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "net/net.h"
#include "store/backend.h"
#include "sys/fd.h"
#include "sys/mount.h"
#include "sys/path.h"

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

/* Part of the path may be another jail's, or this one's from another mount: a link put there must
 * not choose what of the host is mounted. */
static int open_source(const char *path, struct ng_err *err)
{
	int fd = path_open_host(path, O_PATH, 0);
	if (fd != -ELOOP)
		return fd < 0 ? err_sys(err, fd, "%s", path) : fd;
	autofree char *real = realpath(path, NULL);
	return err_set(err, ELOOP,
		       "%s is reached by a symbolic link, which whoever can write there may turn "
		       "elsewhere; it leads to %s: if that is meant, write that",
		       path, real ? real : "nothing");
}

/* Copies a tree and maps its owners. What is mounted below comes along: on FreeBSD a jail sees all
 * that is below its path. A file system among it that cannot map owners shows them as nobody. */
static int clone_mapped(struct mounts *m, const char *path, bool recursive, unsigned attr,
			int userns, struct ng_err *err)
{
	autoclose int from = open_source(path, err);
	if (from < 0)
		return from;
	autoclose int fd = mount_clone(from, "", recursive);
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
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	char fs[64] = "a file system";

	if (err->code)
		return -err->code;
	if (fd >= 0)
		backend_fs_name(fd, fs, sizeof(fs));
	return err_sys(
	    err, rc,
	    "%s: it is on %s, which cannot map owners to the jail's (idmapped mounts); put "
	    "it on ext4, xfs, btrfs, ZFS of OpenZFS 2.2 or, from Linux 6.3, tmpfs",
	    path, fs);
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
	if (l->kind == MOUNT_BIND && access(l->source, F_OK) < 0 && errno == ENOENT)
		return err_set(err, ENOENT,
			       "%s: %s: No such file or directory (make it, or remove this mount)",
			       l->what, l->source);
	if (l->kind == MOUNT_BIND) {
		l->fd = clone_mapped(m, l->source, false, l->attr, userns, err);
		if (l->fd >= 0 || err->code)
			return l->fd < 0 ? err_prefix(err, "%s", l->what) : 0;
		strv_addf(&m->notes,
			  "%s: the file system of %s cannot map owners: they show as nobody",
			  l->what, l->source);
		autoclose int from = open_source(l->source, err);
		if (from < 0)
			return err_prefix(err, "%s", l->what);
		l->fd = mount_clone(from, "", false);
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

int mounts_send(struct mounts *m, int sock)
{
	size_t n;
	autofree int **v = slots(m, &n);
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
	for (size_t i = 0; i < n; i++)
		if (*v[i] >= 0)
			close(take_fd(v[i]));
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
