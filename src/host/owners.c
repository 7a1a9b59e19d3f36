#include "host/owners.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/num.h"
#include "store/copy.h"
#include "store/links.h"
#include "sys/fd.h"
#include "sys/path.h"

#define FILE_MAX (256 * 1024)

void owners_done(struct owners *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].jail);
		free(o->v[i].name);
	}
	free(o->v);
	*o = (struct owners){0};
}

static void add(struct owners *o, const char *jail, bool group, uint32_t id, const char *name)
{
	o->v = mem_grow(o->v, o->n, sizeof(*o->v));
	o->v[o->n++] = (struct owner){mem_strdup(jail), mem_strdup(name), group, id};
}

/* The name is the first field of either, the number the third. */
void owners_add(struct owners *o, const char *jail, bool group, const char *text)
{
	autodone(strv_done) struct strv lines = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		char *rest = lines.v[i], *name = strsep(&rest, ":");
		uint32_t id;

		strsep(&rest, ":");
		const char *number = strsep(&rest, ":");
		if (number && *name && !strpbrk(name, " \t") &&
		    num_u32(number, 0, UINT32_MAX - 1, &id) == 0)
			add(o, jail, group, id, name);
	}
}

static int read_file(int tree, const char *path, char *buf, struct ng_err *err)
{
	autoclose int fd = path_open(tree, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, fd < 0 ? fd : errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s: not a regular file", path);
	for (ssize_t n; (n = read(fd, buf + len, FILE_MAX - 1 - len)) != 0; len += (size_t)n) {
		if (n < 0)
			return err_sys(err, errno, "%s", path);
		if (len + (size_t)n == FILE_MAX - 1)
			return err_set(err, EFBIG, "%s: too large", path);
	}
	buf[len] = '\0';
	return 0;
}

int owners_of_tree(const struct store *s, const char *tree, const char *jail, struct owners *out,
		   struct ng_err *err)
{
	static const char *const files[] = {"etc/passwd", "etc/group"};
	autodone(store_view_done) struct store_view view = STORE_VIEW_NONE;
	autofree char *buf = mem_alloc(FILE_MAX);
	int rc = store_view(s, tree, NULL, &view, err);

	for (size_t i = 0; i < ARRAY_SIZE(files) && rc == 0; i++) {
		rc = read_file(view.root, files[i], buf, err);
		if (rc == 0)
			owners_add(out, jail, i == 1, buf);
	}
	return rc < 0 ? err_prefix(err, "jail %s", tree) : 0;
}

int owners_of_trees(const struct store *s, struct owners *out, struct ng_err *err)
{
	int rc = 0;

	for (size_t i = 0; host_all_jails[i] && rc == 0; i++)
		if (store_has_jail(s, host_all_jails[i]))
			rc = owners_of_tree(s, host_all_jails[i], host_all_jails[i], out, err);
	return rc;
}

void owners_format(struct str *out, const struct owners *o)
{
	for (size_t i = 0; i < o->n; i++)
		str_addf(out, "%s %s %u %s\n", o->v[i].jail, o->v[i].group ? "group" : "user",
			 o->v[i].id, o->v[i].name);
}

int owners_parse(const char *text, struct owners *out, struct ng_err *err)
{
	autodone(strv_done) struct strv lines = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		autodone(strv_done) struct strv word = {0};
		uint32_t id;

		strv_split(&word, lines.v[i], " ");
		bool group = word.n == 4 && str_eq(word.v[1], "group");
		if (word.n != 4 || (!group && !str_eq(word.v[1], "user")) ||
		    num_u32(word.v[2], 0, UINT32_MAX - 1, &id) < 0)
			return err_set(err, EBADMSG, "owners: \"%.100s\" makes no sense",
				       lines.v[i]);
		add(out, word.v[0], group, id, word.v[3]);
	}
	return 0;
}

uint32_t owners_now(const struct owners *from, const struct owners *to, const char *jail,
		    bool group, uint32_t id)
{
	const char *name = NULL;

	for (size_t i = 0; i < from->n && !name; i++)
		if (from->v[i].group == group && from->v[i].id == id &&
		    str_eq(from->v[i].jail, jail))
			name = from->v[i].name;
	for (size_t i = 0; i < to->n && name; i++)
		if (to->v[i].group == group && str_eq(to->v[i].name, name) &&
		    str_eq(to->v[i].jail, jail))
			return to->v[i].id;
	return id;
}

const struct owner *owners_moved(const struct owners *from, const struct owners *to,
				 const char *jail)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct owner *o = &from->v[i];

		if (str_eq(o->jail, jail) && owners_now(from, to, jail, o->group, o->id) != o->id)
			return o;
	}
	return NULL;
}

struct change {
	const char *jail;
	const struct owners *from, *to;
	struct links links;
	struct ng_err *err;
};

static int change_one(struct change *c, int dir, const char *name, struct stat *st)
{
	if (fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0)
		return err_sys(c->err, errno, "%s", name);
	/* By another name it was changed already. */
	if (st->st_nlink > 1 && !S_ISDIR(st->st_mode) &&
	    links_first(&c->links, st->st_dev, st->st_ino, name))
		return 0;
	uid_t uid = owners_now(c->from, c->to, c->jail, false, st->st_uid);
	gid_t gid = owners_now(c->from, c->to, c->jail, true, st->st_gid);
	/* A folder's mode survives; of files, a new owner takes setuid and setgid away. */
	if ((uid != st->st_uid || gid != st->st_gid) &&
	    (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 ||
	     (S_ISREG(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0)))
		return err_sys(c->err, errno, "%s", name);
	return 0;
}

static int change_below(struct change *c, int folder)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(folder, &names);

	if (rc < 0)
		return err_sys(c->err, rc, "reading a folder");
	for (size_t i = 0; i < names.n && rc == 0; i++) {
		struct stat st;

		rc = change_one(c, folder, names.v[i], &st);
		if (rc < 0 || !S_ISDIR(st.st_mode))
			continue;
		autoclose int fd =
		    openat(folder, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		rc = fd < 0 ? err_sys(c->err, errno, "%s", names.v[i]) : change_below(c, fd);
		if (rc < 0)
			err_prefix(c->err, "%s", names.v[i]);
	}
	return rc;
}

int owners_change(int folder, const char *jail, const struct owners *from, const struct owners *to,
		  struct ng_err *err)
{
	struct change c = {.jail = jail, .from = from, .to = to, .err = err};
	struct stat st;
	int rc = change_one(&c, folder, "", &st);

	if (rc == 0)
		rc = change_below(&c, folder);
	links_done(&c.links);
	return rc;
}
