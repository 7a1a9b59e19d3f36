/* Marks in the layers of images: ".wh.NAME" takes away what earlier layers left under NAME,
 * ".wh..wh..opq" all that they left in its folder. What the same layer makes stays, whichever comes
 * first (OCI image specification, layer.md). */
#include <fcntl.h>
#include <string.h>
#include "base/str.h"
#include "store/copy.h"
#include "store/unpack.h"
#include "sys/path.h"

#define MARK ".wh."
#define OPAQUE ".wh..wh..opq"
#define MARKS_OWN ".wh..wh." /* of the file system that these marks come from, nothing to us */

/* "./a//b/" is "a/b". */
static void plain_name(struct str *out, const char *path)
{
	char name[NAME_MAX + 1];

	while (unpack_component(&path, name) > 0)
		str_addf(out, "%s%s", out->len > 0 ? "/" : "", name);
}

void layer_made(struct unpack *u, const char *path)
{
	autodone(str_done) struct str plain = {0};

	plain_name(&plain, path);
	for (size_t n = plain.len; n > 0;) {
		if (map_get(&u->made, plain.s, n))
			return;
		map_put(&u->made, arena_strndup(&u->arena, plain.s, n), n, 1);
		while (n > 0 && plain.s[n - 1] != '/')
			n--;
		n -= n > 0;
	}
}

static int clear(struct unpack *u, int dir, struct str *path);

static int take_away(struct unpack *u, int dir, const char *name, struct str *path)
{
	if (!map_get(&u->made, path->s, path->len)) {
		int rc = path_remove_tree(dir, name);
		return rc == -ENOENT ? 0 : rc;
	}
	autoclose int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0)
		return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : -errno;
	return clear(u, sub, path);
}

/* All but what this layer made. */
static int clear(struct unpack *u, int dir, struct str *path)
{
	autodone(strv_done) struct strv names = {0};
	size_t here = path->len;
	int rc = copy_names(dir, &names);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		str_addf(path, "%s%s", here > 0 ? "/" : "", names.v[i]);
		rc = take_away(u, dir, names.v[i], path);
		path->len = here;
		path->s[here] = '\0';
	}
	return rc;
}

int layer_whiteout(struct unpack *u, const char *path)
{
	autodone(str_done) struct str plain = {0};
	char last[NAME_MAX + 1];

	plain_name(&plain, path);
	const char *base = plain.len > 0 ? strrchr(plain.s, '/') : NULL;
	base = base ? base + 1 : str_text(&plain);
	if (!str_prefix(base, MARK))
		return 0;
	bool opaque = str_eq(base, OPAQUE);
	const char *name = base + strlen(MARK);
	if (str_prefix(base, MARKS_OWN) && !opaque)
		return 1;
	if (*name == '\0' || str_eq(name, ".") || str_eq(name, ".."))
		return -EXDEV;
	autoclose int dir = unpack_open_folder(u, path, opaque, last);
	if (dir < 0)
		return dir == -ENOENT ? 1 : dir;
	autodone(str_done) struct str about = {0};
	size_t folder = (size_t)(base - plain.s);
	str_addn(&about, plain.s, folder > 0 ? folder - 1 : 0);
	if (!opaque)
		str_addf(&about, "%s%s", folder > 0 ? "/" : "", name);
	int rc = opaque ? clear(u, dir, &about) : take_away(u, dir, name, &about);
	return rc < 0 ? rc : 1;
}
