/* Making versions of templates. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "store/backend.h"
#include "store/identity.h"
#include "store/key.h"
#include "store/measure.h"
#include "store/stage.h"
#include "store/tools.h"
#include "store/version.h"
#include "sys/fd.h"

#define SCRIPT "script"     /* beside the tree: what made it */
#define DEFAULTS "defaults" /* and what its clones' blocks begin with */
#define PACKAGES "var/lib/dpkg/status"
/* A jail for a script is at STORE/roots/.build_VERSION, which no other jail's path can be. */
#define BUILD_ROOT "/.build_"

/* One version on its way. */
struct build {
	struct store *s;
	const char *name; /* of the version: its folder */
	const struct store_recipe *r;
	char *base; /* the version that r->from names, where it is a template */
	char *like; /* a version that was made of the same */
	char *key;
	char *jail, *path; /* for the script */
	struct str defaults;
	struct stage st;
	struct thing t;
};
#define BUILD_NONE .st = STAGE_NONE, .t = THING_NONE

static void build_done(struct build *b)
{
	free(b->base);
	free(b->like);
	free(b->key);
	free(b->jail);
	free(b->path);
	str_done(&b->defaults);
	thing_done(&b->t);
	stage_done(&b->st);
}

void store_made_done(struct store_made *m)
{
	free(m->name);
	free(m->from);
	free(m->like);
	*m = (struct store_made){0};
}

/* A text file beside a template's tree; NULL where there is none. */
static char *read_beside(const struct store *s, const char *folder, const char *file)
{
	autofree char *path = NULL;
	autofree char *text = NULL;
	size_t len;

	if (asprintf(&path, "%s/templates/%s/%s", s->dir, folder, file) < 0 ||
	    file_read(path, &text, &len) < 0)
		return NULL;
	return take_ptr(text);
}

char *store_template_defaults(const struct store *s, const char *name)
{
	autofree char *folder = NULL;

	return version_resolve(s, name, &folder) < 0 ? NULL : read_beside(s, folder, DEFAULTS);
}

static int write_beside(int dir, const char *file, const char *text, struct ng_err *err)
{
	if (!text || !*text)
		return 0;
	autoclose int fd = openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
	return rc < 0 ? err_sys(err, rc, "writing %s", file) : 0;
}

/* ---- what was made before ---- */

struct likeness {
	const char *key, *newest;
	char *name;
};

static void note_like(void *arg, const char *name, struct entry *e)
{
	struct likeness *l = arg;
	bool newest = l->newest && str_eq(name, l->newest);

	if (!e->key || !str_eq(e->key, l->key) || (l->name && !newest))
		return;
	free(l->name);
	l->name = mem_strdup(name);
}

/* The version before is the first to be thought of. */
static int find_like(struct build *b, const char *newest, struct ng_err *err)
{
	struct likeness l = {.key = b->key, .newest = newest};

	if (!b->key || b->r->fresh)
		return 0;
	int rc = store_each(b->s, STORE_TEMPLATES, note_like, &l);
	b->like = l.name;
	return rc < 0 ? err_sys(err, rc, "%s/templates", b->s->dir) : 0;
}

/* A word without a slash that is a template's name. */
static int find_base(struct build *b, struct ng_err *err)
{
	const char *from = b->r->from;
	int rc = strchr(from, '/') ? -ENOENT : version_resolve(b->s, from, &b->base);

	if (rc < 0 && rc != -ENOENT)
		return err_sys(err, rc, "template %s", from);
	if (b->r->script && !b->base)
		return err_set(
		    err, EINVAL,
		    "--run: it runs in a jail made from a template, and %s is none: make "
		    "one of that first",
		    from);
	if (b->r->include && !str_prefix(from, "debian:"))
		return err_set(err, EINVAL, "--include is for --from debian:SUITE");
	return 0;
}

static int find_key(struct build *b, struct ng_err *err)
{
	autodone(thing_done) struct thing base = THING_NONE;
	int rc = b->base ? thing_open(b->s, STORE_TEMPLATES, b->base, &base, err) : 0;

	return rc < 0 ? rc : key_make(b->s, b->r, b->base, b->base ? &base.e : NULL, &b->key, err);
}

/* ---- the tree ---- */

/* The stage as a clone of a version or of a jail, or with an empty tree; what may be written of it.
 */
static int fill(struct build *b, const struct source *src, struct ng_err *err)
{
	int rc = stage_thing(&b->st, &b->t, err);

	if (rc < 0)
		return rc;
	b->t.e = (struct entry){
	    .from = mem_strdup(b->base ? b->base : b->r->from),
	    .include = b->r->include ? mem_strdup(b->r->include) : NULL,
	    .key = b->key ? mem_strdup(b->key) : NULL,
	    .made = time(NULL),
	};
	rc = backend_choose(src, &b->t, err);
	if (rc < 0)
		return rc;
	rc = entry_write(b->t.dir, store_kind_file(STORE_TEMPLATES), &b->t.e);
	if (rc < 0)
		return err_sys(err, rc, "writing to %s/templates", b->s->dir);
	return b->t.b->fill(src, &b->t, err);
}

static void add_defaults(struct build *b, const char *folder)
{
	autofree char *text = read_beside(b->s, folder, DEFAULTS);

	str_add(&b->defaults, text ? text : "");
}

/* The whole tree is there; of an overlay's only what differs from the layers below. */
static int finish(struct build *b, int tree, int layer, struct ng_err *err)
{
	struct thing *t = &b->t;
	bool layered = t->b == &backend_overlay;
	int rc = layered ? identity_remove(tree, layer, err) : finish_template(tree, err);

	if (rc == 0)
		rc = write_beside(t->dir, DEFAULTS, str_text(&b->defaults), err);
	if (rc == 0)
		rc = write_beside(t->dir, SCRIPT, b->r->script, err);
	if (rc < 0)
		return rc;
	rc = measure_tree(tree, &t->e.bytes, NULL);
	if (rc == 0)
		rc = entry_write(t->dir, store_kind_file(STORE_TEMPLATES), &t->e);
	/* The name must not reach the disk before what it names. */
	if (rc == 0 && syncfs(tree) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "writing to disk") : 0;
}

static int from_version(struct build *b, const char *version, struct ng_err *err)
{
	autodone(source_done) struct source src = SOURCE_NONE;
	int rc = source_template(b->s, version, &src, err);

	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, ENOENT, "template %s is gone", version);
	add_defaults(b, version);
	autoclose int tree = fill(b, &src, err);
	return tree < 0 ? tree : finish(b, tree, src.layer, err);
}

static int from_jail(struct build *b, struct ng_err *err)
{
	autodone(source_done) struct source src = SOURCE_NONE;
	int rc = source_find(b->s, b->jail, &src, err);

	if (rc < 0)
		return rc;
	/* It must not need the jail, which goes. */
	src.full = src.volume != NULL;
	add_defaults(b, b->base);
	autoclose int tree = fill(b, &src, err);
	return tree < 0 ? tree : finish(b, tree, src.layer, err);
}

static int from_elsewhere(struct build *b, struct ng_err *err)
{
	autofree char *path = NULL;
	autoclose int tree = fill(b, NULL, err);

	if (tree < 0)
		return tree;
	if (asprintf(&path, "%s/%s/.partial/%s/root", b->s->dir, store_kind_dir(STORE_TEMPLATES),
		     b->name) < 0)
		return err_sys(err, ENOMEM, "path");
	int rc = make_tree(b->s, b->r, tree, path, &b->defaults, err);
	return rc < 0 ? rc : finish(b, tree, -1, err);
}

/* ---- the jail for a script ---- */

static void name_jail(struct build *b)
{
	autodone(str_done) struct str path = {0};
	autodone(str_done) struct str jail = {0};

	str_addf(&path, "%s/%s" BUILD_ROOT "%s", b->s->dir, store_kind_dir(STORE_ROOTS), b->name);
	str_add(&jail, "build_");
	for (const char *p = b->name; *p; p++)
		str_addc(&jail, strchr("@.*+:", *p) ? '_' : *p);
	b->path = str_take(&path);
	b->jail = str_take(&jail);
}

static int end_jail(struct store *s, const struct store_recipe *r, const char *jail,
		    const char *path, struct ng_err *err)
{
	int rc = r->run(r->run_arg, jail, path, NULL, err);

	return rc < 0 ? rc : store_destroy(s, jail, path, err);
}

struct leftover {
	struct strv jail, path;
	const char *root;
};

static void note_leftover(void *arg, const char *name, struct entry *e)
{
	struct leftover *l = arg;

	if (!e->path || !str_prefix(e->path, l->root))
		return;
	strv_add(&l->jail, name);
	strv_add(&l->path, e->path);
}

/* Ends the jails that killed builds left. Who builds a version holds its stage. */
static int sweep(struct store *s, const struct store_recipe *r, struct ng_err *err)
{
	autodone(strv_done) struct strv jail = {0}, path = {0};
	autodone(str_done) struct str root = {0};
	struct leftover l = {0};

	if (!r->run)
		return 0;
	str_addf(&root, "%s/%s" BUILD_ROOT, s->dir, store_kind_dir(STORE_ROOTS));
	l.root = root.s;
	int rc = store_each(s, STORE_JAILS, note_leftover, &l);
	jail = l.jail;
	path = l.path;
	if (rc < 0)
		return err_sys(err, rc, "%s/jails", s->dir);
	for (size_t i = 0; i < jail.n; i++) {
		autodone(stage_done) struct stage st = STAGE_NONE;
		struct ng_err ignored = {0};
		rc = stage_begin(s, STORE_TEMPLATES, path.v[i] + root.len, &st, &ignored);
		if (rc == 0)
			rc = end_jail(s, r, jail.v[i], path.v[i], err);
		if (rc < 0 && err->code)
			return err_prefix(err, "ending jail %s of a build that was killed",
					  jail.v[i]);
	}
	return 0;
}

static int from_script(struct build *b, struct ng_err *err)
{
	struct ng_err after = {0};

	name_jail(b);
	int rc = store_clone(b->s, b->base, b->jail, b->path, NULL, err);
	if (rc < 0)
		return rc;
	rc = b->r->run(b->r->run_arg, b->jail, b->path, b->r->script, err);
	if (rc == 0)
		rc = from_jail(b, err);
	int ended = end_jail(b->s, b->r, b->jail, b->path, &after);
	if (rc == 0 && ended < 0)
		*err = after;
	return rc < 0 ? rc : ended;
}

/* ---- all of it ---- */

static int make_version(struct build *b, struct ng_err *err)
{
	if (b->like)
		return from_version(b, b->like, err);
	if (b->r->script)
		return from_script(b, err);
	return b->base ? from_version(b, b->base, err) : from_elsewhere(b, err);
}

static int commit(struct build *b, struct ng_err *err)
{
	int rc = stage_commit(&b->st);

	if (rc < 0)
		return err_sys(err, rc, "%s/templates/%s", b->s->dir, b->name);
	return b->t.b->place ? b->t.b->place(&b->t, err) : 0;
}

/* Did mmdebstrap find the very packages that version `other` has? */
static bool same_packages(struct build *b, const char *other)
{
	autodone(source_done) struct source was = SOURCE_NONE;
	struct ng_err ignored = {0};
	autoclose int root = openat(b->t.dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || source_template(b->s, other, &was, &ignored) <= 0)
		return false;
	autofree char *now = key_of_file(root, PACKAGES);
	autofree char *then = key_of_file(was.tree, PACKAGES);
	return now && then && str_eq(now, then);
}

/* `newest`: the version before, or NULL. */
static int make(struct build *b, const char *newest, struct store_made *out, struct ng_err *err)
{
	int rc = sweep(b->s, b->r, err);

	if (rc == 0)
		rc = find_base(b, err);
	if (rc == 0)
		rc = find_key(b, err);
	if (rc == 0)
		rc = find_like(b, newest, err);
	if (rc < 0)
		return rc;
	out->from = mem_strdup(b->base ? b->base : b->r->from);
	out->same = newest && b->like && str_eq(b->like, newest);
	if (out->same)
		return 0;
	rc = stage_begin(b->s, STORE_TEMPLATES, b->name, &b->st, err);
	if (rc < 0)
		return rc;
	autoclose int there = store_open_entry(b->s, STORE_TEMPLATES, b->name);
	if (there >= 0)
		return err_set(err, EEXIST,
			       "it exists already: newgate template update makes a new version, "
			       "newgate template destroy %s removes it",
			       b->name);
	rc = make_version(b, err);
	if (rc < 0)
		return rc;
	out->same = newest && str_prefix(b->r->from, "debian:") && same_packages(b, newest);
	if (out->same)
		return 0;
	rc = commit(b, err);
	if (rc == 0)
		out->like = take_ptr(b->like);
	return rc;
}

static int check_recipe(const char *name, const struct store_recipe *r, struct ng_err *err)
{
	size_t len;

	if (version_of(name, &len) != 1 || name[len] != '\0')
		return err_set(err, EINVAL,
			       "a number behind @ is a version's, which newgate template update "
			       "gives");
	if (strchr(r->from, '\n')) /* it could not stand in a line of meta */
		return err_set(err, EINVAL, "--from: a name with a line break");
	return 0;
}

/* What is kept of a path must mean the same when it is read again. */
static char *absolute(const char *from)
{
	autodone(str_done) struct str b = {0};
	const char *path = str_prefix(from, "oci:") ? from + strlen("oci:") : from;
	autofree char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	struct stat st;

	if (!cwd || str_prefix(from, "debian:") || (path == from && stat(path, &st) < 0))
		return mem_strdup(from);
	str_addn(&b, from, (size_t)(path - from));
	str_addf(&b, "%s/%s", cwd, path);
	return str_take(&b);
}

int store_template_make(struct store *s, const char *name, const struct store_recipe *r,
			struct store_made *out, struct ng_err *err)
{
	struct store_recipe kept = *r;
	autodone(build_done) struct build b = {.s = s, .name = name, .r = &kept, BUILD_NONE};
	unsigned newest = 0;
	*out = (struct store_made){0};
	int rc = store_check_name(STORE_TEMPLATES, name, err);

	if (rc == 0)
		rc = check_recipe(name, r, err);
	if (rc < 0)
		return rc;
	rc = version_newest(s, name, &newest);
	if (rc < 0)
		return err_sys(err, rc, "%s/templates", s->dir);
	if (newest > 0)
		return err_set(err, EEXIST,
			       "template %s: it exists already: newgate template update %s makes a "
			       "new version, newgate template destroy %s removes it",
			       name, name, name);
	bool template = !strchr(r->from, '/') && store_has_template(s, r->from);
	autofree char *from = template ? mem_strdup(r->from) : absolute(r->from);
	kept.from = str_eq(from, "busybox") || template ? r->from : from;
	rc = make(&b, NULL, out, err);
	if (rc < 0)
		return err_prefix(err, "template %s", name);
	out->name = mem_strdup(name);
	return 0;
}

int store_template_create(struct store *s, const char *name, const char *from, struct ng_err *err)
{
	const struct store_recipe r = {.from = from};
	autodone(store_made_done) struct store_made made = {0};

	return store_template_make(s, name, &r, &made, err);
}

/* What the newest version was made of, as far as `r` says nothing else. */
static int repeat(struct store *s, const char *newest, const struct entry *e,
		  const struct store_recipe *r, struct store_recipe *out, char **script,
		  char **from, struct ng_err *err)
{
	*out = *r;
	out->include = NULL;
	*script = r->script ? mem_strdup(r->script) : read_beside(s, newest, SCRIPT);
	out->script = *script;
	if (!e->from)
		return err_set(err, EBADMSG, "%s does not tell what it was made of", newest);
	if (r->script && !r->again) {
		*from = mem_strdup(newest);
	} else if (*script) {
		/* Again, in what the template below has become meanwhile. */
		size_t len;
		version_of(e->from, &len);
		*from = mem_strndup(e->from, len);
	} else {
		*from = mem_strdup(e->from);
		out->include = r->include ? r->include : e->include;
		out->fresh = out->fresh || str_prefix(e->from, "debian:");
	}
	out->from = *from;
	return 0;
}

static int update(struct store *s, const char *name, const struct store_recipe *r,
		  struct store_made *out, struct ng_err *err)
{
	autodone(thing_done) struct thing t = THING_NONE;
	autofree char *script = NULL, *from = NULL, *newest = NULL, *next = NULL;
	struct store_recipe again;
	unsigned number = 0;
	size_t len;
	int rc = version_newest(s, name, &number);

	version_of(name, &len);
	if (rc < 0)
		return err_sys(err, rc, "%s/templates", s->dir);
	if (name[len] != '\0')
		return err_set(err, EINVAL, "a version stays as it is: update %.*s", (int)len,
			       name);
	if (number == 0)
		return err_set(err, ENOENT, "there is no such template (newgate template list)");
	newest = version_folder(name, number);
	next = version_folder(name, number + 1);
	rc = thing_open(s, STORE_TEMPLATES, newest, &t, err);
	if (rc == 0)
		rc = repeat(s, newest, &t.e, r, &again, &script, &from, err);
	if (rc < 0)
		return rc;
	autodone(build_done) struct build b = {.s = s, .name = next, .r = &again, BUILD_NONE};
	rc = make(&b, newest, out, err);
	if (rc == 0)
		out->name = out->same ? take_ptr(newest) : take_ptr(next);
	return rc;
}

int store_template_update(struct store *s, const char *name, const struct store_recipe *r,
			  struct store_made *out, struct ng_err *err)
{
	*out = (struct store_made){0};
	int rc = update(s, name, r, out, err);
	return rc < 0 ? err_prefix(err, "template %s", name) : 0;
}
