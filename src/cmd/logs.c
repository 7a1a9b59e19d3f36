/* newgate logs: the end of a jail's console log, and what is added to it.
 *
 * Following: inotify watches the folder for what becomes of the name, and the file for what becomes
 * of its contents. Nothing else wakes us; nothing is missed, since the watches are there before the
 * file is read. */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "conf/files.h"
#include "jail/log.h"
#include "sys/fd.h"

#define LINES 100
#define ALL UINT64_MAX
#define CHUNK 65536

/* ---- which ---- */

static void tell_none(const char *who, const struct log *l)
{
	if (l->path)
		warn_msg("%s has written nothing yet: there is no %s", who, l->path);
	else
		warn_msg("%s keeps no log: what its commands print goes to who starts it. Give its "
			 "block exec.consolelog = \"/var/log/jail_%s_console.log\"; or run the "
			 "command as a `service`",
			 who, who);
}

/* As its block says. 0, or 1: told. */
static int configured(const char *who, struct log *out)
{
	struct diags d autodone(diags_done) = {0};
	struct conf c autodone(conf_done) = {0};
	struct conf_jail j = {0};
	int rc = files_read_all(&c, cmd_root, &d);

	if (rc == 0)
		rc = conf_resolve(&c, who, CONF_FOR_STOP, &j, &d);
	if (rc == 0)
		*out = log_of_conf(&j, NULL, cmd_root);
	else if (tell_diags(&d, false))
		warn_msg("jail \"%s\" is neither configured nor running", who);
	conf_jail_done(&j);
	return rc < 0;
}

static int find(const char *who, struct log *out)
{
	autodone(state_done) struct state s = {.dir = -1};
	autodone(record_done) struct record r = {0};
	struct ng_err err = {0};
	int rc = state_open(&s, cmd_root, &err);

	if (rc == 0)
		rc = state_find(&s, who, &r, &err);
	if (rc == -ENOENT)
		return configured(who, out);
	if (rc < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	*out = log_of_record(&r, cmd_root);
	return 0;
}

/* ---- to standard output ---- */

/* What is printed, and whether to a terminal: then what it would act upon is made visible. It came
 * from inside of a jail. */
struct sink {
	bool terminal;
	char rest[4]; /* of a letter whose other bytes have not been read yet */
	size_t nrest;
};

/* How many bytes at the end are the beginning of something. */
static size_t unfinished(const char *p, size_t n)
{
	if (n && p[n - 1] == '\r')
		return 1;
	for (size_t i = 1; i <= 3 && i <= n; i++) {
		unsigned char c = (unsigned char)p[n - i];
		size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
		if (c >= 0xc0)
			return whole > i ? i : 0;
		if (c < 0x80)
			return 0;
	}
	return 0;
}

/* `p` has a NUL behind it. */
static void add_visible(struct str *out, char *p, size_t n)
{
	for (char *end = p + n; p < end;) {
		size_t len = 0;
		while (p + len < end && p[len] && p[len] != '\n' && p[len] != '\t' &&
		       !(p[len] == '\r' && p[len + 1] == '\n'))
			len++;
		char stop = p[len];
		p[len] = '\0';
		str_add_visible(out, p);
		p += len + 1;
		if (p > end)
			break;
		if (stop)
			str_addc(out, stop);
		else
			str_add(out, "\\x00");
	}
}

static int put(struct sink *s, const char *data, size_t n)
{
	if (!s->terminal)
		return fd_write_all(STDOUT_FILENO, data, n);
	struct str in autodone(str_done) = {0}, out autodone(str_done) = {0};
	str_addn(&in, s->rest, s->nrest);
	str_addn(&in, data, n);
	s->nrest = unfinished(in.s, in.len);
	memcpy(s->rest, in.s + in.len - s->nrest, s->nrest);
	in.len -= s->nrest;
	in.s[in.len] = '\0';
	add_visible(&out, in.s, in.len);
	return fd_write_all(STDOUT_FILENO, str_text(&out), out.len);
}

/* ---- the file ---- */

/* Where the last `lines` lines begin: searched backwards. An unfinished last line counts. */
static off_t tail(int fd, off_t size, uint64_t lines, char *buf)
{
	off_t at = lines == ALL ? 0 : size;

	while (at > 0 && lines > 0) {
		size_t want = at < CHUNK ? (size_t)at : CHUNK;
		ssize_t n = pread(fd, buf, want, at - (off_t)want);
		if (n < (ssize_t)want)
			return at; /* it has just been cut */
		for (size_t i = want; i-- > 0;)
			/* The newline that ends the file begins no line. */
			if (buf[i] == '\n' && at - (off_t)want + (off_t)i + 1 < size &&
			    --lines == 0)
				return at - (off_t)want + (off_t)i + 1;
		at -= (off_t)want;
	}
	return at;
}

struct follow {
	const struct log *log;
	const char *name;
	int folder, file; /* file -1: it is not there now */
	off_t at;
	struct sink sink;
	char *buf; /* of CHUNK bytes */
};

/* Prints what there is from where we are. */
static int copy(struct follow *f)
{
	struct stat st;

	if (fstat(f->file, &st) == 0 && st.st_size < f->at) {
		warn_msg("%s was cut; from its beginning:", f->log->path);
		f->at = 0;
	}
	for (ssize_t n; (n = pread(f->file, f->buf, CHUNK, f->at)) != 0; f->at += n) {
		if (n < 0)
			return -errno;
		int rc = put(&f->sink, f->buf, (size_t)n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int watch(int notify, int fd, uint32_t what)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(notify, path, what) < 0 ? -errno : 0;
}

/* Has the name come to mean another file? Then that one, from its beginning, once the old one has
 * been read to its end. */
static int reopen(struct follow *f, int notify, struct ng_err *err)
{
	struct stat was = {0}, is;
	struct ng_err not_there = {0};
	autoclose int fd = log_open_read(f->log, f->folder, f->name, &not_there);

	if (fd == -ENOENT)
		return 0;
	if (fd < 0) {
		*err = not_there;
		return fd;
	}
	if (f->file >= 0 && fstat(f->file, &was) == 0 && fstat(fd, &is) == 0 &&
	    was.st_dev == is.st_dev && was.st_ino == is.st_ino)
		return 0;
	int rc = watch(notify, fd, IN_MODIFY);
	if (rc < 0)
		return err_sys(err, rc, "inotify");
	if (f->file >= 0) {
		if ((rc = copy(f)) < 0)
			return err_sys(err, rc, "standard output");
		warn_msg("%s is a new file:", f->log->path);
		close(f->file);
	}
	f->file = take_fd(&fd);
	f->at = 0;
	return 0;
}

/* Until standard output is closed at its other end, or a signal ends us. */
static int follow(struct follow *f, int notify, struct ng_err *err)
{
	struct pollfd p[] = {{.fd = notify, .events = POLLIN}, {.fd = STDOUT_FILENO}};

	for (;;) {
		int rc = reopen(f, notify, err);
		if (rc < 0)
			return rc;
		if (f->file >= 0 && (rc = copy(f)) < 0)
			return err_sys(err, rc, "standard output");
		while (poll(p, ARRAY_SIZE(p), -1) < 0)
			;
		if (p[1].revents & (POLLERR | POLLHUP))
			return 0;
		if (p[0].revents && read(notify, f->buf, CHUNK) < 0)
			return err_sys(err, errno, "inotify");
	}
}

static int show(struct follow *f, uint64_t lines, bool on, struct ng_err *err)
{
	struct stat st;
	autoclose int notify = on ? inotify_init1(IN_CLOEXEC) : -1;

	if (on && notify < 0)
		return err_sys(err, errno, "inotify");
	if (on && watch(notify, f->folder, IN_CREATE | IN_MOVED_TO) < 0)
		return err_sys(err, errno, "inotify");
	f->file = log_open_read(f->log, f->folder, f->name, err);
	if (f->file < 0 && (f->file != -ENOENT || !on))
		return f->file;
	if (f->file < 0) {
		warn_msg("%s is not there yet: waiting for it", f->log->path);
		*err = (struct ng_err){0};
		f->file = -1;
		return follow(f, notify, err);
	}
	if (on && watch(notify, f->file, IN_MODIFY) < 0)
		return err_sys(err, errno, "inotify");
	if (fstat(f->file, &st) < 0)
		return err_sys(err, errno, "%s", f->log->path);
	f->at = tail(f->file, st.st_size, lines, f->buf);
	int rc = copy(f);
	if (rc < 0)
		return err_sys(err, rc, "standard output");
	return on ? follow(f, notify, err) : 0;
}

static int print_log(const char *who, const struct log *l, uint64_t lines, bool on)
{
	struct ng_err err = {0};
	autofree char *buf = mem_alloc(CHUNK);
	struct follow f = {.log = l, .file = -1, .buf = buf};

	f.sink.terminal = isatty(STDOUT_FILENO);
	f.folder = log_open_folder(l, &f.name, &err);
	int rc = f.folder < 0 ? f.folder : show(&f, lines, on, &err);
	if (rc == -ENOENT)
		tell_none(who, l);
	else if (rc < 0)
		warn_msg("%s", err.text);
	if (f.folder >= 0)
		close(f.folder);
	if (f.file >= 0)
		close(f.file);
	return rc < 0;
}

static int logs_run(int argc, char **argv)
{
	struct log l autodone(log_done) = {0};
	uint64_t lines = LINES;
	bool on = false;

	for (int opt; (opt = getopt(argc, argv, "fn:")) != -1;) {
		if (opt == 'f')
			on = true;
		else if (opt != 'n')
			return usage(&cmd_logs);
		else if (str_eq(optarg, "all"))
			lines = ALL;
		else if (num_u64(optarg, 0, ALL - 1, &lines) < 0) {
			warn_msg("-n takes a number of lines, or all: not \"%s\"", optarg);
			return 1;
		}
	}
	if (argc - optind != 1)
		return usage(&cmd_logs);
	if (find(argv[optind], &l))
		return 1;
	if (!l.path) {
		tell_none(argv[optind], &l);
		return 1;
	}
	return print_log(argv[optind], &l, lines, on);
}

const struct cmd cmd_logs = {
    .name = "logs",
    .run = logs_run,
    .args = "[-f] [-n LINES] NAME",
    .summary = "what the commands and services of a jail have printed",
    .help = "  -f        goes on with what is added, until Ctrl-C\n"
	    "  -n LINES  so many lines of the end instead of 100; all: the whole file\n"
	    "\n"
	    "The log is exec.consolelog's file; services write to\n"
	    "/var/log/jail_NAME_console.log where there is none.\n",
};
