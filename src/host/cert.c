#include "host/cert.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>
#include "base/mem.h"
#include "store/tools.h"

#define DAY (24 * 60 * 60)

void cert_done(struct cert *c)
{
	strv_done(&c->names);
	free(c->issuer);
	free(c->serial);
	*c = (struct cert){0};
}

/* "2027-02-21 11:44:07Z" */
static bool read_time(const char *text, time_t *out)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%SZ", &tm);

	if (!end || *end)
		return false;
	*out = timegm(&tm);
	return true;
}

/* "DNS:example.org, IP Address:192.0.2.1, …" */
static void read_names(const char *text, struct strv *out)
{
	struct strv each autodone(strv_done) = {0};

	strv_split(&each, text, ", ");
	for (size_t i = 0; i < each.n; i++)
		if (str_prefix(each.v[i], "DNS:"))
			strv_add(out, each.v[i] + 4);
}

/* Of a name's parts, each on a line of its own, who it is for somebody who reads it. */
static void add_part(struct str *out, const char *part)
{
	if (str_prefix(part, "O=") || str_prefix(part, "CN="))
		str_addf(out, "%s%s", out->len ? ", " : "", strchr(part, '=') + 1);
}

bool cert_parse(const char *text, struct cert *out)
{
	struct strv lines autodone(strv_done) = {0};
	struct str name[2] = {0}, whole[2] = {0}; /* of issuer and subject */
	const char *above = "";
	bool since = false, until = false;

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		const char *line = lines.v[i], *s = line + strspn(line, " ");
		bool issuer = str_eq(above, "issuer="), subject = str_eq(above, "subject=");

		if (s == line)
			above = line;
		else if (issuer || subject)
			add_part(&name[subject], s), str_addf(&whole[subject], "%s\n", s);
		else if (str_prefix(above, "X509v3 Subject Alternative Name"))
			read_names(s, &out->names);
		if (str_prefix(line, "serial=") && !out->serial)
			out->serial = mem_strdup(line + 7);
		since |= str_prefix(line, "notBefore=") && read_time(line + 10, &out->since);
		until |= str_prefix(line, "notAfter=") && read_time(line + 9, &out->until);
	}
	out->own = str_eq(str_text(&whole[0]), str_text(&whole[1]));
	out->issuer = str_take(&name[0]);
	str_done(&name[1]);
	str_done(&whole[0]);
	str_done(&whole[1]);
	return out->serial && since && until;
}

int cert_read(const char *path, struct cert *out, struct ng_err *err)
{
	const char *const argv[] = {"openssl",    "x509",
				    "-in",        path,
				    "-noout",     "-serial",
				    "-issuer",    "-subject",
				    "-startdate", "-enddate",
				    "-dateopt",   "iso_8601",
				    "-nameopt",   "esc_ctrl,utf8,sname,sep_multiline",
				    "-ext",       "subjectAltName",
				    NULL};
	struct str text autodone(str_done) = {0};

	if (access(path, R_OK) < 0)
		return err_sys(err, errno, "%s", path);
	int rc = tools_run(NULL, argv, "openssl", &text, err);
	if (rc < 0)
		return err_prefix(err, "%s", path);
	if (!cert_parse(str_text(&text), out))
		return err_set(err, EBADMSG, "%s: openssl says too little of it", path);
	return 0;
}

bool cert_covers(const struct cert *c, const char *name)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < c->names.n; i++) {
		const char *has = c->names.v[i];

		if (strcasecmp(has, name) == 0 ||
		    (str_prefix(has, "*.") && dot && strcasecmp(has + 1, dot) == 0))
			return true;
	}
	return false;
}

bool cert_due(const struct cert *c, time_t now)
{
	time_t third = (c->until - c->since) / 3;

	return c->until - now < (third < 30 * DAY ? third : 30 * DAY);
}

int cert_of_key(const char *cert, const char *key, struct ng_err *err)
{
	const char *const theirs[] = {"openssl", "x509", "-in", cert, "-noout", "-pubkey", NULL};
	const char *const ours[] = {"openssl", "pkey", "-in", key, "-pubout", NULL};
	struct str a autodone(str_done) = {0}, b autodone(str_done) = {0};
	int rc = tools_run(NULL, theirs, "openssl", &a, err);

	if (rc == 0)
		rc = tools_run(NULL, ours, "openssl", &b, err);
	return rc < 0 ? rc : str_eq(str_text(&a), str_text(&b));
}
