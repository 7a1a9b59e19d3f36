#include "host/lists.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"

static const struct {
	const char *path;
	mode_t mode;
} files[LIST_COUNT] = {
    [LIST_DOMAINS] = {HOST_ETC "/domains", 0644},
    [LIST_USERS] = {HOST_ETC "/dovecot/users", 0600},
    [LIST_ALIASES] = {HOST_ETC "/aliases", 0644},
    [LIST_SITES] = {HOST_ETC "/sites", 0644},
};

static const char separators[] = " \t:";

/* ---- lines ---- */

int host_lists_read(const struct host *h, struct host_lists *l, struct ng_err *err)
{
	for (size_t i = 0; i < LIST_COUNT; i++) {
		autofree char *path = host_path(h, "%s", files[i].path), *text = NULL;
		size_t len;
		int rc = file_read(path, &text, &len);

		if (rc == -ENOENT)
			continue;
		if (rc < 0)
			return err_sys(err, rc, "%s", path);
		for (char *line = text, *next; *line; line = next) {
			next = strchr(line, '\n');
			strv_take(&l->of[i], next ? mem_strndup(line, (size_t)(next - line))
						  : mem_strdup(line));
			next = next ? next + 1 : line + strlen(line);
		}
	}
	return 0;
}

void host_lists_done(struct host_lists *l)
{
	for (size_t i = 0; i < LIST_COUNT; i++)
		strv_done(&l->of[i]);
}

bool host_next(const struct host_lists *l, enum host_list which, size_t *i, char **key,
	       const char **rest)
{
	const struct strv *v = &l->of[which];

	for (; *i < v->n; ++*i) {
		const char *line = v->v[*i];
		size_t n = strcspn(line, separators);

		if (n == 0 || *line == '#')
			continue;
		free(*key);
		*key = mem_strndup(line, n);
		*rest = line[n] == ':' ? line + n + 1 : line + n + strspn(line + n, " \t");
		++*i;
		return true;
	}
	return false;
}

int host_entry(const struct host_lists *l, enum host_list which, const char *key)
{
	const char *rest;
	autofree char *k = NULL;

	for (size_t i = 0; host_next(l, which, &i, &k, &rest);)
		if (strcasecmp(k, key) == 0)
			return (int)i - 1;
	return -1;
}

void host_set(struct host_lists *l, enum host_list which, const char *key, const char *line)
{
	int at = host_entry(l, which, key);

	if (at < 0) {
		strv_add(&l->of[which], line);
		return;
	}
	free(l->of[which].v[at]);
	l->of[which].v[at] = mem_strdup(line);
}

void host_unset(struct host_lists *l, enum host_list which, int line)
{
	struct strv kept = {0};

	for (size_t i = 0; i < l->of[which].n; i++)
		if ((int)i != line)
			strv_add(&kept, l->of[which].v[i]);
	strv_done(&l->of[which]);
	l->of[which] = kept;
}

/* ---- users ---- */

#define QUOTA_FIELD "userdb_quota_rule=*:storage="

void host_user_parse(const char *rest, char **hash, char **quota)
{
	const char *end = strchr(rest, ':'), *field = strstr(rest, QUOTA_FIELD);

	*hash = end ? mem_strndup(rest, (size_t)(end - rest)) : mem_strdup(rest);
	*quota = NULL;
	if (field) {
		field += strlen(QUOTA_FIELD);
		*quota = mem_strndup(field, strcspn(field, " \t"));
	}
}

char *host_user_changed(const char *line, const char *hash, const char *quota)
{
	size_t name = strcspn(line, ":"), old = line[name] ? strcspn(line + name + 1, ":") : 0;
	const char *rest = line[name] ? line + name + 1 + old : "";
	const char *field = strstr(rest, QUOTA_FIELD);
	struct str b = {0};

	str_addn(&b, line, name);
	str_addc(&b, ':');
	if (hash)
		str_add(&b, hash);
	else
		str_addn(&b, line + name + 1, old);
	if (!quota) {
		str_add(&b, rest);
	} else if (field) {
		str_addn(&b, rest, (size_t)(field - rest) + strlen(QUOTA_FIELD));
		str_addf(&b, "%s%s", quota,
			 field + strlen(QUOTA_FIELD) + strcspn(field + strlen(QUOTA_FIELD), " \t"));
	} else {
		/* Extra fields are the eighth. */
		size_t colons = 0;
		for (const char *p = rest; *p; p++)
			colons += *p == ':';
		str_add(&b, rest);
		for (; colons < 6; colons++)
			str_addc(&b, ':');
		str_addf(&b, "%s" QUOTA_FIELD "%s", b.s[b.len - 1] == ':' ? "" : " ", quota);
	}
	return str_take(&b);
}

char *host_user_line(const char *address, const char *hash, const char *quota)
{
	struct str b = {0};

	str_addf(&b, "%s:%s::::::", address, hash);
	if (quota)
		str_addf(&b, QUOTA_FIELD "%s", quota);
	return str_take(&b);
}

void host_proxies(const struct host_lists *l, struct strv *out)
{
	autofree char *name = NULL;
	const char *rest;

	for (size_t i = 0; host_next(l, LIST_SITES, &i, &name, &rest);) {
		struct strv word autodone(strv_done) = {0};
		struct str to autodone(str_done) = {0};

		strv_split(&word, rest, " \t");
		if (word.n != 3 || !str_eq(word.v[0], "proxy"))
			continue;
		str_addf(&to, "%s tcp %s", word.v[1], word.v[2]);
		if (!strv_has(out, to.s))
			strv_add(out, to.s);
	}
}

/* ---- tables ---- */

static int write_text(const struct host *h, const char *where, const struct str *text, mode_t mode,
		      struct ng_err *err)
{
	autofree char *path = host_path(h, "%s", where);
	autofree char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
	int rc = file_mkdirs(folder, 0755);

	if (rc == 0)
		rc = file_replace(path, str_text(text), text->len, mode);
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

struct tables {
	struct str domains, mailboxes, aliases, senders, local, keys, signers;
};

static void tables_done(struct tables *t)
{
	struct str *all[] = {&t->domains, &t->mailboxes, &t->aliases, &t->senders,
			     &t->local,   &t->keys,      &t->signers};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		str_done(all[i]);
}

static void of_domains(const struct host_lists *l, struct tables *t)
{
	autofree char *domain = NULL;
	const char *rest;

	for (size_t i = 0; host_next(l, LIST_DOMAINS, &i, &domain, &rest);) {
		str_addf(&t->domains, "%s yes\n", domain);
		str_addf(&t->keys, "ng._domainkey.%s %s:ng:/run/keys/%s.pem\n", domain, domain,
			 domain);
		str_addf(&t->signers, "*@%s ng._domainkey.%s\n", domain, domain);
	}
}

/* An alias for a whole domain would take the mail of its users too, were they not named before. */
static bool has_catch_all(const struct host_lists *l)
{
	autofree char *address = NULL;
	const char *rest;

	for (size_t i = 0; host_next(l, LIST_ALIASES, &i, &address, &rest);)
		if (*address == '@')
			return true;
	return false;
}

static void of_users(const struct host_lists *l, struct tables *t)
{
	bool catch_all = has_catch_all(l);
	autofree char *user = NULL;
	const char *rest;

	for (size_t i = 0; host_next(l, LIST_USERS, &i, &user, &rest);) {
		str_addf(&t->mailboxes, "%s yes\n", user);
		str_addf(&t->senders, "%s %s\n", user, user);
		if (catch_all && host_entry(l, LIST_ALIASES, user) < 0)
			str_addf(&t->aliases, "%s %s\n", user, user);
	}
}

/* Who gets an alias's mail may answer as the alias. */
static void of_aliases(const struct host_lists *l, struct tables *t)
{
	autofree char *address = NULL;
	const char *rest;

	for (size_t i = 0; host_next(l, LIST_ALIASES, &i, &address, &rest);) {
		str_addf(&t->aliases, "%s %s\n", address, rest);
		if (host_entry(l, LIST_USERS, address) < 0)
			str_addf(&t->senders, "%s %s\n", address, rest);
	}
}

int host_tables_write(const struct host *h, const struct host_lists *l, struct ng_err *err)
{
	struct tables t autodone(tables_done) = {0};

	of_domains(l, &t);
	of_users(l, &t);
	of_aliases(l, &t);
	const struct {
		const char *path;
		const struct str *text;
	} to[] = {{HOST_ETC "/postfix/domains", &t.domains},
		  {HOST_ETC "/postfix/mailboxes", &t.mailboxes},
		  {HOST_ETC "/postfix/aliases", &t.aliases},
		  {HOST_ETC "/postfix/senders", &t.senders},
		  {HOST_ETC "/postfix/local", &t.local},
		  {HOST_ETC "/dkim/keytable", &t.keys},
		  {HOST_ETC "/dkim/signingtable", &t.signers}};
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		int rc = write_text(h, to[i].path, to[i].text, 0644, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int host_lists_write(const struct host *h, const struct host_lists *l, enum host_list which,
		     struct ng_err *err)
{
	struct str text autodone(str_done) = {0};

	for (size_t i = 0; i < l->of[which].n; i++)
		str_addf(&text, "%s\n", l->of[which].v[i]);
	int rc = write_text(h, files[which].path, &text, files[which].mode, err);
	return rc < 0 ? rc : host_tables_write(h, l, err);
}
