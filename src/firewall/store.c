#include "firewall/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/files.h"
#include "sys/fd.h"

static int make_folder(struct state *s, const char *name, struct ng_err *err)
{
	if (mkdirat(s->dir, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "/run/newgate/%s", name);
	return 0;
}

int store_lock(struct state *s, struct ng_err *err)
{
	int rc = make_folder(s, PF_DIR, err);

	if (rc < 0)
		return rc;
	autoclose int fd = openat(s->dir, PF_LOCK, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "/run/newgate/" PF_LOCK);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, errno, "/run/newgate/" PF_LOCK);
	return take_fd(&fd);
}

/* The old file or the new one, no mix; nothing is synced, since nothing of it outlives the machine's
 * run. */
int store_put(struct state *s, const char *name, const struct str *text, struct ng_err *err)
{
	struct str fresh autodone(str_done) = {0};
	int rc = make_folder(s, PF_DIR, err);

	if (rc < 0)
		return rc;
	str_addf(&fresh, "%s.new", name);
	autoclose int fd = openat(s->dir, fresh.s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : fd_write_all(fd, str_text(text), text->len);
	if (rc == 0 && renameat(s->dir, fresh.s, s->dir, name) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "/run/newgate/%s", name) : 0;
}

/* *text NULL: there is none. */
static int get(struct state *s, const char *name, char **text, size_t *len, struct ng_err *err)
{
	struct str path autodone(str_done) = {0};

	*text = NULL;
	str_addf(&path, "%s/run/newgate/%s", s->root, name);
	int rc = file_read(path.s, text, len);
	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "%s", path.s) : 0;
}

int store_read(struct state *s, bool before, struct kept *k, struct kept_tables *t,
	       struct ng_err *err)
{
	autofree char *rules = NULL, *tables = NULL;
	size_t nrules, ntables;
	int rc = get(s, before ? PF_BEFORE "/rules" : PF_RULES, &rules, &nrules, err);

	if (rc == 0)
		rc = get(s, before ? PF_BEFORE "/tables" : PF_TABLES, &tables, &ntables, err);
	if (rc < 0)
		return rc;
	if (before && !rules)
		return err_set(err, ENOENT, "nothing was loaded before");
	if (rules && kept_parse(rules, nrules, k) < 0)
		return err_set(err, EINVAL,
			       "/run/newgate/" PF_RULES " is damaged: load the rules "
			       "again, pfctl -f /etc/pf.conf");
	if (tables && kept_tables_parse(tables, ntables, t) < 0)
		return err_set(err, EINVAL, "/run/newgate/" PF_TABLES " is damaged: remove it");
	return 0;
}

int store_read_origins(struct state *s, struct strv *out, struct ng_err *err)
{
	autofree char *text = NULL;
	size_t len;
	int rc = get(s, PF_ORIGINS, &text, &len, err);

	if (rc == 0 && text)
		strv_split(out, text, "\n");
	return rc;
}

int store_write_tables(struct state *s, const struct kept_tables *t, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};

	kept_tables_format(&text, t);
	return store_put(s, PF_TABLES, &text, err);
}

/* What was there becomes "before". The first time there is nothing to go back to; and where the same is
 * loaded once more, as when the table was lost, "before" stays what one would go back to. */
static int rotate(struct state *s, const struct str *rules, struct ng_err *err)
{
	autofree char *now = NULL;
	size_t len = 0;
	int rc = get(s, PF_RULES, &now, &len, err);

	if (rc < 0 || !now || (len == rules->len && memcmp(now, str_text(rules), len) == 0))
		return rc;
	if (renameat(s->dir, PF_RULES, s->dir, PF_BEFORE "/rules") < 0 ||
	    (renameat(s->dir, PF_TABLES, s->dir, PF_BEFORE "/tables") < 0 && errno != ENOENT))
		return err_sys(err, errno, "/run/newgate/" PF_BEFORE);
	return 0;
}

int store_write(struct state *s, const struct kept *k, const struct kept_tables *t,
		const struct strv *origins, struct ng_err *err)
{
	struct str rules autodone(str_done) = {0}, names autodone(str_done) = {0};
	int rc = make_folder(s, PF_DIR, err);

	if (rc == 0)
		rc = make_folder(s, PF_BEFORE, err);
	if (rc < 0)
		return rc;
	kept_format(&rules, k);
	for (size_t i = 0; i < origins->n; i++)
		str_addf(&names, "%s\n", origins->v[i]);
	rc = rotate(s, &rules, err);
	if (rc == 0)
		rc = store_put(s, PF_RULES, &rules, err);
	if (rc == 0)
		rc = store_write_tables(s, t, err);
	return rc < 0 ? rc : store_put(s, PF_ORIGINS, &names, err);
}

/* ---- 127.0.0.1 from outside ---- */

static int set_localnet(const char *ifname, const char *value)
{
	struct str path autodone(str_done) = {0};
	char now[4];

	str_addf(&path, "/proc/sys/net/ipv4/conf/%s/route_localnet", ifname);
	ssize_t n = fd_get(AT_FDCWD, path.s, now, sizeof(now));
	if (n < 0)
		return (int)n;
	if (now[0] == value[0])
		return 0;
	int rc = fd_put(AT_FDCWD, path.s, value);
	return rc < 0 ? rc : 1;
}

int store_localnet(struct state *s, const struct strv *want, struct ng_err *err)
{
	struct strv have autodone(strv_done) = {0};
	struct str ours autodone(str_done) = {0};
	autofree char *text = NULL;
	size_t len;
	int rc = get(s, PF_LOCALNET, &text, &len, err);

	if (rc < 0)
		return rc;
	if (text)
		strv_split(&have, text, "\n");
	for (size_t i = 0; i < have.n; i++)
		if (!strv_has(want, have.v[i]))
			(void)set_localnet(have.v[i], "0"); /* it may be gone */
	for (size_t i = 0; i < want->n; i++) {
		rc = set_localnet(want->v[i], "1");
		if (rc < 0 && rc != -ENOENT)
			return err_sys(err, rc, "route_localnet of %s", want->v[i]);
		if (rc > 0 || strv_has(&have, want->v[i]))
			str_addf(&ours, "%s\n", want->v[i]);
	}
	return have.n || ours.len ? store_put(s, PF_LOCALNET, &ours, err) : 0;
}

/* ---- elements ---- */

/* nft(8) takes no single number that is so large. */
static void add_time(struct str *out, uint64_t seconds)
{
	str_addf(out, " expires %llud%lluh%llum%llus", (unsigned long long)(seconds / 86400),
		 (unsigned long long)(seconds / 3600 % 24), (unsigned long long)(seconds / 60 % 60),
		 (unsigned long long)(seconds % 60));
}

void store_add_elements(struct str *out, const char *set, const struct nft_elems *all, int af)
{
	bool first = true;
	char text[IP_TEXT];

	for (size_t i = 0; i < all->n; i++) {
		struct ip ip = {.family = af};

		if (all->v[i].keylen != ip_size(&ip))
			continue;
		memcpy(ip.bytes, all->v[i].key, ip_size(&ip));
		if (first)
			str_addf(out, "add element inet " NFT_TABLE " %s {", set);
		str_addf(out, "%s %s", first ? "" : ",", ip_text(&ip, text));
		if (all->v[i].expires)
			add_time(out, all->v[i].expires / 1000);
		first = false;
	}
	if (!first)
		str_add(out, " }\n");
}
