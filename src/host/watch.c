#include "host/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "host/banning.h"
#include "host/failure.h"
#include "host/tally.h"
#include "jail/log.h"

#define LOCK "watch" /* below /run/newgate */
#define CHUNK 65536
#define BACKLOG (16 << 20) /* unread bytes that are too many to be lines */

static const struct {
	const char *jail;
	enum failure_log log;
} watched[] = {{"dovecot", LOG_DOVECOT}, {"postfix", LOG_POSTFIX}};

/* One log, followed. */
struct tail {
	bool runs; /* its jail */
	struct log log;
	const char *name; /* of the file in its folder */
	int folder, file, wd;
	off_t at;
	char line[FAILURE_LINE]; /* as much as there is of the next */
	size_t len;
	bool skip; /* up to the next newline */
};
struct watch {
	struct state *state;
	const struct watch_sink *sink;
	struct tally *tally;
	struct host_ban terms;
	int notify, jails, settings; /* the last two: what inotify calls these folders */
	struct tail tail[ARRAY_SIZE(watched)];
	struct failure late[256]; /* that were one too many, not banned yet */
	size_t nlate;
	char buf[CHUNK];
};

static void tell(const struct watch *w, const char *fmt, ...) PRINTF(2, 3);
static void tell(const struct watch *w, const char *fmt, ...)
{
	struct str text autodone(str_done) = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	w->sink->told(w->sink->arg, str_text(&text));
}

/* ---- what a failure leads to ---- */

/* Is it to be banned? 1, 0: told where it may not be, or -errno. */
static int may_ban(struct watch *w, struct banning *b, const struct failure *f, int64_t now,
		   struct ng_err *err)
{
	struct str why autodone(str_done) = {0};
	struct ipnet net = ban_net(&f->from);
	char text[IPNET_TEXT];

	/* What was on its way already. */
	if (bans_find(&b->bans, &f->from, now))
		return 0;
	int rc = ban_refused(&b->net, &net, b->host.ban_except, &why, err);
	if (rc > 0)
		tell(w, "%s failed to log in %u times (%s) and is not banned: it is %s",
		     ban_text(&net, text), w->terms.failures, f->service, str_text(&why));
	return rc < 0 ? rc : !rc;
}

static int ban(struct watch *w, struct ng_err *err)
{
	struct banning b autodone(banning_done) = BANNING_NONE;
	int64_t now = time(NULL);
	size_t n = 0;

	int rc = banning_open(&b, w->state, true, err);
	for (size_t i = 0; i < w->nlate && rc >= 0; i++) {
		const struct failure *f = &w->late[i];
		struct ipnet net = ban_net(&f->from);

		rc = may_ban(w, &b, f, now, err);
		if (rc <= 0)
			continue;
		bans_add(&b.bans, &net, now, w->terms.seconds, true, w->terms.failures, f->service);
		w->late[n++] = *f;
	}
	if (rc >= 0 && n)
		rc = bans_save(&b.bans, &b.net, now, err);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		const struct ban *one = bans_find(&b.bans, &w->late[i].from, now);
		if (one)
			w->sink->banned(w->sink->arg, one);
	}
	return rc < 0 ? rc : 0;
}

/* All that have come together, since each change is written to the disk. */
static void ban_late(struct watch *w)
{
	struct ng_err err = {0};

	if (w->nlate && ban(w, &err) < 0)
		tell(w, "%s", err.text);
	w->nlate = 0;
}

static int64_t uptime(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_BOOTTIME, &t) == 0 ? t.tv_sec : 0;
}

static void count(struct watch *w, const struct failure *f)
{
	struct ipnet net = ban_net(&f->from);
	bool enough = false;

	for (unsigned i = 0; i < f->times && i < w->terms.failures && !enough; i++)
		enough = tally_add(w->tally, &net, uptime(), &w->terms);
	if (!enough)
		return;
	if (w->nlate == ARRAY_SIZE(w->late))
		ban_late(w);
	w->late[w->nlate++] = *f;
}

static void read_settings(struct watch *w)
{
	struct host h autodone(host_settings_done) = {0};
	struct host_ban terms;
	struct ng_err err = {0};
	int rc = host_settings_read(&h, w->state->root, &err);

	if (rc == 0 || rc == -ENOENT)
		rc = host_ban_terms(h.ban, &terms, &err);
	if (rc < 0) {
		tell(w, "%s", err.text);
		return;
	}
	w->terms = terms;
	w->sink->terms(w->sink->arg, &terms);
}

/* ---- one log ---- */

static void add_piece(struct watch *w, size_t i, const char *p, size_t len, bool whole)
{
	struct tail *t = &w->tail[i];
	struct failure f;

	if (t->len + len > sizeof t->line)
		t->skip = true;
	if (!t->skip) {
		memcpy(t->line + t->len, p, len);
		t->len += len;
	}
	if (!whole)
		return;
	if (!t->skip && failure_read(watched[i].log, t->line, t->len, &f))
		count(w, &f);
	t->skip = false;
	t->len = 0;
}

static void add_lines(struct watch *w, size_t i, const char *p, size_t len)
{
	for (const char *end = p + len, *newline; p < end; p = newline + 1) {
		newline = memchr(p, '\n', (size_t)(end - p));
		add_piece(w, i, p, (size_t)((newline ? newline : end) - p), newline != NULL);
		if (!newline)
			break;
	}
}

static void go_to(struct tail *t, off_t at)
{
	char c;

	t->at = at;
	t->len = 0;
	/* A line is read from its beginning or not at all. */
	t->skip = at > 0 && (pread(t->file, &c, 1, at - 1) != 1 || c != '\n');
}

/* What there is from where we are. */
static void read_on(struct watch *w, size_t i)
{
	struct tail *t = &w->tail[i];
	struct stat st;

	if (t->file < 0 || fstat(t->file, &st) < 0)
		return;
	if (st.st_size < t->at)
		go_to(t, 0);
	/* A file can be given any length at no cost. */
	if (st.st_size - t->at > BACKLOG)
		go_to(t, st.st_size - CHUNK);
	while (t->at < st.st_size) {
		ssize_t n = pread(t->file, w->buf, sizeof w->buf, t->at);
		if (n <= 0)
			return;
		add_lines(w, i, w->buf, (size_t)n);
		ban_late(w);
		t->at += n;
	}
}

static int watch_fd(int notify, int fd, uint32_t what)
{
	char path[32];
	int wd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	wd = inotify_add_watch(notify, path, what);
	return wd < 0 ? -errno : wd;
}

static void close_file(struct watch *w, struct tail *t)
{
	if (t->file < 0)
		return;
	(void)inotify_rm_watch(w->notify, t->wd);
	close(t->file);
	t->file = -1;
}

/* Has the name come to mean another file? Then that one, from its beginning, once the old one was read
 * to its end. first: from its end, since what it holds is old. */
static void open_file(struct watch *w, size_t i, bool first)
{
	struct tail *t = &w->tail[i];
	struct stat was = {0}, is;
	struct ng_err err = {0};
	autoclose int fd = log_open_read(&t->log, t->folder, t->name, &err);

	if (fd < 0) {
		if (fd != -ENOENT)
			tell(w, "%s", err.text);
		return;
	}
	if (fstat(fd, &is) < 0 || (t->file >= 0 && fstat(t->file, &was) == 0 &&
				   was.st_dev == is.st_dev && was.st_ino == is.st_ino))
		return;
	read_on(w, i);
	close_file(w, t);
	t->wd = watch_fd(w->notify, fd, IN_MODIFY);
	if (t->wd < 0) {
		tell(w, "%s: inotify: %s", t->log.path, strerror(-t->wd));
		return;
	}
	t->file = take_fd(&fd);
	go_to(t, first ? is.st_size : 0);
	read_on(w, i);
}

/* ---- the jails ---- */

static void tail_close(struct watch *w, struct tail *t)
{
	close_file(w, t);
	macro_close(&t->folder);
	log_done(&t->log);
	t->folder = -1;
}

/* Its record is new: where it logs to may be, too. */
static void look_at_jail(struct watch *w, size_t i)
{
	struct tail *t = &w->tail[i];
	struct record r autodone(record_done) = {0};
	struct ng_err err = {0};

	t->runs = state_find(w->state, watched[i].jail, &r, &err) == 0;
	if (!t->runs)
		return;
	struct log now = log_of_record(&r, w->state->root);
	bool same = t->folder >= 0 && now.path && str_eq(now.path, t->log.path) &&
		    (!now.inside || now.started == t->log.started);
	if (same || !now.path) {
		log_done(&now);
		return;
	}
	read_on(w, i);
	tail_close(w, t);
	t->log = now;
	t->folder = log_open_folder(&t->log, &t->name, &err);
	if (t->folder >= 0) {
		int wd = watch_fd(w->notify, t->folder, IN_CREATE | IN_MOVED_TO);
		if (wd < 0)
			err_sys(&err, wd, "inotify");
	}
	if (err.code)
		tell(w, "%s", err.text);
	if (t->folder >= 0)
		open_file(w, i, true);
}

/* ---- all of it ---- */

struct seen {
	bool jails, settings, names;
};

static void note(const struct watch *w, const struct inotify_event *e, struct seen *s)
{
	bool all = e->mask & IN_Q_OVERFLOW;

	s->jails |= all || e->wd == w->jails;
	s->settings |= all || (e->wd == w->settings && e->len && str_eq(e->name, "host.conf"));
	/* Of a file there is no name. */
	s->names |= all || (e->len && e->wd != w->jails && e->wd != w->settings);
}

static int wait_for_events(struct watch *w, struct seen *s, struct ng_err *err)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n;

	do
		n = read(w->notify, buf, sizeof buf);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, errno, "inotify");
	for (const char *p = buf; p < buf + n;) {
		const struct inotify_event *e = (const void *)p;
		note(w, e, s);
		p += sizeof(*e) + e->len;
	}
	return 0;
}

static bool any_runs(const struct watch *w)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		any |= w->tail[i].runs;
	return any;
}

static int follow(struct watch *w, struct ng_err *err)
{
	while (any_runs(w)) {
		struct seen seen = {0};
		int rc = wait_for_events(w, &seen, err);
		if (rc < 0)
			return rc;
		/* What is in the logs by now is judged as it was when it came. */
		for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
			read_on(w, i);
		if (seen.settings)
			read_settings(w);
		for (size_t i = 0; i < ARRAY_SIZE(watched); i++) {
			if (seen.jails)
				look_at_jail(w, i);
			if (seen.names && w->tail[i].folder >= 0)
				open_file(w, i, false);
		}
	}
	return 0;
}

static int watch_folder(const struct watch *w, const char *path, uint32_t what, struct ng_err *err)
{
	int wd = inotify_add_watch(w->notify, path, what);

	return wd < 0 ? err_sys(err, errno, "%s: inotify", path) : wd;
}

static int begin(struct watch *w, struct ng_err *err)
{
	struct str jails autodone(str_done) = {0}, settings autodone(str_done) = {0};

	str_addf(&jails, "%s/run/newgate/jails", w->state->root);
	str_addf(&settings, "%s/etc/newgate", w->state->root);
	w->notify = inotify_init1(IN_CLOEXEC);
	if (w->notify < 0)
		return err_sys(err, errno, "inotify");
	w->jails = watch_folder(w, jails.s, IN_CREATE | IN_MOVED_TO | IN_DELETE, err);
	if (w->jails < 0)
		return w->jails;
	w->settings = watch_folder(w, settings.s, IN_CLOSE_WRITE | IN_MOVED_TO, err);
	if (w->settings < 0)
		return w->settings;
	read_settings(w);
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		look_at_jail(w, i);
	return 0;
}

/* The lock, -EWOULDBLOCK where another has it, or -errno. */
static int lock(struct state *s)
{
	autoclose int fd = openat(s->dir, LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return take_fd(&fd);
}

bool watch_runs(struct state *s)
{
	autoclose int fd = lock(s);

	return fd == -EWOULDBLOCK;
}

bool watch_wanted(struct state *s)
{
	autofree char *conf = NULL;
	struct str path autodone(str_done) = {0};
	bool runs = false;

	str_addf(&path, "%s" HOST_CONF, s->root);
	if (access(path.s, F_OK) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(watched) && !runs; i++) {
		struct record r autodone(record_done) = {0};
		struct ng_err none = {0};
		runs = state_find(s, watched[i].jail, &r, &none) == 0 && !r.dead;
	}
	return runs;
}

static void watch_free(struct watch *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		tail_close(w, &w->tail[i]);
	macro_close(&w->notify);
	free(w->tally);
	free(w);
}

static int once(struct state *s, const struct watch_sink *sink, struct ng_err *err)
{
	autoclose int held = lock(s);

	if (held == -EWOULDBLOCK)
		return err_set(err, EALREADY, "newgate host watch runs already");
	if (held < 0)
		return err_sys(err, held, "/run/newgate/" LOCK);
	struct watch *w = mem_alloc(sizeof *w);
	*w = (struct watch){.state = s, .sink = sink, .notify = -1, .tally = tally_new()};
	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		w->tail[i].folder = w->tail[i].file = -1;
	int rc = begin(w, err);
	if (rc == 0) {
		sink->ready(sink->arg);
		rc = follow(w, err);
	}
	watch_free(w);
	return rc;
}

int watch_run(struct state *s, const struct watch_sink *sink, struct ng_err *err)
{
	int rc;

	/* Who started a jail while we were on our way out found us watching, and left it to us. */
	do
		rc = once(s, sink, err);
	while (rc == 0 && watch_wanted(s));
	return rc;
}
