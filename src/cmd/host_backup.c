/* newgate host backup: the whole host in one file. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "cmd/progress.h"
#include "host/owners.h"
#include "host/snapshot.h"
#include "store/export.h"
#include "sys/path.h"

/* The file grows as NAME.part beside its place, held, and gets its name when it is whole. What a killed
 * run left, the next one to the same name begins with. */
struct target {
	const char *name; /* "-": standard output */
	char *part;       /* owned; NULL: standard output */
	int folder, fd;
	bool force;
};

static void target_done(struct target *t)
{
	if (t->part)
		unlink(t->part);
	free(t->part);
	if (t->fd != STDOUT_FILENO)
		macro_close(&t->fd);
	macro_close(&t->folder);
}

static bool told(const char *name)
{
	warn_msg("%s: %s", name, strerror(errno));
	return false;
}

static bool open_part(struct target *t)
{
	autofree char *part = NULL;
	struct stat st;

	if (asprintf(&part, "%s.part", t->name) < 0)
		return told(t->name);
	t->fd = open(part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (t->fd < 0 || fstat(t->fd, &st) < 0)
		return told(part);
	/* In a folder of many, it may have been put there. */
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) {
		warn_msg("%s is somebody else's: another name", part);
		return false;
	}
	if (flock(t->fd, LOCK_EX | LOCK_NB) < 0) {
		warn_msg("%s: another newgate host backup writes it: wait for that", part);
		return false;
	}
	if (fchmod(t->fd, 0600) < 0 || ftruncate(t->fd, 0) < 0)
		return told(part);
	t->part = take_ptr(part);
	return true;
}

static bool open_target(struct target *t)
{
	if (str_eq(t->name, "-")) {
		if (isatty(STDOUT_FILENO)) {
			warn_msg("a backup is nothing for a terminal: newgate host backup FILE");
			return false;
		}
		t->fd = STDOUT_FILENO;
		return true;
	}
	struct stat st;
	bool there = lstat(t->name, &st) == 0;
	if (there && !S_ISREG(st.st_mode)) {
		warn_msg("%s is no file: newgate host backup - > %s", t->name, t->name);
		return false;
	}
	if (there && !t->force) {
		warn_msg("%s is there already: another name, or --force", t->name);
		return false;
	}
	const char *slash = strrchr(t->name, '/');
	autofree char *folder = slash ? mem_strndup(t->name, (size_t)(slash - t->name + 1)) : NULL;
	t->folder = open(folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->folder < 0 ? told(folder ? folder : ".") : open_part(t);
}

static bool finish_target(struct target *t, const char *domain)
{
	struct stat st;

	if (!t->part)
		return true;
	if (fsync(t->fd) < 0 || fstat(t->fd, &st) < 0)
		return told(t->part);
	int rc = t->force ? (rename(t->part, t->name) < 0 ? -errno : 0)
			  : path_rename_new(AT_FDCWD, t->part, AT_FDCWD, t->name);
	if (rc == -EEXIST) {
		warn_msg("%s is there already: another name, or --force", t->name);
		return false;
	}
	errno = -rc;
	if (rc < 0)
		return told(t->name);
	free(take_ptr(t->part));
	if (fsync(t->folder) < 0)
		return told(t->name);
	printf("%s: the host of %s, %.1f MB. It holds private keys and all mail, readable for "
	       "whoever has it.\n",
	       t->name, domain, (double)st.st_size / (1 << 20));
	return true;
}

/* ---- */

static int write_stream(struct store *s, const struct host *h, int tree, int fd, struct ng_err *err)
{
	autodone(strv_done) struct strv left_out = {0};
	const struct export_how how = {.host = h->domain, .zstd = true, .left_out = &left_out};
	int rc = export_folder(s, "host", tree, &how, fd, err);

	progress_end();
	return rc;
}

static int backup(struct hosting *g, int fd, struct ng_err *err)
{
	autodone(host_snapshot_done) struct host_snapshot snap = HOST_SNAPSHOT_NONE;
	autodone(owners_done) struct owners owners = {0};
	autodone(store_done) struct store s = {0};
	autodone(str_done) struct str text = {0};
	int rc = store_open(&s, cmd_root, err);

	progress_attach(&s);
	if (rc == 0)
		rc = owners_of_trees(&s, &owners, err);
	if (rc < 0)
		return rc;
	owners_format(&text, &owners);
	rc = host_snapshot_take(&g->h, &g->state, str_text(&text), &snap, err);
	/* Lists may change again. */
	close(take_fd(&g->lock));
	if (rc == 0 && snap.between)
		warn_msg("letters kept coming in: one that was being delivered may be in the "
			 "queue and in its mailbox both");
	if (rc == 0)
		rc = write_stream(&s, &g->h, snap.tree, fd, err);
	return rc < 0 ? rc : host_snapshot_drop(&snap, err);
}

/* "example.org-20261123T115959Z.tar.zst" */
static char *default_name(const struct host *h)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	struct str name = {0};

	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	str_addf(&name, "%s-%s.tar.zst", h->domain, stamp);
	return str_take(&name);
}

int host_backup(int argc, char **argv)
{
	static const struct option longs[] = {{"force", no_argument, NULL, 'f'}, {0}};
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct target t autodone(target_done) = {.folder = -1, .fd = -1};
	struct ng_err err = {0};

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'f')
			return host_usage();
		t.force = true;
	}
	if (optind + 1 < argc)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	autofree char *name = optind == argc ? default_name(&g.h) : NULL;
	t.name = name ? name : argv[optind];
	/* A reader that goes away is an error like others, after which things are put away. */
	signal(SIGPIPE, SIG_IGN);
	if (!open_target(&t))
		return 1;
	if (backup(&g, t.fd, &err) < 0) {
		progress_end();
		warn_msg("%s", err.text);
		return 1;
	}
	return !finish_target(&t, g.h.domain);
}
