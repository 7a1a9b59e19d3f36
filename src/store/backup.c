#include "store/backup.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/num.h"
#include "store/entry.h"

#define FIRST_LINE "newgate-backup 1"
#define NONE "-"

void backup_add_file(struct backup *b, const char *path, mode_t mode, const char *sum)
{
	b->file = mem_grow(b->file, b->nfiles, sizeof(*b->file));
	struct backup_file *f = &b->file[b->nfiles++];
	*f = (struct backup_file){.path = mem_strdup(path), .mode = mode};
	snprintf(f->sum, sizeof(f->sum), "%s", sum);
}

static char *copy(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

void backup_add_jail(struct backup *b, const struct backup_jail *j)
{
	b->jail = mem_grow(b->jail, b->njails, sizeof(*b->jail));
	b->jail[b->njails++] = (struct backup_jail){
	    .name = mem_strdup(j->name),
	    .stream = mem_strdup(j->stream),
	    .snap = copy(j->snap),
	    .since = copy(j->since),
	};
}

const struct backup_jail *backup_find(const struct backup *b, const char *jail)
{
	for (size_t i = 0; i < b->njails; i++)
		if (str_eq(b->jail[i].name, jail))
			return &b->jail[i];
	return NULL;
}

int backup_sum(const void *data, size_t len, char hex[static STREAM_SUM_HEX], struct ng_err *err)
{
	const struct stream_module *m = stream_load(err);
	void *sum = m ? m->sum_begin() : NULL;

	if (!sum)
		return m ? err_sys(err, ENOMEM, "a checksum") : -err->code;
	m->sum_add(sum, data, len);
	m->sum_end(sum, hex);
	return 0;
}

int backup_format(struct str *out, const struct backup *b, struct ng_err *err)
{
	char sum[STREAM_SUM_HEX];
	size_t from = out->len;

	str_addf(out, FIRST_LINE "\nmade %lld\n", (long long)b->made);
	for (size_t i = 0; i < b->nfiles; i++)
		str_addf(out, "file %04o %s %s\n", b->file[i].mode, b->file[i].sum,
			 b->file[i].path);
	for (size_t i = 0; i < b->njails; i++) {
		const struct backup_jail *j = &b->jail[i];
		str_addf(out, "jail %s %s %s %s\n", j->name, j->stream, j->snap ? j->snap : NONE,
			 j->since ? j->since : NONE);
	}
	int rc = backup_sum(out->s + from, out->len - from, sum, err);
	if (rc == 0)
		str_addf(out, "end %s\n", sum);
	return rc;
}

/* The name of something in a folder of ours. */
static bool is_plain(const char *name)
{
	return name[0] != '\0' && name[0] != '.' && !strchr(name, '/');
}

static bool is_below(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *p = path; *p;) {
		size_t n = strcspn(++p, "/");
		if (n == 0 || (n <= 2 && strncmp(p, "..", n) == 0))
			return false;
		p += n;
	}
	return true;
}

static int parse_file(struct backup *b, char *rest)
{
	const char *mode = strsep(&rest, " "), *sum = rest ? strsep(&rest, " ") : NULL;
	char *end;

	if (!rest || strlen(sum) != STREAM_SUM_HEX - 1 || !is_below(rest))
		return -EBADMSG;
	unsigned long bits = strtoul(mode, &end, 8);
	if (end != mode + 4 || *end != '\0' || bits > 07777)
		return -EBADMSG;
	backup_add_file(b, rest, (mode_t)bits, sum);
	return 0;
}

static int parse_jail(struct backup *b, char *rest)
{
	struct ng_err ignored = {0};
	char *word[4];

	for (size_t i = 0; i < ARRAY_SIZE(word); i++)
		if (!(word[i] = rest ? strsep(&rest, " ") : NULL))
			return -EBADMSG;
	const struct backup_jail j = {
	    .name = word[0],
	    .stream = word[1],
	    .snap = str_eq(word[2], NONE) ? NULL : word[2],
	    .since = str_eq(word[3], NONE) ? NULL : word[3],
	};
	if (rest || store_check_name(STORE_JAILS, j.name, &ignored) < 0 || !is_plain(j.stream) ||
	    (j.snap && !is_plain(j.snap)) || (j.since && !is_plain(j.since)) ||
	    backup_find(b, j.name))
		return -EBADMSG;
	backup_add_jail(b, &j);
	return 0;
}

static int parse_line(struct backup *b, char *line)
{
	char *rest = line;
	const char *key = strsep(&rest, " ");

	if (!rest)
		return -EBADMSG;
	if (str_eq(key, "made"))
		return num_i64(rest, 0, INT64_MAX, &b->made) < 0 ? -EBADMSG : 0;
	if (str_eq(key, "file"))
		return parse_file(b, rest);
	return str_eq(key, "jail") ? parse_jail(b, rest) : -EBADMSG;
}

/* Everything before the last line, whose sum that line tells. */
static int check_end(const char *text, size_t len, size_t *body, struct ng_err *err)
{
	const size_t last = strlen("end \n") + STREAM_SUM_HEX - 1;
	char sum[STREAM_SUM_HEX], line[80];

	if (len < last || memchr(text, '\0', len))
		return err_set(err, EBADMSG, "its last line is missing");
	*body = len - last;
	int rc = backup_sum(text, *body, sum, err);
	if (rc < 0)
		return rc;
	snprintf(line, sizeof(line), "end %s\n", sum);
	return memcmp(text + *body, line, last) == 0
		   ? 0
		   : err_set(err, EBADMSG, "it was altered: its checksum is another");
}

static int parse_body(const char *text, size_t len, struct backup *out, struct ng_err *err)
{
	autofree char *all = mem_strndup(text, len);
	char *rest = all;

	if (!str_eq(strsep(&rest, "\n"), FIRST_LINE))
		return err_set(err, EBADMSG, "it is not of a backup that this newgate reads");
	for (char *line; rest && *rest && (line = strsep(&rest, "\n"));) {
		autofree char *said = mem_strdup(line);
		if (parse_line(out, line) < 0)
			return err_set(err, EBADMSG, "the line \"%.200s\" makes no sense", said);
	}
	return 0;
}

int backup_parse(const char *text, size_t len, struct backup *out, struct ng_err *err)
{
	size_t body = 0;

	*out = (struct backup){0};
	int rc = check_end(text, len, &body, err);
	if (rc == 0)
		rc = parse_body(text, body, out, err);
	if (rc < 0)
		backup_done(out);
	return rc;
}

void backup_done(struct backup *b)
{
	for (size_t i = 0; i < b->nfiles; i++)
		free(b->file[i].path);
	for (size_t i = 0; i < b->njails; i++) {
		free(b->jail[i].name);
		free(b->jail[i].stream);
		free(b->jail[i].snap);
		free(b->jail[i].since);
	}
	free(b->file);
	free(b->jail);
	*b = (struct backup){0};
}
