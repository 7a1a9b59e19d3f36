#include "net/lease.h"

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

/* One line, without its newline. */
struct line {
	bool freed;
	char *jail, *ifname;
	struct ipnet net;
};

static bool parse_line(char *line, struct line *out)
{
	char *rest = line, *kind = strsep(&rest, " ");
	*out = (struct line){.freed = str_eq(kind, "free")};
	if (out->freed) {
		out->jail = rest;
		return rest != NULL;
	}
	out->ifname = strsep(&rest, " ");
	char *addr = strsep(&rest, " ");
	out->jail = rest;
	return addr && ipnet_parse(addr, &out->net) == 0 &&
	       str_eq(kind, out->jail ? "jail" : "net");
}

/* What makes no sense is passed over: the file can be edited. */
static void read_line(struct leases *l, char *text)
{
	struct line line;
	if (!parse_line(text, &line))
		l->stale++;
	else if (line.freed)
		forget(l, line.jail);
	else
		remember(l, line.jail, line.ifname, &line.net);
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
	l->fd = open(l->path, O_RDWR | O_APPEND | O_CLOEXEC | flags, 0600);
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

/* --- checking --- */

static const struct lease *owner(const struct leases *l, const struct line *line)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].jail && !str_eq(l->v[i].jail, line->jail) &&
		    str_eq(l->v[i].ifname, line->ifname) &&
		    ip_eq(&l->v[i].net.addr, &line->net.addr))
			return &l->v[i];
	return NULL;
}

static void check_line(struct leases *l, char *text, struct pos pos, struct diags *d)
{
	autofree char *copy = mem_strdup(text);
	struct line line;
	if (!parse_line(copy, &line)) {
		diag_error(
		    d, pos,
		    "\"%s\" is passed over: a line is net IF ADDR/LEN, jail IF ADDR NAME, or "
		    "free NAME; mend it, or remove it",
		    text);
		return;
	}
	const struct lease *other = !line.freed && line.jail ? owner(l, &line) : NULL;
	char addr[IP_TEXT];
	if (other)
		diag_error(d, pos, "%s has %s as well: remove this line, and %s gets another",
			   other->jail, ip_text(&line.net.addr, addr), line.jail);
	read_line(l, text);
}

void leases_check(const char *root, struct diags *d)
{
	struct str path = {0};
	struct leases l = {.fd = -1};
	autofree char *text = NULL;
	size_t len = 0;

	str_addf(&path, "%s/var/lib/newgate/leases", root);
	l.path = str_take(&path);
	struct pos pos = {.file = l.path};
	int rc = file_read(l.path, &text, &len);
	if (rc == -EACCES) /* only root may lock them, hence read them */
		diag_warn(d, pos, "only root can read the leases: they are not looked at");
	else if (rc < 0 && rc != -ENOENT)
		diag_error(d, pos, "%s", strerror(-rc));
	else if (text && strlen(text) != len)
		diag_error(d, pos, "a NUL byte is in this file: it is not text");
	char *line = text;
	for (char *end; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		pos.line++;
		pos.col = 1;
		check_line(&l, line, pos, d);
	}
	leases_done(&l);
}

/* All of it in one write: a crash leaves the one name or the other. */
int leases_rename(struct leases *l, const char *from, const char *to, struct ng_err *err)
{
	struct str lines = {0};
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].jail && str_eq(l->v[i].jail, from))
			add_line(&lines, to, l->v[i].ifname, &l->v[i].net);
	int rc = 0;
	if (lines.len) {
		str_addf(&lines, "free %s\n", from);
		rc = append(l, lines.s, lines.len);
	}
	str_done(&lines);
	if (rc < 0)
		return err_sys(err, rc, "%s", l->path);
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].jail && str_eq(l->v[i].jail, from)) {
			free(l->v[i].jail);
			l->v[i].jail = mem_strdup(to);
		}
	return 0;
}
