#include "store/entry.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/str.h"
#include "sys/fd.h"

#define NAME_MAX_BYTES 200 /* leaves room in a file name for what stage.h puts around it */
#define FILE_ROOM 16384

const char *store_kind_dir(enum store_kind kind)
{
	static const char *const name[] = {"jails", "templates", "roots"};

	return name[kind];
}

const char *store_kind_file(enum store_kind kind)
{
	return kind == STORE_JAILS ? "origin" : "meta";
}

int store_check_name(enum store_kind kind, const char *name, struct ng_err *err)
{
	const char *what = kind == STORE_JAILS ? "jail" : "template";

	if (name[0] == '\0' || name[0] == '.' || strlen(name) > NAME_MAX_BYTES)
		return err_set(
		    err, EINVAL,
		    "a %s cannot be called \"%.300s\": 1 to %d bytes, not starting with a dot",
		    what, name, NAME_MAX_BYTES);
	for (const char *p = name; *p; p++)
		if (*p == '/' || (unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(
			    err, EINVAL,
			    "a %s cannot be called \"%s\": no slash, blank or control character",
			    what, name);
	return 0;
}

static int open_dir(int at, const char *name, bool make, mode_t mode)
{
	if (make && mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int store_open_kind(const struct store *s, enum store_kind kind, bool make)
{
	if (make) {
		int rc = file_mkdirs(s->dir, 0755);
		if (rc < 0)
			return rc;
	}
	autoclose int dir = open_dir(AT_FDCWD, s->dir, false, 0);
	return dir < 0 ? dir : open_dir(dir, store_kind_dir(kind), make, 0700);
}

int store_open_entry(const struct store *s, enum store_kind kind, const char *name)
{
	autoclose int dir = store_open_kind(s, kind, false);

	/* No name that a stage or a stray path would give. */
	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
		return -ENOENT;
	return dir < 0 ? dir : open_dir(dir, name, false, 0);
}

/* The lines that are text, in the order in which they are written. */
static const struct {
	const char *key;
	size_t at;
} lines[] = {
    {"backend", offsetof(struct entry, backend)},   {"from", offsetof(struct entry, from)},
    {"lower", offsetof(struct entry, lower)},       {"upper", offsetof(struct entry, upper)},
    {"template", offsetof(struct entry, template)}, {"key", offsetof(struct entry, key)},
    {"include", offsetof(struct entry, include)},   {"volume", offsetof(struct entry, volume)},
    {"path", offsetof(struct entry, path)},
};

static char **line_of(struct entry *e, size_t i)
{
	return (char **)((char *)e + lines[i].at);
}

static void set_line(struct entry *e, const char *key, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char **text = line_of(e, i);
		if (!str_eq(key, lines[i].key))
			continue;
		free(*text);
		*text = mem_strdup(value);
		return;
	}
	/* An unreadable number is as good as none: numbers are only shown. */
	if (str_eq(key, "made") && num_i64(value, 0, INT64_MAX, &e->made) < 0)
		e->made = 0;
	if (str_eq(key, "bytes") && num_u64(value, 0, UINT64_MAX, &e->bytes) < 0)
		e->bytes = 0;
	if (str_eq(key, "quota") && num_u64(value, 0, UINT64_MAX, &e->quota) < 0)
		e->quota = 0;
	if (str_eq(key, "project") && num_u64(value, 0, UINT32_MAX, &e->project) < 0)
		e->project = 0;
}

int entry_read(int dir, const char *file, struct entry *e)
{
	char buf[FILE_ROOM];
	ssize_t n = fd_get(dir, file, buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	char *rest = buf;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = '\0';
		set_line(e, line, value);
	}
	return 0;
}

static void print_entry(struct str *b, const struct entry *e)
{
	struct entry shown = *e;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (*line_of(&shown, i))
			str_addf(b, "%s %s\n", lines[i].key, *line_of(&shown, i));
	if (e->quota)
		str_addf(b, "quota %llu\n", (unsigned long long)e->quota);
	if (e->project)
		str_addf(b, "project %llu\n", (unsigned long long)e->project);
	str_addf(b, "bytes %llu\nmade %lld\n", (unsigned long long)e->bytes, (long long)e->made);
}

int entry_write(int dir, const char *file, const struct entry *e)
{
	autodone(str_done) struct str b = {0};

	print_entry(&b, e);
	autoclose int fd = openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? -errno : fd_write_all(fd, b.s, b.len);
}

int entry_replace(int dir, const char *file, const struct entry *e)
{
	autofree char *fresh = NULL;

	if (asprintf(&fresh, ".%s.new", file) < 0)
		return -ENOMEM;
	int rc = entry_write(dir, fresh, e);
	autoclose int fd = rc < 0 ? -1 : openat(dir, fresh, O_RDONLY | O_CLOEXEC);
	if (rc == 0 && (fd < 0 || fsync(fd) < 0 || renameat(dir, fresh, dir, file) < 0))
		rc = -errno;
	if (rc == 0 && fsync(dir) < 0)
		rc = -errno;
	return rc;
}

void entry_done(struct entry *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		free(*line_of(e, i));
	*e = (struct entry){0};
}
