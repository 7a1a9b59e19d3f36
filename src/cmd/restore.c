/* newgate restore: what newgate backup keeps, put where nothing is. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/importing.h"
#include "cmd/runs.h"
#include "conf/files.h"

#define CHAIN_MAX 1000 /* runs that continue one another */

struct restore {
	const char *folder; /* as the user calls it */
	int dir;            /* of all runs */
	char *run;          /* the one to restore */
	struct backup kept;
};

static void restore_done(struct restore *r)
{
	macro_close(&r->dir);
	free(r->run);
	backup_done(&r->kept);
}

/* DIR, whose latest run is meant, or one run of it. */
static bool open_run(struct restore *r)
{
	struct ng_err err = {0};

	r->dir = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0) {
		warn_msg("%s: %s", r->folder, strerror(errno));
		return false;
	}
	if (faccessat(r->dir, BACKUP_CONTENTS, F_OK, 0) == 0) {
		autofree char *real = realpath(r->folder, NULL);
		const char *slash = real ? strrchr(real, '/') : NULL;
		autoclose int up = openat(r->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (up < 0 || !slash) {
			warn_msg("%s: %s", r->folder, strerror(errno));
			return false;
		}
		r->run = mem_strdup(slash + 1);
		macro_close(&r->dir);
		r->dir = take_fd(&up);
	} else {
		autodone(strv_done) struct strv runs = {0};
		if (runs_list(r->dir, &runs) == 0 && runs.n > 0)
			r->run = mem_strdup(runs.v[0]);
	}
	if (!r->run) {
		warn_msg("%s: there is no backup in it", r->folder);
		return false;
	}
	if (runs_read(r->dir, r->run, &r->kept, &err) == 0)
		return true;
	warn_msg("%s: %s", r->folder, err.text);
	return false;
}

/* ---- the configuration ---- */

static bool same_text(const char *path, const char *text, size_t len)
{
	autofree char *there = NULL;
	size_t n = 0;

	return file_read(path, &there, &n) == 0 && n == len && memcmp(there, text, n) == 0;
}

static bool put_file(const char *path, const char *text, size_t len, mode_t mode)
{
	autofree char *to = files_path(cmd_root, path);
	autofree char *folder = mem_strndup(to, (size_t)(strrchr(to, '/') - to));
	int rc = file_mkdirs(folder, 0755);

	if (rc == 0)
		rc = file_create(to, text, len, mode);
	if (rc == 0)
		printf("%s: restored\n", to);
	else if (rc == -EEXIST && !same_text(to, text, len))
		printf("%s: there is another already, which stays\n", to);
	else if (rc != -EEXIST)
		warn_msg("%s: %s", to, strerror(-rc));
	return rc == 0 || rc == -EEXIST;
}

static bool restore_file(struct restore *r, const struct backup_file *f)
{
	struct str from autodone(str_done) = {0};
	autofree char *text = NULL;
	char sum[STREAM_SUM_HEX];
	struct ng_err err = {0};
	size_t len = 0;

	str_addf(&from, "/proc/self/fd/%d/%s/" BACKUP_FILES "%s", r->dir, r->run, f->path);
	int rc = file_read(from.s, &text, &len);
	if (rc < 0) {
		warn_msg("%s in the backup: %s", f->path, strerror(-rc));
		return false;
	}
	if (backup_sum(text, len, sum, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	if (!str_eq(sum, f->sum)) {
		warn_msg("%s in the backup was altered: its checksum is another", f->path);
		return false;
	}
	return put_file(f->path, text, len, f->mode);
}

static bool restore_files(struct restore *r)
{
	bool all = true;

	for (size_t i = 0; i < r->kept.nfiles; i++)
		all &= restore_file(r, &r->kept.file[i]);
	return all;
}

/* ---- the jails ---- */

/* The streams of a jail from the whole one on. */
struct chain {
	struct import *v;
	int *fd;
	size_t n;
};

static void chain_done(struct chain *c)
{
	/* The last opened first: each puts back what it changed of the process's locale. */
	for (size_t i = c->n; i-- > 0;) {
		import_done(&c->v[i]);
		close(c->fd[i]);
	}
	free(c->v);
	free(c->fd);
}

static bool open_stream(struct restore *r, const struct storage *s, const char *run,
			const char *stream, struct chain *c)
{
	struct str path autodone(str_done) = {0};
	struct ng_err err = {0};

	str_addf(&path, "%s/%s", run, stream);
	int fd = openat(r->dir, path.s, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		warn_msg("%s/%s: %s", r->folder, path.s, strerror(errno));
		return false;
	}
	c->v = mem_grow(c->v, c->n, sizeof(*c->v));
	c->fd = mem_grow(c->fd, c->n, sizeof(*c->fd));
	c->v[c->n] = (struct import){0};
	c->fd[c->n] = fd;
	if (import_open(&c->v[c->n++], &s->store, fd, &err) == 0)
		return true;
	warn_msg("%s: %s", path.s, err.text);
	return false;
}

/* What the run `run` has of the jail; then what that continues, and so on. */
static bool find_chain(struct restore *r, const char *jail, struct strv *runs, struct strv *streams)
{
	autofree char *run = mem_strdup(r->run);

	while (run && runs->n < CHAIN_MAX) {
		autodone(backup_done) struct backup b = {0};
		struct ng_err err = {0};
		if (runs_read(r->dir, run, &b, &err) < 0) {
			warn_msg("%s: %s: %s", r->folder, jail, err.text);
			return false;
		}
		const struct backup_jail *j = backup_find(&b, jail);
		if (!j) {
			warn_msg("%s: run %s holds nothing of jail %s", r->folder, run, jail);
			return false;
		}
		strv_add(runs, run);
		strv_add(streams, j->stream);
		free(run);
		run = j->since ? mem_strdup(j->since) : NULL;
	}
	if (run)
		warn_msg("%s: the runs of %s go in a circle", r->folder, jail);
	return !run;
}

static bool open_chain(struct restore *r, const struct storage *s, const char *jail,
		       struct chain *c)
{
	autodone(strv_done) struct strv runs = {0}, streams = {0};

	if (!find_chain(r, jail, &runs, &streams))
		return false;
	for (size_t i = runs.n; i-- > 0;)
		if (!open_stream(r, s, runs.v[i], streams.v[i], c))
			return false;
	return true;
}

static bool restore_jail(struct restore *r, struct storage *s, const char *jail, bool asked)
{
	autodone(chain_done) struct chain c = {0};

	if (!backup_find(&r->kept, jail)) {
		warn_msg("%s/%s holds no jail %s", r->folder, r->run, jail);
		return false;
	}
	if (store_has_jail(&s->store, jail)) {
		warn_msg("%s is there already, and stays as it is%s", jail,
			 asked ? " (newgate destroy removes it)" : "");
		return !asked;
	}
	if (!open_chain(r, s, jail, &c))
		return false;
	struct importing i = {.s = s, .v = c.v, .n = c.n, .jail = jail};
	return importing_run(&i);
}

static bool restore_jails(struct restore *r, char *const *names, int n)
{
	struct storage s = {0};
	bool all = storage_open(&s) == 0;

	bool opened = all;

	for (size_t i = 0; opened && n == 0 && i < r->kept.njails; i++)
		all &= restore_jail(r, &s, r->kept.jail[i].name, false);
	for (int i = 0; opened && i < n; i++)
		all &= restore_jail(r, &s, names[i], true);
	storage_done(&s);
	return all;
}

static int restore_run(int argc, char **argv)
{
	autodone(restore_done) struct restore r = {.dir = -1};

	if (getopt(argc, argv, "+") != -1 || optind == argc)
		return usage(&cmd_restore);
	r.folder = argv[optind++];
	if (!open_run(&r))
		return 1;
	/* Jails that are asked for by name come into the configuration that there is. */
	bool all = optind < argc || restore_files(&r);
	return restore_jails(&r, argv + optind, argc - optind) && all ? 0 : 1;
}

const struct cmd cmd_restore = {
    .name = "restore",
    .run = restore_run,
    .args = "DIR [NAME …]",
    .summary = "brings back what newgate backup keeps, over nothing",
    .help = "Restores the latest run in DIR, or the run that DIR is: the files of the\n"
	    "configuration that are missing, then every jail that has no tree. What is there\n"
	    "stays. With NAMEs only these jails, and no files.\n",
};
