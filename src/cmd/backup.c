/* newgate backup: every jail and the configuration of all of them, in one folder. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/conffiles.h"
#include "cmd/exporting.h"
#include "cmd/runs.h"
#include "cmd/temporary.h"
#include "conf/files.h"
#include "store/copy.h"
#include "sys/path.h"

/* DIR/id: tells this folder's snapshots from those of another that the same jails go to. */
#define ID_FILE "id"
#define ID_LEN 8

enum { OPT_WHOLE = 1, OPT_LIVE };

struct run {
	struct storage s;
	bool whole, live;
	const char *folder; /* as the user calls it */
	int dir;            /* held: one run at a time */
	char *name, *hidden;
	int at;           /* DIR/.RUN */
	struct strv runs; /* the ones before, the latest first */
	struct backup now;
	char id[ID_LEN + 1];
	bool failed; /* something is not in it */
};

static void run_done(struct run *r)
{
	macro_close(&r->at);
	macro_close(&r->dir);
	free(r->name);
	free(r->hidden);
	strv_done(&r->runs);
	backup_done(&r->now);
	storage_done(&r->s);
}

static bool told_sys(const struct run *r, const char *name, int code)
{
	warn_msg("%s/%s: %s", r->folder, name, strerror(code < 0 ? -code : code));
	return false;
}

/* ---- the folder ---- */

static bool open_folder(struct run *r)
{
	int rc = file_mkdirs(r->folder, 0700);

	if (rc < 0)
		return told_sys(r, "", rc);
	r->dir = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0)
		return told_sys(r, "", errno);
	if (flock(r->dir, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno != EWOULDBLOCK)
		return told_sys(r, "", errno);
	warn_msg("%s: another newgate backup writes there: wait for it", r->folder);
	return false;
}

/* What a killed run left. */
static bool sweep(struct run *r)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(r->dir, &names);

	for (size_t i = 0; i < names.n && rc == 0; i++)
		if (names.v[i][0] == '.' && runs_is_name(names.v[i] + 1)) {
			warn_msg("%s: removing what an interrupted run left, %s", r->folder,
				 names.v[i]);
			rc = path_remove_tree(r->dir, names.v[i]);
		}
	return rc == 0 || told_sys(r, "", rc);
}

static bool read_id(struct run *r)
{
	autofree char *path = NULL;
	unsigned char bytes[ID_LEN / 2];

	if (asprintf(&path, "%s/" ID_FILE, r->folder) < 0)
		return told_sys(r, ID_FILE, ENOMEM);
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return told_sys(r, ID_FILE, errno);
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(r->id + 2 * i, 3, "%02x", bytes[i]);
	int rc = file_create(path, r->id, ID_LEN, 0600);
	if (rc == 0)
		return true;
	autofree char *text = NULL;
	size_t len = 0;
	if (rc == -EEXIST)
		rc = file_read(path, &text, &len);
	if (rc < 0)
		return told_sys(r, ID_FILE, rc);
	if (len != ID_LEN || strspn(text, "0123456789abcdef") != ID_LEN) {
		warn_msg("%s is not of newgate backup's: give it a folder of its own", path);
		return false;
	}
	memcpy(r->id, text, ID_LEN);
	return true;
}

static bool make_run(struct run *r)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	struct stat st;

	r->now.made = now;
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	struct str name autodone(str_done) = {0};
	str_add(&name, stamp);
	for (unsigned i = 1; fstatat(r->dir, name.s, &st, AT_SYMLINK_NOFOLLOW) == 0; i++) {
		name.len = 0;
		str_addf(&name, "%s.%u", stamp, i);
	}
	r->name = str_take(&name);
	if (asprintf(&r->hidden, ".%s", r->name) < 0)
		return told_sys(r, r->name, ENOMEM);
	if (mkdirat(r->dir, r->hidden, 0700) < 0)
		return told_sys(r, r->hidden, errno);
	r->at = openat(r->dir, r->hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return r->at >= 0 || told_sys(r, r->hidden, errno);
}

static bool begin(struct run *r)
{
	if (!open_folder(r) || !sweep(r) || !read_id(r))
		return false;
	int rc = runs_list(r->dir, &r->runs);
	return rc < 0 ? told_sys(r, "", rc) : make_run(r);
}

/* ---- the configuration ---- */

static bool keep_file(struct run *r, const char *path)
{
	autofree char *from = files_path(cmd_root, path), *text = NULL;
	struct str to autodone(str_done) = {0};
	char sum[STREAM_SUM_HEX];
	struct ng_err err = {0};
	struct stat st;
	size_t len = 0;

	if (stat(from, &st) < 0)
		return errno == ENOENT || told_sys(r, path, errno);
	int rc = file_read(from, &text, &len);
	if (rc == 0 && backup_sum(text, len, sum, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	str_addf(&to, "%s/%s/" BACKUP_FILES "%s", r->folder, r->hidden, path);
	autofree char *folder = mem_strndup(to.s, (size_t)(strrchr(to.s, '/') - to.s));
	if (rc == 0)
		rc = file_mkdirs(folder, 0700);
	if (rc == 0)
		rc = file_create(to.s, text, len, st.st_mode & 07777);
	if (rc < 0)
		return told_sys(r, path, rc);
	backup_add_file(&r->now, path, st.st_mode & 07777, sum);
	return true;
}

static bool keep_configuration(struct run *r)
{
	autodone(strv_done) struct strv paths = {0};
	bool all = true;

	conffiles_list(&r->s.conf, &paths);
	for (size_t i = 0; i < paths.n; i++)
		all &= keep_file(r, paths.v[i]);
	return all;
}

/* ---- the jails ---- */

static void tell_stream(const struct backup_jail *j, int fd)
{
	struct stat st = {0};

	(void)!fstat(fd, &st);
	printf("%s: %s%s, %.1f MB\n", j->name, j->since ? "what changed since " : "whole",
	       j->since ? j->since : "", (double)st.st_size / (1 << 20));
	fflush(stdout);
}

/* What an earlier run has of the jail and can be continued: the snapshot is still there. The last run
 * that has the jail at all decides. */
static bool find_before(struct run *r, const char *jail, char **run, char **snap)
{
	for (size_t i = 0; i < r->runs.n; i++) {
		autodone(backup_done) struct backup b = {0};
		struct ng_err err = {0};
		if (runs_read(r->dir, r->runs.v[i], &b, &err) < 0) {
			warn_msg("%s: %s; so %s is taken whole", r->folder, err.text, jail);
			r->failed = true;
			return false;
		}
		const struct backup_jail *j = backup_find(&b, jail);
		if (!j)
			continue;
		if (!j->snap || !store_has_snapshot(&r->s.store, jail, j->snap, &err))
			return false;
		*run = mem_strdup(r->runs.v[i]);
		*snap = mem_strdup(j->snap);
		return true;
	}
	return false;
}

/* The snapshot that the run is of, where taking one costs nothing: it stays until the next run. */
static bool take_snapshot(struct run *r, const char *jail, const char *snap)
{
	autodone(record_done) struct record record = {0};
	autoclose int lock = -1;
	struct ng_err err = {0};

	if (!temporary_look(&r->s, jail, &lock, &record))
		return false;
	/* A killed run of the same second. */
	if (store_has_snapshot(&r->s.store, jail, snap, &err) && !temporary_drop(&r->s, jail, snap))
		return false;
	return temporary_snapshot(&r->s, jail, snap, &record);
}

static bool keep_as(struct run *r, const struct backup_jail *j, const char *since)
{
	autoclose int fd = openat(r->at, j->stream, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	const struct exporting e = {
	    .s = &r->s,
	    .jail = j->name,
	    .snap = j->snap,
	    .since = since,
	    .live = r->live,
	    .fd = fd,
	};

	if (fd < 0)
		return told_sys(r, j->stream, errno);
	if (!exporting_run(&e)) {
		if (unlinkat(r->at, j->stream, 0) < 0)
			told_sys(r, j->stream, errno);
		return false;
	}
	backup_add_jail(&r->now, j);
	tell_stream(j, fd);
	return true;
}

static bool keep_jail(struct run *r, const char *jail)
{
	autofree char *file = state_name(jail), *stream = NULL, *snap = NULL, *run = NULL,
		      *since = NULL;
	bool cheap = store_has_jail(&r->s.store, jail) && !store_copies(&r->s.store, jail);

	if (asprintf(&stream, "%s.stream", file) < 0 ||
	    asprintf(&snap, "backup.%s.%s", r->id, r->name) < 0)
		return told_sys(r, jail, ENOMEM);
	bool on = cheap && !r->whole && find_before(r, jail, &run, &since);
	if (cheap && !take_snapshot(r, jail, snap))
		return false;
	const struct backup_jail j = {(char *)jail, stream, cheap ? snap : NULL, on ? run : NULL};
	if (keep_as(r, &j, since))
		return true;
	if (cheap && !temporary_drop(&r->s, jail, snap))
		warn_msg("%s@%s stays: remove it (newgate snapshot destroy)", jail, snap);
	return false;
}

static bool has_tree(struct run *r, const char *jail)
{
	autodone(conf_jail_done) struct conf_jail j = {0};

	if (store_has_jail(&r->s.store, jail))
		return true;
	if (storage_find(&r->s, jail, &j) < 0 || !conf_string(&j, P_PATH))
		return false;
	autofree char *dir = files_path(cmd_root, conf_string(&j, P_PATH));
	return access(dir, F_OK) == 0;
}

static bool keep_jails(struct run *r)
{
	autodone(strv_done) struct strv jails = {0};
	struct ng_err err = {0};
	bool all = true;
	size_t n;
	autofree const char **names = conf_names(&r->s.conf, &n);

	if (store_jails(&r->s.store, &jails, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (!strv_has(&jails, names[i]))
			strv_add(&jails, names[i]);
	for (size_t i = 0; i < jails.n; i++) {
		if (has_tree(r, jails.v[i]))
			all &= keep_jail(r, jails.v[i]);
		else
			warn_msg("%s has no tree yet: only its configuration is kept", jails.v[i]);
	}
	return all;
}

/* The next run needs the snapshots of this one, and no others of this folder's. */
static void drop_snapshots(struct run *r)
{
	struct str prefix autodone(str_done) = {0};
	struct ng_err err = {0};

	str_addf(&prefix, "backup.%s.", r->id);
	for (size_t i = 0; i < r->now.njails; i++) {
		const struct backup_jail *j = &r->now.jail[i];
		struct store_snapshot *v = NULL;
		size_t n = 0;
		if (!j->snap || store_snapshots(&r->s.store, j->name, &v, &n, &err) < 0)
			continue;
		for (size_t k = 0; k < n; k++)
			if (str_prefix(v[k].name, prefix.s) && !str_eq(v[k].name, j->snap) &&
			    store_snapshot_destroy(&r->s.store, j->name, v[k].name, &err) < 0)
				warn_msg("%s", err.text);
		store_snapshots_free(v, n);
	}
}

/* ---- */

/* The name must not reach the disk before what it names. */
static bool finish(struct run *r)
{
	struct str text autodone(str_done) = {0}, path autodone(str_done) = {0};
	struct ng_err err = {0};

	if (backup_format(&text, &r->now, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	str_addf(&path, "%s/%s/" BACKUP_CONTENTS, r->folder, r->hidden);
	int rc = file_create(path.s, text.s, text.len, 0600);
	if (rc == 0 && syncfs(r->at) < 0)
		rc = -errno;
	if (rc == 0)
		rc = path_rename_new(r->dir, r->hidden, r->dir, r->name);
	if (rc == 0 && fsync(r->dir) < 0)
		rc = -errno;
	return rc == 0 || told_sys(r, r->name, rc);
}

static bool backup(struct run *r)
{
	if (storage_open(&r->s) != 0 || !begin(r))
		return false;
	bool all = keep_configuration(r) && !r->failed;
	all &= keep_jails(r);
	if (!finish(r)) {
		struct ng_err none = {0};
		if (r->hidden && path_remove_tree(r->dir, r->hidden) < 0)
			err_set(&none, EIO, "left");
		return false;
	}
	drop_snapshots(r);
	printf("%s/%s: %zu jail%s, %zu file%s of the configuration%s\n", r->folder, r->name,
	       r->now.njails, r->now.njails == 1 ? "" : "s", r->now.nfiles,
	       r->now.nfiles == 1 ? "" : "s", all ? "" : "; not all of it, see above");
	return all;
}

static int backup_run(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"whole", no_argument, NULL, OPT_WHOLE}, {"live", no_argument, NULL, OPT_LIVE}, {0}};
	autodone(run_done) struct run r = {.dir = -1, .at = -1};

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt == OPT_WHOLE)
			r.whole = true;
		else if (opt == OPT_LIVE)
			r.live = true;
		else
			return usage(&cmd_backup);
	}
	if (optind + 1 != argc)
		return usage(&cmd_backup);
	r.folder = argv[optind];
	signal(SIGPIPE, SIG_IGN);
	return backup(&r) ? 0 : 1;
}

const struct cmd cmd_backup = {
    .name = "backup",
    .run = backup_run,
    .args = "[--whole] [--live] DIR",
    .summary = "keeps all jails and their configuration in a folder",
    .help =
	"  --whole  everything, even where what changed since the last run would do\n"
	"  --live   of running jails: take their files as they are met, no snapshot\n"
	"\n"
	"Each run makes a folder of its own in DIR; none is ever changed. Of jails on btrfs and\n"
	"ZFS it holds what changed since the run before, for which a snapshot of each stays.\n"
	"newgate restore brings it back. Templates are not kept: a jail's stream is complete.\n",
};
