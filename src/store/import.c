#include "store/import.h"

#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "store/clone.h"
#include "store/unpack.h"
#include "store/walk.h"

#define INFO_MAX (64 * 1024)
#define CONF_MAX (1024 * 1024)
#define REMOVED_MAX (64 * 1024 * 1024)

/* The stream knows better than tar why it cannot be read. */
static int damaged(struct import *i, struct ng_err *err)
{
	const char *why = i->m->read_fault(i->stream);

	return err_set(err, EBADMSG, "the stream is damaged: %s",
		       *why ? why : i->tar->error(i->archive));
}

/* Goes on to the next entry: 1, 0 at the end. */
static int next(struct import *i, struct ng_err *err)
{
	int rc = i->tar->next(i->archive, &i->ahead);

	i->more = rc > 0;
	return rc < 0 ? damaged(i, err) : rc;
}

/* The contents of the entry, which is newgate's own and small. */
static int read_text(struct import *i, size_t max, struct str *out, struct ng_err *err)
{
	const char *name = i->ahead.path;
	const void *piece;
	size_t len;
	int64_t at;
	int rc;

	if (!S_ISREG(i->ahead.mode) || i->ahead.hard || i->ahead.size > (int64_t)max)
		return err_set(err, EBADMSG, "%s in the stream is not a small file", name);
	while ((rc = i->tar->data(i->archive, &piece, &len, &at)) > 0) {
		if (at != (int64_t)out->len)
			return err_set(err, EBADMSG, "%s in the stream has holes", name);
		str_addn(out, piece, len);
	}
	return rc < 0 ? damaged(i, err) : 0;
}

static int read_definition(struct import *i, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	int rc = read_text(i, CONF_MAX, &text, err);

	if (rc == 0 && strlen(str_text(&text)) != text.len)
		rc = err_set(err, EBADMSG, STREAM_CONF " in the stream is not text");
	if (rc == 0)
		i->definition = str_take(&text);
	return rc;
}

static int read_removed(struct import *i, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	int rc = read_text(i, REMOVED_MAX, &text, err);

	return rc < 0 ? rc : stream_removed_parse(str_text(&text), text.len, &i->removed, err);
}

/* Each at most once and in this order; the first is always there. */
static int read_head(struct import *i, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	int rc = next(i, err);

	if (rc == 0 || (rc > 0 && !str_eq(i->ahead.path, STREAM_INFO)))
		return err_set(err, EBADMSG, "this is not what newgate export writes");
	if (rc > 0)
		rc = read_text(i, INFO_MAX, &text, err);
	if (rc == 0)
		rc = stream_info_parse(str_text(&text), text.len, &i->info, err);
	if (rc == 0)
		rc = next(i, err);
	if (rc > 0 && str_eq(i->ahead.path, STREAM_CONF) && (rc = read_definition(i, err)) == 0)
		rc = next(i, err);
	if (rc > 0 && i->info.since && str_eq(i->ahead.path, STREAM_REMOVED) &&
	    (rc = read_removed(i, err)) == 0)
		rc = next(i, err);
	return rc;
}

int import_open(struct import *i, const struct store *s, int fd, struct ng_err *err)
{
	i->s = s;
	i->m = stream_load(err);
	i->tar = i->m ? archive_load(err) : NULL;
	if (!i->tar)
		return -err->code;
	i->stream = i->m->open(fd, &i->archive);
	if (!i->stream)
		return err_sys(err, ENOMEM, "reading a stream");
	int rc = read_head(i, err);
	return rc < 0 ? rc : 0;
}

void import_done(struct import *i)
{
	if (i->stream)
		i->m->close(i->stream);
	stream_info_done(&i->info);
	strv_done(&i->removed);
	free(i->definition);
	*i = (struct import){0};
}

static void tell(struct import *i)
{
	i->read += S_ISREG(i->ahead.mode) ? (uint64_t)i->ahead.size : 0;
	if (i->s->progress)
		i->s->progress(i->s->note_arg, i->info.jail, i->read, i->info.bytes);
}

/* The name below STREAM_ROOT, without a slash at its end; NULL where it is not there. */
static const char *below_root(const char *path, struct str *out)
{
	size_t n = strlen(STREAM_ROOT), len = strlen(path);

	if (!str_prefix(path, STREAM_ROOT) || (path[n] != '\0' && path[n] != '/'))
		return NULL;
	if (len > n && path[len - 1] == '/')
		len--;
	out->len = 0;
	str_addn(out, path + n, len - n);
	return out->len > 0 ? out->s + 1 : "";
}

static int take_entry(struct import *i, struct unpack *u, struct ng_err *err)
{
	struct str path autodone(str_done) = {0}, link autodone(str_done) = {0};
	struct archive_file f = i->ahead;

	f.path = below_root(i->ahead.path, &path);
	if (!f.path)
		return err_set(err, EXDEV, "%.1024s: is not below " STREAM_ROOT " in the stream",
			       i->ahead.path);
	if (!*f.path && !S_ISDIR(f.mode))
		return err_set(err, EBADMSG, STREAM_ROOT " in the stream is not a folder");
	if (f.hard) {
		f.link = below_root(i->ahead.link, &link);
		if (!f.link)
			return err_set(
			    err, EXDEV,
			    "%.1024s: is a link to %.512s, which is not below " STREAM_ROOT
			    " in the stream",
			    i->ahead.path, i->ahead.link);
	}
	tell(i);
	return unpack_entry(u, &f);
}

static int take_all(struct import *i, struct unpack *u, struct ng_err *err)
{
	int rc = 0;

	if (!i->more)
		return err_set(err, EBADMSG, "the stream holds no files");
	if (!str_eq(i->ahead.path, STREAM_ROOT "/") && !str_eq(i->ahead.path, STREAM_ROOT))
		return err_set(err, EBADMSG, "%.1024s: is in the stream before " STREAM_ROOT,
			       i->ahead.path);
	while (rc == 0 && i->more) {
		rc = take_entry(i, u, err);
		if (rc == 0)
			rc = next(i, err);
		rc = rc > 0 ? 0 : rc;
	}
	return rc;
}

/* Changes fit the tree that they were taken of, and no other. */
static int prepare_changes(struct import *i, struct unpack *u, struct ng_err *err)
{
	char sum[STREAM_SUM_HEX];
	int rc = walk_sum(i->m, u->tree, sum, err);

	if (rc == 0 && !str_eq(sum, i->info.base))
		rc =
		    err_set(err, ESTALE,
			    "the stream tells what changed since %s@%s, but the files here are not "
			    "what they were then",
			    i->info.jail, i->info.since);
	for (size_t k = 0; k < i->removed.n && rc == 0; k++)
		rc = unpack_remove(u, i->removed.v[k]);
	return rc;
}

static int apply(struct import *i, int tree, struct ng_err *err)
{
	char sum[STREAM_SUM_HEX];
	autodone(unpack_done) struct unpack u = {
	    .module = i->tar,
	    .archive = i->archive,
	    .tree = tree,
	    .flags = UNPACK_STRICT | (i->info.since ? UNPACK_OVER : 0),
	    .err = err,
	};
	int rc = i->info.since ? prepare_changes(i, &u, err) : 0;

	if (rc == 0)
		rc = take_all(i, &u, err);
	/* What cannot be read explains what else seems wrong with it. */
	if (rc < 0)
		return *i->m->read_fault(i->stream) ? damaged(i, err) : rc;
	if (i->m->check(i->stream, sum) < 0)
		return damaged(i, err);
	return unpack_finish(&u);
}

struct chain {
	struct import *v;
	size_t n;
};

static int fill(void *arg, int tree, struct ng_err *err)
{
	struct chain *c = arg;
	int rc = 0;

	for (size_t i = 0; i < c->n && rc == 0; i++)
		rc = apply(&c->v[i], tree, err);
	const struct import *last = &c->v[c->n - 1];
	return rc == 0 && last->ready ? last->ready(last->ready_arg, err) : rc;
}

int import_jail(struct import *v, size_t n, struct store *s, const char *jail, const char *path,
		const char *hostname, struct ng_err *err)
{
	autodone(source_done) struct source src = SOURCE_NONE;
	struct chain c = {v, n};

	src.make = fill;
	src.make_arg = &c;
	int rc = clone_source(s, &src, v->info.jail, jail, path, hostname, err);
	return rc < 0 ? err_prefix(err, "importing %s", jail) : 0;
}

int import_folder(struct import *i, int folder, struct ng_err *err)
{
	return apply(i, folder, err);
}

static int change(void *arg, int tree, struct ng_err *err)
{
	return apply(arg, tree, err);
}

int import_changes(struct import *i, struct store *s, const char *jail, const char *snap,
		   struct ng_err *err)
{
	int rc = snapshot_change(s, jail, snap, change, i, err);

	return rc < 0 ? err_prefix(err, "importing %s", jail) : 0;
}
