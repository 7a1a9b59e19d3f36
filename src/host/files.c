#include "host/files.h"

#include <stdlib.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "host/acme.h"
#include "host/share-host.h"

const char *host_share(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++)
		if (str_eq(tree[i].name, name))
			return tree[i].text;
	return NULL;
}

const char *host_template_script(const char *jail)
{
	struct str name autodone(str_done) = {0};

	str_addf(&name, "%s/template", jail);
	return host_share(name.s);
}

const char *host_check_script(const char *jail)
{
	struct str name autodone(str_done) = {0};

	str_addf(&name, "%s/check", jail);
	return host_share(name.s);
}

const char *host_template_packages(const char *jail)
{
	static const struct {
		const char *jail, *packages;
	} of[] = {
	    {"web", "nginx-light,php-fpm,php-sqlite3,php-zip,roundcube,roundcube-sqlite3,roundcube-"
		    "plugins,"
		    "ca-certificates,netbase"},
	    {"postfix", "postfix,postfix-lmdb,ca-certificates,netbase"},
	    {"dovecot", "dovecot-imapd,dovecot-lmtpd,dovecot-sieve,dovecot-managesieved,"
			"ca-certificates,netbase"},
	    {"dkim", "opendkim,opendkim-tools,openssl,netbase"},
	    {"rspamd", "rspamd,redis-server,netbase"},
	    {"acme", "uacme,ca-certificates,netbase"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		if (str_eq(of[i].jail, jail))
			return of[i].packages;
	return NULL;
}

void host_fill(struct str *out, const char *text, const char *const *pairs)
{
	for (const char *p = text; *p;) {
		const char *const *pair = pairs;
		size_t n = 0;

		for (; *p == '@' && *pair; pair += 2) {
			n = strlen(*pair);
			if (strncmp(p + 1, *pair, n) == 0 && p[n + 1] == '@')
				break;
		}
		if (*p == '@' && *pair) {
			str_add(out, pair[1]);
			p += n + 2;
		} else {
			str_addc(out, *p++);
		}
	}
}

static void fill(const struct host *h, const struct host_lists *l, const char *text,
		 struct str *out)
{
	struct strv proxies autodone(strv_done) = {0};
	struct str more autodone(str_done) = {0}, ports autodone(str_done) = {0};

	host_proxies(l, &proxies);
	for (size_t i = 0; i < proxies.n; i++)
		str_addf(&more, "\n\tallow.connect += \"%s\";", proxies.v[i]);
	acme_ports(h, &ports);
	const char *const pairs[] = {"ACMEPORTS", str_text(&ports),
				     "SIGNER",    host_jails(h)[0],
				     "DOMAIN",    h->domain,
				     "HOSTNAME",  h->hostname,
				     "INTERFACE", h->interface,
				     "QUOTA",     h->quota,
				     "ETC",       HOST_ETC,
				     "DATA",      HOST_DATA,
				     "IP6",       h->address6 ? "\n\tip6.addr = auto;" : "",
				     "PROXIES",   str_text(&more),
				     NULL};
	host_fill(out, text, pairs);
}

/* What is there, or NULL where nothing is. */
static int there(const char *path, char **text, struct ng_err *err)
{
	size_t len;
	int rc = file_read(path, text, &len);

	return rc < 0 && rc != -ENOENT ? err_sys(err, rc, "%s", path) : 0;
}

static char *made_path(const struct host *h, const struct host_file *f)
{
	return host_path(h, HOST_DATA "/made%s", f->path);
}

static int look(const struct host *h, struct host_file *f, struct ng_err *err)
{
	autofree char *path = host_path(h, "%s", f->path), *made = made_path(h, f), *now = NULL,
		      *then = NULL;
	int rc = there(path, &now, err);

	if (rc == 0)
		rc = there(made, &then, err);
	if (rc < 0)
		return rc;
	f->state = !now                        ? FILE_NEW
		   : str_eq(now, f->text)      ? FILE_SAME
		   : then && str_eq(now, then) ? FILE_OLDER
					       : FILE_USERS;
	return 0;
}

/* Takes both strings. */
static int add(const struct host *h, struct host_files *out, char *path, char *text, bool program,
	       struct ng_err *err)
{
	out->v = mem_grow(out->v, out->n, sizeof(*out->v));
	out->v[out->n] = (struct host_file){.path = path, .text = text, .program = program};
	return look(h, &out->v[out->n++], err);
}

/* A site has a certificate of its own once the authority gave one; until then the host's. */
static int add_site(const struct host *h, struct host_files *out, const char *name,
		    const char *what, struct ng_err *err)
{
	autofree char *own = host_path(h, HOST_ETC "/tls/%s/fullchain.pem", name);
	struct strv word autodone(strv_done) = {0};
	struct str path = {0}, text = {0}, cert autodone(str_done) = {0};

	strv_split(&word, what, " \t");
	bool proxy = word.n == 3 && str_eq(word.v[0], "proxy");
	if (access(own, F_OK) == 0)
		str_addf(&cert, "%s/", name);
	const char *const pairs[] = {"NAME", name,
				     "DATA", HOST_DATA,
				     "CERT", str_text(&cert),
				     "JAIL", proxy ? word.v[1] : "",
				     "PORT", proxy ? word.v[2] : "",
				     NULL};
	str_addf(&path, HOST_SITES "/%s.conf", name);
	host_fill(&text, host_share(proxy ? "web/site-proxy.conf" : "web/site-static.conf"), pairs);
	return add(h, out, str_take(&path), str_take(&text), false, err);
}

/* Those that are or make something else: a template, an upgrade's check, the jails' file, a site's file
 * when there is a site. */
static bool is_part(const struct host *h, const char *name)
{
	const char *below = strchr(name, '/'), *other = host_other_signer(h);

	return below && (str_eq(below, "/template") || str_eq(below, "/check") ||
			 str_eq(below, "/jail.part") || str_prefix(below, "/site-") ||
			 (str_prefix(name, other) && name[strlen(other)] == '/'));
}

int host_files_plan(const struct host *h, const struct host_lists *l, struct host_files *out,
		    struct ng_err *err)
{
	autofree char *site = NULL;
	const char *what;
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tree) && rc == 0; i++) {
		const char *below = strchr(tree[i].name, '/');
		struct str path = {0}, text = {0}, part autodone(str_done) = {0};

		if (is_part(h, tree[i].name))
			continue;
		fill(h, l, tree[i].text, &text);
		if (below) {
			str_addf(&path, HOST_ETC "/%s", tree[i].name);
		} else {
			str_add(&path, HOST_JAILS);
			str_addf(&part, "%s/jail.part", host_jails(h)[0]);
			fill(h, l, host_share(part.s), &text);
		}
		rc = add(h, out, str_take(&path), str_take(&text), tree[i].program, err);
	}
	for (size_t i = 0; rc == 0 && host_next(l, LIST_SITES, &i, &site, &what);)
		rc = add_site(h, out, site, what, err);
	return rc;
}

static int put(const char *path, const char *text, mode_t mode, struct ng_err *err)
{
	autofree char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
	int rc = file_mkdirs(folder, 0755);

	if (rc == 0)
		rc = file_replace(path, text, strlen(text), mode);
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

int host_files_write(const struct host *h, struct host_files *f, size_t *kept, struct ng_err *err)
{
	int rc = 0;

	*kept = 0;
	for (size_t i = 0; i < f->n && rc == 0; i++) {
		struct host_file *one = &f->v[i];
		autofree char *path = host_path(h, "%s", one->path), *made = made_path(h, one);

		if (one->state == FILE_USERS) {
			++*kept;
			continue;
		}
		/* The copy last: where this is cut short, the file is as it would be made. */
		if (one->state != FILE_SAME)
			rc = put(path, one->text, one->program ? 0755 : 0644, err);
		if (rc == 0)
			rc = put(made, one->text, 0644, err);
	}
	return rc;
}

void host_files_done(struct host_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].path);
		free(f->v[i].text);
	}
	free(f->v);
	*f = (struct host_files){0};
}
