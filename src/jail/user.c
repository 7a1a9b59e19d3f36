/* passwd(5) and group(5) of somebody else's tree: its owner may have put anything there. Files are
 * opened without leaving the tree, must be regular, and are read to a bound; the name service of
 * the host has no part in it. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/num.h"
#include "jail/attach.h"
#include "sys/path.h"

#define TREE_FILE_MAX (4 << 20)
#define ID_MAX_INSIDE (SLOT_IDS - 1) /* what the jail's user namespace maps */

/* The whole file, NUL-terminated; the caller frees. -ENOENT, of which err says nothing: there is
 * none. */
static int read_tree_file(int root, const char *path, char **out, struct ng_err *err)
{
	autofree char *text = NULL;
	autoclose int fd = path_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;
	size_t have = 0;

	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		return err_sys(err, fd, "%s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s: not a regular file", path);
	if (st.st_size > TREE_FILE_MAX)
		return err_set(err, EFBIG, "%s: larger than %d bytes", path, TREE_FILE_MAX);
	text = mem_alloc((size_t)st.st_size + 1);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);

		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "%s", path);
		if (n == 0)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	text[have] = '\0';
	*out = take_ptr(text);
	return 0;
}

/* Cuts "a:b:c" into fields; how many there are, at most max. */
static size_t split_fields(char *line, char **field, size_t max)
{
	size_t n = 0;

	for (char *p = line; p && n < max;)
		field[n++] = strsep(&p, ":");
	return n;
}

static int copy_field(char *to, size_t size, const char *from, const char *what, const char *user,
		      struct ng_err *err)
{
	if (strlen(from) >= size)
		return err_set(err, ENAMETOOLONG, "%s of user %s is longer than %zu bytes", what,
			       user, size - 1);
	memcpy(to, from, strlen(from) + 1);
	return 0;
}

static int take_passwd(char **f, struct jail_user *out, struct ng_err *err)
{
	int r = 0;

	if (num_u32(f[2], 0, ID_MAX_INSIDE, &out->uid) < 0 ||
	    num_u32(f[3], 0, ID_MAX_INSIDE, &out->gid) < 0)
		return err_set(err, EINVAL,
			       "/etc/passwd: %s has ids %s:%s; a jail's go from 0 to %u", f[0],
			       f[2], f[3], ID_MAX_INSIDE);
	r = copy_field(out->name, sizeof(out->name), f[0], "the name", f[0], err);
	if (r == 0)
		r = copy_field(out->home, sizeof(out->home), f[5], "the home", f[0], err);
	if (r == 0)
		r = copy_field(out->shell, sizeof(out->shell), *f[6] ? f[6] : "/bin/sh",
			       "the shell", f[0], err);
	return r;
}

/* A number that is no name is a user's, with an entry or without one. */
static int find_passwd(char *text, const char *name, struct jail_user *out, struct ng_err *err)
{
	autofree char *again = mem_strdup(text ? text : "");
	uint32_t uid = 0;

	for (char *line = NULL; (line = strsep(&text, "\n"));) {
		char *f[7];

		if (split_fields(line, f, 7) == 7 && str_eq(f[0], name))
			return take_passwd(f, out, err);
	}
	if (num_u32(name, 0, ID_MAX_INSIDE, &uid) < 0)
		return err_set(err, ENOENT, "%s: no such user", name);
	for (char *rest = again, *line = NULL; (line = strsep(&rest, "\n"));) {
		char *f[7];

		if (split_fields(line, f, 7) == 7 && str_eq(f[2], name))
			return take_passwd(f, out, err);
	}
	*out = (struct jail_user){.uid = uid, .home = "/", .shell = "/bin/sh"};
	return copy_field(out->name, sizeof(out->name), name, "the name", name, err);
}

/* "USER:GROUP": that group, by name or number, instead of the user's own. */
static int find_group(char *text, const char *name, uint32_t *gid, struct ng_err *err)
{
	for (char *line = NULL; (line = strsep(&text, "\n"));) {
		char *f[4];

		if (split_fields(line, f, 4) == 4 && str_eq(f[0], name) &&
		    num_u32(f[2], 0, ID_MAX_INSIDE, gid) == 0)
			return 0;
	}
	return num_u32(name, 0, ID_MAX_INSIDE, gid) == 0
		   ? 0
		   : err_set(err, ENOENT, "%s: no such group", name);
}

static bool is_member(char *members, const char *name)
{
	for (char *m = NULL; (m = strsep(&members, ","));)
		if (str_eq(m, name))
			return true;
	return false;
}

/* The user's own group comes first, as initgroups(3) has it. */
static int find_groups(char *text, struct jail_user *u, struct ng_err *err)
{
	for (char *line = NULL; (line = strsep(&text, "\n"));) {
		char *f[4];
		uint32_t gid = 0;

		if (split_fields(line, f, 4) != 4 || num_u32(f[2], 0, ID_MAX_INSIDE, &gid) < 0 ||
		    gid == u->gid || !is_member(f[3], u->name))
			continue;
		if (u->ngroups == ARRAY_SIZE(u->groups))
			return err_set(err, E2BIG, "/etc/group: %s is in more than %zu groups",
				       u->name, ARRAY_SIZE(u->groups));
		u->groups[u->ngroups++] = gid;
	}
	return 0;
}

/* A root with nothing but a program in it has a root user all the same. */
static bool plain_root(const char *name, struct jail_user *out)
{
	if (!str_eq(name, "root"))
		return false;
	*out = (struct jail_user){.ngroups = 1, .name = "root", .home = "/", .shell = "/bin/sh"};
	return true;
}

static int lookup_plain(int root, const char *name, struct jail_user *out, struct ng_err *err)
{
	autofree char *passwd = NULL;
	int r = read_tree_file(root, "/etc/passwd", &passwd, err);

	if (r == -ENOENT && plain_root(name, out))
		return 0;
	if (r == -ENOENT && name[strspn(name, "0123456789")] != '\0')
		return err_set(err, ENOENT, "%s: no such user: the jail has no /etc/passwd", name);
	return r < 0 && r != -ENOENT ? r : find_passwd(passwd, name, out, err);
}

int user_lookup(int root, const char *name, struct jail_user *out, struct ng_err *err)
{
	autofree char *group = NULL, *again = NULL;
	size_t len = strcspn(name, ":");
	autofree char *user = mem_strndup(name, len);

	*out = (struct jail_user){0};
	int r = lookup_plain(root, user, out, err);
	if (r < 0)
		return r;
	out->ngroups = 0;
	r = read_tree_file(root, "/etc/group", &group, err);
	if (r < 0 && r != -ENOENT)
		return r;
	again = mem_strdup(group ? group : "");
	if (name[len] == ':' && find_group(again, name + len + 1, &out->gid, err) < 0)
		return -err->code;
	out->groups[out->ngroups++] = out->gid;
	return group ? find_groups(group, out, err) : 0;
}

static int take_host(const struct passwd *pw, struct jail_user *out, struct ng_err *err)
{
	gid_t groups[ARRAY_SIZE(out->groups)];
	int n = ARRAY_SIZE(groups);

	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
		return err_set(err, E2BIG, "%s is in more than %zu groups", pw->pw_name,
			       ARRAY_SIZE(groups));
	/* Of the host's groups only those can be meant that a jail has, too. */
	for (int i = 0; i < n; i++)
		if (groups[i] <= ID_MAX_INSIDE)
			out->groups[out->ngroups++] = groups[i];
	return 0;
}

int user_lookup_host(const char *name, struct jail_user *out, struct ng_err *err)
{
	const struct passwd *pw = NULL;
	int r = 0;

	*out = (struct jail_user){0};
	errno = 0;
	pw = getpwnam(name);
	if (!pw && errno && errno != ENOENT && errno != ESRCH)
		return err_sys(err, errno, "getpwnam: %s", name);
	if (!pw)
		return err_set(err, ENOENT, "%s: no such user", name);
	if (pw->pw_uid > ID_MAX_INSIDE || pw->pw_gid > ID_MAX_INSIDE)
		return err_set(err, EINVAL,
			       "%s has ids %u:%u on the host; a jail's go from 0 to %u", name,
			       pw->pw_uid, pw->pw_gid, ID_MAX_INSIDE);
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	r = copy_field(out->name, sizeof(out->name), pw->pw_name, "the name", name, err);
	if (r == 0)
		r = copy_field(out->home, sizeof(out->home), pw->pw_dir, "the home", name, err);
	if (r == 0)
		r = copy_field(out->shell, sizeof(out->shell),
			       *pw->pw_shell ? pw->pw_shell : "/bin/sh", "the shell", name, err);
	return r < 0 ? r : take_host(pw, out, err);
}

void clean_env(struct strv *env, const struct jail_user *u)
{
	const char *term = getenv("TERM");

	if (term)
		strv_addf(env, "TERM=%s", term);
	strv_addf(env, "HOME=%s", u->home);
	strv_addf(env, "SHELL=%s", u->shell);
	strv_addf(env, "USER=%s", u->name);
	strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}
