#include "jail/lease.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "sys/fd.h"

#define STALE_MAX 1000

static void drop(struct leases *l, size_t i)
{
	free(l->v[i].jail);
	free(l->v[i].ifname);
	/* In order: the first of two addresses stays the first. */
	memmove(&l->v[i], &l->v[i + 1], (--l->n - i) * sizeof *l->v);
}

static void clear(struct leases *l)
{
	while (l->n)
		drop(l, l->n - 1);
	l->seen = 0;
	l->stale = 0;
}

static void remember(struct leases *l, const char *jail, const char *ifname,
		     const struct ipnet *net)
{
	l->v = mem_grow(l->v, l->n, sizeof *l->v);
	l->v[l->n++] = (struct lease){
	    .jail = jail ? mem_strdup(jail) : NULL, .ifname = mem_strdup(ifname), .net = *net};
}

static void forget(struct leases *l, const char *jail)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->v[i].jail && str_eq(l->v[i].jail, jail)) {
			drop(l, i);
			l->stale++;
		}
	l->stale++;
}

/* One line, without its newline. What makes no sense is passed over: the file can be edited. */
static void read_line(struct leases *l, char *line)
{
	char *rest = line, *kind = strsep(&rest, " ");
	struct ipnet net;

	if (str_eq(kind, "free") && rest) {
		forget(l, rest);
		return;
	}
	char *ifname = strsep(&rest, " "), *addr = strsep(&rest, " ");
	bool jail = str_eq(kind, "jail");
	if ((!jail && !str_eq(kind, "net")) || !addr || ipnet_parse(addr, &net) < 0 ||
	    jail != (rest != NULL))
		l->stale++;
	else
		remember(l, jail ? rest : NULL, ifname, &net);
}

/* Reads what the file holds beyond l->seen, whole lines alone: a last one without its newline is
 * what a crash left. */
static int catch_up(struct leases *l)
{
	struct stat st;
	if (fstat(l->fd, &st) < 0)
		return -errno;
	if (st.st_size <= l->seen)
		return 0;
	size_t size = (size_t)(st.st_size - l->seen);
	autofree char *text = mem_alloc(size + 1);
	ssize_t got = pread(l->fd, text, size, l->seen);
	if (got < 0)
		return -errno;
	text[got] = '\0';
	char *line = text;
	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		read_line(l, line);
	}
	l->seen += line - text;
	return 0;
}

static int open_file(struct leases *l, int flags)
{
	if (l->fd >= 0)
		close(l->fd);
	clear(l);
	l->fd = open(l->path, O_RDWR | O_APPEND | O_CLOEXEC | flags, 0644);
	return l->fd < 0 ? -errno : catch_up(l);
}

int leases_open(struct leases *l, const char *root, struct ng_err *err)
{
	struct str path = {0};
	str_addf(&path, "%s/var/lib/newgate/leases", root);
	*l = (struct leases){.path = str_take(&path), .fd = -1};
	int rc = open_file(l, 0);
	if (rc < 0 && rc != -ENOENT)
		return err_sys(err, rc, "%s", l->path);
	return 0;
}

void leases_done(struct leases *l)
{
	if (!l->path)
		return;
	clear(l);
	if (l->fd >= 0) {
		if (l->dirty)
			(void)fdatasync(l->fd);
		close(l->fd);
	}
	free(l->v);
	free(l->path);
	*l = (struct leases){.fd = -1};
}

static int make_file(struct leases *l)
{
	autofree char *dir = mem_strdup(l->path);
	*strrchr(dir, '/') = '\0';
	int rc = file_mkdirs(dir, 0755);
	return rc < 0 ? rc : open_file(l, O_CREAT);
}

/* Locks the file that the name stands for now: it may have been rewritten since it was opened. */
static int lock_current(struct leases *l)
{
	struct stat mine, named;

	for (;;) {
		int rc = l->fd < 0 ? make_file(l) : 0;
		if (rc < 0)
			return rc;
		while (flock(l->fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return -errno;
		if (fstat(l->fd, &mine) < 0)
			return -errno;
		if (stat(l->path, &named) == 0 && mine.st_ino == named.st_ino &&
		    mine.st_dev == named.st_dev)
			return catch_up(l);
		close(take_fd(&l->fd));
	}
}

static void add_line(struct str *out, const char *jail, const char *ifname, const struct ipnet *net)
{
	char text[IPNET_TEXT];
	if (jail)
		str_addf(out, "jail %s %s %s\n", ifname, ip_text(&net->addr, text), jail);
	else
		str_addf(out, "net %s %s\n", ifname, ipnet_text(net, text));
}

/* Writes the file anew without what is stale, and holds the lock of the new one. */
static int rewrite(struct leases *l)
{
	struct str text = {0};
	for (size_t i = 0; i < l->n; i++)
		add_line(&text, l->v[i].jail, l->v[i].ifname, &l->v[i].net);
	int rc = file_replace(l->path, str_text(&text), text.len, 0644);
	str_done(&text);
	return rc < 0 ? rc : lock_current(l);
}

int leases_lock(struct leases *l, struct ng_err *err)
{
	int rc = lock_current(l);
	if (rc == 0 && l->stale > STALE_MAX + l->n)
		rc = rewrite(l);
	return rc < 0 ? err_sys(err, rc, "%s", l->path) : 0;
}

void leases_unlock(struct leases *l)
{
	(void)flock(l->fd, LOCK_UN);
}

/* Ends a line that a crash left half written, then adds this one. */
static int append(struct leases *l, const char *line, size_t len)
{
	if (ftruncate(l->fd, l->seen) < 0)
		return -errno;
	int rc = fd_write_all(l->fd, line, len);
	if (rc == 0) {
		l->seen += (off_t)len;
		l->dirty = true;
	}
	return rc;
}

int leases_add(struct leases *l, const char *jail, const char *ifname, const struct ipnet *net,
	       struct ng_err *err)
{
	struct str line = {0};
	add_line(&line, jail, ifname, net);
	int rc = append(l, line.s, line.len);
	str_done(&line);
	if (rc < 0)
		return err_sys(err, rc, "%s", l->path);
	remember(l, jail, ifname, net);
	return 0;
}

int leases_free(struct leases *l, const char *jail, struct ng_err *err)
{
	struct str line = {0};
	str_addf(&line, "free %s\n", jail);
	int rc = append(l, line.s, line.len);
	str_done(&line);
	if (rc < 0)
		return err_sys(err, rc, "%s", l->path);
	forget(l, jail);
	return 0;
}
