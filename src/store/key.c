#include "store/key.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "store/copy.h"
#include "store/entry.h"
#include "store/stream-module.h"
#include "store/tools.h"
#include "sys/path.h"

/* Whatever of ours changes what every template gets makes other templates of the same things. */
#define FORMAT "newgate template 1"

struct sum {
	const struct stream_module *module;
	void *state;
};

static void sum_done(struct sum *s)
{
	char ignored[STREAM_SUM_HEX];

	if (s->state)
		s->module->sum_end(s->state, ignored);
}

static int sum_begin(struct sum *s, struct ng_err *err)
{
	s->module = stream_load(err);
	if (!s->module)
		return -err->code;
	s->state = s->module->sum_begin();
	return s->state ? 0 : err_sys(err, ENOMEM, "SHA-256");
}

static void sum_add(struct sum *s, const void *data, size_t len)
{
	s->module->sum_add(s->state, data, len);
}

/* With its NUL, so that no two lists of texts are alike. */
static void sum_text(struct sum *s, const char *text)
{
	sum_add(s, text, strlen(text) + 1);
}

static char *sum_end(struct sum *s)
{
	char hex[STREAM_SUM_HEX];

	s->module->sum_end(take_ptr(s->state), hex);
	return mem_strdup(hex);
}

static int sum_contents(struct sum *s, int fd, struct store *told, const char *what)
{
	autofree char *buf = mem_alloc(1 << 18);
	uint64_t done = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	for (ssize_t n; (n = read(fd, buf, 1 << 18)) != 0;) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		sum_add(s, buf, (size_t)n);
		done += (size_t)n;
		if (told && told->progress)
			told->progress(told->note_arg, what, done, (uint64_t)st.st_size);
	}
	return 0;
}

char *key_of_file(int dir, const char *path)
{
	autodone(sum_done) struct sum s = {0};
	struct ng_err ignored = {0};
	autoclose int fd = path_open_nolink(dir, path, O_RDONLY | O_NONBLOCK, 0);

	if (fd < 0 || sum_begin(&s, &ignored) < 0 || sum_contents(&s, fd, NULL, NULL) < 0)
		return NULL;
	return sum_end(&s);
}

/* Names, owners, modes, sizes and times: a folder is not read whole to see that it has not changed.
 */
static int sum_tree(struct sum *s, int dir, uint64_t mount)
{
	autodone(strv_done) struct strv names = {0};
	int rc = copy_names(dir, &names);

	strv_sort(&names);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		struct statx st;
		if (statx(dir, names.v[i], AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			  STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
			return -errno;
		bool inside = st.stx_mnt_id == mount;
		const uint64_t facts[] = {st.stx_mode,
					  inside ? st.stx_ino : 0,
					  inside ? st.stx_uid : 0,
					  inside ? st.stx_gid : 0,
					  inside && !S_ISDIR(st.stx_mode) ? st.stx_size : 0,
					  inside ? (uint64_t)st.stx_ctime.tv_sec : 0,
					  inside ? st.stx_ctime.tv_nsec : 0};
		sum_text(s, names.v[i]);
		sum_add(s, facts, sizeof(facts));
		if (!S_ISDIR(st.stx_mode) || !inside)
			continue;
		autoclose int sub =
		    openat(dir, names.v[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		rc = sub < 0 ? -errno : sum_tree(s, sub, mount);
		sum_text(s, "..");
	}
	return rc;
}

static int sum_dir(struct sum *s, int dir)
{
	struct statx st;

	if (statx(dir, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -errno;
	return sum_tree(s, dir, st.stx_mnt_id);
}

/* A path of the host: a folder, or a file. -ENOENT, without a text: nothing can be read there. */
static int sum_path(struct sum *s, struct store *told, const char *path, struct ng_err *err)
{
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -ENOENT;
	rc = S_ISDIR(st.st_mode) ? sum_dir(s, fd) : sum_contents(s, fd, told, path);
	return rc < 0 ? err_sys(err, rc, "reading %s", path) : 0;
}

static int sum_oci(struct sum *s, struct store *told, const char *layout, struct ng_err *err)
{
	autofree char *id = NULL;
	int rc = make_oci(told, layout, -1, NULL, &id, err);

	if (rc == 0)
		sum_text(s, id);
	return rc;
}

int key_make(struct store *s, const struct store_recipe *r, const char *base,
	     const struct entry *entry, char **key, struct ng_err *err)
{
	autodone(sum_done) struct sum sum = {0};
	int rc = sum_begin(&sum, err);

	if (rc < 0)
		return rc;
	sum_text(&sum, FORMAT);
	if (base) {
		/* What a template without a key holds, only its name can tell; and two that were made
		 * anew of the same, within one second, only theirs. */
		autofree char *made = NULL;
		if (asprintf(&made, "%s %s %lld", entry->key ? entry->key : r->from, base,
			     (long long)entry->made) < 0)
			return err_sys(err, ENOMEM, "key");
		sum_text(&sum, made);
	} else if (str_eq(r->from, "busybox")) {
		const char *path = NULL;
		autoclose int fd = busybox_find(&path, err);
		rc = fd < 0 ? fd : sum_contents(&sum, fd, NULL, NULL);
		if (rc < 0 && !err->code)
			err_sys(err, rc, "reading %s", path);
	} else if (str_prefix(r->from, "debian:")) {
		sum_text(&sum, r->from);
		sum_text(&sum, r->include ? r->include : "");
	} else if (str_prefix(r->from, "oci:")) {
		rc = sum_oci(&sum, s, r->from + strlen("oci:"), err);
	} else {
		/* The same files make another template where they are a folder, and not its archive. */
		rc = sum_path(&sum, s, r->from, err);
	}
	if (rc == -ENOENT && !err->code)
		return 0; /* who is to read it will say so */
	if (rc < 0)
		return rc;
	sum_text(&sum, r->script ? "script" : "");
	sum_text(&sum, r->script ? r->script : "");
	*key = sum_end(&sum);
	return 0;
}
