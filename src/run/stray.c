#include "run/stray.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "sys/cgroup.h"
#include "sys/fd.h"

#define PATIENCE 10000 /* ms, for processes that were killed */

static void add(struct stray *v, const char *jail)
{
	if (!strv_has(&v->jails, jail))
		strv_add(&v->jails, jail);
}

/* Another newgate on this machine, with a /run and a network of its own, has its jails in the same
 * cgroup: they are none of our business. */
static bool has_our_network(int cg)
{
	char pids[32], path[64];
	struct stat its, ours;
	int pid;
	if (fd_get(cg, "cgroup.procs", pids, sizeof(pids)) <= 0 || sscanf(pids, "%d", &pid) != 1)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return stat(path, &its) == 0 && stat("/proc/self/ns/net", &ours) == 0 &&
	       its.st_ino == ours.st_ino;
}

static bool has_our_link(const struct stray *v, const char *jail)
{
	for (size_t i = 0; i < v->links.n; i++)
		if (str_eq(strchr(v->links.v[i], ' ') + 1, jail))
			return true;
	return false;
}

static bool is_ours(const struct stray *v, int base, const char *file, const char *jail)
{
	autoclose int cg = openat(base, file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return cg >= 0 &&
	       (cgroup_populated(cg) == 0 || has_our_link(v, jail) || has_our_network(cg));
}

static int look_cgroups(struct stray *v, struct state *s, struct ng_err *err)
{
	int base = cgroup_open_base(s->cgroup);
	if (base < 0)
		return base == -ENOENT ? 0 : err_sys(err, base, "cgroup %s", s->cgroup);
	autoclose int again = fcntl(base, F_DUPFD_CLOEXEC, 3);
	DIR *d = fdopendir(base);
	if (!d || again < 0) {
		close(base);
		return err_sys(err, errno, "cgroup %s", s->cgroup);
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		autofree char *jail = state_plain_name(e->d_name);
		if (state_is_stale(s, jail) && is_ours(v, again, e->d_name, jail))
			add(v, jail);
	}
	closedir(d);
	return 0;
}

/* A link alone tells nothing: it goes a little after its jail. */
static void keep_theirs(struct stray *v)
{
	struct strv all = v->links;
	v->links = (struct strv){0};
	for (size_t i = 0; i < all.n; i++)
		if (strv_has(&v->jails, strchr(all.v[i], ' ') + 1))
			strv_add(&v->links, all.v[i]);
	strv_done(&all);
}

int stray_look(struct stray *v, struct state *s, struct net *n, struct ng_err *err)
{
	int rc = net_stray_links(n, &v->links, err);
	if (rc == 0)
		rc = state_stale(s, &v->jails, err);
	if (rc == 0)
		rc = look_cgroups(v, s, err);
	keep_theirs(v);
	return rc;
}

static int end_processes(int base, const char *file, struct ng_err *err)
{
	autoclose int cg = openat(base, file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cg < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cgroup %s", file);
	int rc = cgroup_populated(cg);
	if (rc > 0 && (rc = cgroup_kill(cg)) == 0)
		rc = cgroup_wait_empty(cg, PATIENCE);
	if (rc == 0)
		rc = cgroup_remove(base, file);
	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "cgroup %s", file) : 0;
}

int stray_clear(const struct stray *v, struct state *s, struct net *n, struct ng_err *err)
{
	autoclose int base = cgroup_open_base(s->cgroup);
	for (size_t i = 0; i < v->jails.n && base >= 0; i++) {
		autofree char *file = state_name(v->jails.v[i]);
		autoclose int lock = state_trylock(s, v->jails.v[i], NULL, err);
		int rc = lock < 0 ? 0 : end_processes(base, file, err);
		if (rc < 0)
			return rc;
		*err = (struct ng_err){0};
	}
	return net_remove_links(n, &v->links, err);
}

void stray_done(struct stray *v)
{
	strv_done(&v->jails);
	strv_done(&v->links);
}
