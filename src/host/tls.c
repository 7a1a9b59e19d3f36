#include "host/tls.h"

#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "store/tools.h"

#define KEY HOST_TLS "/key.pem"
#define OWN HOST_TLS "/own.pem"
#define CHAIN HOST_TLS "/fullchain.pem"
#define CA HOST_TLS "/ca.pem"
#define TAKEN_CA HOST_ETC "/acme/ca.pem"

static int replace(const struct host *h, const char *name, const char *text, mode_t mode,
		   struct ng_err *err)
{
	autofree char *path = host_path(h, "%s", name);
	int rc = file_replace(path, text, strlen(text), mode);

	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

static int replace_chain(const struct host *h, const char *text, struct ng_err *err)
{
	autofree char *chain = host_path(h, CHAIN), *folder = host_path(h, HOST_DATA "/acme");

	if (access(chain, F_OK) == 0) {
		int rc = file_mkdirs(folder, 0700);

		if (rc < 0)
			return err_sys(err, rc, "%s", folder);
		rc = replace(h, TLS_NOT_SHOWN, "", 0644, err);
		if (rc < 0)
			return rc;
	}
	return replace(h, CHAIN, text, 0644, err);
}

/* What a command gives, from its first line of PEM on. */
static int pem_of(const char *const *argv, struct str *out, struct ng_err *err)
{
	struct str said autodone(str_done) = {0};
	int rc = tools_run(NULL, argv, "openssl", &said, err);
	const char *pem = strstr(str_text(&said), "-----BEGIN");

	if (rc < 0)
		return rc;
	if (!pem)
		return err_set(err, EIO, "openssl %s gave nothing", argv[1]);
	str_add(out, pem);
	return 0;
}

static int make_key(const struct host *h, struct ng_err *err)
{
	static const char *const argv[] = {
	    "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", NULL};
	autofree char *key = host_path(h, KEY), *folder = host_path(h, HOST_TLS);
	struct str pem autodone(str_done) = {0};

	if (access(key, F_OK) == 0)
		return 0;
	int rc = file_mkdirs(folder, 0755);
	if (rc < 0)
		return err_sys(err, rc, "%s", folder);
	rc = pem_of(argv, &pem, err);
	return rc < 0 ? rc : replace(h, KEY, str_text(&pem), 0600, err);
}

static int make_own(const struct host *h, struct ng_err *err)
{
	autofree char *key = host_path(h, KEY);
	struct str subject autodone(str_done) = {0}, names autodone(str_done) = {0},
			   pem autodone(str_done) = {0};

	/* A name that is too long for the subject is among the others. */
	str_addf(&subject, "/CN=%.64s", h->hostname);
	str_addf(&names, "subjectAltName=DNS:%s", h->hostname);
	for (const char *const *below = host_web_names; *below; below++)
		str_addf(&names, ",DNS:%s.%s", *below, h->domain);
	const char *const argv[] = {"openssl", "req",   "-x509",   "-new",    "-key",  key, "-days",
				    "3650",    "-subj", subject.s, "-addext", names.s, NULL};
	int rc = pem_of(argv, &pem, err);
	return rc < 0 ? rc : replace(h, OWN, str_text(&pem), 0644, err);
}

/* Is own.pem there, of our key, for our name? */
static bool has_own(const struct host *h)
{
	autofree char *key = host_path(h, KEY), *own = host_path(h, OWN);
	struct cert c autodone(cert_done) = {0};
	struct ng_err none = {0};

	return cert_read(own, &c, &none) == 0 && cert_covers(&c, h->hostname) &&
	       cert_of_key(own, key, &none) == 1;
}

static int read_ca(const char *file, char **out, struct ng_err *err)
{
	size_t len;
	int rc = file_read(file, out, &len);

	if (rc < 0)
		return err_sys(err, rc, "%s", file);
	if (!strstr(*out, "-----BEGIN CERTIFICATE-----"))
		return err_set(err, EINVAL, "%s holds no certificate", file);
	return 0;
}

int tls_take_ca(struct host *h, const char *file, struct ng_err *err)
{
	autofree char *folder = host_path(h, HOST_ETC "/acme"), *text = NULL;
	int rc = read_ca(file, &text, err);

	if (rc < 0)
		return rc;
	rc = file_mkdirs(folder, 0755);
	if (rc < 0)
		return err_sys(err, rc, "%s", folder);
	rc = replace(h, TAKEN_CA, text, 0644, err);
	if (rc < 0)
		return rc;
	free(h->acme_ca);
	h->acme_ca = mem_strdup(TAKEN_CA);
	return 0;
}

int tls_more_ca(const struct host *h, struct str *out, struct ng_err *err)
{
	autofree char *path = host_path(h, "%s", h->acme_ca ? h->acme_ca : ""), *text = NULL;

	if (!h->acme_ca)
		return 0;
	if (read_ca(path, &text, err) < 0)
		return err_prefix(err, "acme.ca in " HOST_CONF);
	str_add(out, text);
	return 0;
}

static int write_ca(const struct host *h, const char *own, struct ng_err *err)
{
	autofree char *path = host_path(h, CA), *now = NULL;
	struct str text autodone(str_done) = {0};
	size_t len;

	str_add(&text, own);
	int rc = tls_more_ca(h, &text, err);
	if (rc < 0 || (file_read(path, &now, &len) == 0 && str_eq(now, text.s)))
		return rc;
	return replace(h, CA, text.s, 0644, err);
}

/* The chain in place is of no use: there is none, or it is ours and not of this name, or of another
 * key than there is. */
static bool chain_is_void(const struct host *h)
{
	autofree char *key = host_path(h, KEY), *chain = host_path(h, CHAIN);
	struct cert c autodone(cert_done) = {0};
	struct ng_err none = {0};

	if (access(chain, F_OK) < 0)
		return true;
	return cert_read(chain, &c, &none) == 0 &&
	       ((c.own && !cert_covers(&c, h->hostname)) || cert_of_key(chain, key, &none) == 0);
}

int tls_make_own(const struct host *h, struct ng_err *err)
{
	autofree char *path = host_path(h, OWN), *own = NULL;
	size_t len;
	int rc = make_key(h, err);

	if (rc == 0 && !has_own(h))
		rc = make_own(h, err);
	if (rc < 0)
		return rc;
	rc = file_read(path, &own, &len);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	/* Believed before it is shown. */
	rc = write_ca(h, own, err);
	if (rc == 0 && chain_is_void(h))
		rc = replace_chain(h, own, err);
	return rc;
}

int tls_read(const struct host *h, struct cert *out, struct ng_err *err)
{
	autofree char *chain = host_path(h, CHAIN);

	return cert_read(chain, out, err);
}

int tls_request(const struct host *h, const struct strv *names, struct str *out, struct ng_err *err)
{
	autofree char *key = host_path(h, KEY);
	struct str list autodone(str_done) = {0};

	for (size_t i = 0; i < names->n; i++)
		str_addf(&list, "%s%s", i ? ",DNS:" : "subjectAltName=DNS:", names->v[i]);
	const char *const argv[] = {"openssl", "req", "-new",    "-key",          key,
				    "-subj",   "/",   "-addext", str_text(&list), NULL};
	return pem_of(argv, out, err);
}

static int check(const struct host *h, const char *path, const struct strv *names,
		 struct ng_err *err)
{
	autofree char *key = host_path(h, KEY);
	struct cert c autodone(cert_done) = {0};
	time_t now = time(NULL);
	int rc = cert_read(path, &c, err);

	if (rc < 0)
		return rc;
	rc = cert_of_key(path, key, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, EBADMSG, "it is of another key");
	for (size_t i = 0; i < names->n; i++)
		if (!cert_covers(&c, names->v[i]))
			return err_set(err, EBADMSG, "it is not for %s", names->v[i]);
	/* Authorities date back by an hour, clocks may be wrong by less. */
	if (c.until <= now || c.since > now + 60 * 60)
		return err_set(err, EBADMSG, "it is not valid now: is the clock right?");
	return 0;
}

int tls_install(const struct host *h, const char *chain, const struct strv *names,
		struct ng_err *err)
{
	autofree char *half = host_path(h, CHAIN ".new");
	int rc = replace(h, CHAIN ".new", chain, 0644, err);

	if (rc < 0)
		return rc;
	rc = check(h, half, names, err);
	(void)unlink(half);
	return rc < 0 ? rc : replace_chain(h, chain, err);
}
