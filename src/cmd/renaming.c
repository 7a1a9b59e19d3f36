#include "cmd/renaming.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/files.h"
#include "conf/print.h"

#define BLANKS " \t\r\n"

/* ---- files ---- */

static int open_file(struct renaming *r, const char *path, struct renamed_file **out,
		     struct ng_err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(r->file[i].path, path)) {
			*out = &r->file[i];
			return 0;
		}
	char *text;
	size_t len;
	int rc = file_read(path, &text, &len);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	r->file = mem_grow(r->file, r->n, sizeof(*r->file));
	*out = &r->file[r->n++];
	**out = (struct renamed_file){.path = mem_strdup(path), .was = text, .len = len};
	return 0;
}

/* Where line:col is in the text; its length where it is not there. */
static size_t offset_of(const struct renamed_file *f, const struct pos *p)
{
	const char *at = f->was, *end = f->was + f->len;
	for (unsigned line = 1; line < p->line && at; line++) {
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	return at && (size_t)(end - at) >= p->col ? (size_t)(at - f->was) + p->col - 1 : f->len;
}

/* The same place twice is one edit: a record may be read by several jails. */
static void add_edit(struct renamed_file *f, size_t at, size_t len, const char *text)
{
	for (size_t i = 0; i < f->nedits; i++)
		if (f->edit[i].at == at)
			return;
	f->edit = mem_grow(f->edit, f->nedits, sizeof(*f->edit));
	f->edit[f->nedits++] = (struct renaming_edit){at, len, mem_strdup(text)};
}

/* ---- jail.conf ---- */

/* The name stands there as it is, perhaps in quotes: what follows it must end it. `part`: what may
 * stand behind it in the same string. */
static int edit_name(struct renaming *r, const struct pos *p, const char *from, const char *to,
		     const char *part, struct ng_err *err)
{
	struct renamed_file *f;
	if (!p->line)
		return 0;
	int rc = open_file(r, p->file, &f, err);
	if (rc < 0)
		return rc;
	size_t at = offset_of(f, p), len = strlen(from);
	bool quoted = at < f->len && (f->was[at] == '"' || f->was[at] == '\'');
	const char *name = f->was + at + quoted;
	if (at + quoted + len > f->len || strncmp(name, from, len) != 0 ||
	    (name[len] && !strchr(quoted ? part : BLANKS "{};,=\"'#$", name[len])))
		return err_set(err, EINVAL,
			       "%s:%u:%u: \"%s\" is written there in a way that newgate does not "
			       "change: write the name plainly",
			       p->file, p->line, p->col, from);
	struct str text autodone(str_done) = {0};
	if (quoted)
		str_add(&text, to);
	else
		conf_print_value(&text, to);
	add_edit(f, (size_t)(name - f->was), len, str_text(&text));
	return 0;
}

static const char *last_part(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

/* A child's block may stand in its parent's, by the last part of its name alone. */
static int edit_block(struct renaming *r, const struct conf_record *b, struct ng_err *err)
{
	struct renamed_file *f;
	int rc = open_file(r, b->pos.file, &f, err);
	if (rc < 0)
		return rc;
	const char *from = last_part(r->from), *to = last_part(r->to);
	size_t at = offset_of(f, &b->pos);
	bool quoted = at < f->len && (f->was[at] == '"' || f->was[at] == '\'');
	if (strncmp(f->was + at + quoted, r->from, strlen(r->from)) == 0)
		return edit_name(r, &b->pos, r->from, r->to, "\"'", err);
	return edit_name(r, &b->pos, from, to, "\"'", err);
}

/* The lines between which newgate puts a block that it adds. */
static void edit_marks(struct renaming *r)
{
	static const char *const mark[] = {"# newgate begin ", "# newgate end "};
	for (size_t i = 0; i < r->n; i++)
		for (size_t m = 0; m < ARRAY_SIZE(mark); m++) {
			struct str line autodone(str_done) = {0};
			struct renamed_file *f = &r->file[i];
			str_addf(&line, "%s%s\n", mark[m], r->from);
			for (const char *p = f->was; (p = strstr(p, line.s)); p++)
				if (p == f->was || p[-1] == '\n')
					add_edit(f, (size_t)(p - f->was) + strlen(mark[m]),
						 strlen(r->from), r->to);
		}
}

/* "db", "db tcp 5432": the first word of a string that holds no variable. */
static bool names(const struct conf_string *s, const char *name)
{
	size_t len = strlen(name);
	return s->nparts == 1 && !s->part->variable && strncmp(s->part->text, name, len) == 0 &&
	       (!s->part->text[len] || strchr(BLANKS, s->part->text[len]));
}

static int edit_params(struct renaming *r, const struct conf_record *b, struct ng_err *err)
{
	int rc = 0;
	for (size_t i = 0; i < b->nparams && rc == 0; i++) {
		const struct conf_param *p = &b->param[i];
		if (p->id != P_DEPEND && p->id != P_ALLOW_CONNECT)
			continue;
		for (size_t k = 0; k < p->nvalues && rc == 0; k++)
			if (names(&p->value[k], r->from))
				rc = edit_name(r, &p->value[k].pos, r->from, r->to, BLANKS "\"'",
					       err);
	}
	return rc;
}

/* ---- rc.conf ---- */

/* The words of the last jail_list: a plain assignment, with or without quotes. */
static int edit_list(struct renaming *r, const char *path, struct ng_err *err)
{
	struct renamed_file *f;
	const char *line = NULL;
	size_t len = strlen(r->from);
	if (access(path, F_OK) < 0)
		return 0;
	int rc = open_file(r, path, &f, err);
	if (rc < 0)
		return rc;
	for (const char *p = f->was; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		const char *word = p + strspn(p, " \t");
		if (str_prefix(word, "jail_list="))
			line = word + strlen("jail_list=");
	}
	if (!line)
		return 0;
	char quote = *line == '"' || *line == '\'' ? *line++ : '\0';
	for (const char *p = line; *p && *p != quote && (quote || *p != '\n');) {
		size_t word = strcspn(p, quote == '\'' ? " \t\n'" : " \t\n\"");
		if (word == len && strncmp(p, r->from, len) == 0)
			add_edit(f, (size_t)(p - f->was), len, r->to);
		p += word;
		p += strspn(p, quote ? " \t\n" : "");
		if (!quote)
			break;
	}
	return 0;
}

/* ---- all of it ---- */

static int by_place(const void *a, const void *b)
{
	size_t x = ((const struct renaming_edit *)a)->at, y = ((const struct renaming_edit *)b)->at;
	return (x > y) - (x < y);
}

static void apply(struct renamed_file *f)
{
	struct str text = {0};
	size_t at = 0;
	if (f->nedits)
		qsort(f->edit, f->nedits, sizeof(*f->edit), by_place);
	for (size_t i = 0; i < f->nedits; i++) {
		str_addn(&text, f->was + at, f->edit[i].at - at);
		str_add(&text, f->edit[i].text);
		at = f->edit[i].at + f->edit[i].len;
	}
	str_addn(&text, f->was + at, f->len - at);
	f->text = str_take(&text);
}

/* ---- does it mean the same but for the name? ---- */

static bool same_string(const struct conf_string *a, const struct conf_string *b)
{
	bool same = a->nparts == b->nparts;

	for (size_t i = 0; same && i < a->nparts; i++)
		same = a->part[i].variable == b->part[i].variable &&
		       str_eq(a->part[i].text, b->part[i].text);
	return same;
}

static bool same_param(const struct renaming *r, const struct conf_param *a,
		       const struct conf_param *b)
{
	if (!str_eq(a->name, b->name) || a->append != b->append || a->nvalues != b->nvalues)
		return false;
	bool named = a->id == P_DEPEND || a->id == P_ALLOW_CONNECT;
	for (size_t i = 0; i < a->nvalues; i++)
		if (!same_string(&a->value[i], &b->value[i]) &&
		    !(named && names(&a->value[i], r->from) && names(&b->value[i], r->to)))
			return false;
	return true;
}

static bool same_record(const struct renaming *r, const struct conf_record *a,
			const struct conf_record *b)
{
	bool same =
	    str_eq(b->name, str_eq(a->name, r->from) ? r->to : a->name) && a->nparams == b->nparams;

	for (size_t i = 0; same && i < a->nparams; i++)
		same = same_param(r, &a->param[i], &b->param[i]);
	return same;
}

/* Of a file that is complete in itself; one that is a part of a block in another is not. */
static int check_meaning(const struct renaming *r, const struct conf *all,
			 const struct renamed_file *f, struct ng_err *err)
{
	autodone(conf_done) struct conf was = {.root = all->root}, now = {.root = all->root};
	autodone(diags_done) struct diags before = {0}, after = {0};
	autofree char *folder = mem_strndup(f->path, (size_t)(strrchr(f->path, '/') - f->path));

	conf_read_text(&was, f->path, folder, f->was, f->len, &before);
	if (before.errors)
		return 0;
	conf_read_text(&now, f->path, folder, f->text, strlen(f->text), &after);
	bool same = !after.errors && was.nrecords == now.nrecords;
	for (size_t i = 0; same && i < was.nrecords; i++)
		same = same_record(r, &was.record[i], &now.record[i]);
	return same ? 0
		    : err_set(err, EINVAL,
			      "%s would mean something else with the new name in it: rename it by "
			      "hand",
			      f->path);
}

int renaming_plan(struct renaming *r, const struct conf *c, const char *rc_conf, const char *from,
		  const char *to, struct ng_err *err)
{
	int rc = 0;
	r->from = from;
	r->to = to;
	for (size_t i = 0; i < c->nrecords && rc == 0; i++) {
		if (str_eq(c->record[i].name, from))
			rc = edit_block(r, &c->record[i], err);
		if (rc == 0)
			rc = edit_params(r, &c->record[i], err);
	}
	if (rc == 0)
		rc = edit_list(r, rc_conf, err);
	if (rc < 0)
		return rc;
	edit_marks(r);
	for (size_t i = 0; i < r->n && rc == 0; i++) {
		apply(&r->file[i]);
		if (!str_eq(r->file[i].path, rc_conf))
			rc = check_meaning(r, c, &r->file[i], err);
	}
	return rc;
}

static int put(const struct renamed_file *f, bool back, struct ng_err *err)
{
	struct stat st;
	autofree char *real = realpath(f->path, NULL);
	const char *path = real ? real : f->path, *text = back ? f->was : f->text;
	mode_t mode = stat(path, &st) == 0 ? st.st_mode & 07777 : 0644;
	int rc = f->nedits ? file_replace(path, text, back ? f->len : strlen(text), mode) : 0;
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

int renaming_write(struct renaming *r, struct ng_err *err)
{
	struct ng_err ignored = {0};
	for (size_t i = 0; i < r->n; i++) {
		int rc = put(&r->file[i], false, err);
		/* It may have been replaced all the same, but not yet be on the disk. */
		for (size_t k = 0; rc < 0 && k <= i; k++)
			(void)put(&r->file[k], true, &ignored);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int renaming_undo(struct renaming *r, struct ng_err *err)
{
	int first = 0;
	for (size_t i = 0; i < r->n; i++) {
		int rc = put(&r->file[i], true, err);
		first = first ? first : rc;
	}
	return first;
}

void renaming_done(struct renaming *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct renamed_file *f = &r->file[i];
		for (size_t k = 0; k < f->nedits; k++)
			free(f->edit[k].text);
		free(f->edit);
		free(f->path);
		free(f->was);
		free(f->text);
	}
	free(r->file);
	*r = (struct renaming){0};
}

/* ---- one that was killed ---- */

#define JOURNAL "/var/lib/newgate/rename"

int renaming_begin(const char *root, const struct renaming_left *l, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	autofree char *path = files_path(root, JOURNAL);
	autofree char *folder = files_path(root, "/var/lib/newgate");
	str_addf(&text, "%s\n%s\n%s\n", l->from, l->to, l->path);
	int rc = file_mkdirs(folder, 0755);
	if (rc == 0)
		rc = file_replace(path, text.s, text.len, 0600);
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

int renaming_end(const char *root, struct ng_err *err)
{
	autofree char *path = files_path(root, JOURNAL);
	return unlink(path) < 0 && errno != ENOENT ? err_sys(err, errno, "%s", path) : 0;
}

bool renaming_left(const char *root, struct renaming_left *out)
{
	autofree char *path = files_path(root, JOURNAL), *text = NULL;
	struct strv line autodone(strv_done) = {0};
	size_t len;
	if (file_read(path, &text, &len) < 0)
		return false;
	strv_split(&line, text, "\n");
	/* Half of one: nothing was done yet. */
	if (line.n < 3 || text[len - 1] != '\n')
		return false;
	*out = (struct renaming_left){mem_strdup(line.v[0]), mem_strdup(line.v[1]),
				      mem_strdup(line.v[2])};
	return true;
}

void renaming_left_done(struct renaming_left *l)
{
	free(l->from);
	free(l->to);
	free(l->path);
	*l = (struct renaming_left){0};
}

char *renaming_remedy(const struct renaming_left *l)
{
	struct str text = {0};
	str_addf(&text, "renaming %s to %s was interrupted: newgate rename %s %s finishes it",
		 l->from, l->to, l->from, l->to);
	return str_take(&text);
}

char *renaming_complaint(const char *root)
{
	struct renaming_left left autodone(renaming_left_done) = {0};
	autofree char *folder = files_path(root, "/etc");
	if (!renaming_left(root, &left))
		return NULL;
	/* Who is at it has the files open for editing. */
	autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return NULL;
	return renaming_remedy(&left);
}
