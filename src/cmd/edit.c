#include "cmd/edit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/str.h"
#include "conf/check.h"
#include "conf/files.h"
#include "conf/print.h"

#define FILE_NAME "/etc/jail.conf"
#define BEGIN "# newgate begin "
#define END "# newgate end "

int edit_open(struct edit *e, const char *root, struct ng_err *err)
{
	autofree char *path = files_path(root, FILE_NAME);
	autofree char *folder = files_path(root, "/etc");

	*e = (struct edit){.lock = -1};
	int rc = file_mkdirs(folder, 0755);
	if (rc < 0)
		return err_sys(err, rc, "%s", folder);
	/* Two commands that add a block each must not both start from the same text. */
	e->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->lock < 0 || flock(e->lock, LOCK_EX) < 0)
		return err_sys(err, errno, "%s", folder);
	/* A link stays one: what it names is replaced. */
	e->path = realpath(path, NULL);
	if (!e->path)
		e->path = mem_strdup(path);
	rc = file_read(e->path, &e->text, &e->len);
	if (rc == -ENOENT) {
		e->text = mem_strdup("");
		rc = 0;
	}
	if (rc < 0)
		return err_sys(err, rc, "%s", e->path);
	if (strlen(e->text) != e->len)
		return err_set(err, EINVAL, "%s has a NUL byte in it: it is not text", e->path);
	return 0;
}

void edit_done(struct edit *e)
{
	macro_close(&e->lock);
	free(e->path);
	free(e->text);
	*e = (struct edit){.lock = -1};
}

/* Reads a text as jail.conf would be. */
static bool parse(const struct edit *e, const char *root, const char *name, const char *text,
		  struct conf *c, struct diags *d)
{
	autofree char *folder = files_path(root, "/etc");

	c->root = root;
	conf_read_text(c, name ? name : e->path, folder, text, strlen(text), d);
	return d->errors == 0;
}

/* ---- what the files mean ---- */

static bool has_diag(const struct diags *d, const char *text)
{
	for (size_t i = 0; i < d->n; i++) {
		autofree char *one = diag_format(&d->v[i]);
		if (str_eq(one, text))
			return true;
	}
	return false;
}

static void check_all(struct conf *c, struct diags *d)
{
	int rc = files_read_rest(c, d);

	if (rc == 0)
		rc = conf_check_all(c, d);
	if (rc < 0 && !d->errors)
		diag_error(d, (struct pos){"jail.conf", 0, 0}, "%s", strerror(-rc));
}

void edit_check(const struct edit *e, const char *root, struct conf *now, struct diags *d)
{
	autodone(conf_done) struct conf c = {0};
	autodone(diags_done) struct diags before = {0}, after = {0};

	check_all(now, &after);
	if (after.n > 0 && parse(e, root, NULL, e->text, &c, &before))
		check_all(&c, &before);
	for (size_t i = 0; i < after.n; i++) {
		const struct diag *one = &after.v[i];
		const struct pos pos = {one->file, one->line, one->col};
		autofree char *text = diag_format(one);
		if (has_diag(&before, text))
			continue;
		if (one->level == DIAG_ERROR)
			diag_error_of(d, one->subject, pos, "%s", one->text);
		else
			diag_warn(d, pos, "%s%s%s", one->subject ? one->subject : "",
				  one->subject ? ": " : "", one->text);
	}
}

/* The records of `text` are those of `wanted`, to the last string. */
static bool means(const struct edit *e, const char *root, const char *text,
		  const struct conf *wanted, struct conf *now, struct diags *d)
{
	autodone(str_done) struct str got = {0}, want = {0};

	if (!parse(e, root, NULL, text, now, d))
		return false;
	conf_print(&got, now);
	conf_print(&want, wanted);
	if (str_eq(str_text(&got), str_text(&want)))
		return true;
	diag_error(d, (struct pos){e->path, 0, 0},
		   "it would not mean the same any more after this change: what stands at the edge "
		   "of the block would be read with it");
	return false;
}

/* ---- blocks ---- */

int edit_add(const struct edit *e, const char *root, const char *jail, const char *block,
	     enum conf_purpose purpose, char **text, struct conf *conf, struct conf_jail *out,
	     struct diags *d)
{
	autodone(conf_done) struct conf whole = {0};
	autodone(str_done) struct str b = {0};

	str_addn(&b, e->text, e->len);
	if (b.len > 0 && b.s[b.len - 1] != '\n')
		str_addc(&b, '\n');
	str_addf(&b, "%s" BEGIN "%s\n%s" END "%s\n", b.len > 0 ? "\n" : "", jail, block, jail);
	/* The same as reading all of it, but for the place that a fault in the block is given. */
	if (!parse(e, root, NULL, e->text, conf, d) ||
	    !parse(e, root, "the new block", block, conf, d) ||
	    !means(e, root, b.s, conf, &whole, d))
		return -EINVAL;
	int rc = conf_resolve(conf, jail, purpose, out, d);
	if (rc == 0)
		*text = str_take(&b);
	return rc;
}

/* The line that is exactly `mark` and `jail`, from `from` on. */
static const char *find_line(const char *from, const char *mark, const char *jail)
{
	autodone(str_done) struct str line = {0};

	str_addf(&line, "%s%s\n", mark, jail);
	for (const char *p = from; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (str_prefix(p, line.s))
			return p;
	return NULL;
}

static unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	return line;
}

/* Without the records that stand between the two lines of the file. */
static void drop_records(struct conf *c, const char *file, unsigned from, unsigned to)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->nrecords; i++) {
		const struct pos *p = &c->record[i].pos;
		bool between =
		    !c->record[i].global && str_eq(p->file, file) && p->line > from && p->line < to;
		if (between)
			free(c->record[i].param);
		else
			c->record[kept++] = c->record[i];
	}
	c->nrecords = kept;
}

int edit_remove(const struct edit *e, const char *root, const char *jail, char **text,
		struct conf *now, struct diags *d)
{
	autodone(conf_done) struct conf old = {0};
	autodone(str_done) struct str b = {0};
	const char *begin = find_line(e->text, BEGIN, jail);
	const char *end = begin ? find_line(begin, END, jail) : NULL;

	if (!end)
		return 0;
	size_t before = (size_t)(begin - e->text);
	/* With the empty line that edit_add put before it. */
	if (before > 0 && (before == 1 || e->text[before - 2] == '\n'))
		before--;
	str_addn(&b, e->text, before);
	str_add(&b, strchr(end, '\n') + 1);
	if (!parse(e, root, NULL, e->text, &old, d))
		return -EINVAL;
	drop_records(&old, e->path, line_of(e->text, begin), line_of(e->text, end));
	if (!means(e, root, str_text(&b), &old, now, d))
		return -EINVAL;
	*text = str_take(&b);
	return 1;
}

int edit_write(const struct edit *e, const char *text, struct ng_err *err)
{
	struct stat st;
	mode_t mode = stat(e->path, &st) == 0 ? st.st_mode & 07777 : 0644;
	int rc = file_replace(e->path, text, strlen(text), mode);

	return rc < 0 ? err_sys(err, rc, "%s", e->path) : 0;
}
