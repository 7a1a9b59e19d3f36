#include "host/host.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "conf/files.h"
#include "host/restore.h"
#include "net/ban.h"

#define DEFAULT_ACME "https://acme-v02.api.letsencrypt.org/directory"

/* Each setting: its key and where it is kept. */
static const struct {
	const char *key;
	size_t at;
	const char *standard; /* NULL: may be missing */
} settings[] = {
    {"domain", offsetof(struct host, domain), ""},
    {"hostname", offsetof(struct host, hostname), ""},
    {"address4", offsetof(struct host, address4), NULL},
    {"address6", offsetof(struct host, address6), NULL},
    {"interface", offsetof(struct host, interface), "lo100"},
    {"quota", offsetof(struct host, quota), "1G"},
    {"spam", offsetof(struct host, spam), "opendkim"},
    {"acme", offsetof(struct host, acme), DEFAULT_ACME},
    {"acme.ca", offsetof(struct host, acme_ca), NULL},
    {"contact", offsetof(struct host, contact), NULL},
    {"ban", offsetof(struct host, ban), HOST_BAN},
    {"ban.except", offsetof(struct host, ban_except), NULL},
};

static char **slot(const struct host *h, size_t i)
{
	return (char **)((char *)h + settings[i].at);
}

static bool has_rspamd(const struct host *h)
{
	return str_eq(h->spam, "rspamd");
}

const char *const host_all_jails[] = {"dkim", "rspamd", "dovecot", "postfix", "web", NULL};

const char *const host_web_names[] = {"mta-sts", "autoconfig", "autodiscover", NULL};

const char *const *host_jails(const struct host *h)
{
	static const char *const plain[] = {"dkim", "dovecot", "postfix", "web", NULL},
				 *const filtering[] = {"rspamd", "dovecot", "postfix", "web", NULL};

	return has_rspamd(h) ? filtering : plain;
}

const char *host_other_signer(const struct host *h)
{
	return has_rspamd(h) ? "dkim" : "rspamd";
}

void host_settings_done(struct host *h)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		free(*slot(h, i));
	free(h->root);
	*h = (struct host){0};
}

char *host_path(const struct host *h, const char *fmt, ...)
{
	struct str b = {0};
	va_list ap;

	str_add(&b, h->root);
	va_start(ap, fmt);
	str_vaddf(&b, fmt, ap);
	va_end(ap);
	return str_take(&b);
}

static char *trimmed(char *s)
{
	char *end = s + strlen(s);

	while (isspace((unsigned char)*s))
		s++;
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

static int read_line(struct host *h, char *line, unsigned number, struct ng_err *err)
{
	char *value, *key = trimmed(line);
	const char *names[ARRAY_SIZE(settings)];

	if (!*key || *key == '#')
		return 0;
	value = strchr(key, '=');
	if (!value)
		return err_set(err, EINVAL, HOST_CONF ":%u: \"%s\" is not \"key = value\"", number,
			       key);
	*value++ = '\0';
	key = trimmed(key);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		names[i] = settings[i].key;
		if (!str_eq(key, settings[i].key))
			continue;
		free(*slot(h, i));
		value = trimmed(value);
		*slot(h, i) = *value ? mem_strdup(value) : NULL;
		return 0;
	}
	const char *near = str_nearest(key, names, ARRAY_SIZE(names));
	return err_set(err, EINVAL, HOST_CONF ":%u: unknown setting \"%s\"%s%s%s", number, key,
		       near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

static int complete(struct host *h, struct ng_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (*slot(h, i) || !settings[i].standard)
			continue;
		if (!*settings[i].standard)
			return err_set(err, EINVAL, HOST_CONF ": %s is not set", settings[i].key);
		*slot(h, i) = mem_strdup(settings[i].standard);
	}
	if (!has_rspamd(h) && !str_eq(h->spam, "opendkim"))
		return err_set(err, EINVAL, HOST_CONF ": spam = %s: opendkim or rspamd", h->spam);
	return 0;
}

int host_settings_read(struct host *h, const char *root, struct ng_err *err)
{
	autofree char *path = files_path(root, HOST_CONF), *text = NULL;
	struct strv lines autodone(strv_done) = {0};
	size_t len;
	int rc = file_read(path, &text, &len);

	autofree char *placing = files_path(root, HOST_RESTORE "/" HOST_PLACING);
	if (rc == -ENOENT && access(placing, F_OK) == 0)
		return err_set(err, EBUSY,
			       "a restore was interrupted: newgate host restore FILE goes on");
	if (rc == -ENOENT)
		return err_set(err, ENOENT, "nothing is set up yet: newgate host init DOMAIN");
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	h->root = mem_strdup(root);
	unsigned number = 0;
	for (char *line = text, *next; line && rc == 0; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		rc = read_line(h, line, ++number, err);
	}
	return rc < 0 ? rc : complete(h, err);
}

int host_settings_write(const struct host *h, struct ng_err *err)
{
	autofree char *path = host_path(h, HOST_CONF), *folder = host_path(h, "/etc/newgate");
	struct str text autodone(str_done) = {0};

	str_add(&text, "# What `newgate host` goes by. After a change: newgate host apply\n");
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const char *value = *slot(h, i) ? *slot(h, i) : settings[i].standard;

		if (value)
			str_addf(&text, "%s = %s\n", settings[i].key, value);
	}
	int rc = file_mkdirs(folder, 0755);
	if (rc == 0)
		rc = file_replace(path, text.s, text.len, 0644);
	return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

int host_ban_terms(const char *text, struct host_ban *out, struct ng_err *err)
{
	struct strv word autodone(strv_done) = {0};

	*out = (struct host_ban){0};
	strv_split(&word, text ? text : HOST_BAN, " \t");
	if (word.n == 1 && str_eq(word.v[0], "off"))
		return 0;
	if (word.n == 3 && num_u32(word.v[0], 1, HOST_BAN_FAILURES, &out->failures) == 0 &&
	    num_seconds(word.v[1], BAN_LONGEST, &out->within) == 0 && out->within > 0 &&
	    num_seconds(word.v[2], BAN_FOREVER, &out->seconds) == 0 && out->seconds > 0)
		return 0;
	*out = (struct host_ban){0};
	return err_set(err, EINVAL,
		       HOST_CONF ": ban = %s is not \"off\" nor how many failures (at most %d) "
				 "within which time ban for how long, such as \"" HOST_BAN "\"",
		       text, HOST_BAN_FAILURES);
}

/* RFC 1035's letters, digits and hyphens; other scripts as punycode. */
static bool good_domain(const char *s)
{
	size_t label = 0, dots = 0;

	for (const char *p = s; *p; p++) {
		bool edge = label == 0 || !p[1] || p[1] == '.';

		if (*p == '.') {
			if (label == 0)
				return false;
			label = 0;
			dots++;
		} else if (!(isalnum((unsigned char)*p) || (*p == '-' && !edge)) || ++label > 63) {
			return false;
		}
	}
	return dots > 0 && label > 0 && strlen(s) <= 253;
}

char *host_domain(const char *text, const char **why)
{
	autofree char *s = mem_strdup(text);

	for (char *p = s; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (good_domain(s))
		return take_ptr(s);
	*why = "is not a domain's name: letters, digits and hyphens, with a dot between its parts";
	return NULL;
}

char *host_address(const char *text, bool any, const char **why)
{
	static const char atoms[] = "!#$%&'*/=?^_`{|}~-.";
	const char *at = strrchr(text, '@');

	if (!at || (at == text && !any)) {
		*why = "is not a mail address: NAME@DOMAIN";
		return NULL;
	}
	/* A "+" divides what follows it from the mailbox's name. */
	for (const char *p = text; p < at; p++) {
		if (isalnum((unsigned char)*p) || strchr(atoms, *p))
			continue;
		*why = "has a byte before the \"@\" that a mailbox's name cannot have";
		return NULL;
	}
	if (at > text && (*text == '.' || at[-1] == '.' || at - text > 64)) {
		*why = "begins or ends with a dot before the \"@\", or is too long there";
		return NULL;
	}
	autofree char *domain = host_domain(at + 1, why);
	if (!domain)
		return NULL;
	struct str b = {0};
	for (const char *p = text; p < at; p++)
		str_addc(&b, (char)tolower((unsigned char)*p));
	str_addf(&b, "@%s", domain);
	return str_take(&b);
}
