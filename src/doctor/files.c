/* Where trees, logs and state lie. */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "base/mem.h"
#include "conf/files.h"
#include "doctor/check.h"
#include "run/stray.h"
#include "store/backend.h"

/* ---- places ---- */

/* A folder of newgate's or of a jail, by the file system that it is on. */
struct place {
	char *path; /* the nearest that exists; owned */
	dev_t dev;
};
struct places {
	struct place *v;
	size_t n;
};

static void places_done(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].path);
	free(p->v);
}

/* One place a file system. What is not there yet will be made where its parent is. */
static void add_place(struct places *p, const char *root, const char *path)
{
	autofree char *at = files_path(root, path);
	struct stat st;
	while (stat(at, &st) < 0 && at[1])
		dirname(at);
	if (stat(at, &st) < 0)
		return;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].dev == st.st_dev)
			return;
	p->v = mem_grow(p->v, p->n, sizeof(*p->v));
	p->v[p->n++] = (struct place){mem_strdup(at), st.st_dev};
}

static void add_trees(const struct doctor *d, struct places *p)
{
	add_place(p, d->root, "/var/lib/newgate");
	for (size_t i = 0; i < d->gather->n; i++) {
		const struct gather_jail *j = &d->gather->jail[i];
		const char *path = j->block ? conf_string(&j->conf, P_PATH) : j->rec->path;
		if (path && *path == '/')
			add_place(p, d->root, path);
	}
}

/* ---- checks ---- */

void check_idmap(struct doctor *d)
{
	struct places p autodone(places_done) = {0};
	add_trees(d, &p);
	for (size_t i = 0; i < p.n; i++) {
		struct ng_err err = {0};
		autoclose int dir = open(p.v[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0 || backend_check_idmap(dir, p.v[i].path, &err) == 0)
			continue;
		struct finding *f = found(d, DOCTOR_HINDERS, "%s", err.text);
		because(f, "a jail's users are others on the host; without mapped owners its files "
			   "would not be its own");
		mend(f,
		     "move what is in %s to a file system that can, such as ext4, and mount it "
		     "there",
		     p.v[i].path);
	}
}

static void check_space(struct doctor *d, const char *path)
{
	struct statvfs s;
	struct finding *f;
	if (statvfs(path, &s) < 0 || !s.f_blocks)
		return;
	uint64_t mib = (uint64_t)s.f_bavail * s.f_frsize >> 20,
		 percent = s.f_bavail * 100 / s.f_blocks;
	bool full = mib < 64;
	if (full || (percent < 5 && mib < 2048)) {
		f = found(d, full ? DOCTOR_HINDERS : DOCTOR_ADVICE,
			  "%s has %llu MiB left, %llu %% of its file system", path,
			  (unsigned long long)mib, (unsigned long long)percent);
		because(f,
			"jails on a full disk lose mail and data, and cannot be cloned or started");
		mend(f, "du -xh --max-depth=2 %s | sort -h | tail", path);
	}
	/* btrfs and the like count none. */
	if (!s.f_files)
		return;
	percent = s.f_favail * 100 / s.f_files;
	full = s.f_favail < 1000;
	if (full || percent < 5) {
		f = found(d, full ? DOCTOR_HINDERS : DOCTOR_ADVICE,
			  "%s has %llu inodes left, %llu %% of its file system", path,
			  (unsigned long long)s.f_favail, (unsigned long long)percent);
		because(f, "no file can be made without one, however much space is left; a Debian "
			   "root takes 20000");
		mend(f, "du -x --inodes --max-depth=2 %s | sort -n | tail", path);
	}
}

void check_disk(struct doctor *d)
{
	struct places p autodone(places_done) = {0};
	add_trees(d, &p);
	add_place(&p, d->root, "/var/log");
	add_place(&p, d->root, "/run/newgate");
	for (size_t i = 0; i < p.n; i++)
		check_space(d, p.v[i].path);
}

/* ---- leftovers ---- */

static void left(struct doctor *d, struct strv *what, const char *one, const char *many)
{
	if (!what->n)
		return;
	struct finding *f = what->n == 1 ? found(d, DOCTOR_HINDERS, "%s: %s", what->v[0], one)
					 : found(d, DOCTOR_HINDERS, "%s and %zu more: %s",
						 what->v[0], what->n - 1, many);
	because(f, "what was made for jails is not as it was left");
	mend(f, "newgate up");
}

void check_leftovers(struct doctor *d)
{
	struct gather *g = d->gather;
	struct strv ended autodone(strv_done) = {0}, host autodone(strv_done) = {0},
			  lost autodone(strv_done) = {0};
	struct stray stray autodone(stray_done) = {0};
	struct ng_err err = {0};

	for (size_t i = 0; i < g->nrecs; i++)
		if (g->rec[i].dead)
			strv_add(&ended, g->rec[i].name);
	if (stray_look(&stray, g->state, &g->net, &err) < 0)
		not_examined(d, &err);
	left(d, &stray.jails, "something is left of it, of which there is no record",
	     "something is left of them, of which there is no record");
	left(d, &ended, "its processes ended by themselves, its record is still there",
	     "their processes ended by themselves, their records are still there");
	if (gather_look(g, &err) < 0 || (g->running && net_look(&g->net, g->six, &host, &err) < 0))
		not_examined(d, &err);
	for (size_t i = 0; i < g->n; i++)
		for (size_t n = 0; n < g->jail[i].lost.n; n++)
			strv_addf(&lost, "%s: %s", g->jail[i].name, g->jail[i].lost.v[n]);
	left(d, &lost, "somebody changed it", "somebody changed them");
	left(d, &host, "somebody changed it", "somebody changed them");
}
