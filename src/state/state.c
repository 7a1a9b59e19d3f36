#include "state/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "sys/fd.h"

#define RUN_DIR "/run/newgate"

/* What nobody but root may open is not for others to lock either, and to wait for them. */
static const struct {
	const char *name;
	mode_t mode;
} folders[] = {{"jails", 0755}, {"jids", 0755},  {"slots", 0755},
	       {"ctl", 0700},   {"locks", 0700}, {"failed", 0755}};

/* FNV-1a, to tell the cgroups of different -R prefixes apart. */
static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;
	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return h;
}

int state_open(struct state *s, const char *root, struct ng_err *err)
{
	*s = (struct state){.dir = -1};
	struct str dir = {0}, cgroup = {0};
	str_add(&dir, root);
	str_add(&dir, RUN_DIR);
	autofree char *path = str_take(&dir);
	autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int rc = file_mkdirs(path, 0755);
		if (rc < 0)
			return err_sys(err, rc, "%s", path);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, errno, "%s", path);
	}
	/* EEXIST is the rule; a reader without rights finds the folders or, later, nothing in them.
	 */
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (mkdirat(fd, folders[i].name, folders[i].mode) < 0 && errno != EEXIST &&
		    errno != EACCES && errno != EROFS)
			return err_sys(err, errno, "%s/%s", path, folders[i].name);
	str_add(&cgroup, "newgate");
	if (*root)
		str_addf(&cgroup, "-%08x", hash(root));
	s->root = mem_strdup(root);
	s->dir = take_fd(&fd);
	s->cgroup = str_take(&cgroup);
	return 0;
}

void state_done(struct state *s)
{
	if (s->root)
		close(s->dir);
	free(s->root);
	free(s->cgroup);
	*s = (struct state){.dir = -1};
}

char *state_name(const char *jail)
{
	struct str b = {0};
	for (const char *p = jail; *p; p++) {
		unsigned char c = (unsigned char)*p;
		if (c <= ' ' || c == 0x7f || c == '/' || c == '%' || (c == '.' && p == jail))
			str_addf(&b, "%%%02X", c);
		else
			str_addc(&b, (char)c);
	}
	return str_take(&b);
}

char *state_plain_name(const char *file)
{
	struct str b = {0};
	for (const char *p = file; *p; p++) {
		unsigned c;
		if (*p == '%' && sscanf(p + 1, "%2X", &c) == 1 && c && p[1] && p[2]) {
			str_addc(&b, (char)c);
			p += 2;
		} else {
			str_addc(&b, *p);
		}
	}
	return str_take(&b);
}

static char *entry(const char *folder, const char *name)
{
	autofree char *file = state_name(name);
	struct str b = {0};
	str_addf(&b, "%s/%s", folder, file);
	return str_take(&b);
}

/* ---- records ---- */

static bool is_dead(const struct record *r)
{
	uint64_t started;
	if (r->pid == 0)
		return true;
	return pid_start_time(r->pid, &started) != 0 || started != r->pid_started;
}

static char *record_path(struct state *s, const char *file)
{
	struct str b = {0};
	str_addf(&b, "%s" RUN_DIR "/jails/%s", s->root, file);
	return str_take(&b);
}

/* Reads the record in the given file of jails/. -ENOENT without a word. */
static int load(struct state *s, const char *file, struct record *out, struct ng_err *err)
{
	autofree char *path = record_path(s, file), *text = NULL;
	size_t len;
	int rc = file_read(path, &text, &len);
	if (rc == -ENOENT)
		return rc;
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	if (record_parse(text, len, out, err) < 0)
		return err_prefix(err, "%s", path);
	autofree char *own = state_name(out->name);
	if (!str_eq(own, file)) {
		record_done(out);
		return err_set(err, EINVAL, "%s: is the record of another jail", path);
	}
	out->dead = is_dead(out);
	return 0;
}

int state_write(struct state *s, const struct record *r, struct ng_err *err)
{
	struct str b autodone(str_done) = {0};
	record_format(&b, r);
	autofree char *file = state_name(r->name);
	autofree char *path = entry("jails", r->name);
	struct str t = {0};
	str_addf(&t, "jails/.%s", file);
	autofree char *tmp = str_take(&t);
	autoclose int fd =
	    openat(s->dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(err, errno, "%s" RUN_DIR "/%s", s->root, tmp);
	int rc = fd_write_all(fd, b.s, b.len);
	if (rc == 0 && renameat(s->dir, tmp, s->dir, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlinkat(s->dir, tmp, 0);
		return err_sys(err, rc, "%s" RUN_DIR "/%s", s->root, path);
	}
	return 0;
}

static int drop(struct state *s, const char *path)
{
	return unlinkat(s->dir, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Is folder/NUMBER the claim of the jail whose record is `file`? */
static bool is_claim_of(struct state *s, const char *folder, unsigned number, const char *file)
{
	char path[64], target[512];
	snprintf(path, sizeof(path), "%s/%u", folder, number);
	ssize_t n = readlinkat(s->dir, path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return str_prefix(target, "../jails/") && str_eq(target + 9, file);
}

static int drop_claim(struct state *s, const char *folder, unsigned number, const char *file)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%u", folder, number);
	return is_claim_of(s, folder, number, file) ? drop(s, path) : 0;
}

int state_remove(struct state *s, const struct record *r, struct ng_err *err)
{
	/* The record goes first: claims without a record are swept, a record without claims would
	 * take away those of the next jail that gets the numbers. */
	autofree char *path = entry("jails", r->name), *file = state_name(r->name);
	int rc = drop(s, path);
	if (rc < 0)
		return err_sys(err, rc, "%s" RUN_DIR "/%s", s->root, path);
	char ctl[32];
	if (r->jid > 0) {
		snprintf(ctl, sizeof(ctl), "ctl/%d", r->jid);
		if ((rc = drop(s, ctl)) < 0)
			return err_sys(err, rc, "%s" RUN_DIR "/%s", s->root, ctl);
		rc = drop_claim(s, "jids", (unsigned)r->jid, file);
	}
	if (rc == 0 && r->slot != SLOT_NONE)
		rc = drop_claim(s, "slots", r->slot, file);
	return rc < 0 ? err_sys(err, rc, "%s" RUN_DIR ": a number of %s", s->root, r->name) : 0;
}

static bool all_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

int state_find(struct state *s, const char *who, struct record *out, struct ng_err *err)
{
	*out = (struct record){0};
	autofree char *file = state_name(who);
	/* No file can have a name that is too long, so no jail has it. */
	int rc = strlen(file) > NAME_MAX ? -ENOENT : load(s, file, out, err);
	if (rc != -ENOENT)
		return rc;
	uint32_t jid;
	if (all_digits(who) && num_u32(who, 1, JID_MAX, &jid) == 0) {
		char path[32], target[512];
		snprintf(path, sizeof(path), "jids/%u", jid);
		ssize_t n = readlinkat(s->dir, path, target, sizeof(target) - 1);
		if (n > 9) {
			target[n] = '\0';
			rc = load(s, target + 9, out, err);
			if (rc != -ENOENT)
				return rc;
		}
	}
	return err_set(err, ENOENT, "\"%s\" not found", who);
}

static int by_jid(const void *a, const void *b)
{
	int x = ((const struct record *)a)->jid, y = ((const struct record *)b)->jid;
	return (x > y) - (x < y);
}

static DIR *open_folder(struct state *s, const char *folder)
{
	int fd = openat(s->dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	DIR *d = fdopendir(fd);
	if (!d)
		close(fd);
	return d;
}

int state_all(struct state *s, struct record **out, size_t *n, struct ng_err *err)
{
	*out = NULL;
	*n = 0;
	DIR *d = open_folder(s, "jails");
	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, errno, "%s" RUN_DIR "/jails", s->root);
	struct dirent *e;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		struct record r = {0};
		struct ng_err ignored = {0};
		int rc = load(s, e->d_name, &r, &ignored);
		if (rc == -ENOENT)
			continue;
		if (rc < 0)
			r = (struct record){
			    .name = state_plain_name(e->d_name), .slot = SLOT_NONE, .dead = true};
		*out = mem_grow(*out, *n, sizeof(**out));
		(*out)[(*n)++] = r;
	}
	closedir(d);
	if (*n)
		qsort(*out, *n, sizeof(**out), by_jid);
	return 0;
}

/* ---- claims ---- */

/* Makes folder/NUMBER a link to the jail's record: who makes the link has the number. */
static int claim(struct state *s, const char *folder, uint32_t number, const char *name)
{
	char own[16], path[64];
	snprintf(own, sizeof(own), "%u", number);
	autofree char *target = entry("../jails", *name ? name : own);
	snprintf(path, sizeof(path), "%s/%u", folder, number);
	return symlinkat(target, s->dir, path) < 0 ? -errno : 0;
}

/* Claims the first free number of min..max behind the last one given, which a file remembers: with
 * it neither a thousand jails nor a jail that just ended make the search long. The file is a hint;
 * two commands that read the same one settle it at the links. */
static int claim_next(struct state *s, const char *folder, const char *name, uint32_t min,
		      uint32_t max, uint32_t *out)
{
	char hint[32], text[16] = "";
	snprintf(hint, sizeof(hint), "last.%s", folder);
	autoclose int fd = openat(s->dir, hint, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	uint32_t last;
	if (pread(fd, text, sizeof(text) - 1, 0) < 0 || num_u32(text, min, max, &last) < 0)
		last = max;
	uint32_t number = last;
	do {
		number = number < max ? number + 1 : min;
		int rc = claim(s, folder, number, name);
		if (rc == 0) {
			int len = snprintf(text, sizeof(text), "%u", number);
			if (pwrite(fd, text, (size_t)len, 0) != len || ftruncate(fd, len) < 0)
				unlinkat(s->dir, hint, 0);
			*out = number;
			return 0;
		}
		if (rc != -EEXIST)
			return rc;
	} while (number != last);
	return -ENOSPC;
}

int state_claim_jid(struct state *s, const char *name, int want, int *jid, struct ng_err *err)
{
	uint32_t got = (uint32_t)want;
	int rc = want ? claim(s, "jids", got, name) : claim_next(s, "jids", name, 1, JID_MAX, &got);
	if (rc == -EEXIST)
		return err_set(err, EEXIST, "jid %d is in use by another jail", want);
	if (rc < 0)
		return err_sys(err, rc, "%s" RUN_DIR "/jids", s->root);
	*jid = (int)got;
	return 0;
}

int state_claim_slot(struct state *s, const char *name, uint32_t *slot, struct ng_err *err)
{
	int rc = claim_next(s, "slots", name, 0, SLOT_COUNT - 1, slot);
	if (rc == -ENOSPC)
		return err_set(err, ENOSPC, "all %u ranges of user ids are in use by running jails",
			       SLOT_COUNT);
	if (rc < 0)
		return err_sys(err, rc, "%s" RUN_DIR "/slots", s->root);
	return 0;
}

bool state_has_jid(struct state *s, const struct record *r)
{
	autofree char *file = state_name(r->name);
	return is_claim_of(s, "jids", (unsigned)r->jid, file);
}

void state_release(struct state *s, int jid, uint32_t slot)
{
	char path[64];
	if (jid > 0) {
		snprintf(path, sizeof(path), "jids/%d", jid);
		unlinkat(s->dir, path, 0);
	}
	if (slot != SLOT_NONE) {
		snprintf(path, sizeof(path), "slots/%u", slot);
		unlinkat(s->dir, path, 0);
	}
}

/* ---- what killed commands leave ---- */

/* Removes it, or tells whose it is. */
struct sweep {
	struct state *s;
	struct strv *jails; /* NULL: remove */
};

static void swept(struct sweep *w, const char *name)
{
	if (!strv_has(w->jails, name))
		strv_add(w->jails, name);
}

/* Nobody works on the jail, and it has no record: *lock is held until what is left has gone. */
static bool is_stale(struct sweep *w, const char *file, const char *name, int *lock)
{
	struct str record autodone(str_done) = {0};
	struct ng_err busy = {0};
	str_addf(&record, "jails/%s", file);
	if (faccessat(w->s->dir, record.s, F_OK, 0) == 0)
		return false;
	*lock = state_trylock(w->s, name, NULL, &busy);
	return *lock >= 0 && faccessat(w->s->dir, record.s, F_OK, 0) < 0;
}

static void sweep_claim(struct sweep *w, const char *folder, const char *number)
{
	char path[320], target[512];
	autoclose int lock = -1;
	snprintf(path, sizeof(path), "%s/%s", folder, number);
	ssize_t n = readlinkat(w->s->dir, path, target, sizeof(target) - 1);
	if (n <= 9)
		return;
	target[n] = '\0';
	autofree char *name = state_plain_name(target + 9);
	if (!is_stale(w, target + 9, name, &lock))
		return;
	if (w->jails) {
		swept(w, name);
		return;
	}
	if (str_eq(folder, "jids")) {
		snprintf(path, sizeof(path), "ctl/%s", number);
		unlinkat(w->s->dir, path, 0);
	}
	(void)!drop_claim(w->s, folder, (unsigned)strtoul(number, NULL, 10), target + 9);
}

/* ".NAME", which was to become the record. */
static void sweep_record(struct sweep *w, const char *folder, const char *file)
{
	char path[320];
	struct ng_err busy = {0};
	autofree char *name = state_plain_name(file + 1);
	autoclose int lock = state_trylock(w->s, name, NULL, &busy);
	if (lock < 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (!w->jails) {
		unlinkat(w->s->dir, path, 0);
		return;
	}
	/* Beside a whole one it means nothing. */
	snprintf(path, sizeof(path), "%s/%s", folder, file + 1);
	if (faccessat(w->s->dir, path, F_OK, 0) < 0)
		swept(w, name);
}

static int sweep_folder(struct sweep *w, const char *folder,
			void (*one)(struct sweep *w, const char *folder, const char *name),
			struct ng_err *err)
{
	struct dirent *e;
	DIR *d = open_folder(w->s, folder);
	if (!d)
		return err_sys(err, errno, "%s" RUN_DIR "/%s", w->s->root, folder);
	while ((e = readdir(d)))
		if (one == sweep_record ? e->d_name[0] == '.' && strspn(e->d_name, ".") == 1
					: all_digits(e->d_name))
			one(w, folder, e->d_name);
	closedir(d);
	return 0;
}

static int sweep(struct sweep *w, struct ng_err *err)
{
	int rc = sweep_folder(w, "jids", sweep_claim, err);
	if (rc == 0)
		rc = sweep_folder(w, "slots", sweep_claim, err);
	return rc == 0 ? sweep_folder(w, "jails", sweep_record, err) : rc;
}

bool state_is_stale(struct state *s, const char *jail)
{
	autofree char *file = state_name(jail);
	autoclose int lock = -1;
	return is_stale(&(struct sweep){.s = s}, file, jail, &lock);
}

int state_sweep(struct state *s, struct ng_err *err)
{
	return sweep(&(struct sweep){.s = s}, err);
}

int state_stale(struct state *s, struct strv *jails, struct ng_err *err)
{
	return sweep(&(struct sweep){.s = s, .jails = jails}, err);
}

/* ---- locks ---- */

static int lock(struct state *s, const char *name, int how, int *wait_fd, struct ng_err *err)
{
	autofree char *path = entry("locks", name);
	int fd = openat(s->dir, path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "%s" RUN_DIR "/%s", s->root, path);
	while (flock(fd, how) < 0) {
		if (errno == EINTR)
			continue;
		int code = errno;
		if (code == EWOULDBLOCK && wait_fd)
			*wait_fd = fd;
		else
			close(fd);
		if (code != EWOULDBLOCK)
			return err_sys(err, code, "%s" RUN_DIR "/%s", s->root, path);
		return err_set(err, code, "another command is working on jail \"%s\"", name);
	}
	return fd;
}

int state_lock(struct state *s, const char *name, struct ng_err *err)
{
	return lock(s, name, LOCK_EX, NULL, err);
}

int state_trylock(struct state *s, const char *name, int *wait_fd, struct ng_err *err)
{
	return lock(s, name, LOCK_EX | LOCK_NB, wait_fd, err);
}

bool state_busy(struct state *s, const char *name)
{
	struct ng_err busy = {0};
	autoclose int fd = state_trylock(s, name, NULL, &busy);
	return fd < 0 && busy.code == EWOULDBLOCK;
}

/* ---- the last failure ---- */

void state_set_failure(struct state *s, const char *jail, const char *text)
{
	autofree char *path = entry("failed", jail);
	if (!text) {
		unlinkat(s->dir, path, 0);
		return;
	}
	autoclose int fd =
	    openat(s->dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd >= 0 && fd_write_all(fd, text, strlen(text)) < 0)
		unlinkat(s->dir, path, 0);
}

bool state_has_failures(struct state *s)
{
	struct dirent *e = NULL;
	DIR *d = open_folder(s, "failed");
	while (d && (e = readdir(d)) && strspn(e->d_name, ".") == strlen(e->d_name))
		;
	if (d)
		closedir(d);
	return e != NULL;
}

char *state_failure(struct state *s, const char *jail)
{
	autofree char *path = entry("failed", jail);
	char text[1024];
	ssize_t n = fd_get(s->dir, path, text, sizeof(text));
	return n > 0 ? mem_strdup(text) : NULL;
}
